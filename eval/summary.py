"""The curve of one codec, means over the images of a set, in CompressAI's schema of results."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from heqcodec.eval.measurement import Measurement


@dataclass(frozen=True)
class DataSet:
    """The images that the rows of one folder of results are of.

    files: name and SHA-256 of each, where they are known; sets of equal ``sha256`` are equal.
    """

    images: int
    sha256: str  # of `heqcodec.eval.folder.data_hash`
    files: tuple[tuple[str, str], ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Claim:
    """With what the rows of a codec were measured. Rows of unequal claims are never mixed."""

    codec: str
    version: str
    about: str
    setting_name: str
    settings: tuple[float, ...]  # the ladder
    record: dict[str, Any]  # command, versions, machine: as of the first measurement

    def same(self, other: Claim) -> bool:
        """Whether rows of both belong together: equal versions and ladders."""
        return self.version == other.version and set(self.settings) == set(other.settings)


def whole_images(claim: Claim, rows: Sequence[Measurement]) -> tuple[list[float], set[str]]:
    """What a curve is drawn from, so that all of its points are of the same images.

    Returns:
        The settings of the ladder at which there is any row, and the names of the images that
        have their row at each of them. Both are empty where no image has.
    """
    images: dict[float, set[str]] = {setting: set() for setting in claim.settings}
    for row in rows:
        if row.codec == claim.codec and row.setting in images:
            images[row.setting].add(row.image)
    settings = [setting for setting, names in images.items() if names]
    whole = set.intersection(*(images[setting] for setting in settings)) if settings else set()
    return (settings, whole) if whole else ([], set())


def codec_document(claim: Claim, data: DataSet, rows: Sequence[Measurement]) -> dict[str, Any]:
    """Return the curve as ``python -m compressai.utils.plot`` reads it.

    ``{"name", "description", "results": {"bpp", "psnr-rgb", "ms-ssim-rgb", "encoding_time",
    "decoding_time"}, "heqcodec": {...}}``: lists with one mean for each setting, by rising bpp;
    seconds, dB, MS-SSIM as its value. All means are over the same images, those of
    `whole_images`; the others are named under "without". What CompressAI does not have stands
    under "heqcodec", with the version and the command. There megapixels a second are all pixels
    over all seconds, peaks are the largest of all images, and the worst border ratio is the one
    farthest from 1.

    A measure that one of these images does not have (MS-SSIM of small ones, PSNR of lossless ones)
    has no mean, ``None``: that of the others would stand in a row with the rate of other images.
    """
    own = [row for row in rows if row.codec == claim.codec]
    settings, whole = whole_images(claim, own)
    points = [
        [row for row in own if row.setting == setting and row.image in whole]
        for setting in settings
    ]
    names = {name for name, _ in data.files} or {row.image for row in own}
    points.sort(key=lambda point: _mean([row.bpp for row in point]) or 0.0)

    def means(value: Callable[[Measurement], float | None]) -> list[float | None]:
        return [_mean([value(row) for row in point]) for point in points]

    return {
        "name": claim.codec,
        "description": (
            f"{claim.about}; {claim.version}; real files, mean of "
            f"{count_text(len(whole), data.images)}"
        ),
        "results": {
            "bpp": means(lambda row: row.bpp),
            "psnr-rgb": means(lambda row: row.psnr_rgb),
            "ms-ssim-rgb": means(lambda row: row.ms_ssim),
            "encoding_time": means(lambda row: row.encode_seconds),
            "decoding_time": means(lambda row: row.decode_seconds),
        },
        "heqcodec": {
            **claim.record,
            "data": {"images": data.images, "sha256": data.sha256},
            "codec_version": claim.version,
            "about": claim.about,
            "setting_name": claim.setting_name,
            "settings": [point[0].setting for point in points],
            "images": [len(point) for point in points],
            "without": sorted(names - whole),
            "psnr-luma": means(lambda row: row.psnr_luma),
            "psnr-b8": means(lambda row: row.psnr_b8),
            "psnr-b32": means(lambda row: row.psnr_b32),
            "bef8": means(lambda row: row.bef8),
            "bef32": means(lambda row: row.bef32),
            "border-step-ratio": means(lambda row: row.border_ratio),
            "border-step-ratio-worst": [_worst(point) for point in points],
            "megapixels_per_second_encode": [
                _speed(point, [row.encode_seconds for row in point]) for point in points
            ],
            "megapixels_per_second_decode": [
                _speed(point, [row.decode_seconds for row in point]) for point in points
            ],
            "encode_peak_bytes": [
                _largest([row.encode_peak_bytes for row in point]) for point in points
            ],
            "decode_peak_bytes": [
                _largest([row.decode_peak_bytes for row in point]) for point in points
            ],
        },
    }


RECORD = (
    "versions",
    "machine",
    "processor",
    "cores",
    "threads",
    "processes",
    "device",
    "command",
    "seed",
)
"""What a claim's record may hold, so that a claim can be read back from a document."""


def claim_of(document: Any, codec: str) -> tuple[Claim, DataSet] | None:
    """Return what `codec_document` was made from; None when the document is none of its."""
    try:
        own = document["heqcodec"]
        claim = Claim(
            codec=codec,
            version=str(own["codec_version"]),
            about=str(own["about"]),
            setting_name=str(own["setting_name"]),
            settings=tuple(float(setting) for setting in own["settings"]),
            record={key: own[key] for key in RECORD if key in own},
        )
        return claim, DataSet(int(own["data"]["images"]), str(own["data"]["sha256"]))
    except (KeyError, TypeError, ValueError):
        return None


def document_text(document: dict[str, Any]) -> str:
    """Return a document as strict JSON."""
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def count_text(count: int, images: int) -> str:
    """Say of how many images of a set something is."""
    return f"{images} images" if count == images else f"{count} of {images} images"


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean, None unless every value is a finite number."""
    if not values or any(value is None or not math.isfinite(value) for value in values):
        return None
    return math.fsum(value for value in values if value is not None) / len(values)


def _worst(point: Sequence[Measurement]) -> float | None:
    ratios = [row.border_ratio for row in point if row.border_ratio is not None]
    worst = max(ratios, key=lambda ratio: abs(ratio - 1), default=math.inf)
    return worst if math.isfinite(worst) else None


def _speed(point: Sequence[Measurement], seconds: Sequence[float]) -> float | None:
    total = math.fsum(seconds)
    pixels = sum(row.width * row.height for row in point)
    return pixels / total / 1e6 if total > 0 else None


def _largest(values: Sequence[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
