"""The decoder of the patch code by the C extension; it gives what `patch_decoder` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from heqcodec.base.threads import run_batches
from heqcodec.native.loader import native_extension
from numpy.typing import NDArray

from . import zones as geometry
from .contexts import ZONE_COUNT
from .patch_code import Coefficients, PatchCoderTables

_BATCH = 64


def native_decode_coefficients(
    intervals: Callable[..., None],
    codes: NDArray[np.uint8],
    channels: int,
    tables: PatchCoderTables,
) -> Coefficients:
    """As `heqcodec.nqe_t.patch_decoder.decode_coefficients`.

    Args:
        intervals: from `native_patch_intervals`.
        codes: uint8 (N, bytes), any number of bytes from 0.
        channels: 1 or 3.
        tables: of the coder.

    Returns:
        Transposes of arrays that have a row for each patch.

    Raises:
        ValueError: tables are of another kind.
    """
    count = len(codes)
    told = Coefficients(
        low=np.zeros((count, geometry.CELLS), dtype=np.int32),
        width=np.zeros((count, geometry.CELLS), dtype=np.int32),
        negative=np.zeros((count, geometry.CELLS), dtype=bool),
        reached=np.zeros((count, ZONE_COUNT), dtype=np.uint8),
    )
    given = [np.ascontiguousarray(array) for array in (*tables, codes)]

    def run(part: slice) -> None:
        patches = given[-1][part]
        intervals(*given[:-1], patches, len(patches), channels, *(array[part] for array in told))

    run_batches(run, count, _BATCH)
    return Coefficients(told.low.T, told.width.T, told.negative.T, told.reached.T)


def native_patch_intervals() -> Any:
    """``patch_intervals`` of the C extension, or None: there is no extension, or an older one."""
    return getattr(native_extension(), "patch_intervals", None)
