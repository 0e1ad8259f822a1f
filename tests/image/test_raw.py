"""Raw dumps of image sensors: closed forms, sizes, what demosaicing keeps, and what is refused."""

from __future__ import annotations

from pathlib import Path

import heqcodec
import numpy as np
import pytest
from command_runner import run
from heqcodec.container.header import GRAY_AS_RGB
from heqcodec.image.raw.layout import parse_layout
from heqcodec.image.raw.loading import load_raw
from raw_dumps import BAYER, KINDS, dump
from small_models import photograph

PHOTO = np.ascontiguousarray(photograph()[40:168, 30:190])


def read(pixels: np.ndarray, kind: str, padding: int = 0) -> np.ndarray:
    data, raw = dump(pixels, kind, padding)
    return load_raw(data, raw, None).pixels


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


@pytest.mark.parametrize("kind", ["rgb24", "bgr24", "rgba"])
def test_orders_of_rgb_are_the_pixels(kind: str) -> None:
    np.testing.assert_array_equal(read(PHOTO, kind), PHOTO)
    np.testing.assert_array_equal(read(PHOTO, kind, padding=5), PHOTO)
    np.testing.assert_array_equal(read(PHOTO, "gray8"), PHOTO[..., 1:2])


def test_rgb565_repeats_its_highest_bits() -> None:
    words = np.array([0x0000, 0xFFFF, 0xF800, 0x07E0, 0x001F, 0x8410, 0x1234], ">u2")
    found = load_raw(words.tobytes(), "7x1:rgb565be", None).pixels[0].tolist()
    assert found[:5] == [[0] * 3, [255] * 3, [255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert found[5:] == [[132, 130, 132], [16, 69, 165]]
    swapped = words.astype("<u2").tobytes()
    assert load_raw(swapped, "7x1:rgb565", None).pixels[0].tolist() == found


@pytest.mark.parametrize("kind", ["yuyv", "uyvy", "yuv420p", "nv12", "nv21"])
@pytest.mark.parametrize("range_", ["", ":limited"])
def test_y_cb_cr_is_bt_601(kind: str, range_: str) -> None:
    grays = np.repeat(np.arange(0, 256, 3, np.uint8)[:, None], 6, axis=1)[..., None].repeat(3, 2)
    found = read(grays, kind + range_)
    assert np.abs(found.astype(int) - grays).max() <= (1 if range_ else 0)
    primaries = np.zeros((12, 8, 3), np.uint8)
    for number in range(6):
        primaries[2 * number : 2 * number + 2] = [
            250 * (number + 1 >> bit & 1) for bit in (0, 1, 2)
        ]
    assert np.abs(read(primaries, kind + range_).astype(int) - primaries).max() <= 3
    assert psnr(read(PHOTO[:101, :99], kind + range_), PHOTO[:101, :99]) > 30


@pytest.mark.parametrize("kind", BAYER)
def test_demosaicing_keeps_what_is_flat(kind: str) -> None:
    layout = parse_layout(f"4x4:{kind}")
    flat = np.empty((37, 41, 3), np.uint8)
    flat[:] = 200, 90, 40
    found = read(flat, kind)
    assert (found == found[0, 0]).all()
    if layout.black == 0 and layout.gains == (64, 64, 64):
        assert np.abs(found[0, 0].astype(int) - flat[0, 0]).max() <= 1


def test_gradients_demosaic_better_than_means() -> None:
    for order in ("rggb", "grbg", "gbrg", "bggr"):
        for bits in ("8", "10p", "12", "16"):
            better, means = (read(PHOTO, f"s{order}{bits}{how}") for how in ("", ":bilinear"))
            assert psnr(better, PHOTO) > psnr(means, PHOTO) + 1.5 > 28


def test_a_bayer_pattern_holds_its_own_samples() -> None:
    found = read(PHOTO, "sgrbg8")
    np.testing.assert_array_equal(found[::2, ::2, 1], PHOTO[::2, ::2, 1])
    np.testing.assert_array_equal(found[::2, 1::2, 0], PHOTO[::2, 1::2, 0])
    np.testing.assert_array_equal(found[1::2, ::2, 2], PHOTO[1::2, ::2, 2])


def test_weights_of_the_gradient_correction() -> None:
    """One bright sample: the published filters, in sixteenths of 160."""
    samples = np.zeros((16, 16), np.uint8)
    samples[6, 6] = 160  # red of rggb
    found = load_raw(samples.tobytes(), "16x16:srggb8", None).pixels.astype(int)
    wanted_green = np.zeros((5, 5), int)
    wanted_green[2, 2] = 80  # 8 / 16 at its own place; elsewhere negative, clipped
    np.testing.assert_array_equal(found[4:9, 4:9, 1], wanted_green)
    assert found[6, 6].tolist() == [160, 80, 120]
    assert found[6, 7].tolist() == [80, 0, 0]  # 8 / 16 beside
    assert found[7, 7].tolist() == [40, 0, 0]  # 4 / 16 at the corners
    samples[6, 6], samples[6, 7] = 0, 160  # green
    found = load_raw(samples.tobytes(), "16x16:srggb8", None).pixels.astype(int)
    assert found[6, 7].tolist() == [100, 160, 100]  # 10 / 16 at its own place
    assert found[6, 5].tolist() == [0, 0, 10]  # -2 / 16 along the row of red, 1 / 16 across


def test_packed_samples_are_the_words() -> None:
    for bits in (10, 12):
        for order in ("rggb", "bggr"):
            words, packed = (read(PHOTO[:50, :61], f"s{order}{bits}{p}") for p in ("", "p"))
            np.testing.assert_array_equal(words, packed)


def test_black_level_and_white_balance() -> None:
    samples = np.full((8, 8), 100, np.uint8)
    found = load_raw(samples.tobytes(), "8x8:srggb8:black=20:gain=128/64/32", None).pixels
    assert (found == [160, 80, 40]).all()
    found = load_raw(samples.tobytes(), "8x8:srggb8:black=120:gain=255/64/32", None).pixels
    assert (found == 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 3), (3, 2), (5, 1)])
def test_every_size(kind: str, size: tuple[int, int]) -> None:
    pixels = PHOTO[: size[0], : size[1]]
    channels = 1 if kind == "gray8" else 3
    assert read(pixels, kind, padding=4).shape == (*size, channels)


def test_the_command_writes_what_the_function_does(tmp_path: Path) -> None:
    data, raw = dump(PHOTO, "nv12")
    frame, out = tmp_path / "frame.raw", tmp_path / "out.heq"
    frame.write_bytes(data)
    result = run("encode", frame, out, "--raw", raw, "-q", "30")
    assert result.exit_code == 0, result.stderr
    assert out.read_bytes() == heqcodec.encode(data, raw=raw, quality=30)
    pixels = load_raw(data, raw, None).pixels
    assert out.read_bytes() == heqcodec.encode(pixels, quality=30)


def test_a_neutral_dump_is_coded_as_gray() -> None:
    gray = PHOTO[..., 1:2].repeat(3, axis=2)
    data = heqcodec.encode(dump(gray, "rgb24")[0], raw="160x128:rgb24")
    assert data == heqcodec.encode(gray) and data[11] == GRAY_AS_RGB


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("640:rgb565", "WIDTHxHEIGHT"),
        ("0x4:rgb565", "WIDTHxHEIGHT"),
        ("4x4:rgb556", "is not known"),
        ("4x4:rgb565:limited", "none of rgb565le"),
        ("4x4:rgb565:stride=7", "at least 8"),
        ("4x4:srggb8:black=256", "none of srggb8"),
        ("4x4:srggb8:gain=0/1/1", "in 64ths"),
        ("4x4:rgb565", "31 bytes"),
    ],
)
def test_what_is_none_is_refused(raw: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(heqcodec.HeqError, match=words):
        heqcodec.encode(bytes(31), raw=raw)
    (tmp_path / "frame.raw").write_bytes(bytes(31))
    result = run("encode", tmp_path / "frame.raw", tmp_path / "out.heq", "--raw", raw)
    assert result.exit_code == (1 if words == "31 bytes" else 2)
    assert not (tmp_path / "out.heq").exists()


def test_limits_come_before_reading() -> None:
    with pytest.raises(heqcodec.HeqLimitError):
        heqcodec.encode(b"", raw="40000x40000:gray8")
