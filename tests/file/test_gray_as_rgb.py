"""RGB images that are grey in every pixel: one channel is coded, and R = G = B come back."""

from __future__ import annotations

import io
from typing import Any

import heqcodec
import numpy as np
import pytest
from heqcodec.base.errors import HeqFormatError
from heqcodec.container.header import GRAY_AS_RGB, HEADER_LENGTH, Header, field_offsets
from heqcodec.file.encoding import ROWS, is_neutral
from PIL import Image, ImageCms
from skimage import data

GRAY = np.ascontiguousarray(data.camera()[80:190, 200:333])
RGB = np.repeat(GRAY[..., None], 3, axis=2)
OPTIONS: list[dict[str, Any]] = [
    {"quality": 20},
    {"quality": 60, "coder": "packed"},
    {"model": "nqe-t", "bpp": 0.25},
    {"model": "nqe-vgg", "bpp": 0.125},
]


@pytest.fixture(scope="module", params=OPTIONS, ids=str)
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


def test_one_channel_is_coded_and_three_come_back(options: dict[str, Any]) -> None:
    file, gray = heqcodec.encode(RGB, **options), heqcodec.encode(GRAY, **options)
    assert file[field_offsets()["channels"]] == GRAY_AS_RGB == 129
    # The channels' byte and the header's checksum apart, it is the grey file.
    assert file[12:40] == gray[12:40] and file[HEADER_LENGTH:] == gray[HEADER_LENGTH:]
    pixels = heqcodec.decode(file)
    assert pixels.shape == RGB.shape and pixels.flags.c_contiguous
    assert np.array_equal(pixels, np.repeat(heqcodec.decode(gray), 3, axis=2))
    facts = heqcodec.info(file)
    assert (facts["channels"], facts["coded_channels"], facts["alpha"]) == (3, 1, False)
    assert heqcodec.info(gray)["channels"] == 1


def test_region_damage_and_alpha(options: dict[str, Any]) -> None:
    file = heqcodec.encode(RGB, **options, strip_rows=1)
    whole = heqcodec.decode(file)
    part = heqcodec.decode(file, region=(40, 50, 60, 30))
    assert np.abs(part.astype(int) - whole[50:80, 40:100]).max() <= 1
    assert part.shape == (30, 60, 3) and np.ptp(part, axis=2).max() == 0
    damaged = bytearray(file)
    damaged[HEADER_LENGTH + 20] ^= 255
    partial = heqcodec.decode_partial(bytes(damaged))
    assert partial.pixels.shape == RGB.shape and partial.damaged
    assert np.ptp(partial.pixels, axis=2).max() == 0
    alpha = np.tile(np.arange(RGB.shape[1], dtype=np.uint8), (RGB.shape[0], 1))
    clear = heqcodec.encode(np.dstack([RGB, alpha]), **options)
    assert heqcodec.info(clear)["coded_channels"] == 1
    assert np.array_equal(heqcodec.decode(clear)[..., 3], alpha)


@pytest.mark.parametrize("place", [(0, 0), (109, 132), (64, 3)])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_coloured_pixel_makes_it_a_colour_image(place: tuple[int, int], channel: int) -> None:
    image = RGB.copy()
    image[(*place, channel)] ^= 1
    facts = heqcodec.info(heqcodec.encode(image, quality=20))
    assert (facts["channels"], facts["coded_channels"]) == (3, 3)


def test_the_last_row_of_a_tall_image_counts() -> None:
    tall = np.zeros((2 * ROWS + 1, 2, 3), np.uint8)
    assert is_neutral(tall)
    tall[-1, -1, 2] = 1
    assert not is_neutral(tall)


def test_packing_keeps_it() -> None:
    device = heqcodec.encode(RGB, quality=50)
    packed = heqcodec.pack(device)
    assert packed == heqcodec.encode(RGB, quality=50, coder="packed")
    assert heqcodec.info(packed)["coded_channels"] == 1
    assert heqcodec.decode(packed).shape == RGB.shape
    assert heqcodec.unpack(packed) == device


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_pillow_opens_the_mode_that_was_saved(mode: str) -> None:
    buffer = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(RGB).convert(mode).save(buffer, "HEQ", icc_profile=profile)
    with Image.open(buffer) as image:
        assert image.mode == mode and image.info["icc_profile"] == profile
        assert np.ptp(np.asarray(image)[..., :3], axis=2).max() == 0
    assert heqcodec.info(buffer.getvalue())["coded_channels"] == 1


def test_three_coded_channels_cannot_be_grey() -> None:
    header = Header(width=5, height=5, channels=3, rate=64, encoder_id=bytes(8), gray_as_rgb=True)
    with pytest.raises(HeqFormatError, match="one channel"):
        header.pack()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bpp", "share"), [(0.0625, 0.96), (0.125, 0.97), (0.25, 0.988), (0.5, 0.995)]
)
def test_grey_of_the_patch_mode_is_as_good_as_colour(bpp: float, share: float) -> None:
    """What the file does not say of colour differences is known, and the decoder gets it."""
    smooth = data.moon()
    errors = []
    for image in (smooth, np.repeat(smooth[..., None], 3, axis=2)):
        image = image.copy()
        if image.ndim == 3:
            image[0, 0, 0] ^= 1
        pixels = heqcodec.decode(heqcodec.encode(image, model="nqe-t", bpp=bpp)).astype(float)
        errors.append(float(np.mean((pixels.mean(axis=2) - smooth) ** 2)))
    # A file of colours pays for saying that there are none, the more the fewer bits it has.
    assert errors[0] < share * errors[1]
