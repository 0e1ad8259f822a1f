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

    def test_a_name_with_a_slash_is_a_folder(self, folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "new"
        assert run("encode", folder / "a.png", f"{out}/").exit_code == 0
        assert names(out) == ["a.heq"]
        assert run("decode", out / "a.heq", f"{out}/back/").exit_code == 0
        assert names(out) == ["a.heq", "back"] and names(out / "back") == ["a.png"]
        assert run("encode", folder / "a.png", f"{out / 'a.heq'}/").exit_code == 2


@pytest.mark.usefixtures("light")
class TestTrees:
    @pytest.fixture
    def tree(self, tmp_path: Path, photo: Path) -> Path:
        tree = tmp_path / "in"
        for name in ("a.png", "x/a.png", "x/y/b.png", ".hidden/c.png", "x/._a.png", "x/notes.txt"):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(photo.read_bytes())
        return tree

    @staticmethod
    def files(folder: Path) -> list[str]:
        return sorted(
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        )

    def test_a_folder_alone_or_with_all_below_it(self, tree: Path, tmp_path: Path) -> None:
        assert run("encode", tree, tmp_path / "flat").exit_code == 0
        assert self.files(tmp_path / "flat") == ["a.heq"]
        assert run("encode", "-r", tree, tmp_path / "deep").exit_code == 0
        assert self.files(tmp_path / "deep") == ["a.heq", "x/a.heq", "x/y/b.heq"]
        for command in ("decode", "pack"):
            outcome = run(command, tmp_path / "deep" / "x" / "y" / "..", tmp_path / command)
            assert outcome.exit_code == (0 if command == "decode" else 1)
        assert run("decode", "-r", tmp_path / "deep", tmp_path / "back").exit_code == 0
        assert self.files(tmp_path / "back") == ["a.png", "x/a.png", "x/y/b.png"]

    def test_the_output_is_no_input(self, tree: Path) -> None:
        run("encode", "-r", tree, tree)
        for _ in range(2):
            result = run("decode", "-r", tree, tree / "x" / "out", "-f")
            assert result.exit_code == 0
            assert self.files(tree / "x" / "out") == ["a.png", "x/a.png", "x/y/b.png"]
        result = run("encode", "-r", tree, tree / "x" / "out", "-f")
        assert len(result.stdout.splitlines()) == 3

    def test_patterns_keep_the_folders_below_their_fixed_part(
        self, tree: Path, tmp_path: Path
    ) -> None:
        assert run("encode", tree / "**" / "*.png", tmp_path / "all").exit_code == 0
        assert self.files(tmp_path / "all") == ["a.heq", "x/a.heq", "x/y/b.heq"]
        assert run("encode", tree / "x" / "**" / "*.png", tmp_path / "some").exit_code == 0
        assert self.files(tmp_path / "some") == ["a.heq", "y/b.heq"]

    def test_a_folder_of_folders_alone_says_what_helps(self, tree: Path, tmp_path: Path) -> None:
        (tree / "a.png").unlink()
        result = run("encode", tree, tmp_path / "out")
        assert result.exit_code == 1 and "-r" in result.stderr
        assert not (tmp_path / "out").exists()

    def test_dot_files_that_are_named_are_taken(self, tree: Path, tmp_path: Path) -> None:
        assert run("encode", tree / "x" / "._a.png", tmp_path / "out.heq").exit_code == 0
