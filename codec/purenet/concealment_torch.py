"""The concealment network by torch: in training, and where a device asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from .concealment import CELL, DILATIONS, WIDTH, Network
from .device import find_device
from .stored_weights import restored_weights


class ConcealmentNet(nn.Module):
    """See `heqcodec.purenet.concealment`; untrained it adds nothing."""

    def __init__(self) -> None:
        super().__init__()
        inputs = 3 * CELL**2
        self.enter = nn.Conv2d(inputs + 1, WIDTH, 3, padding=1)
        self.first = nn.ModuleList(
            nn.Conv2d(WIDTH, WIDTH, 3, padding=reach, dilation=reach) for reach in DILATIONS
        )
        self.second = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in DILATIONS)
        self.leave = nn.Conv2d(WIDTH, inputs, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, pixels: Tensor, lost: Tensor) -> Tensor:
        """What is to be added to pixels.

        Args:
            pixels: RGB / 255, continued, (B, 3, 4 H, 4 W).
            lost: 1 where they are lost, else 0, constant in squares of 4 x 4, (B, 1, 4 H, 4 W).

        Returns:
            float32 (B, 3, 4 H, 4 W); what it says of known pixels means nothing.
        """
        cells = F.pixel_unshuffle(4 * (pixels - 0.5), CELL)
        x = torch.cat([cells, lost[:, :, ::CELL, ::CELL]], dim=1)
        x = self.enter(x.contiguous(memory_format=torch.channels_last))
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(F.relu(first(x)))
        return F.pixel_shuffle(self.leave(x), CELL).float() / 4


def load_by_torch(tensors: Mapping[str, NDArray[Any]], device: str) -> Network:
    """The network of stored tensors.

    Args:
        tensors: as `heqcodec.purenet.stored_weights` stores them.
        device: "auto" or a torch device.

    Raises:
        HeqUnsupportedError: the device does not exist.
    """
    target = find_device(device)
    network = ConcealmentNet()
    network.load_state_dict(restored_weights(tensors))
    network.eval().to(target)

    def run(pixels: NDArray[np.float32], lost: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            given = [torch.from_numpy(array).to(target)[None] for array in (pixels, lost)]
            added: NDArray[np.float32] = network(*given)[0].cpu().numpy()
        return added

    return run
