"""Filling of lost rows: linear interpolation between the intact rows above and below.

The network that conceals lost packets (`heqcodec.purenet.concealment`) is no better where whole
rows of patches are lost: `eval/results/link/lost-strips.md`.
"""

from __future__ import annotations

import numpy as np

MID_GREY = 128
BLOCK = 1 << 20
"""Samples interpolated at once, which bounds the memory of the intermediate integers."""


def fill_rows(pixels: np.ndarray, lost: np.ndarray) -> None:
    """Fill lost rows in place.

    Between two intact rows the samples go linearly from one to the other (rounded to nearest);
    past the first or last intact row they repeat it; with no intact row they are mid-grey. Our
    choice, because it is seamless at both ends and plainly invents nothing.

    Args:
        pixels: uint8 (H, W, channels), changed in place.
        lost: bool (H,), true where the row is lost.
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], lost.view(np.int8), [0]))))
    for top, bottom in edges.reshape(-1, 2).tolist():
        if top == 0 and bottom == len(lost):
            pixels[:] = MID_GREY
        elif top == 0:
            pixels[:bottom] = pixels[bottom]
        elif bottom == len(lost):
            pixels[top:] = pixels[top - 1]
        else:
            _interpolate(pixels, top, bottom)


def _interpolate(pixels: np.ndarray, top: int, bottom: int) -> None:
    above, below = pixels[top - 1].astype(np.int64), pixels[bottom].astype(np.int64)
    span = bottom - top + 1
    step = max(1, BLOCK // max(1, above.size))
    for start in range(top, bottom, step):
        stop = min(start + step, bottom)
        weight = np.arange(start - top + 1, stop - top + 1)[:, None, None]
        mixed = above * (span - weight) + below * weight
        pixels[start:stop] = (mixed + span // 2) // span
