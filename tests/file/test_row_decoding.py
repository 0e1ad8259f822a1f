"""Huge frames by rows: the bytes and pixels of whole ones, from and to TIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
import tifffile
from command_runner import run
from heqcodec.base.errors import HeqError, HeqLimitError, HeqUnsupportedError
from heqcodec.file.row_decoding import decode_rows
from heqcodec.image.rows import load_rows, write_rows
from heqcodec.image.tiff_rows import TiffRows
from PIL import Image
from slow_cases import quick_first
from small_models import photograph

PIXELS = np.ascontiguousarray(np.tile(photograph()[:300, :170], (1, 2, 1)))


def written(path: Path, pixels: np.ndarray = PIXELS, **how: Any) -> Path:
    how = {"photometric": "rgb" if pixels.ndim == 3 else "minisblack", **how}
    tifffile.imwrite(path, pixels, **how)
    return path


LAYOUTS: dict[str, dict[str, Any]] = {
    "one strip": {},
    "strips": {"rowsperstrip": 7},
    "deflate": {"rowsperstrip": 50, "compression": "zlib", "predictor": True},
    "tiles": {"tile": (64, 48)},
    "tiles with deflate": {"tile": (128, 128), "compression": "zlib"},
    "BigTIFF": {"bigtiff": True, "rowsperstrip": 33},
    "big-endian": {"byteorder": ">"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_encodes_to_the_bytes_of_the_whole_image(tmp_path: Path, layout: str) -> None:
    path = written(tmp_path / "a.tif", **LAYOUTS[layout])
    by_rows = heqcodec.encode(load_rows(path, None), quality=40, strip_rows=2)
    assert by_rows == heqcodec.encode(path, quality=40, strip_rows=2)
    bare = heqcodec.encode(load_rows(path, None), quality=40, strip_rows=2, strip_metadata=True)
    assert bare == heqcodec.encode(PIXELS, quality=40, strip_rows=2)


@pytest.mark.parametrize("layout", ["deflate", "tiles", "big-endian"])
def test_sixteen_bits_are_rounded(tmp_path: Path, layout: str) -> None:
    deep = PIXELS.astype(np.uint16) * 257 + np.uint16(100)
    path = written(tmp_path / "a.tif", deep, **LAYOUTS[layout])
    assert np.array_equal(load_rows(path, None).pixels[40:90], PIXELS[40:90])


def test_gray_and_gray_as_colours(tmp_path: Path) -> None:
    gray = PIXELS[..., 1]
    alone = written(tmp_path / "gray.tif", gray, tile=(64, 64))
    how: Any = {"strip_metadata": True}
    assert heqcodec.encode(load_rows(alone, None), **how) == heqcodec.encode(gray)
    three = np.repeat(gray[..., None], 3, axis=2)
    path = written(tmp_path / "three.tif", three, rowsperstrip=40)
    assert heqcodec.encode(load_rows(path, None), **how) == heqcodec.encode(three)


def test_reads_each_strip_of_the_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And holds no more than those that reach into the rows at work."""
    path = written(tmp_path / "a.tif", rowsperstrip=20, compression="zlib")
    read: list[int] = []
    decoded = TiffRows._decoded

    def counted(rows: TiffRows, index: int, height: int) -> Any:
        read.append(index)
        assert len(rows._held) <= 4
        return decoded(rows, index, height)

    monkeypatch.setattr(TiffRows, "_decoded", counted)
    image = load_rows(path, None)
    for top in range(0, 300, 32):
        assert np.array_equal(image.pixels[top : top + 32], PIXELS[top : top + 32])
    assert read == list(range(15))


@pytest.mark.parametrize("decoder", quick_first(["plain", "fast"]))
def test_bands_are_the_pixels_of_decode(decoder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heqcodec.purenet.tiles.TILE", 3)
    data = heqcodec.encode(PIXELS, quality=40)
    whole = heqcodec.decode(data, decoder=decoder)
    with decode_rows(data, decoder=decoder) as image:
        bands = list(image.bands)
        assert image.shape == whole.shape
    assert [len(band) for band in bands] == [96, 96, 96, 12]
    assert np.array_equal(np.concatenate(bands), whole)


@pytest.mark.parametrize("kind", ["alpha", "gray", "gray as RGB"])
def test_bands_have_the_channels_of_decode(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heqcodec.purenet.tiles.TILE", 3)
    pixels = {
        "alpha": np.dstack((PIXELS, PIXELS[..., 0])),
        "gray": PIXELS[..., :1],
        "gray as RGB": np.repeat(PIXELS[..., :1], 3, axis=2),
    }[kind]
    data = heqcodec.encode(pixels, quality=40)
    with decode_rows(data, decoder="plain") as image:
        shown = np.concatenate(list(image.bands))
        assert shown.shape == image.shape
    assert np.array_equal(shown, heqcodec.decode(data, decoder="plain"))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_writes_what_pillow_and_tifffile_read(tmp_path: Path, channels: int) -> None:
    pixels = np.dstack((PIXELS, PIXELS[..., 0]))[..., :channels]
    bands = (pixels[top : top + 64] for top in range(0, 300, 64))
    write_rows(tmp_path / "a.tif", pixels.shape, bands, icc=b"profile", xmp=b"<x/>")
    expected = pixels[..., 0] if channels == 1 else pixels
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), expected)
    with Image.open(tmp_path / "a.tif") as image:
        assert np.array_equal(np.asarray(image), expected)
        assert image.info["icc_profile"] == b"profile"
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_the_commands(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", tile=(64, 64))
    assert run("encode", path, tmp_path / "a.heq", "--rows", "-q", "40").exit_code == 0
    data = (tmp_path / "a.heq").read_bytes()
    assert data == heqcodec.encode(path, quality=40)
    out = tmp_path / "back.tif"
    assert run("decode", tmp_path / "a.heq", out, "--rows", "--decoder", "plain").exit_code == 0
    assert np.array_equal(tifffile.imread(out), heqcodec.decode(data, decoder="plain"))
    for suffix in (".png", ".ppm"):
        out = tmp_path / f"back{suffix}"
        assert run("decode", tmp_path / "a.heq", out, "--rows", "--decoder", "plain").exit_code == 0
        assert np.array_equal(np.asarray(Image.open(out)), heqcodec.decode(data, decoder="plain"))
    (tmp_path / "a.rgb").write_bytes(PIXELS.tobytes())
    raw = ("--rows", "--raw", "340x300:rgb24", "-q", "40")
    assert run("encode", tmp_path / "a.rgb", tmp_path / "raw.heq", *raw).exit_code == 0
    assert (tmp_path / "raw.heq").read_bytes() == heqcodec.encode(PIXELS, quality=40)
    refused = run("decode", tmp_path / "a.heq", tmp_path / "b.webp", "--rows")
    assert refused.exit_code == 2 and "--rows" in refused.stderr


def test_by_rows_no_image_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.tif", rowsperstrip=32)
    monkeypatch.setattr("heqcodec.container.header.DEFAULT_MAX_PIXELS", 1000)
    refused = run("encode", path, tmp_path / "a.heq")
    assert refused.exit_code == 1 and "limit is 1,000" in refused.stderr
    assert run("encode", path, tmp_path / "a.heq", "--rows").exit_code == 0
    how = ("--rows", "--decoder", "plain")
    assert run("decode", tmp_path / "a.heq", tmp_path / "b.tif", *how).exit_code == 0
    limited = run("decode", tmp_path / "a.heq", tmp_path / "c.tif", *how, "--max-pixels", "1000")
    assert limited.exit_code == 1 and "limit is 1000" in limited.stderr


def test_what_is_not_read_by_rows(tmp_path: Path) -> None:
    alpha = np.dstack((PIXELS, PIXELS[..., 0]))
    with pytest.raises(HeqUnsupportedError, match="without alpha"):
        load_rows(written(tmp_path / "a.tif", alpha), None)
    with pytest.raises(HeqUnsupportedError, match="without alpha"):
        load_rows(written(tmp_path / "f.tif", PIXELS.astype(np.float32)), None)
    planes = np.ascontiguousarray(PIXELS.transpose(2, 0, 1))
    with pytest.raises(HeqUnsupportedError, match="planes apart"):
        load_rows(written(tmp_path / "p.tif", planes, planarconfig="separate"), None)
    with pytest.raises(HeqLimitError):
        load_rows(written(tmp_path / "l.tif"), 1000)
    (tmp_path / "n.tif").write_bytes(b"no TIFF")
    with pytest.raises(HeqError, match="cannot be read by rows"):
        load_rows(tmp_path / "n.tif", None)
    damaged = written(tmp_path / "d.tif", compression="zlib", rowsperstrip=50)
    data = bytearray(damaged.read_bytes())
    with tifffile.TiffFile(damaged) as file:
        place = file.pages[0].dataoffsets[3]  # type: ignore[union-attr]
    data[place : place + 9] = bytes(9)
    damaged.write_bytes(data)
    with pytest.raises(HeqError, match="damaged or unusual"):
        heqcodec.encode(load_rows(damaged, None))
