"""Images of every kind of sample: palettes, 16 bits, floats, CMYK, transparency, frames."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from heqcodec.errors import HeqUnsupportedError
from heqcodec.images import load_image
from PIL import Image
from sample_images import COLOURS, GRAY, SRGB, file_of, png


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
