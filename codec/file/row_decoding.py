"""Decoding by bands of rows: a huge frame in the memory of some of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from heqcodec.base.arguments import BackendName, DecoderName, checked_limit
from heqcodec.base.metadata import Metadata
from heqcodec.container.header import DEFAULT_MAX_PIXELS
from heqcodec.container.reader import ContainerReader
from heqcodec.container.source import Source, open_source
from numpy.typing import NDArray

from .concealment import fill_rows
from .decoding import (
    HeldStrips,
    all_channels,
    alpha_plane,
    collect_metadata,
    strip_decoder_of,
)
from .frame import decode_bands, whole_window

__all__ = ["DecodedRows", "decode_rows"]


@dataclass(frozen=True)
class DecodedRows:
    """A file that is decoded as its rows are asked for.

    Attributes:
        shape: height, width and channels.
        bands: uint8 (rows, width, channels) from top to bottom, once; each but the last has a
            multiple of 32 rows. Strips that the encoder left out are filled from their band.
        metadata: of the file.
    """

    shape: tuple[int, int, int]
    bands: Iterator[NDArray[np.uint8]]
    metadata: Metadata


@contextmanager
def decode_rows(
    data: Source,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    device: str = "auto",
    decoder: DecoderName = "strong",
    backend: BackendName = "auto",
) -> Iterator[DecodedRows]:
    """Decode a file band by band; every checksum is verified first.

    Memory holds the file, a band of 768 rows, and what a tile of it takes; of a file with alpha
    its plane, too.

    Args:
        data: bytes, a path, or a binary file object, open until the block ends.
        max_pixels, device, decoder, backend: as in :func:`heqcodec.decode`, whose pixels these
            are.

    Raises:
        HeqError, OSError, TypeError: as :func:`heqcodec.decode`.
    """
    limit = checked_limit(max_pixels)
    with open_source(data) as stream:
        reader = ContainerReader(stream, max_pixels=limit)
        header = reader.header
        strips = HeldStrips(reader, list(range(header.strip_count)))
        chunks = reader.read_chunks()
        alpha = alpha_plane(chunks, reader)
        strip_decoder, _ = strip_decoder_of(strips, str(device), None, decoder, backend)

        def bands() -> Iterator[NDArray[np.uint8]]:
            box = (0, 0, header.width, header.height)
            for rows, pixels, lost in decode_bands(
                header,
                whole_window(header),
                box,
                lambda number: strip_decoder.grids(number, strips.read_strip(number)),
                strip_decoder,
            ):
                if lost.any():
                    fill_rows(pixels, lost)
                yield all_channels(header, pixels, None if alpha is None else alpha[rows])
                del pixels  # before the next band is made

        channels = 4 if alpha is not None else 3 if header.gray_as_rgb else header.channels
        shape = (header.height, header.width, channels)
        yield DecodedRows(shape, bands(), collect_metadata(chunks))
