"""Strips: rows of patches with their own length and checksum, where each lies, a file's size.

In patch mode all lengths follow from the header, so every strip and every patch has an offset
that is known before anything is encoded, and damage to one strip cannot move another. In rate mode
strips differ in length, and `heqcodec.container.strip_places` finds them by their heads.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np
from heqcodec.base.constants import STEPS
from heqcodec.base.errors import HeqChecksumError, HeqFormatError, HeqLimitError
from heqcodec.container.chunks import CHUNK_OVERHEAD
from heqcodec.container.crc_ranges import crc_before
from heqcodec.container.header import HEADER_LENGTH, U32_MAX, Header
from numpy.typing import NDArray

STRIP_HEAD = struct.Struct("<HHI")
"""Index, rate and payload length, before the payload."""
STRIP_CRC = struct.Struct("<I")
"""CRC-32 of head and payload: last, so that a camera computes it as it sends."""
STRIP_OVERHEAD = STRIP_HEAD.size + STRIP_CRC.size
NOT_SENT = 0xFFFF
"""The rate of a strip that the encoder left out for want of room: no payload. A payload of no bytes
alone does not say so: one in which all is as expected has none, either."""


class Strip(NamedTuple):
    """What a strip holds.

    Attributes:
        rate: patch mode: that of the header; rate mode: step index, 0 to 1023, or `NOT_SENT`.
        payload: without head and checksum.
    """

    rate: int
    payload: bytes

    @property
    def sent(self) -> bool:
        """Whether the encoder sent it: one that was not sent has no payload."""
        return self.rate != NOT_SENT


def valid_rate(header: Header, rate: int, length: int) -> bool:
    """Whether a strip with so many bytes of payload can have this rate."""
    if header.constant_rate:
        return rate == header.rate
    return rate < STEPS or (rate == NOT_SENT and length == 0)


def valid_rates(
    header: Header, rates: NDArray[np.uint32], lengths: NDArray[np.uint32]
) -> NDArray[np.bool_]:
    """`valid_rate` for arrays of rates and lengths."""
    if header.constant_rate:
        return rates == header.rate
    valid: NDArray[np.bool_] = (rates < STEPS) | ((rates == NOT_SENT) & (lengths == 0))
    return valid


def strip_patch_rows(header: Header, index: int) -> int:
    """Patch rows of strip ``index``; the last strip may have fewer than ``strip_rows``."""
    first = index % header.row_strips * header.strip_rows
    return min(header.strip_rows, header.patch_rows - first)


def strip_length(header: Header, index: int) -> int:
    """Payload bytes of strip ``index`` (patch mode)."""
    return strip_patch_rows(header, index) * header.patch_columns * header.patch_bytes


def strip_offset(header: Header, index: int) -> int:
    """Byte offset in the file of strip ``index`` (of its index field; patch mode).

    ``index`` may be ``strip_count``: the offset where the chunks begin.
    """
    rows_before = min(index * header.strip_rows, header.patch_rows)
    payload = rows_before * header.patch_columns * header.patch_bytes
    return HEADER_LENGTH + index * STRIP_OVERHEAD + payload


def chunks_offset(header: Header) -> int:
    """Byte offset in the file of the first chunk, right after the last strip (patch mode)."""
    return strip_offset(header, header.strip_count)


def total_size(header: Header, chunk_lengths: Iterable[int] = ()) -> int:
    """Bytes of the whole file, known before anything is encoded.

    Args:
        header: a valid header in patch mode.
        chunk_lengths: data bytes of each chunk that will follow, END_ (always there) excepted.
    """
    chunks = sum(CHUNK_OVERHEAD + length for length in chunk_lengths)
    return chunks_offset(header) + chunks + CHUNK_OVERHEAD


def fixed_size(header: Header, chunk_lengths: Iterable[int] = ()) -> int:
    """Bytes of a file of the variable-rate mode without the payload of its strips.

    Arguments as for :func:`total_size`.
    """
    chunks = sum(CHUNK_OVERHEAD + length for length in chunk_lengths)
    return HEADER_LENGTH + header.strip_count * STRIP_OVERHEAD + chunks + CHUNK_OVERHEAD


def smallest_size(header: Header) -> int:
    """Bytes that any whole file with this header has at least."""
    return total_size(header) if header.constant_rate else fixed_size(header)


def patch_offset(header: Header, row: int, column: int) -> int:
    """Byte offset in the file of the ``rate / 8`` payload bytes of one patch.

    Args:
        header: any valid header in patch mode; nothing needs to be encoded yet.
        row: patch row, 0 to ``patch_rows - 1``.
        column: patch column, 0 to ``patch_columns - 1``.

    Raises:
        HeqLimitError: no such patch.
    """
    if not (0 <= row < header.patch_rows and 0 <= column < header.patch_columns):
        raise HeqLimitError(
            f"There is no patch ({row}, {column}): the image has {header.patch_rows} x "
            f"{header.patch_columns} patches, counted from 0."
        )
    index, row_in_strip = divmod(row, header.strip_rows)
    patches_before = row_in_strip * header.patch_columns + column
    start = strip_offset(header, index) + STRIP_HEAD.size
    return start + patches_before * header.patch_bytes


def pack_strip(header: Header, index: int, payload: bytes, rate: int | None = None) -> bytes:
    """The bytes of one strip: index, rate, length, payload, CRC-32.

    Args:
        rate: of the strip; None for that of the header.

    Raises:
        HeqFormatError: the payload has not the length that the header fixes (patch mode), or is
            longer than a length field can say; or there is no such rate.
    """
    rate = header.rate if rate is None else rate
    if not valid_rate(header, rate, len(payload)):
        raise HeqFormatError(f"Strip {index} has the rate {rate}, which there is not.")
    if not header.constant_rate:
        if len(payload) > U32_MAX:
            raise HeqFormatError(
                f"Strip {index} has {len(payload)} bytes; at most {U32_MAX} fit; use fewer rows "
                "per strip."
            )
    elif len(payload) != strip_length(header, index):
        raise HeqFormatError(
            f"Strip {index} has {len(payload)} bytes of payload; the header fixes "
            f"{strip_length(header, index)}."
        )
    body = STRIP_HEAD.pack(index, rate, len(payload)) + payload
    return body + STRIP_CRC.pack(zlib.crc32(body))


def check_strip(header: Header, index: int, data: bytes) -> Strip:
    """Verify one strip.

    Args:
        data: the bytes from the strip's index field to the next strip, all of them.

    Raises:
        HeqChecksumError: the CRC-32 does not match.
        HeqFormatError: it matches, but index or length are not those of this place, or the rate is
            none.
    """
    body = memoryview(data)[: -STRIP_CRC.size]
    (stored,) = STRIP_CRC.unpack_from(data, len(body))
    expected = zlib.crc32(body)
    if stored != expected:
        raise HeqChecksumError(
            f"Strip {index} of {header.strip_count} is damaged: its CRC-32 is {expected:08x}, the "
            f"file says {stored:08x}; get another copy, or decode with partial to keep the rest."
        )
    number, rate, announced = STRIP_HEAD.unpack_from(data)
    length = len(data) - STRIP_OVERHEAD
    if (number, announced) != (index, length) or not valid_rate(header, rate, length):
        raise HeqFormatError(
            f"Strip {index} calls itself number {number} with rate {rate} and {announced} bytes, "
            f"and it has {length}; the file was written by a faulty program, or decode with "
            "partial to keep the rest."
        )
    return Strip(rate, bytes(body[STRIP_HEAD.size :]))


def repair_strip(header: Header, index: int, data: bytes) -> Strip | None:
    """The strip, if only its head was damaged; else None.

    Args:
        data: as for :func:`check_strip`.
    """
    payload = memoryview(data)[STRIP_HEAD.size : -STRIP_CRC.size]
    (stored,) = STRIP_CRC.unpack_from(data, len(data) - STRIP_CRC.size)
    rate = rate_by_checksum(header, index, len(payload), zlib.crc32(payload), stored)
    return None if rate is None else Strip(rate, bytes(payload))


def rate_by_checksum(
    header: Header, index: int, length: int, payload_crc: int, stored: int
) -> int | None:
    """The rate with which a strip of this index and payload has the checksum that is stored.

    Index and length are known from the strip's place, and the checksum covers the head: it says the
    rate exactly when the payload is intact.

    Args:
        length: bytes of payload.
        payload_crc: CRC-32 of these.
        stored: CRC-32 behind them.
    """
    head = crc_before(stored, payload_crc, length)
    if header.constant_rate:
        known = zlib.crc32(STRIP_HEAD.pack(index, header.rate, length))
        return header.rate if head == known else None
    rate = _rates_by_crc().get(head ^ zlib.crc32(STRIP_HEAD.pack(index, 0, length)))
    return rate if rate is not None and valid_rate(header, rate, length) else None


@cache
def _rates_by_crc() -> dict[int, int]:
    """Rates of the rate mode by what they change in the CRC-32 of a head with rate 0, which does
    not depend on the other fields."""
    without = zlib.crc32(STRIP_HEAD.pack(0, 0, 0))
    rates = (*range(STEPS), NOT_SENT)
    return {zlib.crc32(STRIP_HEAD.pack(0, rate, 0)) ^ without: rate for rate in rates}
