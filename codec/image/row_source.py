"""Images that are read as they are encoded: an object with ``shape`` whose rows are sliced, as an
array's are. The encoder takes it in an array's place and never sees more than a strip of it."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .samples import reduced


class Rows:
    """Bands of rows, uint8 (H, W, 1) or (H, W, 3).

    Attributes:
        shape: height, width and channels.
    """

    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: slice | tuple[slice, ...]) -> NDArray[np.uint8]:
        """Rows, and of them columns and channels, as of an array; rows without a step."""
        rows, *rest = key if isinstance(key, tuple) else (key,)
        start, stop, _ = rows.indices(len(self))
        band = self._band(start, max(start, stop))[..., : self.shape[2]]
        top = 65535 if band.dtype.itemsize == 2 else 255
        return reduced(band, top)[(slice(None), *rest)]

    def first_channel(self) -> Rows:
        """The same image with its first channel alone."""
        gray = copy(self)
        gray.shape = (*self.shape[:2], 1)
        return gray

    def _band(self, start: int, stop: int) -> NDArray[Any]:
        """Rows from the file, uint8 or uint16 (stop - start, W, channels of the file)."""
        raise NotImplementedError
