"""The Pillow plugin: opening, decoding when asked, saving, metadata, Pillow's own errors."""

from __future__ import annotations

import builtins
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
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError
from slow_cases import quick_first

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


class TestOpenFiles:
    """None waits for the garbage collector, whatever happened."""

    @pytest.fixture
    def opened(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """All files that were opened."""
        files: list[Any] = []
        plain = builtins.open

        def recorded(*arguments: Any, **options: Any) -> Any:
            files.append(plain(*arguments, **options))
            return files[-1]

        monkeypatch.setattr(builtins, "open", recorded)
        return files

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "a.heq"
        path.write_bytes(saved(picture("RGB")))
        return path

    @pytest.fixture
    def damaged(self, path: Path) -> Path:
        data = bytearray(path.read_bytes())
        data[HEADER_LENGTH + 10] ^= 1
        path.write_bytes(data)
        return path

    def test_after_loading(self, path: Path, opened: list[Any]) -> None:
        image = Image.open(path)
        assert not opened[-1].closed
        image.load()
        assert len(opened) == 1 and opened[0].closed
        path.unlink()
        assert image.crop((3, 4, 10, 9)).size == (7, 5)

    def test_after_a_context(self, path: Path, opened: list[Any]) -> None:
        with Image.open(path) as image:
            assert image.size == (70, 45)
        assert opened[0].closed
        with pytest.raises(ValueError, match="closed"):
            image.load()

    def test_after_a_failure_which_may_be_repeated(
        self, damaged: Path, opened: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        image = Image.open(damaged)
        for _ in range(2):
            with pytest.raises(OSError, match="Strip 0"):
                image.load()
            assert opened[0].closed
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        assert np.asarray(image).shape == (45, 70, 3) and len(opened) == 1

    def test_after_verification(self, damaged: Path, opened: list[Any]) -> None:
        with pytest.raises(OSError, match="Strip 0"):
            Image.open(damaged).verify()
        damaged.write_bytes(saved(picture("RGB")))
        Image.open(damaged).verify()
        assert len(opened) >= 2 and all(file.closed for file in opened)

    def test_when_opening_fails(
        self, path: Path, opened: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(Image.DecompressionBombError):
            Image.open(path)
        path.write_bytes(path.read_bytes()[:20])
        with pytest.raises(OSError, match="header"):
            Image.open(path)
        assert len(opened) >= 2 and all(file.closed for file in opened)

    def test_a_file_of_the_caller_stays_open(self, path: Path) -> None:
        with path.open("rb") as stream:
            Image.open(stream).load()
            Image.open(stream).verify()
            assert not stream.closed


class TestVerify:
    @pytest.mark.parametrize("every", quick_first([7, 1]))
    def test_every_checksum_is_checked_without_a_model(self, light: Any, every: int) -> None:
        data = saved(picture("RGBA", (33, 12)), exif=exif_with())
        Image.open(io.BytesIO(data)).verify()
        missed = []
        for place in range(0, len(data), every):
            damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            try:
                Image.open(io.BytesIO(damaged)).verify()
                missed.append(place)
            except OSError:
                pass
        assert missed == [] and light.decoders_loaded == 0

    def test_a_cut_file(self) -> None:
        data = saved(picture("RGB"))
        for length in range(HEADER_LENGTH, len(data), 7):
            with pytest.raises(OSError, match=r"cut short|ends"):
                Image.open(io.BytesIO(data[:length])).verify()

    def test_the_image_is_to_be_opened_anew(self) -> None:
        image = Image.open(io.BytesIO(saved(picture("RGB"))))
        image.verify()
        for again in (image.load, image.verify):
            with pytest.raises(ValueError, match="closed"):
                again()


class TestSeveralFrames:
    def test_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "a.heq"
        image, other = picture("RGB"), picture("RGB")
        for options in ({"save_all": True, "append_images": [other]}, {"append_images": [other]}):
            with pytest.raises(heqcodec.HeqUnsupportedError, match="one image, not 2"):
                image.save(path, **options)  # type: ignore[arg-type]
            assert not path.exists()
        animation = io.BytesIO()
        image.save(animation, "GIF", save_all=True, append_images=[other, image])
        with (
            Image.open(animation) as frames,
            pytest.raises(heqcodec.HeqUnsupportedError, match="one image, not 3"),
        ):
            frames.save(path, save_all=True)

    def test_one_frame_is_an_image(self) -> None:
        image = picture("RGB")
        assert saved(image, save_all=True, append_images=[]) == saved(image)


def resaved(image: Image.Image) -> io.BytesIO:
    return io.BytesIO(saved(image))


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
        stripped = saved(opened, strip_metadata=True)
        assert saved(opened) != stripped
        assert "exif" not in Image.open(io.BytesIO(stripped)).info
        with pytest.warns(DeprecationWarning, match="strip_metadata"):
            assert saved(opened, strip=True) == stripped
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

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_files_are_upright_as_after_exif_transpose(self, orientation: int) -> None:
        stored = io.BytesIO()
        picture("RGB").save(stored, "PNG", exif=exif_with(orientation))
        with Image.open(stored) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            opened = Image.open(io.BytesIO(saved(image)))
            assert np.array_equal(np.asarray(opened), np.asarray(Image.open(resaved(upright))))
            assert np.array_equal(np.asarray(ImageOps.exif_transpose(opened)), np.asarray(opened))
            as_stored = Image.open(io.BytesIO(saved(image, exif=None)))
            assert as_stored.size == image.size and "exif" not in as_stored.info


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

    def test_pillows_limits_hold_for_the_padded_frame(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = saved(Image.new("L", (1, 50_000)))  # pads to 32 x 50,016, 1.6 million pixels
        pixels = 32 * 50_016
        for limit in (pixels, None):
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert Image.open(io.BytesIO(data)).size == (1, 50_000)
        for limit in (pixels - 1, pixels // 2):
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
            with pytest.warns(Image.DecompressionBombWarning, match=str(pixels)):
                assert Image.open(io.BytesIO(data)).size == (1, 50_000)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels // 2 - 1)
        with pytest.raises(Image.DecompressionBombError, match=str(pixels)):
            Image.open(io.BytesIO(data))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)
        small = saved(Image.new("L", (1, 20_000)))  # less than a million: never refused for padding
        assert Image.open(io.BytesIO(small)).size == (1, 20_000)

    def test_too_little_memory_is_an_os_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def exhausted(*arguments: Any) -> None:
            raise MemoryError

        image = Image.open(io.BytesIO(saved(picture("RGB"))))
        monkeypatch.setattr("heqcodec.file.decoding.decode_window", exhausted)
        with pytest.raises(OSError, match="Not enough memory"):
            image.load()

    def test_damaged_metadata_still_open(self) -> None:
        end = Chunk(b"END_").pack()
        broken = bytearray(Chunk(b"EXIF", b"II*\0abcd").pack())
        broken[9] ^= 0xFF
        data = saved(picture("RGB")).removesuffix(end) + bytes(broken) + end
        image = Image.open(io.BytesIO(data))
        assert "exif" not in image.info
        with pytest.raises(OSError, match="EXIF"):
            image.load()
