"""Lower thresholds where a patch has little detail: what ``tune`` asks the quantizer for.

::

    cost of the patch's transform size ──► below the limit, its half, its quarter?  0 to 3
                                                      │
                              "ssim": twice, "texture": four times
                                                      ▼
                       index of each threshold - relief, at least 0 (`CostLayer.indices`)

The cost layer keeps a level of 1 where it lowers the squared error by more than its bits are worth.
Faint texture in calm patches loses by that rule, and eyes miss it; a busy patch hides what it
loses. So thresholds fall in calm patches alone. Without the weights of `heqcodec.nqe_r.weighting`
SSIMULACRA2 needs 1.4 % fewer bytes by "ssim" at equal score, PSNR 0.8 % more (12 validation
photographs). Calm is relative to photographs at the same step: the limits are
half a step of a logarithm to the base 2 below the mean of training photographs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from heqcodec.base.arguments import TuneName
from numpy.typing import NDArray

from .quantizer import OCTAVE

LIMITS = (5000, 2990, 1680, 900, 473, 244, 124, 64)
"""Of cost plus `OFFSET`, by octave of the step."""
OFFSET = 16
SHIFTS: dict[TuneName, int] = {"ssim": 1, "texture": 2}


class Relief(NamedTuple):
    """How far thresholds fall in calm patches, at one step.

    Attributes:
        limit: of cost plus `OFFSET`, below which a patch is calm; 0 for no relief.
        shift: left, of 0 to 3.
    """

    limit: int
    shift: int

    def of_costs(self, costs: NDArray[np.int32]) -> NDArray[np.int32]:
        """Amounts to take off the threshold indices of N patches.

        Args:
            costs: int32 (N,), `transform_costs` of the transform size of each patch.

        Returns:
            int32 (N,): 0 for a busy patch, else 1 to 3, the calmer the more, times ``1 << shift``.
        """
        raised = costs + OFFSET
        calm = sum((raised < self.limit >> half).astype(np.int32) for half in range(3))
        return np.asarray(calm, dtype=np.int32) << self.shift


NO_RELIEF = Relief(0, 0)


def relief_at(step: int, tune: TuneName) -> Relief:
    """The relief of a step index 0..1023; none for "psnr".

    Raises:
        ValueError: there is no such tune.
    """
    if tune == "psnr":
        return NO_RELIEF
    if tune not in SHIFTS:
        raise ValueError(f"tune is psnr, ssim or texture, not {tune}")
    return Relief(LIMITS[step // OCTAVE], SHIFTS[tune])
