"""``heqcodec decode``: images and regions, damage, refusals, what lands on which stream."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from command_runner import run
from heqcodec import api
from heqcodec.container.header import HEADER_LENGTH
from PIL import Image

RNG = np.random.default_rng(23)


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
        assert result.exit_code == 2 and ".png, .jpg" in " ".join(result.stderr.split())
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
        assert "with --partial" in strict.stderr
        partial = run("decode", bad, out, "--partial")
        assert partial.exit_code == 1 and "strip 1 is damaged and was filled" in partial.stderr
        assert Image.open(out).size == (100, 70)
        answer = run("decode", bad, out, "--partial", "-f", "--json")
        (found,) = json.loads(answer.stdout)["files"]
        assert found["damaged_strips"] == [1]
        assert json.loads(answer.stdout)["failed"] == [
            {"input": str(bad), "error": found["failed"]}
        ]
        assert run("decode", coded, out, "--partial", "-f").exit_code == 0

    def test_a_cut_file_lists_ranges(self, coded: Path, tmp_path: Path) -> None:
        bad, out = tmp_path / "bad.heq", tmp_path / "out.png"
        bad.write_bytes(coded.read_bytes()[: HEADER_LENGTH + 3])
        result = run("decode", bad, out, "--partial")
        assert result.exit_code == 1 and "strips 0-2 are damaged" in result.stderr

    def test_max_pixels(self, coded: Path) -> None:
        result = run("decode", coded, coded.with_name("out.png"), "--max-pixels", "6999")
        assert result.exit_code == 1 and "--max-pixels" in result.stderr

    def test_a_device_of_no_such_name_is_a_wrong_command(self, coded: Path) -> None:
        result = run("decode", coded, coded.with_name("out.png"), "--device", "foo")
        assert result.exit_code == 2 and "cuda" in result.stderr

    def test_not_a_heq_file(self, photo: Path) -> None:
        result = run("decode", photo, photo.with_name("out.png"))
        assert result.exit_code == 1 and "photo.png" in result.stderr
        assert len(result.stderr.splitlines()) == 1
