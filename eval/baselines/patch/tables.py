"""Fitted tables beside the modules: read once, named by their hash."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
from heqcodec.base.errors import HeqError

FOLDER = Path(__file__).parent
IDENTITY_BYTES = 4


@cache
def _data(name: str) -> bytes:
    try:
        return (FOLDER / name).read_bytes()
    except OSError as error:
        raise HeqError(
            f"The tables {name} are missing from this installation of heqcodec; install it again."
        ) from error


@cache
def load_tables(name: str) -> dict[str, np.ndarray]:
    """Arrays of a file of tables.

    Raises:
        HeqError: the file is not there.
    """
    from safetensors.numpy import load

    return load(_data(name))


@cache
def tables_identity(name: str) -> bytes:
    """First 4 bytes of the SHA-256 of a file of tables; ``HeqError`` as ``load_tables``."""
    return hashlib.sha256(_data(name)).digest()[:IDENTITY_BYTES]
