"""docs/EVALUATION.md and the suite say the same: its tables are compared, its example is run."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from heqcodec.eval import curves, summary
from heqcodec.eval.baselines import bpg, codec_names, compressai_models, heic, jxl, make_codec, vvc
from heqcodec.eval.bjontegaard import compare
from heqcodec.eval.measurement import Measurement
from heqcodec.eval.publications import published_curve
from heqcodec.export.report import encoder_report, report_text
from heqcodec.models import registry
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "EVALUATION.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
RESULTS = (ROOT / "docs" / "RESULTS.md").read_text("utf-8")


def table(columns: str, page: str = PAGE) -> list[list[str]]:
    """Rows of the table of a page whose heading is ``columns``, as text."""
    found = re.search(re.escape(columns) + r"\n\|[-|]+\|\n((?:\|.*\|\n)+)", page)
    assert found, f"the page has no table {columns}"
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in found[1].splitlines()]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_the_codecs_are_those_of_the_suite() -> None:
    listed = []
    for names, setting, ladder, threads, _ in table(
        "| codec | setting | ladder | threads | what it is |"
    ):
        for name in quoted(names):
            every = [name.replace("MODEL", model) for model in registry.model_names("patch")]
            for spec in dict.fromkeys(every):
                codec = make_codec(spec)
                settings = " ".join(f"{value:g}" for value in codec.settings)
                documented = codec.setting_name, settings, "one" if codec.single_threaded else "all"
                assert documented == (setting, ladder, threads), spec
                listed.append(spec)
    assert sorted(listed) == sorted(codec_names())


def test_the_sentences_are_those_of_codecs_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (heic, jxl, vvc, compressai_models):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(bpg.shutil, "which", lambda program: None)
    for name, sentence in table("| codec | sentence |"):
        assert make_codec(*quoted(name)).missing() == sentence.replace("\\`", "`")


def test_the_known_values_are_known() -> None:
    rows = table("| anchor | codec | full range | 0.1 to 1 bpp |")
    assert len(rows) == 3
    for anchor, codec, full, ranged in rows:
        first, second = (published_curve(*quoted(name)).pairs("psnr") for name in (anchor, codec))
        for rates, documented in ((None, full), ((0.1, 1.0), ranged)):
            assert f"{compare(first, second, rates).rate:+.1f} %" == documented


def test_the_columns_are_those_of_a_row() -> None:
    listed = re.search(r"Columns of `images\.csv`: (.*?)\.\n\n", PAGE, re.DOTALL)
    assert listed and quoted(listed[1]) == [field.name for field in fields(Measurement)]


def test_the_keys_are_those_of_a_curve() -> None:
    record = dict.fromkeys(summary.RECORD)
    claim = summary.Claim("jpeg", "1", "about", "quality", (30.0,), record)
    document = summary.codec_document(claim, summary.DataSet(1, "0" * 64), [])
    for of, keys in (("results", document["results"]), ("heqcodec", document["heqcodec"])):
        rows = [row for row in table("| key | |") if row[0].startswith(f"`{of}`")]
        assert sorted(key for _, text in rows for key in quoted(text)) == sorted(keys)
    assert {*document} == {"name", "description", "results", "heqcodec"}


@pytest.mark.slow
def test_the_example_measures_its_codec(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "posterize.py").write_text(script)
    images = tmp_path / "images"
    images.mkdir()
    Image.linear_gradient("L").resize((96, 64)).convert("RGB").save(images / "ramp.png")
    done = subprocess.run(
        [sys.executable, "posterize.py", "images", "results"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
    (curve,) = curves.load_results([tmp_path / "results"])
    assert [point.setting for point in curve.points] == [1, 2, 3, 4]
    values = [value for _, value in curve.pairs("psnr")]
    assert values == sorted(values) and 10 < values[0] < 25 < values[-1] < 50


def stored_rates(folder: str) -> dict[tuple[str, str, str], str]:
    """BD-rates of a stored table, as documents write them: (measure, anchor, codec) -> "-22.5"."""
    path = ROOT / "eval" / "results" / folder / "bd-rate.csv"
    with path.open(newline="") as stream:
        return {
            (row["measure"], row["anchor"], row["codec"]): f"{float(row['bd_rate_percent']):+.1f}"
            for row in csv.DictReader(stream)
            if row["bd_rate_percent"] != "n/a"
        }


LIVE = ("jpeg2000", "jpeg", "webp", "jxl", "heic", "heic444", "avif")
PUBLISHED = (
    "published/jpeg2000",
    "published/compressai-bmshj2018-factorized",
    "published/compressai-bmshj2018-hyperprior",
    "published/bpg444",
)
DECODERS = ("heq-packed", "heq-packed-best", "heq-packed-fast", "heq")


@pytest.mark.parametrize(
    ("page", "heading", "anchors"),
    [(README, "live", LIVE), (RESULTS, "live", LIVE), (RESULTS, "published", PUBLISHED)],
    ids=["readme", "live", "published"],
)
def test_the_bd_rates_of_readme_and_results_are_stored(
    page: str, heading: str, anchors: tuple[str, ...]
) -> None:
    rates = stored_rates("kodak/against")
    (first,) = re.findall(rf"^\| against, {heading} \|.*\|$", page, re.MULTILINE)
    rows = table(first, page)
    assert len(rows) == len(DECODERS) and first.count("|") == len(anchors) + 2
    for codec, (_, *cells) in zip(DECODERS, rows, strict=True):
        assert cells == [f"{rates['psnr', anchor, codec]} %" for anchor in anchors], codec


@pytest.mark.parametrize(
    ("heading", "measure"),
    [("PSNR of RGB", "psnr"), ("PSNR of luma", "psnr_luma"), ("MS-SSIM in dB", "ms_ssim_db")],
)
def test_the_bd_rates_of_the_page_are_stored(heading: str, measure: str) -> None:
    rates = stored_rates("kodak/against")
    (first,) = re.findall(rf"^\| {heading}, against \|.*\|$", PAGE, re.MULTILINE)
    rows = table(first)
    assert rows
    for codec, *cells in rows:
        (name,) = quoted(codec)
        assert cells == [rates[measure, anchor, name] for anchor in (*LIVE, "vvc")], name


def test_other_kinds_of_images_are_as_stored() -> None:
    anchors = ("jpeg", "jpeg2000", "webp-method-6", "jxl", "heic444", "avif")
    with (ROOT / "eval" / "results" / "other-images" / "bd-rate.csv").open(newline="") as stream:
        stored = {
            (f"{row['set']}, {row['images']}", row["codec"], row["anchor"]): row["bd_rate_percent"]
            for row in csv.DictReader(stream)
        }
    (first,) = re.findall(r"^\| set \|.*\|$", PAGE, re.MULTILINE)
    documented = {}
    for name, *cells in table(first):
        columns = [*(("heq-packed", anchor) for anchor in anchors), ("heq", "avif")]
        for column, cell in zip(columns, cells, strict=True):
            if cell:
                documented[(name, *column)] = f"{float(cell):g}"
    assert documented == stored
    for set_name, anchor, said in (
        ("screenshots, 9", "avif", "276 % more bits than AVIF"),
        ("screenshots, 9", "jpeg2000", "185 % more than JPEG 2000"),
        ("screenshots, 9", "jxl", "65 % more than JPEG XL"),
        ("screenshots, 9", "heic444", "61 % more than HEIC"),
        ("screenshots, 9", "webp-method-6", "1 % fewer than WebP"),
        ("documents, medical, astronomy, 9", "jpeg2000", "20 % more than JPEG 2000"),
    ):
        assert said.split()[0] == f"{abs(float(stored[set_name, 'heq-packed', anchor])):g}"
        assert said in " ".join(RESULTS.split())


def test_operations_are_counted_once() -> None:
    """Of `nqe-r`, the pages, `heqcodec export report` and what `eval complexity` stored agree."""
    path = ROOT / "eval" / "results" / "rate" / "complexity.json"
    codecs = {codec["name"]: codec for codec in json.loads(path.read_text())["codecs"]}

    def work(name: str, *stages: str) -> tuple[float, float]:
        own = [stage["work"] for stage in codecs[name]["stages"] if stage["name"] in stages]
        additions, shifts = (sum(part[kind] for part in own) for kind in ("additions", "shifts"))
        return additions, shifts

    readme, results, page = (" ".join(text.split()) for text in (README, RESULTS, PAGE))
    report = encoder_report("nqe-r")
    totals = report["totals"]
    additions, shifts = totals["additions_a_pixel"], totals["shifts_a_pixel"]
    assert work("nqe-r", "encoder") == pytest.approx((additions, shifts))
    said = f"{additions:.0f} additions and {shifts:.0f} shifts a pixel"
    assert said in report_text(report)
    for text in (readme, results, page):
        assert re.findall(r"\d+ additions and \d+ shifts a pixel", text) == [said]
    instructions = "1,020 instructions a pixel"
    assert re.search(rf"{said}.{{,150}}{instructions}", readme)
    assert instructions in results and instructions in page
    choices = f"{work('nqe-r', 'choices')[0]:.0f} additions"
    assert f"levels take {choices} more" in results and f"{choices} for choices" in page
    assert f"its coder {work('nqe-r', 'entropy encoder')[0]:.0f} additions" in results
    bits = f"{totals['weight_bits']:,} bits"
    assert f"its weights {bits}" in results and f"{bits} of weights" in page
    decoder, fast, packed = (
        next(stage for stage in codecs[name]["stages"] if stage["name"] == kind)["work"]
        for name, kind in (
            ("nqe-r", "decoder"),
            ("nqe-r-fast", "decoder"),
            ("nqe-r-packed", "entropy encoder"),
        )
    )
    counts = [
        f"{float(format(one['multiply_accumulates'], '.3g')):,.0f}"
        for one in (decoder, fast, packed)
    ]
    said = "the strong decoder {} multiplications a pixel, the fast one {}, the packed coder {}"
    assert said.format(*counts) in page
    additions, shifts = map(round, work("nqe-t", "encoder", "entropy encoder"))
    assert f"{additions} additions, {shifts} shifts" in RESULTS
    assert f"{additions} add, {shifts} shift" in PAGE
