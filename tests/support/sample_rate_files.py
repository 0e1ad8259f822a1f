"""Photographs and settings that tests of the variable-rate mode share."""

from __future__ import annotations

import io

import numpy as np
from heqcodec import PartialImage
from heqcodec.container import ContainerReader
from heqcodec.container.header import HEADER_LENGTH
from hypothesis import HealthCheck, settings
from small_models import photograph

PHOTO = np.ascontiguousarray(photograph()[20:220, 120:390])
per_example = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def extents(data: bytes) -> list[tuple[int, int]]:
    """Where the strips of a file lie, followed by hand."""
    count = ContainerReader(io.BytesIO(data)).header.strip_count
    places, start = [], HEADER_LENGTH
    for _ in range(count):
        stop = start + 12 + int.from_bytes(data[start + 4 : start + 8], "little")
        places.append((start, stop))
        start = stop
    return places


def flipped(file: bytes, offset: int, value: int = 0x41) -> bytes:
    """The file with bits of one byte inverted."""
    damaged = bytearray(file)
    damaged[offset] ^= value
    return bytes(damaged)


def lost(result: PartialImage) -> list[int]:
    """Strips that are not as they were, coarse ones included."""
    return sorted(result.damaged_strips + result.coarse_strips)
