"""``heqcodec encode``: files, streams, refusals, exit codes, what lands on which stream."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import heqcodec
import pytest
from command_runner import names, run
from heqcodec import api
from heqcodec.base.threads import thread_count
from PIL import Image
from typer import BadParameter


@pytest.mark.usefixtures("light")
class TestEncode:
    def test_writes_what_the_library_writes_and_says_so(self, photo: Path, tmp_path: Path) -> None:
        out = tmp_path / "out.heq"
        result = run("encode", photo, out, "--bpp", "0.5")
        assert result.exit_code == 0 and result.stderr == ""
        data = out.read_bytes()
        assert data == heqcodec.encode(photo, bpp=0.5)
        assert f"{len(data):,} bytes" in result.stdout
        assert f"{8 * len(data) / 7000:.4f} bpp" in result.stdout
        assert len(result.stdout.splitlines()) == 1

    def test_json(self, photo: Path, tmp_path: Path) -> None:
        out = tmp_path / "out.heq"
        answers = json.loads(run("encode", photo, out, "--json").stdout)
        assert answers["failed"] == []
        (answer,) = answers["files"]
        assert answer["bytes"] == out.stat().st_size
        assert answer["bpp"] == pytest.approx(8 * answer["bytes"] / (100 * 70))
        assert (answer["width"], answer["height"], answer["channels"]) == (100, 70, 3)
        assert answer["seconds"] >= 0 and answer["notes"] == []

    def test_standard_streams(self, photo: Path) -> None:
        result = run("encode", "-", "-", stdin=photo.read_bytes())
        assert result.exit_code == 0
        assert result.stdout_bytes == heqcodec.encode(photo)
        assert "bytes" in result.stderr

    def test_notes_and_strip(self, tmp_path: Path) -> None:
        source = tmp_path / "cmyk.jpg"
        exif = Image.Exif()
        exif[0x010F] = "Acme"
        Image.new("CMYK", (40, 20)).save(source, exif=exif)
        kept, stripped = tmp_path / "kept.heq", tmp_path / "stripped.heq"
        result = run("encode", source, kept)
        assert "CMYK was converted" in result.stderr and "CMYK" not in result.stdout
        assert run("encode", source, stripped, "--strip").exit_code == 0
        assert heqcodec.read_metadata(kept).exif and not heqcodec.read_metadata(stripped).exif

    def test_refuses_to_overwrite_without_force(self, photo: Path, tmp_path: Path) -> None:
        out = tmp_path / "out.heq"
        out.write_bytes(b"precious")
        result = run("encode", photo, out)
        assert result.exit_code == 1 and "-f" in result.stderr
        assert out.read_bytes() == b"precious"
        assert run("encode", photo, out, "-f").exit_code == 0
        assert out.read_bytes() == heqcodec.encode(photo)
        same = run("encode", out, out, "-f")
        assert same.exit_code == 1 and "input itself" in same.stderr

    @pytest.mark.parametrize(
        "name", ["missing.png", "notes.png", "already.heq"], ids=["missing", "text", "heq"]
    )
    def test_bad_input(self, name: str, photo: Path, tmp_path: Path) -> None:
        (tmp_path / "notes.png").write_text("hello")
        (tmp_path / "already.heq").write_bytes(heqcodec.encode(photo))
        before = names(tmp_path)
        result = run("encode", tmp_path / name, tmp_path / "out.heq")
        assert result.exit_code == 1 and result.stdout == ""
        assert name in result.stderr and len(result.stderr.splitlines()) == 1
        assert names(tmp_path) == before

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["only-one"],
            ["a", "b", "--bpp", "0.3"],
            ["a", "b", "--bpp", "much"],
            ["a", "b", "--mode", "fast"],
            ["a", "b", "--coder", "zip"],
            ["a", "b", "-j", "0"],
            ["a", "b", "--max-pixels", "0"],
            ["a", "b", "--unknown"],
            ["a", "-", "--json"],
            ["a", "b", "-"],
        ],
    )
    def test_wrong_commands_exit_with_2(self, arguments: list[str], tmp_path: Path) -> None:
        before = names(tmp_path)
        result = run("encode", *arguments)
        assert result.exit_code == 2 and result.stderr and result.stdout == ""
        assert names(tmp_path) == before

    def test_options_of_later_versions_and_unknown_models(self, photo: Path) -> None:
        for option in (("--mode", "rate"), ("--coder", "packed"), ("--model", "absent")):
            result = run("encode", photo, photo.with_name("out.heq"), *option)
            assert result.exit_code == 2 and option[1] in result.stderr

    def test_messages_name_options_as_the_command_has_them(self, photo: Path) -> None:
        from heqcodec.cli.encoding import EncodeSettings

        for given, said in (
            ({"mode": "patch", "tune": "ssim"}, "--tune ssim belongs to"),
            ({"mode": "patch", "coder": "packed"}, "--coder packed belongs to"),
            ({"quality": 40, "target_size": 900}, "-q and --target-size contradict"),
        ):
            with pytest.raises(BadParameter, match=said):
                EncodeSettings(**given).checked()  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", ["x.jpg", "x.PNG", "x.heic", "x.pdf"])
    def test_another_kind_of_image_is_no_name_for_a_heq_file(self, name: str, photo: Path) -> None:
        for inputs in ([photo], [photo, photo.with_name("b.png")]):
            result = run("encode", *inputs, photo.with_name(name))
            # Long paths wrap inside the box of a usage error.
            said = "".join(result.stderr.replace("│", " ").split())
            assert result.exit_code == 2 and name in said
            assert names(photo.parent) == ["photo.png"]
        assert run("encode", photo, photo.with_name("x.out")).exit_code == 0

    def test_quiet(self, photo: Path, tmp_path: Path) -> None:
        source = tmp_path / "cmyk.jpg"
        Image.new("CMYK", (40, 20)).save(source)
        result = run("encode", source, tmp_path / "out.heq", "--quiet")
        assert result.exit_code == 0 and result.stdout == result.stderr == ""
        result = run("encode", source, tmp_path / "out.heq", "--quiet")
        assert result.exit_code == 1 and "-f" in result.stderr

    def test_a_failure_is_in_the_json(self, photo: Path) -> None:
        missing = photo.with_name("missing.png")
        result = run("encode", missing, photo.with_suffix(".heq"), "--json")
        answers = json.loads(result.stdout)
        assert result.exit_code == 1 and answers["files"] == []
        (failure,) = answers["failed"]
        assert failure["input"] == str(missing) and "No such file" in failure["error"]
        assert result.stderr == f"heqcodec: {failure['error']}\n"

    def test_max_pixels(self, photo: Path) -> None:
        result = run("encode", photo, photo.with_suffix(".heq"), "--max-pixels", "6999")
        assert result.exit_code == 1 and "--max-pixels" in result.stderr
        assert (
            run("encode", photo, photo.with_suffix(".heq"), "--max-pixels", "7000").exit_code == 0
        )

    def test_threads(self, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        torch = pytest.importorskip("torch")
        monkeypatch.setenv("OMP_NUM_THREADS", "2")  # and back, afterwards
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(2)
            assert run("encode", photo, photo.with_suffix(".heq"), "-j", "1").exit_code == 0
            assert torch.get_num_threads() == thread_count() == 1
        finally:
            torch.set_num_threads(before)

    def test_an_interruption_leaves_nothing(
        self, photo: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        for place in ((api, "encode"), (os, "replace")):
            with monkeypatch.context() as patch:
                patch.setattr(*place, interrupt)
                result = run("encode", photo, photo.with_suffix(".heq"))
            assert result.exit_code == 130 and "Traceback" not in result.stderr
            assert names(photo.parent) == ["photo.png"]

    def test_missing_output_folder(self, photo: Path) -> None:
        result = run("encode", photo, photo.parent / "no" / "out.heq")
        assert result.exit_code == 1 and "does not exist" in result.stderr
        result = run("encode", photo, photo / "out.heq")
        assert result.exit_code == 1 and "photo.png is a file" in result.stderr
