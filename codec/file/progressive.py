"""Strips of a device file and the levels they hold, whole or in the two parts of a progressive one.

::

    levels ── encoded_strips ──► strips 0..n-1 (lowest frequencies), then n..2n-1 (the rest)
    strips ── decoded_strips ──► levels, n times
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from heqcodec.base.errors import HeqFormatError
from heqcodec.base.rate_protocols import ProgressiveCoder, StripCoder
from heqcodec.container.header import Header
from heqcodec.container.strips import NOT_SENT, Strip, strip_patch_rows
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.levels import StripLevels


def encoded_strips(levels: Iterable[StripLevels], coder: StripCoder, parts: int) -> Iterator[Strip]:
    """The strips of a file in their order.

    Args:
        levels: of its rows of patches, from top to bottom; not sent where the step says so.
        coder: of the file.
        parts: of its header.
    """
    rest = []
    for strip in levels:
        if strip.step == NOT_SENT:
            payloads: tuple[bytes, ...] = (b"",) * parts
        elif parts == 1:
            payloads = (coder.encode(*strip),)
        else:
            assert isinstance(coder, ProgressiveCoder)
            payloads = coder.encode_parts(*strip)
        yield Strip(strip.step, payloads[0])
        rest += [Strip(strip.step, payload) for payload in payloads[1:]]
    yield from rest


def decoded_strips(
    header: Header, strips: Mapping[int, Strip | None], coder: StripCoder
) -> Iterator[StripLevels]:
    """The levels of the verified strips of a whole file; zeros, and the step `NOT_SENT`, where the
    first part was not sent.

    Raises:
        HeqFormatError: the coder did not write a payload.
    """
    for index in range(header.row_strips):
        parts = [strips[index + part * header.row_strips] for part in range(header.parts)]
        yield decoded_strip(header, index, [part for part in parts if part is not None], coder)


def decoded_strip(header: Header, index: int, parts: list[Strip], coder: StripCoder) -> StripLevels:
    """The levels of strip ``index``, from its first part or from both; see `decoded_strips`."""
    shape = strip_patch_rows(header, index), header.patch_columns, header.channels
    first = parts[0]
    if not first.sent:
        return StripLevels(
            np.zeros((*shape, LEVELS), np.int16), np.zeros(shape[:2], np.uint8), first.rate
        )
    number = index
    try:
        if header.parts == 1:
            return StripLevels(*coder.decode(first.payload, *shape, first.rate), first.rate)
        assert isinstance(coder, ProgressiveCoder)
        levels, transform_sizes = coder.decode_first(first.payload, *shape, first.rate)
        for part in parts[1:]:
            number += header.row_strips
            if part.sent and part.rate != first.rate:
                raise HeqFormatError(f"its step is {part.rate}, not {first.rate}.")
            if part.sent:
                levels = coder.decode_rest(part.payload, levels, transform_sizes, first.rate)
        return StripLevels(levels, transform_sizes, first.rate)
    except HeqFormatError as error:
        raise HeqFormatError(
            f"Strip {number} cannot be decoded, though its checksum is right: {error}"
        ) from error
