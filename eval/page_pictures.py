"""Which decoded images the report page shows, and their pixels as data URIs within a budget."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.eval.blockiness import PATCH
from heqcodec.eval.folder import read_pixels
from heqcodec.eval.measurement import Measurement
from heqcodec.eval.metrics import psnr
from PIL import Image

RATES = (0.25, 0.5, 0.125)
"""Bits per pixel at which the page shows every codec, the most wanted first."""
SIDES = (512, 448, 384, 320, 256)
"""Sides in pixels of the part that is shown where whole images do not fit, whole patches."""
SAME_DB = 0.01
"""A kept image whose PSNR differs by more from its row is not of that row."""
WEBP_SIDE = 16383
"""Largest side of a WebP file; larger pictures are embedded as PNG."""


@dataclass(frozen=True)
class Kept:
    """A decoded image that a run has kept, and its figures."""

    label: str  # of the codec's curve in the page
    setting_name: str
    row: Measurement
    path: Path


@dataclass
class Subject:
    """An image of the viewer: where its original lies, and what is kept of it."""

    name: str
    original: Path
    kept: list[Kept] = field(default_factory=list)

    @cached_property
    def pixels(self) -> np.ndarray:
        """The original as uint8 (H, W, 1 or 3)."""
        return read_pixels(self.original)

    def agrees(self, kept: Kept) -> bool:
        """Whether a kept image is what its row was measured on.

        A figure under a picture it does not belong to would mislead; the PSNR of another file,
        setting or original differs.
        """
        decoded, original = read_pixels(kept.path), self.pixels
        if decoded.shape[:2] != original.shape[:2]:
            return False
        # A grey image is coded as colours by the codecs that know no other.
        channels = max(decoded.shape[2], original.shape[2])
        wide = (np.repeat(a, channels // a.shape[2], axis=2) for a in (original, decoded))
        value = psnr(*wide)
        if kept.row.psnr_rgb is None:
            return math.isinf(value)
        return abs(value - kept.row.psnr_rgb) <= SAME_DB

    def choice(self, labels: Sequence[str]) -> Iterator[tuple[float, Kept]]:
        """For each rate and codec the kept image nearest to it, in the ratio of rates."""
        seen: set[Path] = set()
        for rate in RATES:
            for label in labels:
                own = [kept for kept in self.kept if kept.label == label]
                if not own:
                    continue
                best = min(own, key=lambda kept: (abs(math.log(kept.row.bpp / rate)), kept.row.bpp))
                if best.path not in seen:
                    seen.add(best.path)
                    yield rate, best


def embed(subjects: Sequence[Subject], labels: Sequence[str], budget: int) -> dict[str, Any]:
    """Return the viewer's part of the page's data: ``{"images": [...], "notes": [...]}``.

    Pictures are lossless WebP. Whole images are embedded if all chosen ones fit into ``budget``
    bytes of page; otherwise the middle part of each, the largest of ``SIDES`` with which they
    fit, cut along the grid of patches; and where even the smallest does not fit, the pictures
    that come last (images in turn, rates in the order of ``RATES``) are left out. The notes say
    which of this happened.
    """
    notes = []
    order: list[tuple[float, int, Kept]] = []
    wrong: list[str] = []
    for index, subject in enumerate(subjects):
        for rate, kept in subject.choice(labels):
            if subject.agrees(kept):
                order.append((rate, index, kept))
            else:
                wrong.append(f"{kept.label} {kept.row.setting:g} of {subject.name}")
    if wrong:
        notes.append(
            "Left out, because the kept image and the original do not have the PSNR that was "
            f"measured: {', '.join(wrong)}."
        )
    order.sort(key=lambda entry: RATES.index(entry[0]))
    if not order:
        return {"images": [], "notes": notes}

    side: int | None = None
    smaller = list(SIDES)
    while True:
        shown, wanted = _fill(subjects, order, side, budget)
        if len(shown) == len(order) or not smaller:
            break
        # Sides with which, judged by the pictures seen so far, not all would fit are not tried.
        by_area = wanted / _area(subjects, side)
        while len(smaller) > 1 and by_area * _area(subjects, smaller[0]) > budget:
            del smaller[0]
        side = smaller.pop(0)
    images = _entries(subjects, shown, side)
    notes.append(_contents_text(images, side))
    if len(shown) < len(order):
        left = [
            f"{kept.label} {kept.row.setting:g} of {subjects[index].name}"
            for _, index, kept in order[len(shown) :]
        ]
        notes.append(f"Left out, because the page would grow too large: {', '.join(left)}.")
    return {"images": images, "notes": notes}


def _contents_text(images: Sequence[dict[str, Any]], side: int | None) -> str:
    pictures = sum(len(entry["pictures"]) for entry in images)
    *low, high = (f"{rate:g}" for rate in sorted(RATES))
    text = (
        f"The page holds {pictures} decoded pictures of {len(images)} "
        f"{'image' if len(images) == 1 else 'images'}, lossless: for each codec the settings "
        f"nearest to {', '.join(low)} and {high} bits per pixel."
    )
    if any(entry["cut"] for entry in images):
        text += (
            f" To keep it small, the middle of each is shown, {side} pixels wide and high at "
            "most; the figures are of the whole."
        )
    return text


@dataclass(frozen=True)
class _Shown:
    index: int
    kept: Kept | None  # None for the original
    uri: str


def _fill(
    subjects: Sequence[Subject],
    order: Sequence[tuple[float, int, Kept]],
    side: int | None,
    budget: int,
) -> tuple[list[_Shown], float]:
    """Encode pictures in order while they fit; also return about how much all would take."""
    shown: list[_Shown] = []
    originals: dict[int, int] = {}
    total = 0
    for count, (_, index, kept) in enumerate(order):
        more = 0
        if index not in originals:
            more = len(data_uri(cut(subjects[index].pixels, side)))
        uri = data_uri(cut(read_pixels(kept.path), side))
        if total + more + len(uri) > budget:
            mean = (total + more + len(uri)) / (count + 1)
            return shown, mean * len(order)
        originals.setdefault(index, more)
        total += more + len(uri)
        shown.append(_Shown(index, kept, uri))
    return shown, total


def _entries(
    subjects: Sequence[Subject], shown: Sequence[_Shown], side: int | None
) -> list[dict[str, Any]]:
    entries = []
    for index, subject in enumerate(subjects):
        own = [picture for picture in shown if picture.index == index]
        if not own:
            continue
        height, width = subject.pixels.shape[:2]
        part = cut(subject.pixels, side)
        pictures = [
            {
                "codec": kept.label,
                "setting_name": kept.setting_name,
                "setting": kept.row.setting,
                "bpp": kept.row.bpp,
                "psnr": kept.row.psnr_rgb,
                "ms_ssim": kept.row.ms_ssim,
                "src": picture.uri,
            }
            for picture in own
            if (kept := picture.kept) is not None
        ]
        entries.append(
            {
                "name": subject.name,
                "width": part.shape[1],
                "height": part.shape[0],
                "cut": [width, height] if part.shape[:2] != (height, width) else None,
                "original": {"src": data_uri(part)},
                "pictures": pictures,
            }
        )
    return entries


def cut(pixels: np.ndarray, side: int | None) -> np.ndarray:
    """The middle of an image, at most ``side`` pixels on each side, starting on a patch border."""
    if side is None:
        return pixels
    height, width = pixels.shape[:2]
    top, left = (max(0, size - side) // 2 // PATCH * PATCH for size in (height, width))
    return pixels[top : top + side, left : left + side]


def _area(subjects: Sequence[Subject], side: int | None) -> int:
    """Pixels shown of all images together."""
    return sum(math.prod(cut(subject.pixels, side).shape[:2]) for subject in subjects)


def data_uri(pixels: np.ndarray) -> str:
    """uint8 (H, W, 1 or 3) as a data URI of a lossless picture, WebP or, where too large, PNG."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    stream = io.BytesIO()
    kind = "webp" if max(image.size) <= WEBP_SIDE else "png"
    try:
        # Method 4 takes 0.3 s for 768x512 pixels; method 6 takes 10 s and saves 2 %.
        options = {"lossless": True, "quality": 75, "method": 4} if kind == "webp" else {}
        image.save(stream, kind, **options)
    except OSError as error:
        raise HeqError(f"A picture cannot be embedded as {kind}: {error}.") from error
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
