"""The inputs of PURENET as numpy arrays, made from codes or levels."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from heqcodec.base.constants import PATCH
from numpy.typing import NDArray

GREY = 128.0
"""Sample of a patch that was lost."""


class BaseFeatures(NamedTuple):
    """Inputs from codes that have a plain inverse transform.

    base: RGB / 255 of the plain inverse, float32 (3, 32 R, 32 C).
    hints: what is known of each patch, float32 (hints, R, C), 0..1.
    """

    base: NDArray[np.float32]
    hints: NDArray[np.float32]


class CellFeatures(NamedTuple):
    """Inputs from codes without a plain inverse transform.

    cells: float32 (inputs, 4 R, 4 C).
    """

    cells: NDArray[np.float32]


Features = BaseFeatures | CellFeatures


class FrameNetwork(Protocol):
    """The interface of PURENET, run by onnxruntime or by torch."""

    radius: int
    """How far, in pixels, a patch reaches beyond its border."""
    hints: int
    """Numbers a patch that it takes in addition to the pixels of a base."""

    def frame(self, features: Features, rate_weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network.

        Args:
            features: of a window of patches.
            rate_weights: of the rates, by row of patches, float32 (R, rates), rows of sum 1; or
                (1, rates) where all rows have the same.

        Returns:
            RGB / 255, float32 (32 R, 32 C, 3), not limited to 0..1.
        """
        ...


def plain_pixels(base: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """The frame of a base (3, 32 R, 32 C), as a network gives frames: (32 R, 32 C, channels)."""
    return np.ascontiguousarray(base[:channels].transpose(1, 2, 0))


def base_frame(pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Decoded patches at their places, lost ones grey.

    Args:
        pixels: samples, around 0..255, float32 (R C, 3, 32, 32); overwritten.
        valid: (R, C), false where a patch was lost.

    Returns:
        RGB / 255, float32 (3, 32 R, 32 C).
    """
    rows, columns = valid.shape
    pixels[~valid.reshape(-1)] = GREY
    grid = pixels.reshape(rows, columns, 3, PATCH, PATCH).transpose(2, 0, 3, 1, 4)
    frame = np.ascontiguousarray(grid.reshape(3, rows * PATCH, columns * PATCH))
    frame /= 255
    return frame
