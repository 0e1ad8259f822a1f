"""Statistics of a patch's levels, which the network gets with the pixels.

::

    levels (N, planes, 1024), in order of rising frequency
      luma   │ 0..23 │ 24..95 │ 96..255 │ 256..511 │ 512..1023 │   fractions of levels not 0, and of
                                                                  2 or more: 5 + 5 hints
      chroma │ 0..47 │ 48..255 │ 256..1023 │                      fractions not 0: 3 + 3 hints

Noise and fine detail look alike to a network of few layers, and want the opposite of it. Noise
fills all frequencies alike with levels of 1; detail has a few large levels and few at the top. The
hints say which of them a patch has (our choice: they cost no bit and a millionth of the decoder's
work). Each is the square root of its fraction, since most fractions are small. They depend on one
patch alone, so tiles and regions see the same. A gray file has no chroma levels: its hints there
are 0, as they are where all chroma levels of a colour image are 0.
"""

from __future__ import annotations

import numpy as np
from heqcodec.nqe_r.layout import BANDS, SUBS
from numpy.typing import NDArray

LUMA_ENDS = (6, 24, 64, 128, BANDS)
"""Where the groups of luma end, in bands."""
CHROMA_ENDS = (12, 64, BANDS)
LEVEL_HINTS = 2 * len(LUMA_ENDS) + 2 * len(CHROMA_ENDS)
"""Hints of a patch."""


def group_means(ends: tuple[int, ...]) -> NDArray[np.float32]:
    """Weights by which bands are averaged in groups, float32 (BANDS, groups): columns of sum 1."""
    group = np.searchsorted(np.array(ends), np.arange(BANDS), side="right")
    member = (group[:, None] == np.arange(len(ends))).astype(np.float32)
    return member / member.sum(axis=0)


def level_hints(levels: NDArray[np.int16]) -> NDArray[np.float32]:
    """The hints of patches.

    Args:
        levels: int16 (N, planes, 1024), planes 1 or 3.

    Returns:
        float32 (N, LEVEL_HINTS), 0..1.
    """
    count, planes = levels.shape[:2]
    magnitude = np.abs(levels.astype(np.int32)).reshape(count, planes, BANDS, SUBS)
    luma, chroma = group_means(LUMA_ENDS) / SUBS, group_means(CHROMA_ENDS) / SUBS
    fractions = np.zeros((count, LEVEL_HINTS), dtype=np.float32)
    coded = np.count_nonzero(magnitude, axis=3).astype(np.float32)
    several = np.count_nonzero(magnitude[:, 0] > 1, axis=2).astype(np.float32)
    parts = [coded[:, 0] @ luma, several @ luma]
    parts += [coded[:, plane] @ chroma for plane in range(1, planes)]
    made = np.concatenate(parts, axis=1)
    fractions[:, : made.shape[1]] = np.sqrt(np.minimum(made, 1))
    return fractions
