"""Smaller images of a file of the variable-rate mode, without a network: for thumbnails.

A sample is the mean of 2 x 2, 4 x 4 or 8 x 8 samples of the plain inverse transform, computed from
the coefficients at once.
"""

from __future__ import annotations

import numpy as np
from heqcodec.base.constants import PATCH
from heqcodec.container.reader import ContainerReader
from heqcodec.container.source import Source, open_source
from heqcodec.container.strips import strip_patch_rows
from heqcodec.purenet.dequantizer import Dequantizer
from numpy.typing import NDArray
from PIL import Image

from .concealment import fill_rows
from .decoding import HeldStrips, all_channels, alpha_plane
from .rate_strip_decoder import RateStripDecoder

__all__ = ["SCALES", "decode_reduced"]

SCALES = (8, 4, 2)
FIRST_PART = 8
"""The scale for which the first part of a progressive file is enough."""


class ReducedDecoder:
    """A `heqcodec.base.rate_protocols.RateDecoder` of frames whose sides are divided by
    ``scale``."""

    radius = 0

    def __init__(self, dequantizer: Dequantizer, scale: int) -> None:
        self._dequantizer, self._scale = dequantizer, scale

    def decode_frame(
        self,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        steps: NDArray[np.int64],
        valid: NDArray[np.bool_] | None = None,
        core: tuple[slice, slice] | None = None,
    ) -> NDArray[np.uint8]:
        """Levels (R, C, planes, 1024) to uint8 (32 R / scale, 32 C / scale, planes), of the
        patches ``core`` or of all: none reaches beyond its border."""
        if core is not None:
            levels, transform_sizes, steps = levels[core], transform_sizes[core], steps[core[0]]
        rows, columns, planes = levels.shape[:3]
        side = PATCH // self._scale
        frame = np.empty((rows, side, columns, side, planes), np.uint8)
        for row in range(rows):  # a row at a time bounds the memory
            pixels = self._dequantizer.pixels(
                levels[row], transform_sizes[row], steps[row], self._scale
            )
            samples = np.rint(pixels[:, :planes]).clip(0, 255).astype(np.uint8)
            frame[row] = samples.transpose(2, 0, 3, 1)
        return frame.reshape(rows * side, columns * side, planes)


def decode_reduced(data: Source, scale: int, partial: bool = False) -> NDArray[np.uint8]:
    """Decode a file of the variable-rate mode at 1/2, 1/4 or 1/8 of its size.

    Args:
        data: bytes, a path, or a binary file object.
        scale: one of `SCALES`.
        partial: fill damaged strips from their neighbours, and leave out damaged alpha.

    Returns:
        As `heqcodec.decode`, of ``ceil(height / scale)`` rows and ``ceil(width / scale)`` columns.

    Raises:
        HeqError: as `heqcodec.decode`, except that no image is too large.
    """
    from heqcodec.models import registry

    with open_source(data) as stream:
        reader = ContainerReader(stream, max_pixels=None, partial=partial)
        header = reader.header
        # All is verified before a model is loaded.
        parts = 1 if scale == FIRST_PART else header.parts
        strips = HeldStrips(reader, list(range(parts * header.row_strips)))
        alpha = alpha_plane(reader.read_chunks(), reader)
        name = registry.model_of_file(header.encoder_id, header.coder_id)
        strip_decoder = RateStripDecoder(
            strips,
            ReducedDecoder(registry.load_dequantizer(name), scale),
            1 if header.parts > parts else None,
        )
        side = PATCH // scale
        shape = header.patch_rows * side, header.patch_columns * side, header.channels
        frame, lost = np.empty(shape, np.uint8), np.zeros(shape[0], bool)
        start = 0
        for index in range(header.row_strips):
            stop = start + strip_patch_rows(header, index) * side
            grids = strip_decoder.grids(index, strips.read_strip(index))
            if grids is None:
                lost[start:stop] = True
            else:
                frame[start:stop] = strip_decoder.decode(grids, None, (slice(None), slice(None)))
            start = stop
        if lost.any():
            fill_rows(frame, lost)
    if alpha is not None:
        alpha = np.asarray(Image.fromarray(alpha).reduce(scale))
    height, width = -(-header.height // scale), -(-header.width // scale)
    return all_channels(header, frame[:height, :width], alpha)
