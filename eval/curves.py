"""Rate-distortion curves, measured or published, as read from files in CompressAI's schema."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from heqcodec.base.errors import HeqError
from heqcodec.eval.metrics import ms_ssim_db


@dataclass(frozen=True)
class Point:
    """One setting of a codec, means over the images. ``None`` where the file does not say."""

    bpp: float  # above 0
    setting: float | None = None  # quality, QP, target bits per pixel
    psnr: float | None = None  # dB, over RGB
    psnr_luma: float | None = None  # dB
    ms_ssim: float | None = None  # 0 to 1
    psnr_b8: float | None = None  # dB, PSNR-B of the luma, blocks of 8
    psnr_b32: float | None = None
    bef8: float | None = None  # squared grey levels
    bef32: float | None = None
    border_ratio: float | None = None  # steps across 32-pixel borders over others, original = 1
    border_ratio_worst: float | None = None  # of the image that is farthest from 1
    encode_seconds: float | None = None
    decode_seconds: float | None = None

    @property
    def ms_ssim_db(self) -> float | None:
        """-10 log10(1 - mean MS-SSIM), as CompressAI's plots have it; None at exactly 1."""
        value = None if self.ms_ssim is None else ms_ssim_db(self.ms_ssim)
        return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class Curve:
    """The points of one codec on one set of images."""

    name: str  # of the codec, as on the command line
    label: str  # for legends
    points: tuple[Point, ...]  # by rising bpp, at least one
    published: bool = False  # by others, in other circumstances: drawn dashed
    description: str = ""
    setting_name: str | None = None
    images: int | None = None
    data_sha256: str | None = None  # names the set of images, see ``folder.data_hash``
    without: tuple[str, ...] = ()  # images of that set that the means are not of

    @property
    def key(self) -> str:
        """What tells it from all others: the name, after ``published/`` where it is that."""
        return f"published/{self.name}" if self.published else self.name

    def pairs(self, measure: str) -> list[tuple[float, float]]:
        """Pairs of bits per pixel and ``measure``, the name of a field or property of ``Point``,
        by rising rate; points without it are left out."""
        values = ((point.bpp, getattr(point, measure)) for point in self.points)
        return [(bpp, value) for bpp, value in values if value is not None]


# Lists of the file -> fields of a point. The first group stands under "results", as CompressAI
# has it, the second under "heqcodec".
_RESULTS = {
    "psnr-rgb": "psnr",
    "ms-ssim-rgb": "ms_ssim",
    "encoding_time": "encode_seconds",
    "decoding_time": "decode_seconds",
}
_OWN = {
    "psnr-luma": "psnr_luma",
    "psnr-b8": "psnr_b8",
    "psnr-b32": "psnr_b32",
    "bef8": "bef8",
    "bef32": "bef32",
    "border-step-ratio": "border_ratio",
    "border-step-ratio-worst": "border_ratio_worst",
    "settings": "setting",
    "rates": "setting",  # as `eval patch-table` names them
}


def load_results(paths: Iterable[Path]) -> list[Curve]:
    """Read measured curves from result files, or from folders of them.

    A folder gives every ``*.json`` directly in it that holds a curve, by name. Where two files
    give a codec of the same name, the folder's name goes before each: ``run-2/jpeg``.

    Raises:
        HeqError: a path is not there or holds no curve, a file is not in the schema, or two
            files cannot be distinguished.
    """
    files: dict[Path, None] = {}
    curves: list[tuple[Path, Curve]] = []
    for path in paths:
        if not path.exists():
            raise HeqError(f"{path} is not there; give a folder of results or a JSON file.")
        inside = _result_files(path) if path.is_dir() else [path]
        if not inside:
            raise HeqError(f"{path} holds no results; `heqcodec eval run` writes them.")
        files.update(dict.fromkeys(file.resolve() for file in inside))
    for file in files:
        curves.append((file, curve_from(_document(file), str(file))))

    names = [curve.name for _, curve in curves]
    named = [
        curve if names.count(curve.name) == 1 else _renamed(curve, f"{file.parent.name}/")
        for file, curve in curves
    ]
    twice = [curve.name for curve in named if [c.name for c in named].count(curve.name) > 1]
    if twice:
        raise HeqError(f"Two results are both called {twice[0]}; rename one of their folders.")
    return named


def curve_from(document: Any, file: str, published: bool = False) -> Curve:
    """Turn a JSON document in CompressAI's schema into a curve.

    MS-SSIM given in dB (``ms-ssim-db-rgb``, as figures taken from papers are) becomes a value.
    ``file`` is for messages.

    Raises:
        HeqError: names, rates or lists are not as the schema has them.
    """
    if not _is_curve(document):
        raise HeqError(f"{file} holds no curve; it needs results with a list of bpp.")
    results, own = document["results"], document.get("heqcodec")
    own = own if isinstance(own, dict) else {}
    count = len(results["bpp"])
    columns = {"bpp": _numbers(results["bpp"], count, "bpp", file)}
    for group, fields in ((results, _RESULTS), (own, _OWN)):
        for key, field in fields.items():
            if key in group:
                columns[field] = _numbers(group[key], count, key, file)
    if "ms_ssim" not in columns and "ms-ssim-db-rgb" in results:
        decibels = _numbers(results["ms-ssim-db-rgb"], count, "ms-ssim-db-rgb", file)
        columns["ms_ssim"] = [None if v is None else 1 - 10 ** (-v / 10) for v in decibels]
    _check(columns["bpp"], lambda bpp: bpp is not None and bpp > 0, "bpp", file)
    _check(columns.get("ms_ssim", []), lambda v: v is None or 0 <= v <= 1, "MS-SSIM", file)

    rows: list[dict[str, Any]] = [
        dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
    ]
    points = sorted((Point(**row) for row in rows), key=lambda point: point.bpp)
    data = own.get("data")
    data = data if isinstance(data, dict) else {}
    name = str(document.get("name") or Path(file).stem)
    return Curve(
        name=name,
        label=name,
        points=tuple(points),
        published=published,
        description=str(document.get("description", "")),
        setting_name=own.get("setting_name"),
        images=_image_count(own, data),
        data_sha256=data.get("sha256"),
        without=tuple(own.get("without", ())),
    )


def _image_count(own: dict[str, Any], data: dict[str, Any]) -> int | None:
    """How many images the means are of: of the set, but for those that the curve leaves out."""
    counts = own.get("images")
    return counts[0] if isinstance(counts, list) and counts else data.get("images")


def find(curves: Sequence[Curve], key: str) -> Curve | None:
    """The curve of this ``key``; None if there is none."""
    return next((curve for curve in curves if curve.key == key), None)


def _result_files(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.glob("*.json")) if _is_curve(_document(file))]


def _document(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise HeqError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # not JSON, or not text
        raise HeqError(f"{file} is not JSON: {error}.") from error


def _is_curve(document: Any) -> bool:
    results = document.get("results") if isinstance(document, dict) else None
    bpp = results.get("bpp") if isinstance(results, dict) else None
    return isinstance(bpp, list) and len(bpp) > 0


def _numbers(values: Any, count: int, key: str, file: str) -> list[float | None]:
    if not isinstance(values, list) or len(values) != count:
        raise HeqError(f"{file}: {key} is not a list of {count}, one value for each bpp.")
    for value in values:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (number and math.isfinite(value)):
            raise HeqError(f"{file}: {key} holds {value!r}, which is not a number.")
    return values


def _check(
    values: Sequence[float | None], good: Callable[[float | None], bool], name: str, file: str
) -> None:
    for value in values:
        if not good(value):
            raise HeqError(f"{file}: a {name} of {value} cannot be.")


def _renamed(curve: Curve, prefix: str) -> Curve:
    return replace(curve, name=prefix + curve.name, label=prefix + curve.label)
