"""Many files in one command: folders, globs and lists, and what becomes of bad files."""

from __future__ import annotations

import json
from pathlib import Path

import heqcodec
import pytest
from command_runner import names, run
from PIL import Image


@pytest.mark.usefixtures("light")
class TestBatch:
    @pytest.fixture
    def folder(self, tmp_path: Path, photo: Path) -> Path:
        folder = tmp_path / "in"
        folder.mkdir()
        for name in ("a.png", "c.jpg", "d.bmp"):
            Image.open(photo).save(folder / name)
        (folder / "b.png").write_text("not an image")
        (folder / "readme.txt").write_text("passed over")
        return folder

    def test_a_bad_file_does_not_stop_the_others(self, folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "new" / "out"
        result = run("encode", folder, out)
        assert result.exit_code == 1
        assert names(out) == ["a.heq", "c.heq", "d.heq"]
        assert len(result.stdout.splitlines()) == 3
        assert "1 of 4 files failed" in result.stderr and "b.png" in result.stderr
        assert "a.png" not in result.stderr
        for name in ("a", "c", "d"):
            assert heqcodec.info(out / f"{name}.heq")["width"] == 100

    def test_json_lists_files_and_failures(self, folder: Path, tmp_path: Path) -> None:
        result = run("encode", folder, tmp_path / "out", "--json")
        answer = json.loads(result.stdout)
        assert [Path(entry["output"]).name for entry in answer["files"]] == [
            "a.heq",
            "c.heq",
            "d.heq",
        ]
        assert [Path(entry["input"]).name for entry in answer["failed"]] == ["b.png"]
        assert result.exit_code == 1

    def test_globs_and_lists(self, folder: Path, tmp_path: Path) -> None:
        assert run("encode", folder / "*.jpg", tmp_path / "one").exit_code == 0
        assert names(tmp_path / "one") == ["c.heq"]
        assert run("encode", folder / "a.png", folder / "d.bmp", tmp_path / "two").exit_code == 0
        assert names(tmp_path / "two") == ["a.heq", "d.heq"]
        nothing = run("encode", folder / "*.tif", tmp_path / "three")
        assert nothing.exit_code == 1 and "*.tif" in nothing.stderr

    def test_a_single_file_into_a_folder(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        assert run("encode", folder / "a.png", tmp_path / "out").exit_code == 0
        assert names(tmp_path / "out") == ["a.heq"]

    def test_equal_stems_keep_their_suffix(self, folder: Path, tmp_path: Path) -> None:
        Image.open(folder / "a.png").save(folder / "a.bmp")
        run("encode", folder, tmp_path / "out")
        assert names(tmp_path / "out") == ["a.bmp.heq", "a.png.heq", "c.heq", "d.heq"]

    def test_an_existing_output_counts_as_failed(self, folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()
        (out / "a.heq").write_bytes(b"precious")
        result = run("encode", folder / "a.png", folder / "c.jpg", out)
        assert result.exit_code == 1 and "-f" in result.stderr
        assert (out / "a.heq").read_bytes() == b"precious" and (out / "c.heq").exists()

    def test_a_file_where_a_folder_is_needed(self, folder: Path, photo: Path) -> None:
        assert run("encode", folder, photo).exit_code == 2
        assert run("encode", folder, "-").exit_code == 2

    def test_decoding_a_folder(self, folder: Path, tmp_path: Path) -> None:
        run("encode", folder, tmp_path / "coded")
        (tmp_path / "coded" / "bad.heq").write_bytes(b"\x89HEQ")
        result = run("decode", tmp_path / "coded", tmp_path / "back")
        assert result.exit_code == 1 and "bad.heq" in result.stderr
        assert names(tmp_path / "back") == ["a.png", "c.png", "d.png"]
        with Image.open(tmp_path / "back" / "a.png") as image:
            assert image.size == (100, 70)
