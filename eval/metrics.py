"""Measures of one decoded image against its original: PSNR over RGB and over luma, and MS-SSIM.

All take 8-bit images as NumPy arrays, ``uint8`` of shape (H, W), (H, W, 1) or (H, W, 3), with
values 0..255. Alpha is no colour and is not compared: drop it first.
"""

from __future__ import annotations

import math

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.eval.similarity import multi_scale_similarity

MS_SSIM_MIN_SIDE = 161
"""Smallest side in pixels of an image that MS-SSIM is defined for.

Five scales halve the sides four times and the window has 11 taps: (11 - 1) * 2**4 + 1.
"""


def as_image(image: np.ndarray, name: str) -> np.ndarray:
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


def as_pair(original: np.ndarray, decoded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as ``as_image`` does, or raise ``HeqError`` when their shapes differ."""
    a, b = as_image(original, "first"), as_image(decoded, "second")
    if a.shape != b.shape:
        raise HeqError(f"The images differ in shape, {a.shape} and {b.shape}; give a pair.")
    return a, b


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 images of the same shape.

    10 log10(255^2 / MSE), the squared error averaged over all pixels and channels together, as
    CompressAI and the published Kodak figures have it (not the mean of the channels' PSNR).
    ``inf`` when the images are equal. Raises ``HeqError`` for other types or unequal shapes.
    """
    first, second = as_pair(a, b)
    error = first.astype(np.int32) - second.astype(np.int32)
    # The sum of squares is an exact integer, so the value does not depend on summation order.
    total = int(np.sum(error * error, dtype=np.int64))
    if total == 0:
        return math.inf
    return 10.0 * math.log10(255.0**2 * error.size / total)


def luma(image: np.ndarray) -> np.ndarray:
    """Luma of a uint8 image as exact integers: int32 (H, W) in thousandths, 0..255000.

    0.299 R + 0.587 G + 0.114 B of gamma-encoded values (BT.601, full range, as JPEG's Y, but not
    rounded to 8 bits); a grey image is its own luma. Raises ``HeqError`` for other types.
    """
    pixels = as_image(image, "given").astype(np.int32)
    if pixels.shape[2] == 1:
        return 1000 * pixels[:, :, 0]
    return 299 * pixels[:, :, 0] + 587 * pixels[:, :, 1] + 114 * pixels[:, :, 2]


def psnr_luma(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB over the luma of two uint8 images of the same shape.

    The peak is 255; ``inf`` when no luma differs. Equals ``psnr`` for grey images. Raises
    ``HeqError`` for other types or unequal shapes.
    """
    error = squared_luma_error(a, b)
    return math.inf if error == 0 else 10.0 * math.log10(255.0**2 / error)


def squared_luma_error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean squared difference of the luma of two uint8 images, 0 to 255^2. Errors as ``psnr``."""
    first, second = as_pair(a, b)
    error = (luma(first) - luma(second)).astype(np.int64)
    # Exact: rows are summed as int64, the rows as integers of any size.
    total = sum(np.sum(error * error, axis=1).tolist())
    return total / (error.size * 1000**2)


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Multi-scale structural similarity, 0 to 1, of two uint8 images of the same shape.

    Five scales, Gaussian window of 11 taps and sigma 1.5, mean over the channels; see
    `heqcodec.eval.similarity`. Equal images give exactly 1.

    Raises ``HeqError`` for other types or unequal shapes, and for images with a side below
    ``MS_SSIM_MIN_SIDE``. Our choice: an error, because a smaller window gives another measure,
    whose values must not stand in one column with these.
    """
    first, second = as_pair(a, b)
    height, width = first.shape[:2]
    if min(height, width) < MS_SSIM_MIN_SIDE:
        raise HeqError(
            f"MS-SSIM needs images of at least {MS_SSIM_MIN_SIDE} pixels on each side, this one "
            f"is {width}x{height}; use PSNR for it."
        )
    return multi_scale_similarity(first, second)


def ms_ssim_db(value: float) -> float:
    """MS-SSIM in dB, -10 log10(1 - value): ``inf`` at 1. Raises ``HeqError`` outside 0..1."""
    if not 0.0 <= value <= 1.0:
        raise HeqError(f"An MS-SSIM of {value} is outside 0 to 1.")
    return math.inf if value == 1.0 else -10.0 * math.log10(1.0 - value)
