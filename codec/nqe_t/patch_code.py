"""The embedded bit-plane code of a patch (coder 1 of the container): what both sides share.

From the top bit plane to the bottom one, with T = 2^plane::

    for each zone, in the order of the tables
        not active yet?  flag: does any of its coefficients reach T now?      (context)
        active?  even half, then odd half, each coefficient not significant yet:
                 does it reach T?  (context)      if so: its sign  (even)
    for each zone, each coefficient significant since an earlier plane:
        the next bit of its magnitude  (context)

Zones of one coefficient have no flag. All decisions of a half use the state before that half.
docs/FORMAT.md has every detail; `patch_encoder` and `patch_decoder` do it for many patches at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import zones as geometry


class PatchCoderTables(NamedTuple):
    """Everything the coder knows beforehand; fitted on photographs, stored with the weights.

    significance, flag, refinement: states, uint8, shapes as in `contexts`.
    lps: uint16 (STATES, 8), widths of bit 1.
    order: uint8 (zones,), the order of zones in a plane.
    """

    significance: NDArray[np.uint8]
    flag: NDArray[np.uint8]
    refinement: NDArray[np.uint8]
    lps: NDArray[np.uint16]
    order: NDArray[np.uint8]

    def zone_order(self, channels: int) -> list[int]:
        """Zones to visit in a plane, in order, for a number of channels."""
        zones = geometry.zones()
        return [int(index) for index in self.order if zones[index].channel < channels]


class Coefficients(NamedTuple):
    """What N bits say of the coefficients of ``count`` patches.

    low: int32 (CELLS, count), magnitudes known so far (multiples of the width), 0 where nothing.
    width: int32 (CELLS, count), size of the interval [low, low + width) where significant.
    negative: bool (CELLS, count).
    reached: uint8 (zones, count), number of planes whose significance is complete for the zone.
    """

    low: NDArray[np.int32]
    width: NDArray[np.int32]
    negative: NDArray[np.bool_]
    reached: NDArray[np.uint8]
