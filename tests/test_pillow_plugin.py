"""The Pillow plugin: opening, decoding when asked, saving, metadata, Pillow's own errors."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from heqcodec.container.chunks import Chunk
from heqcodec.container.header import HEADER_LENGTH
from heqcodec.pillow_plugin import register
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

pytestmark = pytest.mark.usefixtures("light")

RNG = np.random.default_rng(11)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture(mode: str, size: tuple[int, int] = (70, 45)) -> Image.Image:
    colours = RNG.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    image = Image.fromarray(colours)
    return (
        image.convert(mode)
        if mode == "RGBA" or mode == "LA"
        else image.convert("RGB").convert(mode)
    )


def saved(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "HEQ", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "opened"),
    [
        ("L", "L"),
        ("1", "L"),
        ("RGB", "RGB"),
        ("P", "RGB"),
        ("CMYK", "RGB"),
        ("RGBA", "RGBA"),
        ("LA", "LA"),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (33, 31), (70, 45)])
def test_round_trip(mode: str, opened: str, size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "a.heq"
    original = picture(mode, size)
    original.save(path)
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("HEQ", opened, size)
        decoded = np.asarray(image)
    direct = heqcodec.decode(path)
    assert np.array_equal(decoded.reshape((*direct.shape[:2], -1))[..., 0], direct[..., 0])
    if opened.endswith("A"):
        assert np.array_equal(decoded[..., -1], np.asarray(original.getchannel("A")))
        assert np.array_equal(decoded[..., -1], direct[..., -1])


def test_opening_loads_no_model(light: Any) -> None:
    data = saved(picture("RGB"))
    image = Image.open(io.BytesIO(data))
    assert image.size == (70, 45) and light.decoders_loaded == 0
    image.load()
    image.load()
    assert light.decoders_loaded == 1
    assert image.copy().size == (70, 45) and light.decoders_loaded == 1


def test_the_file_is_closed_after_loading(tmp_path: Path) -> None:
    path = tmp_path / "a.heq"
    picture("RGB").save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = Image.open(path)
        image.load()
        path.unlink()
        assert image.crop((3, 4, 10, 9)).size == (7, 5)


def test_suffix_and_mime_type() -> None:
    register()
    assert Image.registered_extensions()[".heq"] == "HEQ"
    assert Image.MIME["HEQ"] == "image/x-heq"
    assert Image.ID.count("HEQ") == 1


def test_options_of_encode_reach_it(tmp_path: Path) -> None:
    image = picture("RGB")
    sizes = [len(saved(image, bpp=bpp, model="light")) for bpp in (0.0625, 0.25, 0.5)]
    assert sizes == sorted(set(sizes))
    assert saved(image, bpp=0.5) == heqcodec.encode(image, bpp=0.5)
    path = tmp_path / "a.heq"
    for options in ({"bpp": 3.0}, {"mode": "rate"}, {"model": "absent"}):
        with pytest.raises(heqcodec.HeqError):
            image.save(path, **options)
        assert not path.exists()


def exif_with(orientation: int | None = None) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "Acme"
    if orientation:
        exif[0x0112] = orientation
    return exif


class TestMetadata:
    def test_info_is_kept_from_file_to_file(self) -> None:
        first = io.BytesIO()
        picture("RGB").save(first, "PNG", icc_profile=SRGB, exif=exif_with())
        with Image.open(first) as image:
            data = saved(image)
        opened = Image.open(io.BytesIO(data))
        assert opened.info["icc_profile"] == SRGB
        assert opened.getexif()[0x010F] == "Acme"
        assert saved(opened) != saved(opened, strip=True)
        assert "exif" not in Image.open(io.BytesIO(saved(opened, strip=True))).info
        second = io.BytesIO()
        opened.save(second, "PNG", exif=opened.getexif())
        assert Image.open(second).getexif()[0x010F] == "Acme"

    def test_given_blocks_replace_those_of_the_image(self) -> None:
        image = picture("RGB")
        image.info["xmp"] = b"<old/>"
        for exif in (exif_with(), exif_with().tobytes()):
            opened = Image.open(io.BytesIO(saved(image, exif=exif, xmp=b"<new/>")))
            assert opened.info["xmp"] == b"<new/>" and opened.getexif()[0x010F] == "Acme"
        assert image.info == {"xmp": b"<old/>"}
        assert "xmp" not in Image.open(io.BytesIO(saved(image, xmp=None))).info

    def test_orientation_is_applied(self) -> None:
        opened = Image.open(io.BytesIO(saved(picture("RGB"), exif=exif_with(6))))
        assert opened.size == (45, 70)
        assert 0x0112 not in opened.getexif() and opened.getexif()[0x010F] == "Acme"


class TestErrors:
    def test_other_files_are_left_to_other_plugins(self) -> None:
        for data in (b"", b"\x89HEQ", b"\x89HEQ\r\n\x1a\r" + bytes(60)):
            with pytest.raises(UnidentifiedImageError):
                Image.open(io.BytesIO(data))
        buffer = io.BytesIO()
        picture("RGB").save(buffer, "PNG")
        assert Image.open(buffer).format == "PNG"

    def test_a_damaged_strip_is_an_os_error_when_loaded(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = bytearray(saved(picture("RGB")))
        data[HEADER_LENGTH + 10] ^= 1
        image = Image.open(io.BytesIO(data))
        with pytest.raises(OSError, match="Strip 0"):
            image.load()
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        assert np.asarray(image).shape == (45, 70, 3)

    def test_a_cut_file(self) -> None:
        data = saved(picture("RGB"))
        with pytest.raises(OSError, match="header"):
            Image.open(io.BytesIO(data[:20]))
        for length in (HEADER_LENGTH, HEADER_LENGTH + 30, len(data) - 1):
            image = Image.open(io.BytesIO(data[:length]))
            assert image.size == (70, 45)
            with pytest.raises(OSError, match=r"cut short|ends"):
                image.load()

    def test_a_header_beyond_repair(self) -> None:
        data = bytearray(saved(picture("RGB")))
        data[13:15] = b"\xff\xff"
        with pytest.raises(OSError, match="CRC-32"):
            Image.open(io.BytesIO(data))

    def test_an_unknown_model(self, light: Any) -> None:
        data = saved(picture("RGB"))
        light.encoder.encoder_id = b"notthere"
        image = Image.open(io.BytesIO(data))
        with pytest.raises(OSError, match="id"):
            image.load()

    def test_pillows_limit_holds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = saved(picture("RGB"))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(Image.DecompressionBombError):
            Image.open(io.BytesIO(data))

    def test_damaged_metadata_still_open(self) -> None:
        end = Chunk(b"END_").pack()
        broken = bytearray(Chunk(b"EXIF", b"II*\0abcd").pack())
        broken[9] ^= 0xFF
        data = saved(picture("RGB")).removesuffix(end) + bytes(broken) + end
        image = Image.open(io.BytesIO(data))
        assert "exif" not in image.info
        with pytest.raises(OSError, match="EXIF"):
            image.load()
