"""The command line: files, streams, batches, refusals, exit codes, what lands on which stream."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import heqcodec
import numpy as np
import pytest
from heqcodec import api, models
from heqcodec.cli.application import app
from heqcodec.cli.demonstration import jpeg_of_size, side_by_side
from heqcodec.container.header import HEADER_LENGTH
from PIL import Image
from typer.testing import CliRunner

COMMAND = Path(__file__).with_name("light_command.py")
RNG = np.random.default_rng(23)


def run(*arguments: str | Path, stdin: bytes | None = None) -> Any:
    try:
        runner = CliRunner(mix_stderr=False)  # type: ignore[call-arg]
    except TypeError:  # newer versions keep the streams apart anyway
        runner = CliRunner()
    return runner.invoke(app, [str(argument) for argument in arguments], input=stdin)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(RNG.integers(0, 256, (70, 100, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def coded(light: Any, photo: Path) -> Path:
    path = photo.with_suffix(".heq")
    path.write_bytes(heqcodec.encode(photo))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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
        answer = json.loads(run("encode", photo, out, "--json").stdout)
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
        same = run("encode", photo, photo, "-f")
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
            assert result.exit_code == 1 and option[1] in result.stderr

    def test_max_pixels(self, photo: Path) -> None:
        result = run("encode", photo, photo.with_suffix(".heq"), "--max-pixels", "6999")
        assert result.exit_code == 1 and "--max-pixels" in result.stderr
        assert (
            run("encode", photo, photo.with_suffix(".heq"), "--max-pixels", "7000").exit_code == 0
        )

    def test_threads(self, photo: Path) -> None:
        torch = pytest.importorskip("torch")
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(2)
            assert run("encode", photo, photo.with_suffix(".heq"), "-j", "1").exit_code == 0
            assert torch.get_num_threads() == 1
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


@pytest.mark.usefixtures("light")
class TestDecode:
    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK"])
    @pytest.mark.parametrize("size", [(1, 1), (33, 31), (2, 65)])
    def test_there_and_back(self, mode: str, size: tuple[int, int], tmp_path: Path) -> None:
        source, middle, back = (tmp_path / name for name in ("a.tif", "a.heq", "b.png"))
        samples = RNG.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
        image = Image.fromarray(samples)
        image = (image if mode in ("RGBA", "LA") else image.convert("RGB")).convert(mode)
        image.save(source)
        assert run("encode", source, middle).exit_code == 0
        assert run("decode", middle, back).exit_code == 0
        with Image.open(back) as result:
            assert result.size == size
            pixels = heqcodec.decode(middle)
            assert np.array_equal(np.asarray(result).reshape(pixels.shape), pixels)
            if mode in ("RGBA", "LA"):
                assert np.array_equal(pixels[..., -1], np.asarray(image.getchannel("A")))

    def test_standard_streams_are_png(self, coded: Path) -> None:
        result = run("decode", "-", "-", stdin=coded.read_bytes())
        assert result.exit_code == 0
        image = Image.open(io.BytesIO(result.stdout_bytes))
        assert image.format == "PNG"
        assert np.array_equal(np.asarray(image), heqcodec.decode(coded))

    def test_region(self, coded: Path, tmp_path: Path) -> None:
        out = tmp_path / "part.png"
        assert run("decode", coded, out, "--region", "40,10,30,50").exit_code == 0
        assert np.array_equal(np.asarray(Image.open(out)), heqcodec.decode(coded)[10:60, 40:70])
        for wrong in ("1,2,3", "a,b,c,d", "0,0,0,5", "-1,0,5,5", "1.5,0,5,5", ""):
            assert run("decode", coded, tmp_path / "x.png", f"--region={wrong}").exit_code == 2
        outside = run("decode", coded, tmp_path / "x.png", "--region", "90,0,20,20")
        assert outside.exit_code == 1 and "100 x 70" in outside.stderr

    def test_metadata_reach_the_image(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x010F] = "Acme"
        Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
        run("encode", tmp_path / "a.jpg", tmp_path / "a.heq")
        for name in ("a.png", "a.webp", "b.jpg"):
            assert run("decode", tmp_path / "a.heq", tmp_path / name).exit_code == 0
            assert Image.open(tmp_path / name).getexif()[0x010F] == "Acme"

    def test_a_wrong_suffix_is_told_before_the_work(self, coded: Path, light: Any) -> None:
        result = run("decode", coded, coded.with_suffix(".mp4"))
        assert result.exit_code == 1 and ".png" in result.stderr
        assert light.decoders_loaded == 0

    def test_refuses_to_overwrite_without_force(self, coded: Path, photo: Path) -> None:
        before = photo.read_bytes()
        assert run("decode", coded, photo).exit_code == 1
        assert photo.read_bytes() == before
        assert run("decode", coded, photo, "-f").exit_code == 0
        assert photo.read_bytes() != before

    def test_damage(self, coded: Path, tmp_path: Path) -> None:
        data = bytearray(coded.read_bytes())
        header = api.ContainerReader(io.BytesIO(data)).header
        second = heqcodec.container.strip_offset(header, 1)
        data[second + 12] ^= 0x40
        bad, out = tmp_path / "bad.heq", tmp_path / "out.png"
        bad.write_bytes(data)
        strict = run("decode", bad, out)
        assert strict.exit_code == 1 and not out.exists()
        assert "bad.heq" in strict.stderr and "Strip 1" in strict.stderr
        partial = run("decode", bad, out, "--partial")
        assert partial.exit_code == 1 and "strips 1 are damaged" in partial.stderr
        assert Image.open(out).size == (100, 70)
        answer = run("decode", bad, out, "--partial", "-f", "--json")
        assert json.loads(answer.stdout)["damaged_strips"] == [1]
        assert run("decode", coded, out, "--partial", "-f").exit_code == 0

    def test_a_cut_file_lists_ranges(self, coded: Path, tmp_path: Path) -> None:
        bad, out = tmp_path / "bad.heq", tmp_path / "out.png"
        bad.write_bytes(coded.read_bytes()[: HEADER_LENGTH + 3])
        result = run("decode", bad, out, "--partial")
        assert result.exit_code == 1 and "strips 0-2 are damaged" in result.stderr

    def test_max_pixels(self, coded: Path) -> None:
        result = run("decode", coded, coded.with_name("out.png"), "--max-pixels", "6999")
        assert result.exit_code == 1 and "--max-pixels" in result.stderr

    def test_not_a_heq_file(self, photo: Path) -> None:
        result = run("decode", photo, photo.with_name("out.png"))
        assert result.exit_code == 1 and "photo.png" in result.stderr
        assert len(result.stderr.splitlines()) == 1


class TestInfoAndModels:
    def test_info(self, coded: Path) -> None:
        assert json.loads(run("info", coded, "--json").stdout) == heqcodec.info(coded)
        text = run("info", coded).stdout
        assert "100" in text and "file bytes" in text
        assert run("info", "-", stdin=coded.read_bytes()).stdout == text

    def test_info_verifies(self, coded: Path) -> None:
        data = bytearray(coded.read_bytes())
        data[HEADER_LENGTH + 9] ^= 1
        coded.write_bytes(data)
        result = run("info", coded)
        assert result.exit_code == 1 and "photo.heq" in result.stderr and result.stdout == ""
        assert run("info", coded.with_name("missing.heq")).exit_code == 1

    def test_models(self, monkeypatch: pytest.MonkeyPatch) -> None:
        described = [{"name": "one", "weight_bits": 12, "default": True}, {"name": "two"}]
        monkeypatch.setattr(models, "describe_models", lambda: described)
        assert json.loads(run("models", "--json").stdout) == described
        text = run("models").stdout
        assert "one" in text and "weight bits" in text and "two" in text


@pytest.mark.usefixtures("light")
class TestDemo:
    def test_numbers_and_picture(self, photo: Path, tmp_path: Path) -> None:
        pytest.importorskip("pytorch_msssim")
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

    def test_without_scikit_image(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setitem(sys.modules, "skimage", None)
        monkeypatch.setitem(sys.modules, "skimage.data", None)
        result = run("demo", "--out", tmp_path / "demo.png")
        assert result.exit_code == 1 and "heqcodec[demo]" in result.stderr
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


class TestTrain:
    def test_arguments_reach_the_training(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        calls: list[Any] = []

        def train(*arguments: Path, **options: Any) -> dict[str, Any]:
            calls.append((arguments, options))
            return {"training": {"steps": 7}, "held_out": {"psnr at 64 bits": 25.0}}

        module: Any = ModuleType("heqcodec.training.run")
        module.train = train
        monkeypatch.setitem(sys.modules, "heqcodec.training.run", module)
        recipe, weights, out = (tmp_path / name for name in ("r.toml", "w.safetensors", "o"))
        recipe.touch()
        weights.touch()
        line = ["train", recipe, "--data", tmp_path, "--minutes", "1.5", "--resume"]
        given = ["--held-out", tmp_path, "--encoder", weights, "--start", weights]
        result = run(*line, *given, "--out", out)
        assert result.exit_code == 0
        assert result.stderr == (
            f"Exported to {out / 'weights'} after 7 steps; psnr at 64 bits 25.00 dB.\n"
        )
        options = {
            "minutes": 1.5,
            "device": "auto",
            "resume": True,
            "out_dir": out,
            "held_out_dir": tmp_path,
            "encoder_from": weights,
            "start_from": weights,
        }
        assert calls == [((recipe, tmp_path), options)]

    def test_missing_arguments(self, tmp_path: Path) -> None:
        assert run("train", tmp_path / "none.toml", "--data", tmp_path).exit_code == 2
        assert run("train").exit_code == 2


class TestProcess:
    """In a process of its own: what is imported, and streams that are not files."""

    def command(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, *arguments], capture_output=True, timeout=60, **options
        )

    @pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["encode", "--help"]])
    def test_help_and_version_import_neither_torch_nor_numpy_users(
        self, arguments: list[str]
    ) -> None:
        code = (
            "import sys, atexit\n"
            "atexit.register(lambda: print('LOADED', *sys.modules))\n"
            f"sys.argv[1:] = {arguments!r}\n"
            "from heqcodec.cli import main\n"
            "main()\n"
        )
        done = self.command("-c", code)
        assert done.returncode == 0, done.stderr
        loaded = done.stdout.decode().split("LOADED")[1].split()
        assert "heqcodec.cli.application" in loaded
        assert not {"torch", "safetensors", "skimage", "matplotlib"} & set(loaded)

    def test_version_names_package_and_format(self) -> None:
        done = self.command("-m", "heqcodec.cli", "--version")
        expected = f"heqcodec {heqcodec.__version__}, format version {heqcodec.FORMAT_VERSION}\n"
        assert done.stdout.decode().replace("\r", "") == expected

    def test_pipes(self, photo: Path) -> None:
        encoded = self.command(str(COMMAND), "encode", "-", "-", input=photo.read_bytes())
        assert encoded.returncode == 0, encoded.stderr
        assert heqcodec.info(encoded.stdout)["width"] == 100
        decoded = self.command(str(COMMAND), "decode", "-", "-", input=encoded.stdout)
        assert decoded.returncode == 0
        assert Image.open(io.BytesIO(decoded.stdout)).size == (100, 70)

    def test_an_error_is_one_sentence_without_traceback(self, tmp_path: Path) -> None:
        done = self.command(str(COMMAND), "encode", "none.png", "out.heq", cwd=tmp_path)
        assert done.returncode == 1 and done.stdout == b""
        assert done.stderr.decode().splitlines() == [
            "heqcodec: none.png cannot be read: No such file or directory."
        ]

    @pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
    def test_ctrl_c_leaves_nothing(self, photo: Path) -> None:
        import signal

        process = subprocess.Popen(
            [sys.executable, str(COMMAND), "encode", "-", str(photo.with_suffix(".heq"))],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(photo.read_bytes()[:100])
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)  # it waits for the rest of the image
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 130
        assert b"Traceback" not in errors
        assert names(photo.parent) == ["photo.png"]
