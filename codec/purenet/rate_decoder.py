"""PURENET of the variable-rate mode: levels of a frame to pixels, in overlapping tiles.

::

    levels, sizes, step ──► plain inverse (numpy) ──► RGB frame ──► cells (192)
                     sizes ─────────────────────────────────────► + 1
                      step ──► shares of nine knots, an octave apart ──► gains and shifts
                                                            │
                                                        Purenet ──► frame
"""

from __future__ import annotations

import numpy as np
import torch
from heqcodec.backend import PATCH
from heqcodec.rate.backend import STEPS
from heqcodec.rate.dequantizer import Dequantizer
from heqcodec.rate.quantizer import OCTAVE
from numpy.typing import NDArray
from torch import Tensor

from .decoder import GREY, paint_tiles
from .network import Purenet, transform_cells

KNOTS = STEPS // OCTAVE + 1
"""Steps that the network has gains of its own for: 2, 4, ... 512."""
INPUTS = 193
"""Channels of the cells: the pixels of a cell, and the size of its patch."""


def step_shares(steps: Tensor) -> Tensor:
    """Linear interpolation between knots: indices (B,) to float32 (B, KNOTS), rows of sum 1."""
    place = steps[:, None].float() / OCTAVE
    knots = torch.arange(KNOTS, device=steps.device, dtype=torch.float32)
    return (1 - (place - knots).abs()).clamp_(min=0)


def decode_base(network: Purenet, base: Tensor, sizes: Tensor, steps: Tensor) -> Tensor:
    """Run the network.

    Args:
        network: of `INPUTS` inputs and `KNOTS` rates.
        base: RGB / 255 of the plain inverse, (B, 3, 32 R, 32 C).
        sizes: (B, R, C), 0 or 1.
        steps: indices (B,).

    Returns:
        RGB / 255, (B, 3, 32 R, 32 C), not limited to 0..1.
    """
    cells = transform_cells(base, sizes[:, None].to(base.dtype))
    cells = cells.contiguous(memory_format=torch.channels_last)
    frame: Tensor = network(cells, base, step_shares(steps))
    return frame


class PurenetRateDecoder:
    """A `heqcodec.rate.backend.RateDecoder`: plain inverse, network and tiles.

    Args:
        dequantizer: of the encoder's levels.
        network: trained, float32.
        device: torch device of the network.
    """

    def __init__(self, dequantizer: Dequantizer, network: Purenet, device: torch.device) -> None:
        self._dequantizer = dequantizer
        self._network = network.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self.radius = network.radius

    def decode_frame(
        self,
        levels: NDArray[np.int16],
        sizes: NDArray[np.uint8],
        step: int,
        valid: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.uint8]:
        """Levels (R, C, planes, 1024) to pixels (32 R, 32 C, planes); see `RateDecoder`."""
        rows, columns, channels = levels.shape[:3]
        if valid is None:
            valid = np.ones((rows, columns), dtype=bool)
        return paint_tiles(
            lambda around: self._run(levels[around], sizes[around], step, valid[around]),
            rows,
            columns,
            channels,
            self.radius,
        )

    def _run(
        self,
        levels: NDArray[np.int16],
        sizes: NDArray[np.uint8],
        step: int,
        valid: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        rows, columns = sizes.shape
        flat = levels.reshape(rows * columns, *levels.shape[2:])
        pixels = self._dequantizer.pixels(flat, sizes.reshape(-1), step)
        pixels[~valid.reshape(-1)] = GREY
        base = pixels.reshape(rows, columns, 3, PATCH, PATCH).transpose(2, 0, 3, 1, 4)
        base = np.ascontiguousarray(base.reshape(1, 3, rows * PATCH, columns * PATCH))
        told = (sizes * valid).astype(np.float32)[None]
        # TF32 would move samples by more than the promised 1/255 between devices.
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        ):
            frame = decode_base(
                self._network,
                torch.from_numpy(base).to(self._device).div_(255),
                torch.from_numpy(told).to(self._device),
                torch.tensor([step], device=self._device),
            )[0]
        return frame.permute(1, 2, 0).contiguous().cpu().numpy()
