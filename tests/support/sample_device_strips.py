"""Tables and strips for the device coder, and where its C sources are."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from heqcodec.lab.training.device_tables import first_tables

SOURCES = Path(__file__).resolve().parents[2] / "codec" / "native"
NATIVE = find_spec("heqcodec._native") is not None
needs_native = pytest.mark.skipif(not NATIVE, reason="the C extension is not built")


def some_tables(seed: int = 5) -> dict[str, np.ndarray]:
    """Tables of a coder that believes something else in every context."""
    random = np.random.default_rng(seed)
    made = first_tables()._asdict()
    made["start"] = random.integers(-60, 61, made["start"].shape).astype(np.int8)
    made["weights"] = random.integers(-20, 41, made["weights"].shape).astype(np.int8)
    made["scores"] = random.integers(-20, 31, made["scores"].shape).astype(np.int8)
    made["scores"][..., 0] = 0
    made["places"] = random.integers(-100, 51, made["places"].shape).astype(np.int8)
    return made


def some_levels(
    random: np.random.Generator, shape: tuple[int, ...], scale: float = 3.0
) -> np.ndarray:
    """Levels that fall off with frequency, more in some patches than in others."""
    falling = scale / (1 + np.arange(1024) / 40.0)
    wide = random.exponential(1.0, (*shape[:2], 1, 1)) * falling
    return np.rint(random.laplace(size=(*shape, 1024)) * wide).astype(np.int16)
