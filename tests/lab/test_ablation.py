"""The ablation on a small photograph: real files, and each ingredient worth its bits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from small_models import photograph

pytest.importorskip("torch")

from heqcodec.lab.comparison import ablation


@pytest.mark.slow
def test_every_ingredient_is_measured_against_its_anchor(tmp_path: Path) -> None:
    for name, box in (("images", (96, 0, 288, 160)), ("train", (64, 0, 320, 256))):
        (tmp_path / name).mkdir()
        Image.fromarray(photograph()).crop(box).save(tmp_path / name / "a.png")
    ablation.main(tmp_path / "images", tmp_path / "train", tmp_path / "out/small")
    results = json.loads((tmp_path / "out/small.json").read_text())
    rows = {row["name"]: row for row in results["rows"]}
    assert {row["anchor"] for row in results["rows"]} == {"", ablation.WHOLE, ablation.INVERSE}
    for row in rows.values():
        assert row["bpp"] == sorted(row["bpp"]) and row["psnr"] == sorted(row["psnr"])
    whole, device = rows[ablation.WHOLE], rows["device coder"]
    assert whole["psnr"] == device["psnr"]
    assert all(a < b for a, b in zip(whole["bpp"], device["bpp"], strict=True))
    assert whole["bpp"] == rows[ablation.INVERSE]["bpp"]
    for name in (ablation.INVERSE, "device coder", "no dead zone: thresholds of 1/2"):
        assert rows[name]["bd_rate"] > 1
    page = (tmp_path / "out/small.md").read_text()
    assert "| the whole | packed | strong |  |" in page and "1 images, real files" in page
