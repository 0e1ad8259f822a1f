"""The levels of a file of variable rate, as heqcodec reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from heqcodec.container.reader import ContainerReader
from heqcodec.file.progressive import decoded_strips
from heqcodec.models import registry


def own_levels(path: Path) -> np.ndarray:
    """Of each patch its size, then the levels of its planes, int16."""
    with path.open("rb") as stream:
        reader = ContainerReader(stream, max_pixels=None)
        header = reader.header
        coder = registry.load_strip_coder("nqe-r", header.coder)
        strips = reader.read_strips(range(header.strip_count))
        parts = []
        for levels, sizes, _ in decoded_strips(header, strips, coder):
            flat = levels.reshape(sizes.size, -1)
            parts.append(np.concatenate([sizes.reshape(-1, 1).astype(np.int16), flat], axis=1))
    return np.concatenate(parts).reshape(-1)
