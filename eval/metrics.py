"""Measures of one decoded image against its original: PSNR, MS-SSIM and blockiness.

All take 8-bit images as NumPy arrays, ``uint8`` of shape (H, W), (H, W, 1) or (H, W, 3), with
values 0..255. Alpha is no colour and is not compared: drop it first.
"""

from __future__ import annotations

import math

import numpy as np
from heqcodec.errors import HeqError

PATCH = 32
"""Side of a patch in pixels, the grid on which blockiness is measured."""

MS_SSIM_MIN_SIDE = 161
"""Smallest side in pixels of an image that MS-SSIM is defined for.

Five scales halve the sides four times and the window has 11 taps: (11 - 1) * 2**4 + 1.
"""


def _as_image(image: np.ndarray, name: str) -> np.ndarray:
    """Return ``image`` as uint8 (H, W, C), C in {1, 3}, or raise ``HeqError``."""
    array = np.asarray(image)
    if array.dtype != np.uint8:
        raise HeqError(f"The {name} image is of type {array.dtype}; metrics compare uint8 images.")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3) or array.size == 0:
        raise HeqError(
            f"The {name} image has the shape {array.shape}; metrics compare images of shape "
            "(height, width), (height, width, 1) or (height, width, 3), without alpha."
        )
    return array


def _as_pair(original: np.ndarray, decoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = _as_image(original, "first"), _as_image(decoded, "second")
    if a.shape != b.shape:
        raise HeqError(f"The images differ in shape, {a.shape} and {b.shape}; give a pair.")
    return a, b


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 images of the same shape.

    10 log10(255^2 / MSE), the squared error averaged over all pixels and channels together, as
    CompressAI and the published Kodak figures have it (not the mean of the channels' PSNR).
    ``inf`` when the images are equal. Raises ``HeqError`` for other types or unequal shapes.
    """
    first, second = _as_pair(a, b)
    error = first.astype(np.int32) - second.astype(np.int32)
    # The sum of squares is an exact integer, so the value does not depend on summation order.
    total = int(np.sum(error * error, dtype=np.int64))
    if total == 0:
        return math.inf
    return 10.0 * math.log10(255.0**2 * error.size / total)


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Multi-scale structural similarity, 0 to 1, of two uint8 images of the same shape.

    Wang, Simoncelli and Bovik 2003: five scales, Gaussian window of 11 taps and sigma 1.5, mean
    over the channels, by pytorch-msssim, as CompressAI has it (which pads sides that turn odd
    with zeros before it halves them). In float64, so that equal images give exactly 1.

    Raises ``HeqError`` when pytorch-msssim is missing, for other types or unequal shapes, and
    for images with a side below ``MS_SSIM_MIN_SIDE``. Our choice: an error, because a smaller
    window gives another measure, whose values must not stand in one column with these.
    """
    first, second = _as_pair(a, b)
    height, width = first.shape[:2]
    if min(height, width) < MS_SSIM_MIN_SIDE:
        raise HeqError(
            f"MS-SSIM needs images of at least {MS_SSIM_MIN_SIDE} pixels on each side, this one "
            f"is {width}x{height}; use PSNR for it."
        )
    try:
        from pytorch_msssim import ms_ssim as torch_ms_ssim
    except ImportError as error:
        raise HeqError(
            "MS-SSIM needs the package pytorch-msssim, which is not installed; "
            'run pip install "heqcodec[eval]".'
        ) from error
    import torch

    def planes(image: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].double()

    with torch.no_grad():
        return float(torch_ms_ssim(planes(first), planes(second), data_range=255))


def ms_ssim_db(value: float) -> float:
    """MS-SSIM in dB, -10 log10(1 - value): ``inf`` at 1. Raises ``HeqError`` outside 0..1."""
    if not 0.0 <= value <= 1.0:
        raise HeqError(f"An MS-SSIM of {value} is outside 0 to 1.")
    return math.inf if value == 1.0 else -10.0 * math.log10(1.0 - value)


def border_step_ratio(image: np.ndarray, patch: int = PATCH) -> float:
    """Mean absolute step across patch borders, divided by the mean absolute step elsewhere.

    A step is the difference of two neighbouring pixels in a row or in a column, taken in each
    channel; it lies on a border when the two pixels belong to different patches of the grid that
    starts at the top left corner. About 1 for a photograph; grid lines push it up, smoothing
    over the borders pushes it down. Our own definition: the papers give no figure to compare.

    ``image`` is uint8; ``patch`` is at least 2 pixels. Returns 1 for a flat image and ``inf``
    when only the borders step. Raises ``HeqError`` when no border lies inside the image.
    """
    pixels = _as_image(image, "given").astype(np.int16)
    if patch < 2:
        raise HeqError(f"A patch of {patch} pixels has no steps inside; give 2 or more.")
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
    first, second = _as_pair(original, decoded)
    reference, ratio = border_step_ratio(first, patch), border_step_ratio(second, patch)
    if reference == 0.0:
        return 1.0 if ratio == 0.0 else math.inf
    return ratio / reference
