"""A light encoder and decoder for tests of the container and the interface: no torch, no weights.

The code of a patch is the mean colour of each of its cells, quantised to one byte; how fine the
cells are follows from the rate. The decoder fills the cells and smooths across patch borders
with a known reach, so that region and damage tests meet a decoder that looks beyond one patch.
"""

from __future__ import annotations

import numpy as np

PATCH = 32


class LightEncoder:
    """A ``PatchEncoder``: as many cell means as the rate has bytes, of the grey value."""

    encoder_id = b"lightenc"
    coder_id = bytes(8)
    coder = 0
    rates: tuple[int, ...] = (64, 128, 256, 512)

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode_patches(
        self, patches: np.ndarray, bits: int, arithmetic: str = "float32"
    ) -> np.ndarray:
        assert patches.dtype == np.uint8 and patches.shape[1:3] == (PATCH, PATCH)
        self.batches.append(len(patches))
        grey = patches.astype(np.int64).sum(axis=3) // patches.shape[3]
        cells = bits // 8
        return grey.reshape(len(patches), cells, -1).mean(axis=2).round().astype(np.uint8)


class LightDecoder:
    """A ``FrameDecoder`` with a reach of ``radius`` pixels; lost patches count as absent."""

    radius = 40

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def decode_frame(
        self,
        codes: np.ndarray,
        bits: int,
        channels: int,
        valid: np.ndarray | None = None,
        core: tuple[slice, slice] | None = None,
    ) -> np.ndarray:
        rows, columns, cells = codes.shape
        assert cells == bits // 8
        self.shapes.append((rows, columns))
        filled = np.repeat(codes, PATCH * PATCH // cells, axis=2).astype(np.int64)
        filled = filled.reshape(rows, columns, PATCH, PATCH).swapaxes(1, 2)
        filled = filled.reshape(rows * PATCH, columns * PATCH)
        present = np.ones((rows, columns), bool) if valid is None else valid
        weight = np.repeat(np.repeat(present, PATCH, 0), PATCH, 1).astype(np.int64)
        filled = filled * weight
        for axis in (0, 1):
            filled, weight = box_sum(filled, axis), box_sum(weight, axis)
        smooth = filled // np.maximum(weight, 1)
        # What a decoder shows in a lost patch is its own affair: here, something plainly wrong.
        smooth[~np.repeat(np.repeat(present, PATCH, 0), PATCH, 1)] = 255
        return cropped(np.repeat(smooth[..., None], channels, axis=2).astype(np.uint8), core)


def cropped(frame: np.ndarray, core: tuple[slice, slice] | None) -> np.ndarray:
    """The pixels of some patches of a frame, or all."""
    if core is None:
        return frame
    rows, columns = (slice(PATCH * part.start, PATCH * part.stop) for part in core)
    return frame[rows, columns]


def box_sum(field: np.ndarray, axis: int) -> np.ndarray:
    """Sum over the nearest 2 * radius + 1 samples along one axis, zeros past the edges."""
    reach, length = LightDecoder.radius, field.shape[axis]
    padding = [(0, 0)] * field.ndim
    padding[axis] = (reach + 1, reach)
    total = np.pad(field, padding).cumsum(axis=axis)
    high = np.take(total, range(2 * reach + 1, 2 * reach + 1 + length), axis=axis)
    return high - np.take(total, range(length), axis=axis)
