"""In which order the 1,024 levels of a colour plane of a patch stand.

A patch is transformed as a whole (transform size 0: 32 points) or in quarters (1: 16 points each).
Both are laid out alike, as four coefficients at each of 16x16 frequencies, so that one model of
the statistics serves both (our choice)::

    size 0: coefficient (U, V) of 32x32       size 1: coefficient (u, v) of quarter (row, column)
            u = U >> 1, v = V >> 1                    sub = 2 row + column
            sub = 2 (U & 1) + (V & 1)                 at u = v = 0 the quarters' means, combined:
                                                      sub 0 all, 1 left - right, 2 top - bottom,
                                                      3 the diagonal difference
    level index = 4 * band + sub,  band = rank of (u, v) by u^2 + v^2, then u, then v

So the first ``4 n`` levels are the ``n`` lowest frequencies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BANDS = 256
"""Frequencies of a quarter."""
SUBS = 4
"""Levels a band."""
LEVELS = BANDS * SUBS
"""Levels of a colour plane of a patch."""
LEVEL_LIMIT = 32767
"""Largest magnitude of a level."""
QUARTERS = 1
"""The transform size of four quarters; that of the whole patch is 0."""


def band_frequencies() -> NDArray[np.int64]:
    """Vertical and horizontal frequency of each band, int64 (BANDS, 2), 0..15."""
    u, v = np.divmod(np.arange(BANDS), 16)
    return np.stack([u, v], axis=1)[np.lexsort((v, u, u**2 + v**2))]


def cell_places() -> NDArray[np.int64]:
    """Where the levels stand in a field of 32x32 frequencies, int64 (LEVELS,): ``32 U + V``.

    The field is that of transform size 0; size 1 is brought to it by `heqcodec.nqe_r.transform`.
    """
    u, v = band_frequencies().T
    sub_row, sub_column = np.divmod(np.arange(SUBS), 2)
    rows = 2 * u[:, None] + sub_row
    columns = 2 * v[:, None] + sub_column
    return (32 * rows + columns).reshape(-1)


def level_maps(levels: NDArray[Any]) -> NDArray[Any]:
    """Levels as maps of frequencies: (..., LEVELS) to (..., SUBS, 16, 16), of the same type."""
    u, v = band_frequencies().T
    maps = np.empty((*levels.shape[:-1], SUBS, 16, 16), dtype=levels.dtype)
    maps[..., u, v] = levels.reshape(*levels.shape[:-1], BANDS, SUBS).swapaxes(-1, -2)
    return maps


def map_levels(maps: NDArray[Any]) -> NDArray[Any]:
    """The inverse of `level_maps`: (..., SUBS, 16, 16) to (..., LEVELS)."""
    u, v = band_frequencies().T
    return maps[..., u, v].swapaxes(-1, -2).reshape(*maps.shape[:-3], LEVELS)
