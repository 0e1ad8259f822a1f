"""PNG, JPEG and raw dumps by rows: the samples of whole images, read once, written as they are."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from heqcodec.base.errors import HeqError, HeqLimitError, HeqUnsupportedError
from heqcodec.image.images import load_image
from heqcodec.image.raw.loading import load_raw
from heqcodec.image.rows import load_rows, write_rows
from PIL import Image, ImageCms
from raw_dumps import KINDS, dump
from small_models import photograph

PHOTO = np.ascontiguousarray(photograph()[40:141, 30:129])
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"<x:xmpmeta/>"


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x10F] = "maker"
    return tags


FILES: dict[str, tuple[Any, dict[str, Any]]] = {
    "a.png": (PHOTO, {"icc_profile": ICC}),
    "gray.png": (PHOTO[..., 1], {}),
    "gray as colours.png": (PHOTO[..., :1].repeat(3, 2), {}),
    "palette.png": (Image.fromarray(PHOTO).quantize(200), {}),
    "deep.png": (PHOTO[..., 1].astype(np.uint16) * 257 - np.uint16(100), {}),
    "a.jpg": (PHOTO, {"icc_profile": ICC, "xmp": XMP, "quality": 90}),
    "gray.jpg": (PHOTO[..., 1], {}),
    "progressive.jpg": (PHOTO, {"progressive": True}),
}


@pytest.mark.parametrize("name", FILES)
def test_files_by_rows_are_the_whole_image(tmp_path: Path, name: str) -> None:
    pytest.importorskip("pyvips")
    pixels, options = FILES[name]
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(tmp_path / name, exif=exif(), **options)
    whole, rows = load_image(tmp_path / name), load_rows(tmp_path / name, None)
    assert rows.pixels.shape == whole.pixels.shape
    for start, stop in ((0, 32), (32, 64), (64, 101), (0, 50), (70, 70)):  # and from the top again
        assert np.array_equal(rows.pixels[start:stop], whole.pixels[start:stop])
    assert (rows.icc, rows.exif, rows.xmp) == (whole.icc, whole.exif, whole.xmp)
    assert rows.exif is not None
    assert heqcodec.encode(rows, quality=40) == heqcodec.encode(whole, quality=40)


def test_a_tall_file_is_read_again_from_its_top(tmp_path: Path) -> None:
    pytest.importorskip("pyvips")
    tall = np.tile(PHOTO, (40, 1, 1))
    Image.fromarray(tall).save(tmp_path / "a.png", compress_level=1)
    rows = load_rows(tmp_path / "a.png", None).pixels
    for start in (0, 2000, 4000, 0, 3000, 2990):
        assert np.array_equal(rows[start : start + 32], tall[start : start + 32])


def test_pillow_does_not_limit_files_by_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyvips")
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert load_rows(tmp_path / "a.png", None).pixels.shape == PHOTO.shape


def test_files_that_are_not_read_by_rows(tmp_path: Path) -> None:
    pytest.importorskip("pyvips")

    def refused(pixels: np.ndarray, name: str, match: str, **options: Any) -> None:
        Image.fromarray(pixels).save(tmp_path / name, **options)
        with pytest.raises(HeqUnsupportedError, match=match):
            load_rows(tmp_path / name, None)

    turned = exif()
    turned[0x112] = 6
    refused(np.dstack((PHOTO, PHOTO[..., 0])), "alpha.png", "without alpha")
    refused(PHOTO, "turned.jpg", "is turned", exif=turned)
    refused(PHOTO, "a.webp", "TIFF, PNG, JPEG and raw")
    Image.fromarray(PHOTO).convert("CMYK").save(tmp_path / "cmyk.jpg")
    with pytest.raises(HeqUnsupportedError, match="cmyk"):
        load_rows(tmp_path / "cmyk.jpg", None)
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    with pytest.raises(HeqLimitError):
        load_rows(tmp_path / "a.png", 9998)
    data = bytearray((tmp_path / "a.png").read_bytes())
    gamma = b"gAMA" + (100_000).to_bytes(4, "big")
    chunk = bytes([0, 0, 0, 4]) + gamma + zlib.crc32(gamma).to_bytes(4, "big")
    (tmp_path / "linear.png").write_bytes(data[:33] + chunk + data[33:])
    with pytest.raises(HeqUnsupportedError, match="colours that are converted"):
        load_rows(tmp_path / "linear.png", None)


@pytest.mark.parametrize("damage", ["cut", "flipped", "head"])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_damaged_files(tmp_path: Path, suffix: str, damage: str) -> None:
    pytest.importorskip("pyvips")
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(PHOTO).save(path)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flipped" and suffix == "png":
        data[len(data) // 2] ^= 0x41
    else:
        data[4:40] = bytes(36)
    path.write_bytes(data)
    with pytest.raises(HeqError, match="is damaged"):
        heqcodec.encode(load_rows(path, None))


@pytest.mark.parametrize("kind", KINDS)
def test_raw_dumps_by_rows(tmp_path: Path, kind: str) -> None:
    data, raw = dump(PHOTO, kind, padding=6)
    (tmp_path / "a.raw").write_bytes(data)
    whole = load_raw(data, raw, None).pixels
    rows = load_rows(tmp_path / "a.raw", None, raw).pixels
    assert rows.shape == whole.shape
    for start, stop in ((0, 32), (32, 64), (64, 101), (5, 12), (99, 101), (0, 101), (7, 7)):
        assert np.array_equal(rows[start:stop], whole[start:stop])
    with pytest.raises(HeqError, match="bytes"):
        load_rows(tmp_path / "a.raw", None, raw.replace("99x101", "99x103"))


def bands(pixels: np.ndarray) -> Iterator[np.ndarray]:
    for top in range(0, len(pixels), 32):
        yield pixels[top : top + 32]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_writes_png_that_pillow_reads(tmp_path: Path, channels: int) -> None:
    pixels = np.dstack((PHOTO, PHOTO[..., 0]))[..., :channels]
    path, bare = tmp_path / "a.png", Image.fromarray(pixels.squeeze())
    metadata = {"icc": ICC, "exif": exif().tobytes()[6:], "xmp": XMP, "geo": None}
    write_rows(path, pixels.shape, bands(pixels), **metadata)
    with Image.open(path) as image:
        assert image.mode == bare.mode and np.array_equal(np.asarray(image), np.asarray(bare))
        assert image.info["icc_profile"] == ICC and image.info["xmp"] == XMP
        assert image.getexif()[0x10F] == "maker"
    bare.save(tmp_path / "pillow.png")
    assert path.stat().st_size < 1.3 * (tmp_path / "pillow.png").stat().st_size + len(ICC)


def test_writes_netpbm(tmp_path: Path) -> None:
    gray = PHOTO[..., :1]
    for name, pixels, shown in (
        ("a.ppm", PHOTO, PHOTO),
        ("a.pgm", gray, gray[..., 0]),
        ("gray.ppm", gray, gray.repeat(3, 2)),
        ("b.pnm", gray, gray[..., 0]),
    ):
        write_rows(tmp_path / name, pixels.shape, bands(pixels), icc=None)
        assert np.array_equal(np.asarray(Image.open(tmp_path / name)), shown)
    alpha = np.dstack((PHOTO, PHOTO[..., 0]))
    for name, pixels in (("a.pgm", PHOTO), ("a.ppm", alpha)):
        with pytest.raises(HeqUnsupportedError, match="would lose"):
            write_rows(tmp_path / name, pixels.shape, bands(pixels))
