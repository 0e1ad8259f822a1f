"""The levels around a rectangle of a file: for decoders that take several files at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from heqcodec.base.rate_protocols import RateDecoder
from heqcodec.container import chunks as chunk_types
from heqcodec.container.header import Header
from heqcodec.container.reader import ContainerReader
from heqcodec.container.source import Source, open_source
from numpy.typing import NDArray

from .decoding import HeldStrips, Region, alpha_plane, checked_region
from .frame import WindowStrips, region_window
from .rate_strip_decoder import RateStripDecoder


@dataclass(frozen=True)
class RateWindow:
    """Patches that reach into a rectangle of a file of the variable-rate mode.

    Attributes:
        header: of the file.
        decoder: of its model.
        levels: int16 (R, C, planes, 1024).
        transform_sizes: uint8 (R, C).
        steps: indices of the rows of patches, int64 (R,), see `RateDecoder.decode_frame`.
        inside: rows and columns of pixels of the rectangle, counted from the patches' corner.
        alpha: uint8 (height, width) of the rectangle, or None.
    """

    header: Header
    decoder: RateDecoder
    levels: NDArray[np.int16]
    transform_sizes: NDArray[np.uint8]
    steps: NDArray[np.int64]
    inside: tuple[slice, slice]
    alpha: NDArray[np.uint8] | None


def read_window(
    data: Source, region: Region | None, load: Callable[[str], RateDecoder]
) -> RateWindow | None:
    """Verify and decode the levels that a rectangle needs.

    Args:
        data: bytes, a path, or a binary file object.
        region: (x, y, width, height); None for the whole image.
        load: the decoder of a model by its name.

    Returns:
        None for a file of the patch mode, and where strips were not sent.

    Raises:
        HeqError, OSError, TypeError: as :func:`heqcodec.decode`, except that no image is too large.
    """
    from heqcodec.models import registry

    with open_source(data) as stream:
        reader = ContainerReader(stream, max_pixels=None)
        header = reader.header
        x, y, width, height = box = checked_region(region, header)
        if header.constant_rate:
            return None
        decoder = load(registry.model_of_file(header.encoder_id, header.coder_id))
        window = region_window(header, box, decoder.radius)
        needed = window.strips(header)
        strips = HeldStrips(
            reader,
            [index + part * header.row_strips for part in range(header.parts) for index in needed],
        )
        chunks = reader.read_chunks(None if region is None else frozenset({chunk_types.ALPHA}))
        alpha = alpha_plane(chunks, reader)
        strip_decoder = RateStripDecoder(strips, decoder)
        around = WindowStrips(
            header, window, lambda index: strip_decoder.grids(index, strips.read_strip(index))
        )
        grid = slice(0, window.row1 - window.row0), slice(0, window.column1 - window.column0)
        grids, valid = around.cut(grid)
    if not valid.all():
        return None
    levels, transform_sizes, steps = grids
    inside = (
        slice(y - window.top, y - window.top + height),
        slice(x - window.left, x - window.left + width),
    )
    crop = None if alpha is None else alpha[y : y + height, x : x + width]
    return RateWindow(header, decoder, levels, transform_sizes, steps[:, 0], inside, crop)
