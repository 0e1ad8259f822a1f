"""The report page as a file: what it holds, what it leaves out, and what it refuses."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_runner import run
from heqcodec.eval.bjontegaard import compare
from heqcodec.eval.curves import find, load_results
from heqcodec.eval.folder import image_files, read_pixels
from heqcodec.eval.kept_files import decoded_file
from heqcodec.eval.page_pictures import PATCH, cut, data_uri
from heqcodec.eval.publications import published_curve
from heqcodec.eval.rows import TABLE, read_table
from PIL import Image
from result_folder import CODECS, NAMES, Folders, write_photographs, write_results
from slow_cases import quick_first


@pytest.fixture(scope="module")
def page(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_page(folders, tmp_path_factory.mktemp("page"), "--images", "3")[0]


def make_page(folders: Folders, where: Path, *options: str) -> tuple[str, str]:
    """The HTML of a page with pictures and two published curves, and what the command said."""
    out = where / "report.html"
    published = ("--published", "jpeg", "--published", "vtm")
    result = run(
        *("eval", "report", folders.results, "--data", folders.photographs, "--out", out),
        *published,
        *options,
    )
    assert result.exit_code == 0, result.stderr
    return out.read_text("utf-8"), result.stderr


def held(page: str) -> dict[str, Any]:
    """The data of a page."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    data: dict[str, Any] = json.loads(text)
    return data


def tags(page: str) -> list[tuple[str, dict[str, str]]]:
    """Every start tag of a page and its attributes."""
    found: list[tuple[str, dict[str, str]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, {name: value or "" for name, value in attrs}))

    Reader().feed(page)
    return found


def decoded(uri: str) -> np.ndarray:
    """The pixels of a data URI."""
    head, _, body = uri.partition(",")
    assert head in ("data:image/webp;base64", "data:image/png;base64")
    with Image.open(io.BytesIO(base64.b64decode(body))) as image:
        return np.asarray(image.convert("RGB"))


def test_the_page_asks_for_nothing_but_itself(page: str) -> None:
    addresses = [
        (tag, value)
        for tag, attributes in tags(page)
        for name, value in attributes.items()
        if name in ("src", "srcset", "href", "action", "data", "poster", "background", "ping")
    ]
    assert all(value.startswith(("#", "data:")) for _, value in addresses), addresses
    assert {tag for tag, _ in addresses} == {"a", "link"}  # its pictures come from its script
    style, script = (
        re.findall(f"<{tag}>(.*?)</{end}>", page, re.S)[0]
        for tag, end in (("style", "style"), ('script type="module"', "script"))
    )
    assert not re.search(r"@import|url\(", style)
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|WebSocket|import|eval|Function)\b", script)
    # A name, which nothing is fetched from.
    assert set(re.findall(r"https?://[^\s\"'`<>]*", page)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in page


def test_text_of_results_cannot_become_markup(page: str) -> None:
    assert "</script><b>Pillow" not in page
    assert page.count("<script") == 2
    assert CODECS[0].about in {source["about"] for source in held(page)["sources"]}
    assert {image["name"] for image in held(page)["viewer"]["images"]} == set(NAMES)


def test_pictures_are_the_kept_ones_pixel_by_pixel(folders: Folders, page: str) -> None:
    images = held(page)["viewer"]["images"]
    originals = {path.name: read_pixels(path) for path in image_files(folders.photographs)}
    count = 0
    for image in images:
        assert (image["width"], image["height"], image["cut"]) == (256, 192, None)
        assert np.array_equal(decoded(image["original"]["src"]), originals[image["name"]])
        for picture in image["pictures"]:
            kept = decoded_file(
                folders.results, picture["codec"], picture["setting"], image["name"]
            )
            assert np.array_equal(decoded(picture["src"]), read_pixels(kept))
            count += 1
    assert count >= 2 * len(CODECS) * len(NAMES)


def test_figures_of_pictures_rows_and_curves_are_those_of_the_run(
    folders: Folders, page: str
) -> None:
    data = held(page)
    rows = {(r.codec, r.setting, r.image): r for r in read_table(folders.results / TABLE)}
    keys = [column["key"] for column in data["images"]["columns"]]
    numbers = {column["key"] for column in data["images"]["columns"] if "digits" in column}
    assert set(keys) - numbers == {"codec", "image"}
    shown = [dict(zip(keys, row, strict=True)) for row in data["images"]["rows"]]
    assert len(shown) == len(rows)
    for row in shown:
        own = rows[row["codec"], row["setting"], row["image"]]
        for key in keys:
            value = getattr(own, key)
            assert row[key] == (pytest.approx(value, rel=1e-5) if key in numbers else value)
    for image in data["viewer"]["images"]:
        for picture in image["pictures"]:
            own = rows[picture["codec"], picture["setting"], image["name"]]
            assert (picture["bpp"], picture["psnr"]) == (own.bpp, own.psnr_rgb)
    for curve, measured in zip(data["curves"], load_results([folders.results]), strict=False):
        assert curve["label"] == measured.label
        for point, own in zip(curve["points"], measured.points, strict=True):
            assert point["bpp"] == pytest.approx(own.bpp, rel=1e-5)
            assert point["ms_ssim_db"] == pytest.approx(own.ms_ssim_db, rel=1e-5)


@pytest.mark.parametrize("anchor", quick_first(["published/vtm", "jpeg"]))
def test_savings_are_those_of_every_pair(folders: Folders, tmp_path: Path, anchor: str) -> None:
    page, _ = make_page(
        folders, tmp_path, "--anchor", anchor, "--range", "full", "--range", "0.3,1"
    )
    data = held(page)
    curves = [*load_results([folders.results]), published_curve("jpeg"), published_curve("vtm")]
    labels = [curve["label"] for curve in data["curves"]]
    assert labels == [curve.label for curve in curves]
    first = find(curves, anchor)
    assert first is not None
    assert labels[data["savings"]["anchor"]] == first.label
    seen = set()
    for row in data["savings"]["rows"]:
        limits = None if row["range"] == "full range" else (0.3, 1.0)
        a, b = (curves[row[key]].pairs(row["measure"]) for key in ("anchor", "curve"))
        delta = compare(a, b, limits)
        if delta.rate is None:
            assert row["rate"] is None
            assert row["over_db"] == "n/a"
        else:
            assert row["rate"] == pytest.approx(delta.rate, rel=1e-5, abs=1e-9)
        seen.add((limits, row["measure"], row["anchor"], row["curve"]))
    pairs = [(a, b) for a in range(len(curves)) for b in range(len(curves)) if a != b]
    assert {(None, "psnr", *pair) for pair in pairs} <= seen
    assert {((0.3, 1.0), "ms_ssim_db", *pair) for pair in pairs} <= seen


@pytest.mark.slow
def test_a_small_page_shows_the_middle_and_says_so(folders: Folders, tmp_path: Path) -> None:
    whole, _ = make_page(folders, tmp_path, "--images", "1")
    uris = sum(len(p["src"]) for p in held(whole)["viewer"]["images"][0]["pictures"])
    # Photographs of 256 pixels fit the smallest part, so only leaving out is left.
    limit = (len(whole) - uris // 2) / 1e6
    small, said = make_page(folders, tmp_path, "--images", "1", "--max-mb", f"{limit}", "-f")
    assert len(small.encode()) <= limit * 1e6
    (note,) = [note for note in held(small)["viewer"]["notes"] if "too large" in note]
    assert note in " ".join(said.split())
    (image,), (every,) = held(small)["viewer"]["images"], held(whole)["viewer"]["images"]
    left = len(every["pictures"]) - len(image["pictures"])
    assert left > 0
    assert note.count(image["name"]) == left


def test_large_images_are_cut_along_the_patches(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (700, 1000, 3), np.uint8)
    part = cut(pixels, 512)
    assert part.shape == (512, 512, 3)
    (found,) = [
        (top, left)
        for top in range(0, 700, PATCH)
        for left in range(0, 1000, PATCH)
        if np.array_equal(pixels[top : top + 512, left : left + 512], part)
    ]
    assert abs(found[0] - 94) < PATCH
    assert abs(found[1] - 244) < PATCH
    assert np.array_equal(decoded(data_uri(part)), part)
    grey = data_uri(part[:, :, :1])
    assert np.array_equal(decoded(grey), np.repeat(part[:, :, :1], 3, axis=2))


@pytest.mark.slow
def test_a_picture_of_another_file_is_left_out(folders: Folders, tmp_path: Path) -> None:
    kept = decoded_file(folders.results, "webp", 30, NAMES[0])
    before = kept.read_bytes()
    try:
        kept.write_bytes(decoded_file(folders.results, "jpeg", 5, NAMES[0]).read_bytes())
        page, said = make_page(folders, tmp_path, "--images", "3")
    finally:
        kept.write_bytes(before)
    assert f"webp 30 of {NAMES[0]}" in " ".join(said.split())
    (image,) = [i for i in held(page)["viewer"]["images"] if i["name"] == NAMES[0]]
    assert ("webp", 30) not in {(p["codec"], p["setting"]) for p in image["pictures"]}


@pytest.mark.slow
def test_a_page_without_originals_or_kept_images_says_why(folders: Folders, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert run("eval", "report", folders.results, "--out", out).exit_code == 0
    viewer = held(out.read_text("utf-8"))["viewer"]
    assert viewer["images"] == []
    assert "--data" in viewer["notes"][0]

    bare = tmp_path / "bare"
    write_results(bare, image_files(folders.photographs), keep=False)
    result = run("eval", "report", bare, "--data", folders.photographs, "--out", out, "-f")
    assert result.exit_code == 0
    viewer = held(out.read_text("utf-8"))["viewer"]
    assert viewer["images"] == []
    assert "--keep" in viewer["notes"][0]


@pytest.mark.slow
def test_images_are_chosen_by_number_or_name(folders: Folders, tmp_path: Path) -> None:
    for options, names in (
        (("--images", "1"), {NAMES[2]}),
        ((), {NAMES[0], NAMES[2]}),
        (("--images", "cat 9"), {NAMES[1]}),
        (("--images", NAMES[0], "--images", "cat 9.png"), set(NAMES[:2])),
    ):
        page, _ = make_page(folders, tmp_path, *options, "-f")
        assert {image["name"] for image in held(page)["viewer"]["images"]} == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--anchor", "nothing"), "There is no curve nothing to compare with"),
        (("--published", "nothing"), "no published curve nothing"),
        (("--images", "nothing"), "There is no image nothing in these results"),
        (("--range", "1,0.1"), "1,0.1 is no range"),
        (("--data", "EMPTY"), "holds none of the images of these results"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(
    folders: Folders, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    Image.new("RGB", (40, 40)).save(empty / "other.png")
    given = [str(empty) if option == "EMPTY" else option for option in options]
    if "--data" not in given:
        given += ["--data", str(folders.photographs)]
    out = tmp_path / "report.html"
    result = run("eval", "report", folders.results, "--out", out, *given)
    assert result.exit_code in (1, 2)
    assert message in " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.stderr).split())
    assert not out.exists()


def test_an_existing_page_is_not_replaced_without_force(folders: Folders, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("mine", "utf-8")
    result = run("eval", "report", folders.results, "--out", out)
    assert result.exit_code == 1
    assert out.read_text("utf-8") == "mine"


@pytest.mark.slow
def test_the_same_results_give_the_same_page(folders: Folders, tmp_path: Path) -> None:
    first, _ = make_page(folders, tmp_path)
    assert make_page(folders, tmp_path, "-f")[0] == first


def test_colours_have_the_contrast_that_wcag_asks_for() -> None:
    style = (files("heqcodec.eval") / "page" / "style.css").read_text("utf-8")
    schemes = re.findall(r":root \{(.*?)\}", style, re.S)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", scheme))
        grounds = [luminance(colours[name]) for name in ("ground", "panel")]
        for ground in grounds:
            for name in ("text", "faint", "accent"):
                assert contrast(luminance(colours[name]), ground) >= 4.5, name
            for name in ("control", *(f"c{k}" for k in range(7))):
                assert contrast(luminance(colours[name]), ground) >= 3, name
        assert len({colours[f"c{k}"] for k in range(7)}) == 7


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    levels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


@pytest.mark.slow
def test_results_of_two_folders_keep_their_pictures_apart(folders: Folders, tmp_path: Path) -> None:
    other = tmp_path / "again"
    write_results(other, write_photographs(tmp_path / "photographs"))
    out = tmp_path / "report.html"
    result = run(
        *("eval", "report", folders.results, other, "--out", out, "--images", "1"),
        *("--data", folders.photographs),
    )
    assert result.exit_code == 0, result.stderr
    data = held(out.read_text("utf-8"))
    labels = {f"{folder}/{codec.name}" for folder in ("results", "again") for codec in CODECS}
    assert {curve["label"] for curve in data["curves"]} == labels
    assert {row[0] for row in data["images"]["rows"]} == labels
    (image,) = data["viewer"]["images"]
    assert {picture["codec"] for picture in image["pictures"]} == labels
    assert {source["label"] for source in data["sources"] if source["version"]} == labels
