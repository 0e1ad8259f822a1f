"""The command line and the Pillow plugin in the variable-rate mode."""

from __future__ import annotations

import io
import json
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from command_runner import names, run
from PIL import Image
from sample_rate_files import PHOTO, extents

pytestmark = pytest.mark.usefixtures("light_rate")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(PHOTO).save(path)
    return path


def decoded(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


class TestEncode:
    @pytest.mark.parametrize(
        ("arguments", "options"),
        [
            ([], {}),
            (["-q", "30"], {"quality": 30}),
            (["--quality", "30.5"], {"quality": 30.5}),
            (["--bpp", "0.9"], {"bpp": 0.9}),
            (["--bpp", "0.25"], {"bpp": 0.25}),
            (["--target-size", "7000"], {"target_size": 7000}),
            (["--coder", "packed"], {"coder": "packed"}),
            (["--mode", "patch", "--bpp", "0.5"], {"mode": "patch", "bpp": 0.5}),
            (["--mode", "rate", "--strip-rows", "2"], {"strip_rows": 2}),
            (["--model", "light"], {"model": "light"}),
        ],
    )
    def test_is_what_the_library_writes(
        self, photo: Path, arguments: list[str], options: dict[str, object]
    ) -> None:
        out = photo.with_suffix(".heq")
        if options.get("bpp") == 0.25:  # too little for the light model
            result = run("encode", photo, out, *arguments)
            assert result.exit_code == 1 and "smallest file" in result.stderr
            assert len(result.stderr.splitlines()) == 1 and not out.exists()
            return
        result = run("encode", photo, out, *arguments)
        assert result.exit_code == 0 and result.stderr == ""
        assert out.read_bytes() == heqcodec.encode(photo, **options)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["-q", "0"],
            ["-q", "101"],
            ["-q", "nan"],
            ["-q", "30", "--bpp", "1"],
            ["-q", "30", "--target-size", "5000"],
            ["--target-size", "0"],
            ["--bpp", "0"],
            ["--bpp", "nan"],
            ["--bpp", "0.3", "--mode", "patch"],
            ["--bpp", "0.3", "--model", "light"],
            ["--strip-rows", "0"],
            ["--strip-rows", "256"],
        ],
    )
    def test_wrong_commands_exit_with_2(self, photo: Path, arguments: list[str]) -> None:
        result = run("encode", photo, photo.with_suffix(".heq"), *arguments)
        assert result.exit_code == 2 and result.stderr and result.stdout == ""
        assert names(photo.parent) == ["photo.png"]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--mode", "patch", "-q", "30"],
            ["--mode", "patch", "--coder", "packed"],
            ["--mode", "patch", "--target-size", "9000"],
            ["--model", "light", "-q", "30"],
            ["--mode", "rate", "--model", "light"],
        ],
    )
    def test_contradictions_exit_with_2(self, photo: Path, arguments: list[str]) -> None:
        result = run("encode", photo, photo.with_suffix(".heq"), *arguments)
        assert result.exit_code == 2 and "leave" in result.stderr
        assert "mode=" not in result.stderr and "target_size" not in result.stderr
        assert names(photo.parent) == ["photo.png"]


class TestRepack:
    def test_there_and_back(self, photo: Path, tmp_path: Path) -> None:
        device = heqcodec.encode(photo)
        (tmp_path / "a.heq").write_bytes(device)
        result = run("pack", tmp_path / "a.heq", tmp_path / "p.heq")
        assert result.exit_code == 0 and "bytes (" in result.stdout and result.stderr == ""
        assert (tmp_path / "p.heq").read_bytes() == heqcodec.pack(device)
        assert run("unpack", tmp_path / "p.heq", tmp_path / "u.heq").exit_code == 0
        assert (tmp_path / "u.heq").read_bytes() == device
        (answer,) = json.loads(
            run("pack", tmp_path / "a.heq", tmp_path / "p.heq", "-f", "--json").stdout
        )["files"]
        assert answer["input_bytes"] == len(device)
        assert answer["bytes"] == (tmp_path / "p.heq").stat().st_size

    def test_standard_streams(self) -> None:
        device = heqcodec.encode(PHOTO)
        packed = run("pack", "-", "-", "--strip-rows", "3", stdin=device)
        assert packed.exit_code == 0
        assert packed.stdout_bytes == heqcodec.pack(device, strip_rows=3)
        assert run("unpack", "-", "-", stdin=packed.stdout_bytes).stdout_bytes == device

    def test_folders(self, tmp_path: Path) -> None:
        folder, out = tmp_path / "in", tmp_path / "out"
        folder.mkdir()
        for number, name in enumerate(("a", "b", "c")):
            (folder / f"{name}.heq").write_bytes(heqcodec.encode(PHOTO[: 20 + number]))
        (folder / "c.heq").write_bytes(heqcodec.encode(PHOTO, coder="packed"))
        (folder / "notes.txt").write_text("passed over")
        result = run("pack", folder, out)
        assert result.exit_code == 1 and "c.heq" in result.stderr
        assert "packed already" in result.stderr
        assert names(out) == ["a.heq", "b.heq"]
        assert run("unpack", out, tmp_path / "back").exit_code == 0
        for name in ("a.heq", "b.heq"):
            assert (tmp_path / "back" / name).read_bytes() == (folder / name).read_bytes()

    def test_refusals(self, tmp_path: Path) -> None:
        device, out = tmp_path / "a.heq", tmp_path / "out.heq"
        device.write_bytes(heqcodec.encode(PHOTO))
        result = run("unpack", device, out)
        assert result.exit_code == 1 and "a.heq" in result.stderr and not out.exists()
        assert len(result.stderr.splitlines()) == 1
        out.write_bytes(b"precious")
        result = run("pack", device, out)
        assert result.exit_code == 1 and "-f" in result.stderr
        assert out.read_bytes() == b"precious"
        assert run("pack", device, device, "-f").exit_code == 1
        result = run("pack", device, out, "-f", "--max-pixels", "100")
        assert result.exit_code == 1 and "--max-pixels" in result.stderr
        assert names(tmp_path) == ["a.heq", "out.heq"]


class TestDecodeAndInfo:
    def test_alpha_is_named_where_it_takes_the_room(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
        for name, channels in (("a.png", 4), ("b.png", 3)):
            Image.fromarray(noise[..., :channels]).save(tmp_path / name)
            result = run("encode", tmp_path / name, tmp_path / "a.heq", "--target-size", "100")
            assert result.exit_code == 1 and ("alpha" in result.stderr) == (channels == 4)

    def test_slices(self, tmp_path: Path) -> None:
        data = heqcodec.encode(PHOTO, quality=70, coder="packed")
        (tmp_path / "a.heq").write_bytes(data)
        out = tmp_path / "a.png"
        assert run("decode", tmp_path / "a.heq", out, "--slices", "2").exit_code == 0
        assert np.array_equal(decoded(out), heqcodec.decode(data, slices=2))
        assert run("decode", tmp_path / "a.heq", out, "-f", "--slices", "0").exit_code == 2
        (tmp_path / "a.heq").write_bytes(heqcodec.unpack(data))
        result = run("decode", tmp_path / "a.heq", out, "-f", "--slices", "2")
        assert result.exit_code == 1 and "packed and progressive files have slices" in result.stderr

    def test_a_cut_packed_file_is_coarser(self, tmp_path: Path) -> None:
        data = heqcodec.encode(PHOTO, quality=70, coder="packed")
        ((start, stop),) = extents(data)
        (tmp_path / "a.heq").write_bytes(data[: (start + stop) // 2])
        out = tmp_path / "a.png"
        result = run("decode", tmp_path / "a.heq", out, "--partial", "--json")
        assert result.exit_code == 1 and "strip 0 is damaged and coarser" in result.stderr
        (answer,) = json.loads(result.stdout)["files"]
        assert (answer["coarse_strips"], answer["damaged_strips"]) == ([0], [])
        assert decoded(out).shape == PHOTO.shape

    def test_info(self, tmp_path: Path) -> None:
        path = tmp_path / "a.heq"
        path.write_bytes(heqcodec.encode(PHOTO, quality=70, coder="packed"))
        text = run("info", path).stdout
        for line in ("rate", "packed", "70", "352"):
            assert line in text


class TestPillow:
    def test_save_and_open(self) -> None:
        for options in ({"quality": 20}, {"quality": 80, "coder": "packed"}, {"target_size": 9000}):
            buffer = io.BytesIO()
            Image.fromarray(PHOTO).save(buffer, "HEQ", **options)
            data = buffer.getvalue()
            assert data == heqcodec.encode(PHOTO, **options)  # type: ignore[arg-type]
            with Image.open(io.BytesIO(data)) as image:
                assert (image.mode, image.size) == ("RGB", (270, 200))
                assert np.array_equal(np.asarray(image), heqcodec.decode(data))

    def test_bad_quality(self, tmp_path: Path) -> None:
        with pytest.raises(heqcodec.HeqError, match="1 to 100"):
            Image.fromarray(PHOTO).save(tmp_path / "a.heq", quality=0)
        assert not (tmp_path / "a.heq").exists()

    def test_opening_loads_no_model(self, light_rate: object) -> None:
        data = heqcodec.encode(PHOTO)
        assert Image.open(io.BytesIO(data)).size == (270, 200)
        assert light_rate.decoders_loaded == 0  # type: ignore[attr-defined]
