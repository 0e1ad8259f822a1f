"""A file that counts what is read of it."""

from __future__ import annotations

import io

import numpy as np


class CountingFile(io.BytesIO):
    """A file that notes which of its bytes are read, and in how many reads."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.touched = np.zeros(len(data), bool)
        self.reads = 0

    def read(self, size: int | None = -1) -> bytes:
        start = self.tell()
        data = super().read(size)
        self.touched[start : start + len(data)] = True
        self.reads += len(data) > 0
        return data
