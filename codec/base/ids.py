"""Ids of encoders and coders: hashes of their tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def tensors_id(tensors: Mapping[str, NDArray[np.generic]], names: tuple[str, ...]) -> bytes:
    """The first 8 bytes of the SHA-256 over named tensors: name, dtype, shape, bytes of each."""
    digest = hashlib.sha256()
    for name in names:
        array = np.ascontiguousarray(tensors[name])
        head = f"{name} {array.dtype.newbyteorder('<').str} {array.shape}\n"
        digest.update(head.encode() + array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.digest()[:8]
