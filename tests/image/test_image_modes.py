"""Images of every kind of sample: palettes, 16 bits, floats, CMYK, transparency, frames."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from field_files import FIELD, field_data
from heqcodec.base.errors import HeqUnsupportedError
from heqcodec.image.images import load_image
from PIL import Image
from sample_images import COLOURS, GRAY, SRGB, file_of, png


def tiff(values: np.ndarray, order: str, apart: bool, kind: str = "u2") -> bytes:
    """A TIFF file: 16-bit integers without compression, each colour apart or not, or floats
    compressed by Deflate.

    Args:
        values: (H, W, channels).
        order: "<" or ">".
    """
    height, width, channels = values.shape
    planes = np.moveaxis(values, 2, 0) if apart else values[None]
    strips = [plane.astype(order + kind).tobytes() for plane in planes]
    floats = kind == "f4"
    if floats:
        strips = [zlib.compress(strip) for strip in strips]
    bits = 8 * int(kind[1])
    tags: list[tuple[int, int, list[int]]] = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [bits] * channels),
        (259, 3, [8 if floats else 1]),
        (262, 3, [1 if channels == 1 else 2]),
        (273, 4, []),
        (277, 3, [channels]),
        (278, 4, [height]),
        (279, 4, list(map(len, strips))),
        (284, 3, [2 if apart else 1]),
        *([(338, 3, [2])] if channels == 4 else []),
        *([(339, 3, [3])] if floats else []),
    ]
    first = 8 + 2 + 12 * len(tags) + 4
    extra = b""
    begin = first + 256
    starts = [begin + sum(map(len, strips[:index])) for index in range(len(strips))]
    entries = b""
    for tag, type_, numbers in tags:
        numbers = starts if tag == 273 else numbers
        packed = struct.pack(f"{order}{len(numbers)}{'H' if type_ == 3 else 'I'}", *numbers)
        if len(packed) > 4:
            place = struct.pack(order + "I", first + len(extra))
            extra, packed = extra + packed, place
        entries += struct.pack(order + "HHI", tag, type_, len(numbers)) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    return head + entries + bytes(4) + extra.ljust(256, b"\0") + b"".join(strips)


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
        loaded = load_image(image)
        assert loaded.pixels[0, :, 0].tolist() == [0, 255, 2] and "0 to 65535" in loaded.notes[0]
        every = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        loaded = load_image(every.convert("I"))
        assert loaded.pixels[0, :, 0].tolist() == list(range(256))
        assert "from 0 to 255, were read as 0 to 255" in loaded.notes[0]
        with pytest.raises(HeqUnsupportedError, match="32-bit"):
            load_image(Image.fromarray(np.array([[-1, 5]], np.int32)))
        unit = load_image(Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)))
        assert unit.pixels[0, :, 0].tolist() == [0, 128, 255] and "0 to 1" in unit.notes[0]
        byte = load_image(Image.fromarray(np.array([[0.0, 99.6, 255.0]], np.float32)))
        assert byte.pixels[0, :, 0].tolist() == [0, 100, 255] and "0 to 255" in byte.notes[0]
        for bad in (-0.1, 256.0, float("nan"), float("inf")):
            with pytest.raises(HeqUnsupportedError, match="floating"):
                load_image(Image.fromarray(np.array([[0.0, bad]], np.float32)))

    @pytest.mark.parametrize("channels", [2, 3, 4])
    def test_both_bytes_of_colours_count(self, channels: int) -> None:
        values = np.random.default_rng(3).integers(0, 65536, (5, 7, channels))
        rows = [row.astype(">u2").tobytes() for row in values]
        files = [png(16, {2: 4, 3: 2, 4: 6}[channels], (7, 5), rows)]
        if channels > 2:
            files += [tiff(values, order, apart) for order in "<>" for apart in (False, True)]
        for data in files:
            for source in (data, Image.open(io.BytesIO(data))):
                found = load_image(source)
                assert found.notes == ["16-bit samples were reduced to 8 bits."]
                alpha = [] if found.alpha is None else [found.alpha]
                shown = np.dstack([found.pixels, *alpha])
                assert np.array_equal(shown, np.floor(values / 257 + 0.5))

    def test_compressed_floats_in_either_order(self) -> None:
        values = np.random.default_rng(4).random((5, 7))
        for order in "<>":
            found = load_image(tiff(values[..., None], order, apart=False, kind="f4"))
            assert np.array_equal(found.pixels[..., 0], np.rint(values * 255))

    def test_sixteen_bit_pgm(self) -> None:
        loaded = load_image(b"P5 2 1 65535\n" + struct.pack(">2H", 257, 65535))
        assert loaded.pixels[0, :, 0].tolist() == [1, 255]
        assert "16-bit" in loaded.notes[0]
        dark = load_image(b"P5 3 1 65535\n" + struct.pack(">3H", 0, 128, 129))
        assert dark.pixels[0, :, 0].tolist() == [0, 0, 1]
        twelve_bits = load_image(b"P5 3 1 4095\n" + struct.pack(">3H", 0, 2048, 4095))
        assert twelve_bits.pixels[0, :, 0].tolist() == [0, 128, 255]

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

    @field_data[0]
    @field_data[1]
    def test_of_a_psd_file_the_flattened_image(self) -> None:
        content = (FIELD / "psd-2-layers.psd").read_bytes()
        # The layers hold the same picture; so it is the flattened one that is turned round.
        flat = 255 - np.frombuffer(content[-3 * 256 :], np.uint8).reshape(3, 16, 16)
        assert (flat[0] == np.arange(256)[::-1].reshape(16, 16)).all()
        content = content[: -3 * 256] + flat.tobytes()
        for source in (content, Image.open(io.BytesIO(content))):
            loaded = load_image(source)
            assert np.array_equal(loaded.pixels, np.moveaxis(flat, 0, 2))
            assert loaded.notes == ["The flattened image was taken, not its 2 layers."]
        layer = Image.open(io.BytesIO(content))
        layer.seek(2)
        loaded = load_image(layer)
        assert np.array_equal(loaded.pixels, 255 - np.moveaxis(flat, 0, 2))
        assert loaded.notes == ["Layer 2 of 2 was taken."]


class TestFieldFiles:
    pytestmark = field_data

    def test_twelve_bits(self) -> None:
        with Image.open(FIELD / "gray12.tif") as image:
            values = np.asarray(image).astype(int)
            assert (values.min(), values.max()) == (0, 4095)
            already_loaded = load_image(image)
        loaded = load_image(FIELD / "gray12.tif")
        assert loaded.notes == ["12-bit samples were reduced to 8 bits."]
        for found in (loaded, already_loaded):
            assert np.array_equal(found.pixels[..., 0], np.floor(values * 255 / 4095 + 0.5))

    def test_white_is_zero(self) -> None:
        with Image.open(FIELD / "gray16-minwhite.tif") as image:
            values = np.asarray(image).astype(int)
        loaded = load_image(FIELD / "gray16-minwhite.tif")
        assert np.array_equal(loaded.pixels[..., 0], np.floor((65535 - values) / 257 + 0.5))

    def test_a_transparent_colour_of_sixteen_bits(self) -> None:
        """Two pixels of one high byte, one of them the transparent colour."""
        loaded = load_image(FIELD / "rgb16-trns.png")
        assert loaded.alpha is not None and loaded.alpha.tolist() == [[0, 255]]
