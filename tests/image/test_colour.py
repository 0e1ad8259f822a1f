"""Colour spaces that files name without an ICC profile: converted to sRGB by published formulas."""

from __future__ import annotations

import io
import struct
import zlib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from field_files import FIELD, field_data
from heqcodec.image.avif_colour import nclx
from heqcodec.image.colour import PRIMARIES, TRANSFERS, ColourSpace, rgb_to_srgb, to_srgb
from heqcodec.image.exact_power import power
from heqcodec.image.images import LoadedImage, load_image
from PIL import Image
from sample_images import SRGB, file_of, png
from skimage import data

PHOTO = np.ascontiguousarray(data.astronaut()[:64, 180:260])
EVERY = np.arange(256, dtype=np.uint8).reshape(16, 16)
# CSS Color 4, sample code; ITU-R BT.2087-0.
P3_TO_SRGB = np.array(
    [
        [1.2249401762805598, -0.2249401762805597, 0],
        [-0.0420569547096881, 1.0420569547096881, 0],
        [-0.0196375545903344, -0.0786360455506319, 1.0982736001409663],
    ]
)
BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)


def decoded(samples: np.ndarray) -> np.ndarray:
    """Linear light of sRGB samples from 0 to 1."""
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def encoded(light: np.ndarray) -> np.ndarray:
    """Levels of sRGB, not rounded."""
    light = np.clip(light, 0, 1)
    curve = 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    return 255 * np.where(light <= 0.0031308, 12.92 * light, curve)


def with_chunks(file: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file with chunks put behind its header."""
    made = b""
    for name, content in chunks:
        crc = struct.pack(">I", zlib.crc32(name + content))
        made += struct.pack(">I", len(content)) + name + content + crc
    return file[:33] + made + file[33:]


def cicp(primaries: int, transfer: int, full: int = 1) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, 0, full])


def gama(gamma: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(gamma * 100000))


def chrm(*numbers: float) -> tuple[bytes, bytes]:
    """White, red, green, blue."""
    return b"cHRM", struct.pack(">8I", *(round(number * 100000) for number in numbers))


def gray16(*samples: float) -> bytes:
    """A PNG file of one row of samples from 0 to 1."""
    numbers = [round(sample * 65535) for sample in samples]
    return png(16, 0, (len(numbers), 1), [struct.pack(f">{len(numbers)}H", *numbers)])


def close(found: np.ndarray, levels: np.ndarray) -> bool:
    """Whether samples are levels, rounded; half a level falls either way."""
    return bool(np.abs(found - levels).max() <= 0.53)


def pq_light(samples: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084: cd/m2 of samples from 0 to 1."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = samples ** (1 / m2)
    light: np.ndarray = 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return light


class TestFormulas:
    @pytest.mark.parametrize("exponent", ["2.4", "0.2", "0.01268331351565597", "6.277394636"])
    def test_powers(self, exponent: str) -> None:
        bases = [0.0, 2.0**-40, 0.0033, 0.5, 0.70710678, 0.99999, 1.0, 1.5, 49.26]
        found = power(np.array(bases), float(exponent))
        for base, value in zip(bases, found, strict=True):
            right = float(Decimal(base) ** Decimal(exponent)) if base else 0.0
            assert value == pytest.approx(right, rel=1e-13, abs=0)

    def test_matrices(self) -> None:
        assert np.allclose(rgb_to_srgb(PRIMARIES[12][1]), P3_TO_SRGB, atol=2e-6)
        assert np.allclose(rgb_to_srgb(PRIMARIES[9][1]), BT2020_TO_BT709, atol=6e-5)
        assert np.array_equal(rgb_to_srgb(PRIMARIES[1][1]), np.eye(3))
        for name, points in PRIMARIES.values():
            assert np.allclose(np.sum(rgb_to_srgb(points), axis=1), 1), name

    def test_another_white_is_adapted_after_bradford(self) -> None:
        """The matrix from D50 to D65 as B. Lindbloom gives it."""
        d50_to_d65 = np.array(
            [
                [0.9555766, -0.0230393, 0.0631636],
                [-0.0282895, 1.0099416, 0.0210077],
                [0.0122982, -0.0204830, 1.3299098],
            ]
        )

        def xyz(x: float, y: float) -> np.ndarray:
            return np.array([x / y, 1, (1 - x - y) / y])

        def to_xyz(points: list[tuple[float, float]]) -> np.ndarray:
            columns = np.stack([xyz(*point) for point in points[:3]], axis=1)
            scaled: np.ndarray = columns * np.linalg.solve(columns, xyz(*points[3]))
            return scaled

        colours = [(0.64, 0.33), (0.3, 0.6), (0.15, 0.06)]
        d50, d65 = (0.34567, 0.35850), (0.3127, 0.329)
        right = np.linalg.inv(to_xyz([*colours, d65])) @ d50_to_d65 @ to_xyz([*colours, d50])
        points = tuple((Fraction(str(x)), Fraction(str(y))) for x, y in [*colours, d50])
        assert np.allclose(rgb_to_srgb(points), right, atol=5e-4)

    def test_pq(self) -> None:
        """BT.2408: 203 cd/m2 is 58 % PQ. Below it, light follows ST 2084."""
        loaded = load_image(with_chunks(gray16(0, 0.25, 0.5, 0.5807, 0.75), cicp(9, 16)))
        light = pq_light(np.array([0.25, 0.5]))
        assert light.round(2).tolist() == [5.15, 92.25]
        found = loaded.pixels[0, :, 0]
        assert found[[0, 3, 4]].tolist() == [0, 255, 255]
        assert close(found[1:3], encoded(light / 203))
        assert pq_light(np.array(0.5807)) == pytest.approx(203, rel=2e-3)
        just_below = load_image(with_chunks(gray16(0.579), cicp(9, 16)))
        assert just_below.pixels[0, 0, 0] == 253
        assert loaded.notes[-1] == (
            "The colours were converted from BT.2020 PQ (cICP) to sRGB; 20.00% of the pixels lie "
            "beyond it and were clipped."
        )

    def test_hlg(self) -> None:
        """BT.2100: 75 % HLG is 203 cd/m2 on a display of 1,000 cd/m2."""
        loaded = load_image(with_chunks(gray16(0, 0.3, 0.5, 0.7, 0.7495, 0.76), cicp(9, 18)))
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.array([0.3**2 / 3, 0.5**2 / 3, (np.exp((0.7 - c) / a) + b) / 12])
        found = loaded.pixels[0, :, 0]
        assert found[0] == 0 and found[4] in (254, 255) and found[5] == 255
        assert close(found[1:4], encoded(1000 * scene**1.2 / 203))

    def test_hlg_of_colours_keeps_their_hue(self) -> None:
        """The system gamma is of the luminance: channels keep their ratios."""
        samples = np.array([[[0.5, 0.25, 0.25]]])
        values = np.rint(samples * 65535).astype(np.uint16)
        name, points = PRIMARIES[9]
        found, clipped = to_srgb(values, 65535, ColourSpace(name, points, "HLG"))
        scene = samples[0, 0] ** 2 / 3
        shown = scene * (0.2627 * scene[0] + 0.7373 * scene[1]) ** 0.2 * 1000 / 203
        assert close(found[0, 0], encoded(BT2020_TO_BT709 @ shown)) and clipped == 0

    def test_gammas_and_narrow_range(self) -> None:
        levels = np.arange(256) / 255
        for transfer, gamma in ((4, 2.2), (5, 2.8), (8, 1.0)):
            assert TRANSFERS[transfer] == ("gamma", gamma)
            loaded = load_image(with_chunks(file_of(Image.fromarray(EVERY)), cicp(1, transfer)))
            assert close(loaded.pixels.reshape(-1), encoded(levels**gamma))
        narrow = load_image(with_chunks(file_of(Image.fromarray(EVERY)), cicp(1, 13, full=0)))
        expected = np.clip((np.arange(256) - 16) / 219, 0, 1) * 255
        assert close(narrow.pixels.reshape(-1), expected)


class TestPng:
    def test_display_p3(self) -> None:
        samples = np.random.default_rng(2).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        loaded = load_image(with_chunks(file_of(Image.fromarray(samples)), cicp(12, 13)))
        light = decoded(samples / 255) @ P3_TO_SRGB.T
        assert close(loaded.pixels, encoded(light))
        beyond = ((light < 0) | (light > 1)).any(axis=2)
        share = float(loaded.notes[0].split("; ")[1].split("%")[0]) / 100
        assert beyond.mean() - 0.03 < share <= beyond.mean()
        primary = Image.new("RGB", (1, 1), (255, 0, 0))
        assert load_image(with_chunks(file_of(primary), cicp(12, 13))).pixels.tolist() == [
            [[255, 0, 0]]
        ]

    def test_sixteen_bits_are_converted_before_they_are_rounded(self) -> None:
        """Linear light: 8 bits of it have 13 levels of sRGB between 0 and 1/255."""
        numbers = np.arange(0, 600, 7)
        rows = [struct.pack(f">{3 * len(numbers)}H", *np.repeat(numbers, 3))]
        colours = load_image(with_chunks(png(16, 2, (len(numbers), 1), rows), gama(1)))
        gray = load_image(with_chunks(gray16(*(numbers / 65535)), gama(1)))
        for found in (gray, colours):
            assert close(found.pixels[0], encoded(numbers[:, None] / 65535))
        assert len(set(gray.pixels.ravel().tolist())) > 20

    def test_alpha_is_not_converted(self) -> None:
        rgba = np.dstack([PHOTO, PHOTO[..., 0]])
        loaded = load_image(with_chunks(file_of(Image.fromarray(rgba)), gama(0.6)))
        assert loaded.alpha is not None and np.array_equal(loaded.alpha, rgba[..., 3])
        assert close(loaded.pixels, encoded((PHOTO / 255) ** (1 / 0.6)))

    @pytest.mark.parametrize("gamma", [0.45455, 0.45, 0.46])
    def test_the_gamma_of_srgb_changes_nothing(self, gamma: float) -> None:
        same = chrm(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
        loaded = load_image(with_chunks(file_of(Image.fromarray(PHOTO)), gama(gamma), same))
        assert np.array_equal(loaded.pixels, PHOTO) and loaded.notes == []

    def test_primaries_of_its_own(self) -> None:
        wide = chrm(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
        loaded = load_image(with_chunks(file_of(Image.fromarray(PHOTO)), gama(0.45455), wide))
        assert close(loaded.pixels, encoded(decoded(PHOTO / 255) @ P3_TO_SRGB.T))
        assert "cHRM" in loaded.notes[0] and "gAMA" not in loaded.notes[0]

    @pytest.mark.parametrize("numbers", [(0.0,) * 8, (0.3127, 0.329) + (0.3, 0.3) * 3])
    def test_primaries_that_span_nothing_are_told(self, numbers: tuple[float, ...]) -> None:
        loaded = load_image(with_chunks(file_of(Image.fromarray(PHOTO)), chrm(*numbers)))
        assert np.array_equal(loaded.pixels, PHOTO) and "span no colours" in loaded.notes[0]

    def test_unknown_code_points_are_told(self) -> None:
        loaded = load_image(with_chunks(file_of(Image.fromarray(PHOTO)), cicp(1, 9)))
        assert np.array_equal(loaded.pixels, PHOTO)
        assert "primaries 1, transfer 9" in loaded.notes[0]

    def test_what_goes_before_what(self) -> None:
        """PNG, third edition: cICP, iCCP, sRGB, gAMA with cHRM."""
        file = file_of(Image.fromarray(PHOTO))
        profile = (b"iCCP", b"p\0\0" + zlib.compress(SRGB))
        intent, linear, p3 = (b"sRGB", b"\0"), gama(1), cicp(12, 13)

        def read(*chunks: tuple[bytes, bytes]) -> LoadedImage:
            return load_image(with_chunks(file, *chunks))

        changed = read(p3).pixels
        assert not np.array_equal(changed, PHOTO)
        first = read(p3, profile, linear)
        assert np.array_equal(first.pixels, changed) and first.icc is None
        assert any("ICC profile was left out" in note for note in first.notes)
        second = read(profile, linear)
        assert np.array_equal(second.pixels, PHOTO) and second.icc == SRGB and not second.notes
        assert np.array_equal(read(intent, linear).pixels, PHOTO)
        assert not np.array_equal(read(linear).pixels, PHOTO)
        assert np.array_equal(read(cicp(1, 13), linear).pixels, PHOTO)

    def test_of_a_pillow_image_loaded_or_not(self) -> None:
        file = with_chunks(file_of(Image.fromarray(PHOTO)), gama(0.6))
        image = Image.open(io.BytesIO(file))
        lazy = load_image(image).pixels
        assert np.array_equal(load_image(image).pixels, lazy)
        assert np.array_equal(load_image(file).pixels, lazy)


class TestAvif:
    @staticmethod
    def file(primaries: int, transfer: int, alpha: bool = False) -> tuple[bytes, np.ndarray]:
        """With these code points in the place of Pillow's, and the samples as Pillow reads them."""
        samples = np.dstack([PHOTO, PHOTO[..., :1]]) if alpha else PHOTO
        content = bytearray(file_of(Image.fromarray(samples), "AVIF", quality=90))
        place = content.index(b"colrnclx") + 8
        assert content[place : place + 4] == struct.pack(">HH", 1, 13)
        content[place : place + 4] = struct.pack(">HH", primaries, transfer)
        with Image.open(io.BytesIO(content)) as image:
            return bytes(content), np.asarray(image)

    @pytest.mark.parametrize("alpha", [False, True])
    def test_nclx(self, alpha: bool) -> None:
        for primaries, transfer, matrix in ((12, 13, P3_TO_SRGB), (9, 1, BT2020_TO_BT709)):
            content, samples = self.file(primaries, transfer, alpha)
            assert nclx(io.BytesIO(content)) == (primaries, transfer)
            loaded = load_image(content)
            light = decoded(samples[..., :3] / 255) @ matrix.T
            assert np.abs(loaded.pixels - encoded(light)).max() < 0.7
            assert "(nclx) to sRGB" in loaded.notes[-1]
            if alpha:
                assert loaded.alpha is not None
                assert np.array_equal(loaded.alpha, samples[..., 3])

    def test_pq(self) -> None:
        content, samples = self.file(9, 16)
        loaded = load_image(content)
        assert "BT.2020 PQ (nclx)" in loaded.notes[-1] and "clipped" in loaded.notes[-1]
        light = (pq_light(samples / 255) / 203) @ BT2020_TO_BT709.T
        assert 0.1 < (light > 1).mean() < 0.9
        assert np.abs(loaded.pixels - encoded(light)).max() < 1.5

    def test_srgb_is_left_alone(self) -> None:
        for codes in ((1, 13), (2, 2), (1, 1)):
            content, samples = self.file(*codes)
            loaded = load_image(content)
            assert np.array_equal(loaded.pixels, samples) and loaded.notes == []

    @pytest.mark.parametrize("wide", [False, True])
    def test_the_primary_item_counts(self, wide: bool) -> None:
        """Boxes by hand: another item, with another colour space, comes first."""

        def box(kind: bytes, content: bytes) -> bytes:
            return struct.pack(">I4s", 8 + len(content), kind) + content

        def colr(primaries: int, transfer: int) -> bytes:
            return box(b"colr", b"nclx" + struct.pack(">3HB", primaries, transfer, 6, 128))

        held = [
            colr(1, 13),
            box(b"pixi", bytes(8)),
            box(b"colr", b"prof"),
            colr(9, 16),
            colr(12, 4),
        ]
        item, index = (">I", ">H") if wide else (">H", ">B")
        entries = b""
        for number, places in ((7, (1, 2)), (9, (2, 4)), (11, (5,))):
            entries += struct.pack(item, number) + bytes([len(places)])
            essential = 0x8000 if wide else 0x80
            entries += b"".join(struct.pack(index, place | essential) for place in places)
        ipma = box(b"ipma", bytes([wide, 0, 0, wide]) + struct.pack(">I", 3) + entries)
        iprp = box(b"iprp", box(b"ipco", b"".join(held)) + ipma)
        pitm = box(b"pitm", bytes([wide, 0, 0, 0]) + struct.pack(item, 9))
        file = box(b"ftyp", b"avif" + bytes(8)) + box(b"meta", bytes(4) + pitm + iprp)
        assert nclx(io.BytesIO(file)) == (9, 16)
        assert nclx(io.BytesIO(file.replace(pitm, box(b"free", pitm[8:])))) is None

    def test_damaged_boxes_say_nothing(self) -> None:
        content, _ = self.file(9, 16)
        assert nclx(io.BytesIO(content)) == (9, 16)
        end = content.index(b"mdat")
        for length in range(0, end, 3):
            nclx(io.BytesIO(content[:length]))
        random = np.random.default_rng(1)
        for _ in range(500):
            changed = bytearray(content)
            changed[int(random.integers(end))] = int(random.integers(256))
            nclx(io.BytesIO(changed))


class TestGainMaps:
    def test_dropped_ones_are_told(self) -> None:
        image = Image.fromarray(PHOTO)
        xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" hdrgm:Version="1.0"/>'
        segment = b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"
        plain = file_of(image, "JPEG", quality=95)
        iso = plain[:2] + b"\xff\xe2" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]
        left_out = "The gain map for displays of a high dynamic range was left out."
        assert load_image(file_of(image, "JPEG", xmp=xmp)).notes == [left_out]
        assert load_image(iso).notes == [left_out]
        assert load_image(plain).notes == []


class TestFieldFile:
    pytestmark = field_data

    def test_linear_gray(self) -> None:
        with Image.open(FIELD / "gray-gama-1.0.png") as image:
            samples = np.asarray(image)
        loaded = load_image(FIELD / "gray-gama-1.0.png")
        assert close(loaded.pixels[..., 0], encoded(samples / 255))
        assert loaded.notes == ["The colours were converted from gamma 1 (gAMA) to sRGB."]


SUITE = sorted((FIELD.parent / "awkward" / "pngsuite").glob("*__g??n2c08.png"))


@pytest.mark.data
@pytest.mark.skipif(not SUITE, reason="HEQCODEC_DATA has no PNG suite")
def test_the_gammas_of_the_png_suite_give_one_picture() -> None:
    def read(path: Path) -> np.ndarray:
        return load_image(path).pixels.astype(int)

    assert len(SUITE) == 6
    raw = [np.asarray(Image.open(path)).astype(int) for path in SUITE]
    assert max(np.abs(one - raw[0]).mean() for one in raw) > 40
    reference = read(next(path for path in SUITE if "g10n" in path.name))
    for path in SUITE:
        # Of a gamma of 2.5, 8 bits keep little of what is dark.
        assert np.abs(read(path) - reference).mean() < 8, path.name
