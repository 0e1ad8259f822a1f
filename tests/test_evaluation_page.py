"""docs/EVALUATION.md and the suite say the same: its tables are compared, its example is run."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from heqcodec import models
from heqcodec.eval import curves, summary
from heqcodec.eval.baselines import bpg, codec_names, compressai_models, heic, jxl, make_codec
from heqcodec.eval.bjontegaard import compare
from heqcodec.eval.measurement import Measurement
from heqcodec.eval.publications import published_curve
from PIL import Image

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "EVALUATION.md").read_text("utf-8")


def table(columns: str) -> list[list[str]]:
    """Rows of the table of the page whose heading is ``columns``, as text."""
    found = re.search(re.escape(columns) + r"\n\|[-|]+\|\n((?:\|.*\|\n)+)", PAGE)
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
            every = [name.replace("MODEL", model) for model in models.model_names("patch")]
            for spec in dict.fromkeys(every):
                codec = make_codec(spec)
                settings = " ".join(f"{value:g}" for value in codec.settings)
                told = codec.setting_name, settings, "one" if codec.single_threaded else "all"
                assert told == (setting, ladder, threads), spec
                listed.append(spec)
    assert sorted(listed) == sorted(codec_names())


def test_the_sentences_are_those_of_codecs_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (heic, jxl, compressai_models):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(bpg.shutil, "which", lambda program: None)
    for name, sentence in table("| codec | sentence |"):
        assert make_codec(*quoted(name)).missing() == sentence.replace("\\`", "`")


def test_the_known_values_are_known() -> None:
    rows = table("| anchor | codec | full range | 0.1 to 1 bpp |")
    assert len(rows) == 3
    for anchor, codec, full, ranged in rows:
        first, second = (published_curve(*quoted(name)).pairs("psnr") for name in (anchor, codec))
        for rates, told in ((None, full), ((0.1, 1.0), ranged)):
            assert f"{compare(first, second, rates).rate:+.1f} %" == told


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
