"""From a file's samples to linear light and back, as a camera develops it: white balance, darkness,
tone curve, noise reduction, sharpening, JPEG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from .optics import blurred
from .sensor import bilinear, malvar, mosaic, noise_levels, noisy

JPEG_ONLY_SHARE, NOISE_ONLY_SHARE = 0.2, 0.12
"""Of camera images: clean ones that were stored as JPEG, and ones with even noise."""
BLUR_SHARE, DARK_SHARE, INFRARED_SHARE, JPEG_SHARE = 0.25, 0.25, 0.25, 0.75
ENLARGED_SHARE = 0.25
"""Cameras that give more pixels than their sensor has, as most trail cameras: noise is smooth."""
ENLARGEMENTS = (1.25, 2.5)
QUALITIES = (50, 95)


def to_linear(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """sRGB samples to linear light, 0..1 (IEC 61966-2-1)."""
    value = pixels.astype(np.float32) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear light to sRGB, 0..1."""
    limited = np.clip(linear, 0, 1)
    return np.where(limited <= 0.0031308, 12.92 * limited, 1.055 * limited ** (1 / 2.4) - 0.055)


def photographed(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A clean tile as a camera might have given it.

    Args:
        pixels: uint8 (H, W, 3), H and W even.
        rng: draws everything.

    Returns:
        uint8, the same shape.
    """
    kind = rng.random()
    if kind < JPEG_ONLY_SHARE:
        return as_jpeg(pixels, rng, gray=False)
    if kind < JPEG_ONLY_SHARE + NOISE_ONLY_SHARE:
        return with_some_noise(pixels, rng)
    height, width = pixels.shape[:2]
    if rng.random() < ENLARGED_SHARE:
        factor = rng.uniform(*ENLARGEMENTS)
        pixels = pixels[: round(height / factor / 2) * 2, : round(width / factor / 2) * 2]
    scene = to_linear(pixels)
    infrared = rng.random() < INFRARED_SHARE
    if infrared:
        # Filters let infrared through alike: the sensor sees one mixture under all three colours.
        mix = rng.dirichlet((4, 4, 2)).astype(np.float32)
        scene = np.repeat((scene @ mix)[..., None], 3, axis=2)
    if rng.random() < BLUR_SHARE:
        scene = blurred(scene, rng)
    exposure = float(np.exp(rng.uniform(-2.5, -0.7))) if rng.random() < DARK_SHARE else 1.0
    # What the sensor sees of a white surface, before the camera evens it out.
    white = np.ones(3) if infrared else np.array([rng.uniform(0.4, 0.8), 1, rng.uniform(0.4, 0.8)])
    raw = noisy(mosaic(scene * (exposure * white).astype(np.float32)), *noise_levels(rng), rng)
    if infrared:
        image = np.repeat(raw[..., None], 3, axis=2)
    else:
        filled = malvar(raw) if rng.random() < 0.6 else bilinear(raw)
        image = (filled / white.astype(np.float32)).astype(np.float32)
    # Some cameras lift the darkness again, and its noise with it.
    image *= np.float32(exposure ** -rng.uniform(0, 1))
    shown = _toned(to_srgb(image), rng)
    reduction = rng.random()
    if reduction < 0.25:
        shown = gaussian_filter(shown, (rng.uniform(0.3, 0.9),) * 2 + (0,))
    elif reduction < 0.75:
        # Colour noise is what cameras remove first.
        luma = shown.mean(axis=2, keepdims=True)
        shown = luma + gaussian_filter(shown - luma, (rng.uniform(0.8, 2.5),) * 2 + (0,))
    if shown.shape[:2] != (height, width):
        shown = resized(shown, width, height)
    if rng.random() < 0.6:
        shown = _sharpened(shown, rng.uniform(0.2, 1.2), rng.uniform(0.6, 1.6))
    out = np.clip(np.rint(255 * shown), 0, 255).astype(np.uint8)
    return as_jpeg(out, rng, gray=infrared) if rng.random() < JPEG_SHARE else out


def resized(samples: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Samples float32 (H, W, C) by a bicubic kernel, float32 (height, width, C)."""
    planes = [
        Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC)
        for plane in np.moveaxis(samples.astype(np.float32), 2, 0)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=2)


def as_jpeg(pixels: NDArray[np.uint8], rng: np.random.Generator, gray: bool) -> NDArray[np.uint8]:
    """Pixels through a JPEG file of a quality from 50 to 95, its chroma often halved."""
    kept = io.BytesIO()
    image = Image.fromarray(pixels[..., 1] if gray else pixels)
    quality = int(rng.integers(QUALITIES[0], QUALITIES[1] + 1))
    subsampling = "4:2:0" if rng.random() < 0.7 else "4:4:4"
    image.save(kept, "JPEG", quality=quality, **({} if gray else {"subsampling": subsampling}))
    return np.asarray(Image.open(kept).convert("RGB"))


def with_noise(
    pixels: NDArray[np.uint8], deviation: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Pixels with Gaussian noise of a standard deviation in samples, the same everywhere."""
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(deviation)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def with_some_noise(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The same of a standard deviation from 1 to 12 samples, drawn by its logarithm."""
    return with_noise(pixels, float(np.exp(rng.uniform(0, 2.5))), rng)


def _toned(shown: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Contrast (a blend with a smooth step) and saturation."""
    contrast, saturation = rng.uniform(-0.1, 0.4), rng.uniform(0.7, 1.4)
    curved = shown + np.float32(contrast) * (shown**2 * (3 - 2 * shown) - shown)
    gray = curved.mean(axis=2, keepdims=True)
    return gray + np.float32(saturation) * (curved - gray)


def _sharpened(shown: NDArray[np.float32], amount: float, radius: float) -> NDArray[np.float32]:
    """An unsharp mask."""
    return shown + np.float32(amount) * (shown - gaussian_filter(shown, (radius, radius, 0)))
