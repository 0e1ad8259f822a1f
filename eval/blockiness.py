"""Blockiness of a decoded image: steps across block borders against steps elsewhere.

Two measures. PSNR-B and its blocking effect factor, of the literature, compare squared steps of
the luma and count blocks that coding shows, whatever the photograph looks like; the border step
ratio, our own, compares absolute steps of all channels with those of the original. Images are
uint8 of shape (H, W), (H, W, 1) or (H, W, 3), blocks start at the top left corner.
"""

from __future__ import annotations

import math

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.eval.metrics import as_image, as_pair, luma, squared_luma_error

PATCH = 32
"""Side of a patch in pixels, the grid of this codec's own blocks."""


def blocking_effect_factor(image: np.ndarray, block: int) -> float:
    """Blocking effect factor (BEF) of the luma of one image, in squared grey levels, 0 or more.

    C. Yim and A. C. Bovik, "Quality Assessment of Deblocked Images", IEEE Transactions on Image
    Processing 20 (2011): eta (D_B - D_B^C) where D_B > D_B^C, else 0. D_B is the mean squared step
    between neighbours in a row or a column that lie in two blocks, D_B^C that of all other
    neighbours, and eta = log2(block) / log2(min(H, W)). It sees one image alone, so that a
    photograph which happens to step at the borders has a BEF as well.

    Our choices where the paper is silent: luma is not rounded, eta is at most 1 (an image that is
    narrower than a block), and the BEF is 0 where no border lies inside the image.

    Raises ``HeqError`` for other types, and for a ``block`` below 2 pixels.
    """
    _check_block(block)
    levels = luma(image)
    border_sum = border_count = all_sum = all_count = 0
    for along in (levels, levels.T):
        steps = np.diff(along, axis=1).astype(np.int64)
        steps *= steps
        # steps[:, k] lies between the pixels k and k + 1, so border steps end a block.
        border = steps[:, block - 1 :: block]
        border_sum += sum(border.sum(axis=1).tolist())
        border_count += border.size
        all_sum += sum(steps.sum(axis=1).tolist())
        all_count += steps.size
    if border_count == 0:
        return 0.0
    across = border_sum / border_count
    inside = (all_sum - border_sum) / (all_count - border_count)
    if across <= inside:
        return 0.0
    side = min(levels.shape)
    eta = 1.0 if side <= block else math.log2(block) / math.log2(side)
    return eta * (across - inside) / 1000**2


def psnr_b(original: np.ndarray, decoded: np.ndarray, block: int) -> float:
    """PSNR-B in dB: PSNR of the luma with the blocking effect counted as error.

    10 log10(255^2 / (MSE + BEF of ``decoded``)), Yim and Bovik 2011. ``inf`` when both are 0;
    equal images with a BEF above 0 give a finite value. Types and errors as ``metrics.psnr`` and
    ``blocking_effect_factor``.
    """
    error = squared_luma_error(original, decoded) + blocking_effect_factor(decoded, block)
    return math.inf if error == 0 else 10.0 * math.log10(255.0**2 / error)


def border_step_ratio(image: np.ndarray, patch: int = PATCH) -> float:
    """Mean absolute step across patch borders, divided by the mean absolute step elsewhere.

    A step is the difference of two neighbouring pixels in a row or in a column, taken in each
    channel; it lies on a border when the two pixels belong to different patches of the grid that
    starts at the top left corner. About 1 for a photograph; grid lines push it up, smoothing
    over the borders pushes it down. Our own definition: the papers give no figure to compare.

    ``image`` is uint8; ``patch`` is at least 2 pixels. Returns 1 for a flat image and ``inf``
    when only the borders step. Raises ``HeqError`` when no border lies inside the image.
    """
    pixels = as_image(image, "given").astype(np.int16)
    _check_block(patch)
    height, width = pixels.shape[:2]
    if max(height, width) <= patch:
        raise HeqError(
            f"The image of {width}x{height} lies within one patch of {patch} pixels and has no "
            "patch borders to measure."
        )
    border_sum = border_count = all_sum = all_count = 0
    for axis in (0, 1):
        steps = np.abs(np.diff(pixels, axis=axis))
        # steps[k] lies between the pixels k and k + 1, so border steps end a patch.
        border = steps[patch - 1 :: patch] if axis == 0 else steps[:, patch - 1 :: patch]
        border_sum += int(border.sum(dtype=np.int64))
        border_count += border.size
        all_sum += int(steps.sum(dtype=np.int64))
        all_count += steps.size
    inside_sum, inside_count = all_sum - border_sum, all_count - border_count
    if inside_sum == 0:
        return 1.0 if border_sum == 0 else math.inf
    return (border_sum / border_count) / (inside_sum / inside_count)


def relative_border_step_ratio(
    original: np.ndarray, decoded: np.ndarray, patch: int = PATCH
) -> float:
    """Blockiness that coding added: the ratio of ``decoded`` over the ratio of ``original``.

    1 means as many steps across the patch borders as the photograph itself has. ``nan`` or
    ``inf`` when the original is flat except at its borders. Same shapes, types and errors as
    ``border_step_ratio``.
    """
    first, second = as_pair(original, decoded)
    reference, ratio = border_step_ratio(first, patch), border_step_ratio(second, patch)
    if reference == 0.0:
        return 1.0 if ratio == 0.0 else math.inf
    return ratio / reference


def _check_block(block: int) -> None:
    if block < 2:
        raise HeqError(f"A block of {block} pixels has no steps inside; give 2 or more.")
