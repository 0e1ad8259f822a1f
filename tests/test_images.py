"""Reading and writing images: arrays, files, Pillow images, metadata, limits, errors."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heqcodec.errors import HeqError, HeqLimitError, HeqUnsupportedError
from heqcodec.images import load_image, save_image
from heqcodec.metadata import without_exif_orientation
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageCms

RNG = np.random.default_rng(5)
COLOURS = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GRAY = COLOURS[..., 0]
ALPHA = COLOURS[..., 2]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def png(
    depth: int, kind: int, size: tuple[int, int], rows: list[bytes], trns: bytes = b""
) -> bytes:
    """A PNG file from unfiltered rows, for what Pillow cannot write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + (chunk(b"tRNS", trns) if trns else b"")
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


def file_of(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


class TestArrays:
    @pytest.mark.parametrize(
        ("array", "channels", "alpha"),
        [
            (GRAY, 1, False),
            (GRAY[..., None], 1, False),
            (COLOURS[..., :2], 1, True),
            (COLOURS, 3, False),
            (np.dstack([COLOURS, ALPHA]), 3, True),
        ],
    )
    def test_shapes(self, array: np.ndarray, channels: int, alpha: bool) -> None:
        loaded = load_image(array)
        assert loaded.pixels.shape == (6, 9, channels)
        assert loaded.pixels.flags.c_contiguous and loaded.pixels.dtype == np.uint8
        whole = array.reshape(6, 9, -1)
        assert np.array_equal(loaded.pixels, whole[..., :channels])
        assert (loaded.alpha is not None) == alpha
        if loaded.alpha is not None:
            assert np.array_equal(loaded.alpha, whole[..., -1])
        assert loaded.notes == []

    @pytest.mark.parametrize("dtype", [np.uint16, np.int64, np.float32, bool])
    def test_other_types_are_refused_with_advice(self, dtype: Any) -> None:
        with pytest.raises(HeqUnsupportedError, match=r"uint8.*convert"):
            load_image(COLOURS.astype(dtype))

    @pytest.mark.parametrize("shape", [(4,), (0, 4), (4, 0, 3), (4, 4, 5), (4, 4, 0), (2, 4, 4, 3)])
    def test_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(HeqUnsupportedError, match="shape"):
            load_image(np.zeros(shape, np.uint8))

    def test_limit(self) -> None:
        assert load_image(COLOURS, max_pixels=54).pixels.shape == (6, 9, 3)
        assert load_image(COLOURS, max_pixels=None).pixels.shape == (6, 9, 3)
        with pytest.raises(HeqLimitError, match="9x6"):
            load_image(COLOURS, max_pixels=53)
        with pytest.raises(HeqLimitError):
            load_image(load_image(COLOURS), max_pixels=53)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4)).flatmap(
        lambda shape: arrays(np.uint8, shape)
    )
)
def test_png_keeps_every_sample(pixels: np.ndarray) -> None:
    buffer = io.BytesIO()
    save_image(pixels, buffer)
    loaded = load_image(buffer.getvalue())
    parts = [loaded.pixels] if loaded.alpha is None else [loaded.pixels, loaded.alpha[..., None]]
    assert np.array_equal(np.concatenate(parts, axis=2), pixels)


class TestSources:
    def test_path_bytes_file_object_and_pillow_agree(self, tmp_path: Path) -> None:
        path = tmp_path / "photo.png"
        image = Image.fromarray(COLOURS)
        image.save(path)
        data = path.read_bytes()
        with path.open("rb") as stream:
            sources: list[Any] = [path, str(path), data, memoryview(data), stream, image]
            for source in sources:
                assert np.array_equal(load_image(source).pixels, COLOURS)

    def test_a_pipe_is_read(self) -> None:
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as stream:
            stream.write(file_of(Image.fromarray(COLOURS)))
        with os.fdopen(reading, "rb") as stream:
            assert np.array_equal(load_image(stream).pixels, COLOURS)

    def test_unreadable_sources_give_one_sentence_with_the_name(self, tmp_path: Path) -> None:
        text = tmp_path / "notes.png"
        text.write_text("no image at all")
        (tmp_path / "empty.png").touch()
        (tmp_path / "cut.png").write_bytes(file_of(Image.fromarray(COLOURS))[:-40])
        for name in ("notes.png", "empty.png", "cut.png", "missing.png", ""):
            with pytest.raises(HeqError) as caught:
                load_image(tmp_path / name)
            message = str(caught.value)
            assert name in message and message.endswith(".") and "\n" not in message

    def test_text_mode_and_other_objects_are_refused(self) -> None:
        with pytest.raises(HeqError, match="binary"):
            load_image(io.StringIO("abc"))  # type: ignore[arg-type]
        with pytest.raises(HeqError, match="dict"):
            load_image({})  # type: ignore[arg-type]

    def test_a_heq_file_is_named_as_such(self) -> None:
        with pytest.raises(HeqUnsupportedError, match="already"):
            load_image(b"\x89HEQ\r\n\x1a\n" + bytes(40))

    def test_no_program_runs_for_a_drawing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import subprocess

        def refuse(*_: Any, **__: Any) -> None:
            raise AssertionError("a program was started")

        monkeypatch.setattr(subprocess, "Popen", refuse)
        monkeypatch.setattr(subprocess, "check_call", refuse)
        data = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n"
        with pytest.raises(HeqUnsupportedError, match="EPS"):
            load_image(data)


class TestLimits:
    def test_a_huge_header_is_refused_unread(self) -> None:
        data = png(8, 2, (12_000, 10_000), [b""])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(HeqLimitError, match="12000x10000"):
                load_image(data)
        with pytest.raises(HeqLimitError):
            load_image(png(8, 2, (60_000, 60_000), [b""]))

    def test_the_callers_limit_goes_beyond_pillows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
        data = file_of(Image.fromarray(COLOURS))
        assert load_image(data, max_pixels=54).pixels.shape == (6, 9, 3)
        assert load_image(data, max_pixels=None).pixels.shape == (6, 9, 3)
        assert Image.MAX_IMAGE_PIXELS == 20
        with pytest.raises(HeqLimitError):
            load_image(data, max_pixels=53)


class TestModes:
    @pytest.mark.parametrize(
        ("mode", "channels", "alpha"),
        [
            ("1", 1, False),
            ("L", 1, False),
            ("LA", 1, True),
            ("La", 1, True),
            ("P", 3, False),
            ("PA", 3, True),
            ("RGB", 3, False),
            ("RGBA", 3, True),
            ("RGBa", 3, True),
            ("RGBX", 3, False),
            ("YCbCr", 3, False),
            ("HSV", 3, False),
            ("LAB", 3, False),
            ("CMYK", 3, False),
        ],
    )
    def test_every_mode_of_eight_bits(self, mode: str, channels: int, alpha: bool) -> None:
        if mode == "La":
            image = Image.merge("LA", [Image.fromarray(GRAY)] * 2).convert("La")
        elif mode == "PA":
            image = Image.fromarray(COLOURS).convert("P").convert("PA")
        elif mode == "RGBa":
            image = Image.fromarray(COLOURS).convert("RGBA").convert("RGBa")
        else:
            image = Image.fromarray(COLOURS).convert(mode)
        assert image.mode == mode
        loaded = load_image(image)
        assert loaded.pixels.shape == (6, 9, channels)
        assert (loaded.alpha is not None) == alpha
        if mode in ("RGB", "RGBA", "RGBX"):
            assert np.array_equal(loaded.pixels, COLOURS)
        if mode in ("YCbCr", "HSV", "LAB"):
            assert np.abs(loaded.pixels.astype(int) - COLOURS).mean() < 8
            assert mode in loaded.notes[0]

    def test_transparent_palette_entries_become_alpha(self) -> None:
        image = Image.new("P", (3, 1))
        image.putdata([0, 1, 2])
        image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
        one = load_image(file_of(image, transparency=1))
        assert one.alpha is not None and one.alpha.tolist() == [[255, 0, 255]]
        assert one.pixels.tolist() == [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]
        many = load_image(file_of(image, transparency=bytes([255, 7, 0])))
        assert many.alpha is not None and many.alpha.tolist() == [[255, 7, 0]]

    def test_a_transparent_colour_is_read_at_the_files_depth(self) -> None:
        four_bits = load_image(png(4, 0, (4, 1), [b"\x0a\xaf"], struct.pack(">H", 10)))
        assert four_bits.pixels[..., 0].tolist() == [[0, 170, 170, 255]]
        assert four_bits.alpha is not None and four_bits.alpha.tolist() == [[255, 0, 0, 255]]
        one_bit = load_image(png(1, 0, (2, 1), [b"\x40"], struct.pack(">H", 1)))
        assert one_bit.alpha is not None and one_bit.alpha.tolist() == [[255, 0]]
        row = struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 1, 2, 3)
        colours = load_image(png(16, 2, (2, 1), [row], row[:6]))
        assert colours.pixels.tolist() == [[[0x12, 0x56, 0x9A], [0, 0, 0]]]
        assert colours.alpha is not None and colours.alpha.tolist() == [[0, 255]]
        gray = load_image(
            png(16, 0, (2, 1), [struct.pack(">2H", 300, 301)], struct.pack(">H", 301))
        )
        assert gray.alpha is not None and gray.alpha.tolist() == [[255, 0]]

    def test_sixteen_bits_are_rounded_and_told(self) -> None:
        values = [0, 128, 129, 257 * 100, 65534, 65535]
        loaded = load_image(png(16, 0, (6, 1), [struct.pack(">6H", *values)]))
        assert loaded.pixels[0, :, 0].tolist() == [round(v / 257) for v in values]
        assert loaded.notes == ["16-bit samples were reduced to 8 bits."]
        pair = load_image(png(16, 4, (1, 1), [struct.pack(">2H", 0x4000, 0x8000)]))
        assert pair.pixels.tolist() == [[[0x40]]]
        assert pair.alpha is not None and pair.alpha.tolist() == [[0x80]]

    def test_wide_integers_and_floats(self) -> None:
        image = Image.fromarray(np.array([[0, 65535, 514]], np.int32))
        assert load_image(image).pixels[0, :, 0].tolist() == [0, 255, 2]
        with pytest.raises(HeqUnsupportedError, match="32-bit"):
            load_image(Image.fromarray(np.array([[-1, 5]], np.int32)))
        unit = load_image(Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)))
        assert unit.pixels[0, :, 0].tolist() == [0, 128, 255] and "0 to 1" in unit.notes[0]
        byte = load_image(Image.fromarray(np.array([[0.0, 99.6, 255.0]], np.float32)))
        assert byte.pixels[0, :, 0].tolist() == [0, 100, 255] and "0 to 255" in byte.notes[0]
        for bad in (-0.1, 256.0, float("nan"), float("inf")):
            with pytest.raises(HeqUnsupportedError, match="floating"):
                load_image(Image.fromarray(np.array([[0.0, bad]], np.float32)))

    def test_sixteen_bit_pgm(self) -> None:
        loaded = load_image(b"P5 2 1 65535\n" + struct.pack(">2H", 257, 65535))
        assert loaded.pixels[0, :, 0].tolist() == [1, 255]
        assert "16-bit" in loaded.notes[0]

    def test_cmyk_is_converted_and_its_profile_left_out(self) -> None:
        image = Image.new("CMYK", (4, 3), (0, 255, 255, 0))
        loaded = load_image(file_of(image, "TIFF", icc_profile=SRGB[:16] + b"CMYK" + SRGB[20:]))
        assert loaded.icc is None and "CMYK" in loaded.notes[0]
        assert loaded.pixels[0, 0].tolist() == [255, 0, 0]

    def test_only_the_first_frame(self) -> None:
        frames = [Image.new("L", (5, 4), level) for level in (10, 200, 90)]
        data = file_of(frames[0], "TIFF", save_all=True, append_images=frames[1:])
        image = Image.open(io.BytesIO(data))
        image.seek(2)
        for source in (data, image):
            loaded = load_image(source)
            assert (loaded.pixels == 10).all()
            assert loaded.notes == ["Only the first of 3 frames was taken."]


def exif_of(orientation: int | None) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Acme"
    if orientation is not None:
        exif[0x0112] = orientation
    exif[0x8298] = "nobody"
    exif[0x8769] = {0x9003: "2020:01:02 03:04:05"}
    return exif.tobytes()


class TestMetadata:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("array", [GRAY, COLOURS, np.dstack([COLOURS, ALPHA])])
    def test_orientation_is_applied_and_removed(self, orientation: int, array: np.ndarray) -> None:
        # What a viewer has to do to show it upright, EXIF 2.32 section 4.6.4 tag 274.
        stored = {
            1: lambda a: a,
            2: lambda a: a[:, ::-1],
            3: lambda a: a[::-1, ::-1],
            4: lambda a: a[::-1],
            5: lambda a: a.swapaxes(0, 1),
            6: lambda a: np.rot90(a, 1),
            7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
            8: lambda a: np.rot90(a, -1),
        }[orientation](array)
        data = file_of(Image.fromarray(np.ascontiguousarray(stored)), exif=exif_of(orientation))
        loaded = load_image(data)
        upright = load_image(array)
        assert np.array_equal(loaded.pixels, upright.pixels)
        assert (loaded.alpha is None) == (upright.alpha is None)
        if loaded.alpha is not None and upright.alpha is not None:
            assert np.array_equal(loaded.alpha, upright.alpha)
        assert bool(loaded.notes) == (orientation != 1)
        assert loaded.exif is not None
        kept = Image.Exif()
        kept.load(loaded.exif)
        assert 0x0112 not in kept
        assert kept[0x010F] == "Acme" and kept[0x8298] == "nobody"
        assert kept.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"

    def test_removal_moves_no_other_data(self) -> None:
        exif = exif_of(6).removeprefix(b"Exif\0\0")
        shorter = without_exif_orientation(exif)
        assert len(shorter) == len(exif)
        order = "<" if exif[:2] == b"II" else ">"
        (count,) = struct.unpack_from(order + "H", exif, 8)
        end_of_directory = 8 + 2 + 12 * count + 4
        assert shorter[end_of_directory:] == exif[end_of_directory:]
        assert without_exif_orientation(shorter) == shorter

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=60), st.sampled_from([b"II*\0", b"MM\0*", b""]))
    def test_damaged_exif_gives_a_value_error_or_bytes(self, data: bytes, head: bytes) -> None:
        with contextlib.suppress(ValueError):
            assert isinstance(without_exif_orientation(head + data), bytes)

    def test_damaged_exif_does_not_lose_the_picture(self) -> None:
        data = file_of(Image.fromarray(COLOURS), exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
        loaded = load_image(data)
        assert np.array_equal(loaded.pixels, COLOURS)
        assert loaded.exif is None and "EXIF" in loaded.notes[0]

    def test_xmp_orientation_is_applied_and_removed(self) -> None:
        xmp = (
            b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="r"><rdf:Description '
            b'xmlns:tiff="t" tiff:Orientation="6" a="b"/></rdf:RDF></x:xmpmeta>'
        )
        stored = Image.fromarray(np.ascontiguousarray(np.rot90(COLOURS)))
        loaded = load_image(file_of(stored, "WEBP", lossless=True, xmp=xmp))
        assert np.array_equal(loaded.pixels, COLOURS)
        assert loaded.xmp == xmp.replace(b' tiff:Orientation="6"', b"")

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
    def test_saved_metadata_come_back(self, suffix: str, tmp_path: Path) -> None:
        exif, xmp = exif_of(None).removeprefix(b"Exif\0\0"), b"<x:xmpmeta>\xc3\xa9</x:xmpmeta>"
        path = tmp_path / f"a{suffix}"
        save_image(COLOURS, path, icc=SRGB, exif=exif, xmp=xmp)
        loaded = load_image(path)
        assert loaded.icc == SRGB
        assert loaded.xmp == xmp
        assert loaded.exif is not None
        kept = Image.Exif()
        kept.load(loaded.exif)
        assert kept[0x010F] == "Acme"
        assert kept.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"

    def test_a_profile_for_other_samples_is_left_out(self) -> None:
        loaded = load_image(file_of(Image.fromarray(GRAY), icc_profile=SRGB))
        assert loaded.icc is None and "profile" in loaded.notes[0]
        assert load_image(file_of(Image.fromarray(COLOURS), icc_profile=SRGB)).icc == SRGB
        assert load_image(file_of(Image.fromarray(COLOURS), icc_profile=b"junk")).icc is None


class TestSaving:
    @pytest.mark.parametrize("name", ["a.heq", "a.txt", "a", "a.pngg"])
    def test_unknown_suffixes(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(HeqUnsupportedError, match=r"\.png"):
            save_image(COLOURS, tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".ppm", ".gif"])
    def test_alpha_is_not_dropped_in_silence(self, suffix: str, tmp_path: Path) -> None:
        with pytest.raises(HeqUnsupportedError, match="transparency"):
            save_image(np.dstack([COLOURS, ALPHA]), tmp_path / f"a{suffix}")
        assert list(tmp_path.iterdir()) == []

    def test_a_failure_leaves_the_old_file_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(b"old")

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(HeqError, match="No space left"):
            save_image(COLOURS, path)
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(HeqError, match="cannot be written"):
            save_image(COLOURS, tmp_path / "no" / "a.png")

    @pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and links")
    def test_permissions_and_links_are_those_of_an_ordinary_file(self, tmp_path: Path) -> None:
        path, link = tmp_path / "a.png", tmp_path / "link.png"
        before = os.umask(0o027)
        try:
            save_image(COLOURS, path)
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o640
        link.symlink_to(path)
        save_image(GRAY, link)
        assert link.is_symlink() and load_image(path).pixels.shape == (6, 9, 1)
        save_image(COLOURS, "/dev/null", format="PNG")
        assert not Path("/dev/null").is_file()
