"""The table of patch-constant coding: real files of a folder of images at several rates.

Every figure is of a file: the image is encoded to bytes, and what is decoded from these bytes
alone is compared with the original. Colours only: alpha and metadata are left out of the files.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.eval import blockiness, metrics
from heqcodec.eval.folder import read_pixels


@dataclass(frozen=True)
class ImageResult:
    """One image, encoded and decoded once. ``None`` where a measure is not defined for it."""

    model: str
    rate: float  # target, bits per pixel
    image: str  # file name
    width: int
    height: int
    bytes: int  # of the whole file, header and checksums included
    bpp: float  # 8 * bytes / (width * height)
    psnr: float | None  # dB, over RGB; None when nothing was lost
    ms_ssim: float | None  # 0 to 1; None below 161 pixels a side
    border_ratio: float | None  # relative to the original; None when it has no borders
    encode_seconds: float
    decode_seconds: float


@dataclass(frozen=True)
class Summary:
    """Means over the images of one model at one rate, each image counting alike.

    ``None`` for a measure that not every image has: its mean would be of other images.
    """

    model: str
    rate: float
    images: int
    bpp: float
    bpp_max: float
    psnr: float | None
    ms_ssim: float | None
    border_ratio: float | None
    border_ratio_worst: float | None  # of all images, the one farthest from 1
    encode_seconds: float
    decode_seconds: float


def measure_image(name: str, pixels: np.ndarray, model: str, rate: float) -> ImageResult:
    """Encode one image with ``model`` at ``rate`` bits per pixel, decode it, and compare.

    ``pixels`` is uint8 (H, W, C), C in {1, 3}; ``name`` is for the table and for messages.
    Seconds are of the wall clock, of the ``encode`` and ``decode`` calls with arrays and bytes in
    memory. Raises ``HeqError`` as these do, and when the decoded image has another shape.
    """
    import heqcodec

    height, width = pixels.shape[:2]
    start = time.perf_counter()
    data = heqcodec.encode(pixels, bpp=rate, mode="patch", model=model)
    encoded = time.perf_counter()
    decoded = np.asarray(heqcodec.decode(data))
    done = time.perf_counter()
    if decoded.shape != pixels.shape:
        raise HeqError(f"{name} of shape {pixels.shape} came back as {decoded.shape}.")
    large = min(width, height) >= metrics.MS_SSIM_MIN_SIDE
    ratio = None
    if max(width, height) > blockiness.PATCH:
        ratio = _finite(blockiness.relative_border_step_ratio(pixels, decoded))
    return ImageResult(
        model=model,
        rate=rate,
        image=name,
        width=width,
        height=height,
        bytes=len(data),
        bpp=8 * len(data) / (width * height),
        psnr=_finite(metrics.psnr(pixels, decoded)),
        ms_ssim=metrics.ms_ssim(pixels, decoded) if large else None,
        border_ratio=ratio,
        encode_seconds=encoded - start,
        decode_seconds=done - encoded,
    )


def measure(
    files: Sequence[Path],
    models: Sequence[str],
    rates: Sequence[float],
) -> Iterator[ImageResult]:
    """Yield one result for each model, rate and file, in this order.

    A corner of the first image is coded once before each model and rate, unmeasured, so that
    loading weights and warming up is in nobody's seconds.
    """
    for model in models:
        corner = read_pixels(files[0])[: 2 * blockiness.PATCH, : 2 * blockiness.PATCH]
        for rate in rates:
            measure_image(files[0].name, corner, model, rate)
            for path in files:
                yield measure_image(path.name, read_pixels(path), model, rate)


def summarize(results: Sequence[ImageResult]) -> list[Summary]:
    """Return the means for each model and rate, in order of appearance."""
    groups: dict[tuple[str, float], list[ImageResult]] = {}
    for result in results:
        groups.setdefault((result.model, result.rate), []).append(result)
    return [_summary(model, rate, group) for (model, rate), group in groups.items()]


def _summary(model: str, rate: float, group: list[ImageResult]) -> Summary:
    ratios = [r.border_ratio for r in group if r.border_ratio is not None]
    return Summary(
        model=model,
        rate=rate,
        images=len(group),
        bpp=_mean([r.bpp for r in group]),
        bpp_max=max(r.bpp for r in group),
        psnr=_mean_of_all([r.psnr for r in group]),
        ms_ssim=_mean_of_all([r.ms_ssim for r in group]),
        border_ratio=_mean_of_all([r.border_ratio for r in group]),
        border_ratio_worst=max(ratios, key=lambda ratio: abs(ratio - 1)) if ratios else None,
        encode_seconds=_mean([r.encode_seconds for r in group]),
        decode_seconds=_mean([r.decode_seconds for r in group]),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean_of_all(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if len(known) == len(values) else None


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
