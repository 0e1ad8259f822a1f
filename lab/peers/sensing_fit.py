"""Fits the tables of ``patch-cs`` and ``patch-cs-learned`` to photographs."""

from __future__ import annotations

import numpy as np
from heqcodec.eval.baselines.patch.planes import (
    PIXELS,
    SAMPLES,
    coefficients,
    dct_matrix,
    fixed_point,
    integer_planes,
)
from heqcodec.eval.baselines.patch.sensing import (
    GRAY,
    LEARNED,
    MOST,
    SPLIT,
    learned_values,
    random_rows,
    random_values,
    shifts_of,
)
from numpy.typing import NDArray

RANDOM_REACH = 4.0
LEARNED_REACH = 5.0
"""Standard deviations that the steps reach at least, and less than twice as many."""
_BATCH = 8192
_INT8 = 127


def fit_sensing(patches: NDArray[np.uint8]) -> dict[str, np.ndarray]:
    """All tables of ``sensing.py``.

    Args:
        patches: uint8 (N, 32, 32, 3) of photographs; N some 10,000 or more.
    """
    starts = range(0, len(patches), _BATCH)
    matrices = np.repeat(fixed_point(dct_matrix())[None], 3, axis=0)
    rows = random_rows(MOST)
    most = np.max(list(SPLIT.values()), axis=0)
    variances, random_power = np.zeros((3, PIXELS)), np.zeros((3, MOST))
    moments = np.zeros((SAMPLES, SAMPLES))
    for start in starts:
        batch = patches[start : start + _BATCH]
        planes = integer_planes(batch)
        values = coefficients(planes, matrices).reshape(len(batch), 3, PIXELS)
        variances += np.sum(values**2, axis=0)
        for plane in range(3):
            products = random_values(planes[:, plane].reshape(-1, PIXELS), rows)
            random_power[plane] += np.sum(products.astype(np.float64) ** 2, axis=0)
        centred = batch.reshape(len(batch), SAMPLES).astype(np.float32) - GRAY
        moments += centred.T @ centred

    learned = _principal_rows(moments)
    learned_power = np.zeros(LEARNED)
    for start in starts:
        products = learned_values(patches[start : start + _BATCH], learned)
        learned_power += np.sum(products.astype(np.float64) ** 2, axis=0)
    random_shifts = shifts_of(np.sqrt(random_power / len(patches)), RANDOM_REACH)
    # Rows that no split uses: no meaning, so one value.
    random_shifts[np.arange(MOST) >= most[:, None]] = 0
    return {
        "variances": (variances / len(patches)).astype(np.float32),
        "random_shifts": random_shifts,
        "learned_rows": learned,
        "learned_shifts": shifts_of(np.sqrt(learned_power / len(patches)), LEARNED_REACH),
    }


def _principal_rows(moments: NDArray[np.float64]) -> NDArray[np.int8]:
    """The strongest ``LEARNED`` eigenvectors, each scaled to the range of 8 bits."""
    vectors = np.linalg.eigh(moments)[1][:, ::-1][:, :LEARNED].T
    peaks = vectors[np.arange(LEARNED), np.argmax(np.abs(vectors), axis=1)]
    return np.rint(vectors / peaks[:, None] * _INT8).astype(np.int8)
