"""PURENET by torch: on any device that torch has, and in training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from heqcodec.base.constants import STEPS
from numpy.typing import NDArray
from torch import Tensor

from .config import PurenetConfig
from .device import find_device
from .features import CellFeatures, Features
from .network import Purenet, transform_cells
from .rate_decoder import step_weights
from .stored_weights import restored_weights


class TorchNetwork:
    """A `FrameNetwork`.

    Args:
        network: trained, float32.
        device: where it is to run.
    """

    def __init__(self, network: Purenet, device: torch.device) -> None:
        self._network = network.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = device
        self.radius, self.hints = network.radius, network.config.hints

    def frame(self, features: Features, rate_weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `FrameNetwork`."""
        weights = self._tensor(rate_weights)
        if isinstance(features, CellFeatures):
            frames = self._run(self._tensor(features.cells), None, weights)
        else:
            frames = self.frames(self._tensor(features.base), self._tensor(features.hints), weights)
        out: NDArray[np.float32] = frames[0].permute(1, 2, 0).contiguous().cpu().numpy()
        return out

    def frames(self, base: Tensor, hints: Tensor, rate_weights: Tensor) -> Tensor:
        """Run the network on several frames at once, all on its device.

        Args:
            base: (B, 3, 32 R, 32 C), see `BaseFeatures`.
            hints: (B, hints, R, C).
            rate_weights: (B, R, rates), or (B, 1, rates) where all rows of a frame have the same.

        Returns:
            RGB / 255, float32 (B, 3, 32 R, 32 C), not limited to 0..1.
        """
        return self._run(transform_cells(base, hints), base, rate_weights)

    def _run(self, cells: Tensor, base: Tensor | None, rate_weights: Tensor) -> Tensor:
        # TF32 would move samples by more than the promised 1/255 between devices.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            cells = cells.contiguous(memory_format=torch.channels_last)
            frames: Tensor = self._network(cells, base, rate_weights)
            return frames

    def _tensor(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(array).to(self.device)[None]


def load_torch_network(
    tensors: Mapping[str, NDArray[Any]], config: PurenetConfig, device: str
) -> TorchNetwork:
    """The network of stored tensors.

    Args:
        tensors: as `heqcodec.purenet.stored_weights` stores them.
        config: its sizes.
        device: "auto" or a torch device.

    Raises:
        HeqUnsupportedError: the device does not exist.
    """
    target = find_device(device)
    network = Purenet(config)
    network.load_state_dict(restored_weights(tensors))
    return TorchNetwork(network, target)


@cache
def _all_step_weights(device: torch.device) -> Tensor:
    return torch.from_numpy(step_weights(np.arange(STEPS))).to(device)


def decode_base(network: Purenet, base: Tensor, hints: Tensor, steps: Tensor) -> Tensor:
    """Run a network of the variable-rate mode on a batch.

    Args:
        network: of `KNOTS` rates, see `heqcodec.purenet.rate_decoder`.
        base: RGB / 255 of the plain inverse, (B, 3, 32 R, 32 C).
        hints: float32 (B, 1 + `LEVEL_HINTS`, R, C), 0..1: transform sizes, and statistics of the
            levels; a network takes the first of them, as many as it has inputs for.
        steps: indices (B,).

    Returns:
        RGB / 255, (B, 3, 32 R, 32 C), not limited to 0..1.
    """
    cells = transform_cells(base, hints[:, : network.config.hints])
    cells = cells.contiguous(memory_format=torch.channels_last)
    frame: Tensor = network(cells, base, _all_step_weights(steps.device)[steps])
    return frame
