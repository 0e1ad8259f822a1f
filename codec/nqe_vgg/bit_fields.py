"""Arrays of small unsigned integers packed without gaps, most significant bit first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from heqcodec.base.errors import HeqFormatError


def pack_fields(fields: Sequence[tuple[np.ndarray, int]]) -> np.ndarray:
    """Concatenate arrays of unsigned integers as bit fields.

    Args:
        fields: (values, bits) pairs; values is an integer array of any shape with
            0 <= value < 2^bits, taken in C order.

    Returns:
        uint8 (ceil(total bits / 8),), zero-padded at the end.

    Raises:
        ValueError: a value does not fit.
    """
    pieces = []
    for values, bits in fields:
        flat = np.asarray(values).ravel().astype(np.int64)
        if flat.size:
            low, high = int(np.min(flat)), int(np.max(flat))
            if low < 0 or high >= 1 << bits:
                raise ValueError(f"values {low}..{high} do not fit into {bits} bits.")
        places = np.arange(bits - 1, -1, -1)
        pieces.append(((flat[:, None] >> places) & 1).astype(np.uint8).ravel())
    return np.packbits(np.concatenate(pieces), bitorder="big")


def unpack_fields(packed: np.ndarray, layout: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """The inverse of ``pack_fields``.

    Args:
        packed: uint8 array, one-dimensional.
        layout: (count, bits) of each field.

    Returns:
        int64 arrays (count,).

    Raises:
        HeqFormatError: the array has not exactly the size that the layout needs.
    """
    total = sum(count * bits for count, bits in layout)
    if packed.dtype != np.uint8 or packed.shape != ((total + 7) // 8,):
        raise HeqFormatError(
            f"found packed {packed.dtype} of shape {packed.shape}, expected {total} bits"
        )
    stream = np.unpackbits(packed, bitorder="big")
    fields, start = [], 0
    for count, bits in layout:
        part = stream[start : start + count * bits].reshape(count, bits)
        weights = 1 << np.arange(bits - 1, -1, -1, dtype=np.int64)
        fields.append(part.astype(np.int64) @ weights)
        start += count * bits
    return fields
