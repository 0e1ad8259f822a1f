"""Operations for tests of a batch: light enough for workers that die by the dozen."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

from heqcodec.base.errors import HeqError
from heqcodec.batch.work import Product

POISON, ENDLESS, BAD = b"poison", b"endless", b"bad"


@dataclass(frozen=True)
class Reverse:
    """The bytes from last to first; some are special.

    Attributes:
        seconds: that it takes.
    """

    seconds: float = 0.0

    def __call__(self, data: bytes) -> Product:
        if data == POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        if data == ENDLESS:
            time.sleep(600)
        if data == BAD:
            raise HeqError("these bytes are bad.")
        time.sleep(self.seconds)
        return Product(data[::-1], data, len(data), 1, "aa/bb")
