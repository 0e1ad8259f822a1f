"""Tables and strips for the packed coder."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.packed_coder.tables import KINDS, fixed_tables
from numpy.typing import NDArray

Tables = dict[str, NDArray[Any]]
NATIVE = find_spec("heqcodec._native") is not None
needs_native = pytest.mark.skipif(not NATIVE, reason="the C extension is not built")


def invented_tables(seed: int = 1) -> Tables:
    """Tables that predict nonsense, with every path in use, by integer arithmetic alone."""
    tables: Tables = dict(fixed_tables())
    state = seed
    for name, (kind, shape) in KINDS.items():
        if name in tables:
            continue
        count = int(np.prod(shape))
        numbers = np.empty(count, dtype=np.int64)
        for index in range(count):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            numbers[index] = (state >> 12) % 2001 - 1000
        tables[name] = numbers.reshape(shape).astype(np.dtype(kind))
    tables["mixing"][...] = 12000
    tables["mixing"][..., 0] = 60000
    tables["third"] //= 4
    return tables


TABLES = invented_tables()


def some_levels(
    rows: int, columns: int, planes: int, scale: float, seed: int = 0
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """A strip whose levels fall off with frequency, as those of photographs do."""
    rng = np.random.default_rng(seed)
    fall = np.exp(-np.arange(LEVELS) / 40)
    levels = np.rint(rng.laplace(size=(rows, columns, planes, LEVELS)) * scale * fall)
    levels = np.clip(levels, -32767, 32767).astype(np.int16)
    return levels, rng.integers(0, 2, (rows, columns)).astype(np.uint8)
