"""The report page of a set of results: curves, BD-rate, pictures and every row in one file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from heqcodec.base.errors import HeqError
from heqcodec.eval import page_pictures
from heqcodec.eval.bd_table import QUALITIES, bd_rows, range_text
from heqcodec.eval.bjontegaard import Range
from heqcodec.eval.curves import Curve, Point, find, load_results
from heqcodec.eval.folder import image_files
from heqcodec.eval.kept_files import decoded_file
from heqcodec.eval.page_document import page_html
from heqcodec.eval.page_pictures import Kept, Subject
from heqcodec.eval.page_sources import Run, curve_label, read_run, run_facts, source_rows
from heqcodec.eval.publications import KODAK, anchor_curve, comparison_warnings, published_curve

TITLE = "Image codecs: rate and distortion"
MAX_MEGABYTES = 12.0
"""Size of the page: it opens at once, and can be sent by mail."""
IMAGES = 2
"""Images in the viewer by default."""
_TEXT_BYTES = 32_000
"""Room for what the viewer says in words."""

MEASURES: tuple[dict[str, Any], ...] = (
    {
        "key": "psnr",
        "label": "PSNR of RGB",
        "unit": "dB",
        "digits": 2,
        "hint": "Mean over the images. Higher is better.",
    },
    {
        "key": "ms_ssim_db",
        "label": "MS-SSIM",
        "unit": "dB",
        "digits": 2,
        "hint": "-10 log10(1 - mean MS-SSIM). Higher is better.",
    },
    {
        "key": "border_ratio",
        "label": "Border step ratio",
        "unit": "",
        "digits": 3,
        "reference": 1,
        "hint": "Steps across 32-pixel borders over those elsewhere: 1 as in the original, "
        "more where blocks show, less where borders are smoothed.",
    },
    {
        "key": "bef32",
        "label": "Blocking effect factor, blocks of 32",
        "unit": "",
        "digits": 2,
        "scale": "asinh",
        "hint": "Of PSNR-B (Yim and Bovik), in squared grey levels of the luma, on a scale that "
        "is logarithmic above 1. Lower is better.",
    },
)
"""What is drawn over the rate: a key of a point, and how it is named to readers."""

_POINT = (*(field.name for field in fields(Point)), "ms_ssim_db")

COLUMNS: tuple[dict[str, Any], ...] = (
    {"key": "codec", "label": "codec"},
    {"key": "setting", "label": "setting", "digits": None},
    {"key": "image", "label": "image"},
    {"key": "bpp", "label": "bpp", "digits": 4},
    {"key": "psnr_rgb", "label": "PSNR, dB", "digits": 2},
    {"key": "psnr_luma", "label": "PSNR luma, dB", "digits": 2},
    {"key": "ms_ssim", "label": "MS-SSIM", "digits": 4},
    {"key": "psnr_b8", "label": "PSNR-B 8, dB", "digits": 2},
    {"key": "psnr_b32", "label": "PSNR-B 32, dB", "digits": 2},
    {"key": "bef8", "label": "BEF 8", "digits": 2},
    {"key": "bef32", "label": "BEF 32", "digits": 2},
    {"key": "border_ratio", "label": "border ratio", "digits": 3},
    {"key": "encode_seconds", "label": "encode, s", "digits": 3},
    {"key": "decode_seconds", "label": "decode, s", "digits": 3},
)
"""The table of every image: fields of ``Measurement``. With digits a column is of numbers, with
None as they are."""


@dataclass
class Request:
    """What a page is asked to show."""

    results: Sequence[Path]  # folders of results, or JSON files
    published: Sequence[str] = ()
    published_on: str = KODAK  # the images that published curves are of
    anchor: str | None = None
    ranges: Sequence[Range | None] = (None,)
    data: Path | None = None  # folder of the originals
    images: Sequence[str] = ()  # names; none: the first ones
    image_count: int = IMAGES
    max_megabytes: float = MAX_MEGABYTES
    notes: list[str] = field(default_factory=list)  # filled in: what the viewer says of itself


def report_page(request: Request) -> bytes:
    """Return the HTML of the page; ``request.notes`` then holds what its viewer leaves out.

    Raises:
        HeqError: results, a published curve, the anchor or an image are not there, or the
            originals are not those of the results.
    """
    curves = load_results(request.results)
    curves += [published_curve(name, request.published_on) for name in request.published]
    anchor = _anchor(curves, request)
    if anchor not in curves:
        curves.append(anchor)
    runs = [read_run(path) for path in request.results]
    data: dict[str, Any] = {
        "summary": _summary(curves, runs, request),
        "measures": MEASURES,
        "curves": [_curve(curve) for curve in curves],
        "savings": {
            "anchor": curves.index(anchor),
            "measures": list(QUALITIES.items()),
            "ranges": [range_text(rates) for rates in request.ranges],
            "rows": _savings(curves, request.ranges),
        },
        "viewer": {"images": [], "notes": []},
        "images": {"columns": COLUMNS, "rows": _rows(curves, runs)},
        "sources": source_rows(curves, runs),
        "facts": run_facts(runs),
    }
    room = int(request.max_megabytes * 1e6) - len(page_html(TITLE, data)) - _TEXT_BYTES
    data["viewer"] = _viewer(request, curves, runs, room)
    request.notes.extend(data["viewer"]["notes"])
    return page_html(TITLE, data)


def _anchor(curves: Sequence[Curve], request: Request) -> Curve:
    """The anchor named; else JPEG, where it is among the curves, or the first of them."""
    if request.anchor:
        return anchor_curve(request.anchor, curves, request.published_on)
    return find(curves, "jpeg") or find(curves, "published/jpeg") or curves[0]


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "codec": curve.name,
        "label": curve.label,
        "published": curve.published,
        "setting_name": curve.setting_name,
        "points": [{key: _json(getattr(point, key)) for key in _POINT} for point in curve.points],
    }


def _savings(curves: Sequence[Curve], ranges: Sequence[Range | None]) -> list[dict[str, Any]]:
    """Every curve against every other, so that the page can take any for the anchor."""
    places = {curve.key: place for place, curve in enumerate(curves)}
    return [
        {
            "range": range_text(rates),
            "measure": row.measure,
            "anchor": places[row.anchor.key],
            "curve": places[row.curve.key],
            "rate": _json(row.delta.rate),
            "quality": _json(row.delta.quality),
            "over_db": row.cells()[3],
            "over_bpp": row.cells()[4],
        }
        for rates in ranges
        for anchor in curves
        for row in bd_rows(anchor, curves, rates)
    ]


def _rows(curves: Sequence[Curve], runs: Sequence[Run]) -> list[list[Any]]:
    keys = [column["key"] for column in COLUMNS[1:]]
    return [
        [curve_label(curves, run, row.codec), *(_json(getattr(row, key)) for key in keys)]
        for run in runs
        for row in run.rows
    ]


def _viewer(
    request: Request, curves: Sequence[Curve], runs: Sequence[Run], room: int
) -> dict[str, Any]:
    measured = [curve.label for curve in curves if not curve.published]
    if request.data is None:
        note = "There are no pictures: `heqcodec eval report` was not given the originals (--data)."
        return {"images": [], "notes": [note]}
    originals = {path.name: path for path in image_files(request.data)}
    subjects: dict[str, Subject] = {}
    for run in runs:
        for row in run.rows:
            if row.image not in originals:
                continue
            subject = subjects.setdefault(row.image, Subject(row.image, originals[row.image]))
            path = decoded_file(run.folder, row.codec, row.setting, row.image)
            if path.is_file():
                setting_name = (
                    run.claims[row.codec][0].setting_name if row.codec in run.claims else ""
                )
                label = curve_label(curves, run, row.codec)
                subject.kept.append(Kept(label, setting_name, row, path))
    if not subjects and any(run.rows for run in runs):
        raise HeqError(
            f"{request.data} holds none of the images of these results; give the folder that was "
            "measured."
        )
    chosen = _chosen(request, subjects)
    seen = {kept.label for subject in chosen for kept in subject.kept}
    missing = [label for label in measured if label not in seen]
    labels = [label for label in measured if label in seen]
    labels += sorted(seen.difference(measured))
    viewer = page_pictures.embed(chosen, labels, room)
    if missing:
        viewer["notes"].append(
            f"There are no pictures of {', '.join(missing)}: decoded images were not kept "
            "(`heqcodec eval run --keep` keeps them)."
        )
    return viewer


def _chosen(request: Request, subjects: dict[str, Subject]) -> list[Subject]:
    """The images named, or the first ones of which the most codecs have kept something."""
    if not request.images:
        codecs = {name: len({kept.label for kept in s.kept}) for name, s in subjects.items()}
        names = sorted(subjects, key=lambda name: (-codecs[name], name))
        return [subjects[name] for name in sorted(names[: request.image_count])]
    chosen = []
    for name in request.images:
        found = [s for s in subjects.values() if name in (s.name, Path(s.name).stem)]
        if not found:
            raise HeqError(
                f"There is no image {name} in these results; choose from "
                f"{', '.join(sorted(subjects))}."
            )
        chosen += [subject for subject in found if subject not in chosen]
    return chosen


def _summary(curves: Sequence[Curve], runs: Sequence[Run], request: Request) -> list[str]:
    published = sum(curve.published for curve in curves)
    counts = sorted({data.images for run in runs for _, data in run.claims.values()})
    images = " and ".join(map(str, counts))
    line = (
        f"{len(curves) - published} codecs measured"
        + (f" on {images} images" if images else "")
        + (f", {published} published curves on {request.published_on}" if published else "")
        + "."
    )
    return [line, *comparison_warnings(curves, request.published_on)]


def _json(value: Any) -> Any:
    """Floats to 6 significant digits, enough for what the page shows; infinite ones as text."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else str(value).replace("inf", "Infinity")
