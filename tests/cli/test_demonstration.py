"""``heqcodec demo``: its figures, its picture, and the JPEG for comparison."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from command_runner import names, run
from heqcodec.cli.demonstration import jpeg_of_size, side_by_side
from PIL import Image


@pytest.mark.usefixtures("light")
class TestDemo:
    def test_numbers_and_picture(self, photo: Path, tmp_path: Path) -> None:
        large = tmp_path / "large.png"
        Image.open(photo).resize((220, 180)).save(large)
        out = tmp_path / "demo.png"
        result = run("demo", large, "--out", out)
        assert result.exit_code == 0, result.stderr
        size = len(heqcodec.encode(np.asarray(Image.open(large))))
        assert f"{size:,}" in result.stdout and "JPEG" in result.stdout
        sheet = Image.open(out)
        assert sheet.width >= 3 * 220 and sheet.height > 180
        assert np.array_equal(np.asarray(sheet)[-180:, :220], np.asarray(Image.open(large)))
        assert run("demo", large, "--out", out).exit_code == 1
        quiet = run("demo", large, "--out", out, "-f", "--quiet")
        assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")

    @pytest.mark.slow
    def test_its_own_photograph_needs_no_scikit_image(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setitem(sys.modules, "skimage", None)
        monkeypatch.chdir(tmp_path)
        result = run("demo")
        assert result.exit_code == 0, result.stderr
        assert "NASA" in result.stdout and "512x512" in result.stdout
        with Image.open("heqcodec-demo.png") as sheet:
            assert sheet.width >= 3 * 512
        before = (tmp_path / "heqcodec-demo.png").stat().st_mtime_ns
        again = run("demo")
        assert again.exit_code == 1 and "-f" in again.stderr
        assert (tmp_path / "heqcodec-demo.png").stat().st_mtime_ns == before
        assert run("demo", "-f").exit_code == 0

    def test_a_picture_that_cannot_be_written_is_a_wrong_command(self, tmp_path: Path) -> None:
        assert run("demo", "--out", tmp_path / "demo.gif").exit_code == 2
        wrong = run("demo", "--out", tmp_path / "demo.png", "--bpp", "0.3")
        assert wrong.exit_code == 2 and "--bpp" in wrong.stderr
        assert names(tmp_path) == []

    @pytest.mark.parametrize("size", [1, 900, 2500, 10**9])
    def test_the_jpeg_is_the_smallest_that_is_not_smaller(self, size: int, photo: Path) -> None:
        pixels = np.asarray(Image.open(photo))
        data, quality = jpeg_of_size(pixels, size)
        assert Image.open(io.BytesIO(data)).format == "JPEG"
        sizes = []
        for q in range(1, 96):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(
                buffer, "JPEG", quality=q, optimize=True, subsampling="4:2:0"
            )
            sizes.append(len(buffer.getvalue()))
        enough = [s for s in sizes if s >= size]
        assert len(data) == (min(enough) if enough else sizes[-1]) == sizes[quality - 1]

    def test_gray_pictures_stand_beside_coloured_ones(self) -> None:
        gray = np.full((5, 7, 1), 9, np.uint8)
        sheet = side_by_side([gray, np.zeros((5, 7, 3), np.uint8)], ["a", "b"])
        assert (sheet[-5:, :7] == 9).all() and (sheet[-5:, -7:] == 0).all()
