"""Cost layers for tests."""

from __future__ import annotations

import numpy as np
from heqcodec.nqe_r.cost_layer import REACH, SHAPES, SUBS
from numpy.typing import NDArray


def random_cost_layer(seed: int) -> dict[str, NDArray[np.int8]]:
    """Tensors of random weights whose thresholds vary over their whole range."""
    rng = np.random.default_rng(seed)
    near = rng.integers(-1, 3, SHAPES["near"]).astype(np.int8)
    near[:, :, range(SUBS), range(SUBS), REACH, REACH] = 0
    return {
        "near": near,
        "cross": rng.integers(-2, 3, SHAPES["cross"]).astype(np.int8),
        "bias": rng.integers(-20, 70, SHAPES["bias"]).astype(np.int8),
        "shifts": np.array([1, 3], dtype=np.int8),
    }
