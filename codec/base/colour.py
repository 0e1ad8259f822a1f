"""The integer colour transform that both transform codecs begin with."""

from __future__ import annotations

import numpy as np

COLOUR = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=np.int8)
PIXEL_OFFSET = np.array([-384, 0, 0], dtype=np.int32)
