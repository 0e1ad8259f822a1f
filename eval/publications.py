"""Curves that others published, which come with this package: see ``published/README.md``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from heqcodec.base.errors import HeqError
from heqcodec.eval.curves import Curve, curve_from, find
from heqcodec.eval.datasets import DATASETS

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

KODAK = "kodak"
"""The set of images that curves are of unless another is named."""


def published_sets() -> list[str]:
    """Names of the sets of images that there are published curves of."""
    return list(_index()["sets"])


def published_names(images: str = KODAK) -> list[str]:
    """Names of the curves on one set of images: classical codecs first, then learned ones, those
    as printed in papers last. Raises ``HeqError`` for a set that there is none of."""
    return list(_curves(images))


def named_curves(texts: list[str] | None) -> list[str]:
    """The curves that options name, "NAME" or "NAME,NAME", each once."""
    names = (name for text in texts or [] for name in text.split(","))
    return list(dict.fromkeys(name for name in names if name))


def published_curve(name: str, images: str = KODAK) -> Curve:
    """Return one of ``published_names``, labelled as published.

    A name that is also a codec of this suite stands for the same codec; CompressAI's models of
    that name were trained for squared error, and coded on a CPU.

    Raises ``HeqError`` for a name that is not among them.
    """
    entry = _curves(images).get(name)
    if entry is None:
        raise HeqError(
            f"There is no published curve {name} on {images}; choose from "
            f"{', '.join(published_names(images))}."
        )
    text = _folder().joinpath(*entry["file"].split("/")).read_text("utf-8")
    curve = curve_from(json.loads(text), entry["file"], published=True)
    return replace(curve, name=name, label=f"{entry['label']}, published")


def anchor_curve(key: str, curves: Sequence[Curve], images: str = KODAK) -> Curve:
    """Return the curve that others are compared with.

    Args:
        key: of one of ``curves``; or the name of a published curve, with or without
            ``published/`` before it, which is then taken even if it is not among them.
        curves: measured and published.
        images: the set of images of published curves.

    Raises:
        HeqError: there is no such curve.
    """
    found = find(curves, key)
    if found is not None:
        return found
    name = key.removeprefix("published/")
    if name not in _curves(images):
        at_hand = ", ".join(curve.key for curve in curves)
        raise HeqError(
            f"There is no curve {key} to compare with; choose one of the results ({at_hand}) or of "
            f"the curves published on {images} ({', '.join(published_names(images))})."
        )
    return published_curve(name, images)


def comparison_warnings(shown: Sequence[Curve], images: str = KODAK) -> list[str]:
    """What a reader must know before comparing: curves that are not of the same images.

    ``images`` is the set that published ones among them are of.
    """
    measured = [curve for curve in shown if not curve.published and curve.data_sha256]
    hashes = {curve.data_sha256 for curve in measured}
    if len(hashes) > 1:
        return ["The results are of different sets of images, so their means do not compare."]
    if len({curve.without for curve in measured}) > 1:
        lacking = dict.fromkeys(
            f"{curve.label} without {', '.join(curve.without)}"
            for curve in measured
            if curve.without
        )
        return [
            f"The results are of different images, so means do not compare: {'; '.join(lacking)}."
        ]
    left_out = {name for curve in measured for name in curve.without}
    if left_out and any(curve.published for curve in shown):
        return [
            f"The results are without {', '.join(sorted(left_out))}, the published curves are not, "
            "so their means do not compare."
        ]
    known = next((d.sha256 for d in DATASETS if d.name == images), None)
    if known and hashes - {known} and any(curve.published for curve in shown):
        return [
            f"The published curves are of the images of {images}, the results are of other files; "
            "they compare only if the pixels are the same."
        ]
    return []


def _curves(images: str) -> dict[str, dict[str, str]]:
    if images not in published_sets():
        sets = ", ".join(published_sets())
        raise HeqError(f"There are no published curves on {images}; choose from {sets}.")
    curves: dict[str, dict[str, str]] = _index()["sets"][images]["curves"]
    return curves


@cache
def _index() -> dict[str, Any]:
    index: dict[str, Any] = json.loads((_folder() / "index.json").read_text("utf-8"))
    return index


def _folder() -> Traversable:
    return files("heqcodec.eval") / "published" / "compressai"
