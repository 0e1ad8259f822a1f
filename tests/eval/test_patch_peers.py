"""The patch-constant peers: every patch the same bytes, coded and decoded by itself."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from heqcodec.base.errors import HeqError, HeqFormatError, HeqTruncatedError
from heqcodec.eval.baselines import make_codec
from heqcodec.eval.baselines.patch.cost import EncoderCost
from heqcodec.eval.baselines.patch.jpeg2000_markers import EOC, main_header
from heqcodec.eval.baselines.patch.patch_codec import LADDER, PatchCodec
from heqcodec.eval.baselines.patch.patch_file import HEADER_BYTES
from heqcodec.eval.metrics import psnr
from heqcodec.image.images import load_image
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most
from PIL import Image
from slow_cases import slow

NAMES = [
    "patch-jpeg2000", "patch-jpeg2000-bare", "patch-klt", "patch-dct", "patch-cs",
    "patch-cs-learned",
]  # fmt: skip
SIZES = [(1, 1), (33, 47), (64, 32), (70, 100)]
DATA = Path(os.environ.get("HEQCODEC_DATA", Path(__file__).resolve().parents[2] / "../shared/data"))
J2K_HEAD = len(main_header(32, 32, bytes(8)))
J2K_MARKERS = 14


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """uint8 (160, 192, 3)."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[20:180, 130:322])


@pytest.fixture(params=[slow(name) if "jpeg2000" in name else name for name in NAMES])
def codec(request: pytest.FixtureRequest) -> PatchCodec:
    made = make_codec(request.param)
    if made.missing():
        pytest.skip(str(made.missing()))
    assert isinstance(made, PatchCodec)
    return made


def overhead(codec: PatchCodec) -> tuple[int, int]:
    """Bytes before the first patch, and after the last."""
    if codec.name == "patch-jpeg2000":
        return J2K_HEAD, len(EOC)
    return HEADER_BYTES, 0


def coded(codec: PatchCodec, pixels: np.ndarray, setting: float, path: Path) -> np.ndarray:
    codec.encode(pixels, setting, path)
    return codec.decode(path)


def test_the_ladder_is_that_of_the_patch_mode(codec: PatchCodec) -> None:
    if codec.name == "patch-jpeg2000":  # 14 bytes of markers do not fit in the lowest
        assert codec.settings == (*LADDER[1:], 1.0)
    else:
        assert codec.settings == LADDER == (0.0625, 0.125, 0.25, 0.5)


@pytest.mark.parametrize("height, width", SIZES)
def test_a_file_has_exactly_the_bytes_of_its_patches(
    codec: PatchCodec, photograph: np.ndarray, height: int, width: int, tmp_path: Path
) -> None:
    path = tmp_path / f"coded{codec.suffix}"
    patches = -(-height // 32) * -(-width // 32)
    for setting in codec.settings:
        decoded = coded(codec, photograph[:height, :width], setting, path)
        assert decoded.shape == (height, width, 3)
        assert decoded.dtype == np.uint8
        assert path.stat().st_size == sum(overhead(codec)) + patches * round(setting * 1024 / 8)


def test_a_patch_has_the_same_code_alone_and_among_others(
    codec: PatchCodec, photograph: np.ndarray
) -> None:
    codes = codec.image_codes(photograph, 256)
    assert codes.shape[0] == 5 * 6
    alone = codec.image_codes(photograph[32:64, 64:96], 256)
    assert np.array_equal(codes[6 + 2], alone[0])
    assert not np.array_equal(codes[6 + 2], codes[0])


def test_the_same_pixels_give_the_same_file_and_picture(
    codec: PatchCodec, photograph: np.ndarray, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for setting in codec.settings[-2:]:
        decoded = coded(codec, photograph, setting, first)
        again = coded(make_codec(codec.name), photograph.copy(), setting, second)  # type: ignore[arg-type]
        assert first.read_bytes() == second.read_bytes()
        assert np.array_equal(decoded, again)


def test_gray_given_as_rgb_stays_nearly_gray(
    codec: PatchCodec, photograph: np.ndarray, tmp_path: Path
) -> None:
    gray = np.repeat(photograph.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    decoded = coded(codec, gray, 0.5, tmp_path / "gray").astype(int)
    tint = np.ptp(decoded, axis=2)
    assert tint.mean() < 3
    assert psnr(gray, decoded.astype(np.uint8)) > 21


def test_flat_patches_come_back_flat(codec: PatchCodec, tmp_path: Path) -> None:
    flat = np.zeros((32, 96, 3), np.uint8)
    flat[:, :32], flat[:, 32:64], flat[:, 64:] = (128, 128, 128), (0, 0, 0), (255, 255, 255)
    decoded = coded(codec, flat, 0.5, tmp_path / "flat").astype(int)
    for first in (0, 32, 64):
        patch = decoded[:, first : first + 32]
        assert np.abs(patch.mean((0, 1)) - flat[0, first]).max() < 12
        assert patch.std() < 12


def test_a_higher_rate_is_a_better_picture(
    codec: PatchCodec, photograph: np.ndarray, tmp_path: Path
) -> None:
    qualities = [
        psnr(photograph, coded(codec, photograph, setting, tmp_path / "coded"))
        for setting in codec.settings
    ]
    assert qualities == sorted(qualities)
    assert qualities[-1] > qualities[0] + 2
    # A patch of the photograph's mean colour has 11.1 dB.
    assert qualities[-1] > 20


@settings(
    max_examples=most(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_damage_to_one_patch_stays_in_it(
    codec: PatchCodec, photograph: np.ndarray, data: st.DataObject, tmp_path: Path
) -> None:
    setting = data.draw(st.sampled_from(codec.settings))
    size = round(setting * 1024 / 8)
    path = tmp_path / f"damaged{codec.suffix}"
    sound = coded(codec, photograph[:64, :96], setting, path)
    patch = data.draw(st.integers(0, 5))
    damage = data.draw(st.binary(min_size=size, max_size=size))
    content = bytearray(path.read_bytes())
    start = overhead(codec)[0] + patch * size
    content[start : start + size] = damage
    path.write_bytes(content)
    damaged = codec.decode(path)
    row, column = divmod(patch, 3)
    place = np.s_[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
    damaged[place] = sound[place]
    assert np.array_equal(damaged, sound)


def test_damage_is_seen_in_its_patch(
    codec: PatchCodec, photograph: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"damaged{codec.suffix}"
    sound = coded(codec, photograph[:64, :96], 0.5, path)
    content = bytearray(path.read_bytes())
    start = overhead(codec)[0] + (J2K_MARKERS if codec.name == "patch-jpeg2000" else 0)
    for place in range(start, start + 16):
        content[place] ^= 0xA5
    path.write_bytes(content)
    assert not np.array_equal(codec.decode(path)[:32, :32], sound[:32, :32])


def test_broken_files_give_a_sentence(
    codec: PatchCodec, photograph: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / f"broken{codec.suffix}"
    codec.encode(photograph[:64, :96], 0.25, path)
    data = path.read_bytes()
    for cut in (len(data) - 1, len(data) // 2, 10, 0):
        path.write_bytes(data[:cut])
        with pytest.raises((HeqTruncatedError, HeqFormatError)):
            codec.decode(path)
    path.write_bytes(data + b"\0")
    with pytest.raises((HeqTruncatedError, HeqFormatError)):
        codec.decode(path)
    path.write_bytes(b"\0" + data[1:])
    with pytest.raises(HeqFormatError):
        codec.decode(path)


def test_a_file_of_another_peer_or_other_tables_is_refused(
    photograph: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "coded.heqp"
    make_codec("patch-klt").encode(photograph, 0.25, path)
    with pytest.raises(HeqFormatError, match="another patch-constant peer"):
        make_codec("patch-dct").decode(path)
    data = bytearray(path.read_bytes())
    data[16] ^= 1
    path.write_bytes(data)
    with pytest.raises(HeqFormatError, match="other tables"):
        make_codec("patch-klt").decode(path)


def test_a_setting_between_two_is_refused(
    codec: PatchCodec, photograph: np.ndarray, tmp_path: Path
) -> None:
    with pytest.raises(HeqError, match=r"takes a bpp of .*0\.25, 0\.5.* and not 0\.3\."):
        codec.encode(photograph, 0.3, tmp_path / "coded")


def test_the_cost_of_the_encoder_is_told(codec: PatchCodec) -> None:
    cost = codec.cost
    assert isinstance(cost, EncoderCost)
    assert 0 <= cost.multiplications_per_pixel < 300
    assert 30 < cost.additions_per_pixel < 300
    assert 1_000 < cost.memory_bytes < 300_000
    assert cost.note and "\n" not in cost.note


def test_the_class_trials_are_in_the_cost_of_the_transform_code() -> None:
    cost = make_codec("patch-klt").cost  # type: ignore[attr-defined]
    # 128 classes with some 100 coefficients each, 3 multiplications for each.
    assert 96 + 3 * 128 * 80 / 1024 < cost.multiplications_per_pixel < 96 + 3 * 128 * 130 / 1024


def test_tiles_of_jpeg2000_open_with_any_reader(photograph: np.ndarray, tmp_path: Path) -> None:
    codec = make_codec("patch-jpeg2000")
    if codec.missing():
        pytest.skip(str(codec.missing()))
    path = tmp_path / "tiles.j2k"
    codec.encode(photograph[:70, :100], 0.5, path)
    with Image.open(path) as image:
        assert image.format == "JPEG2000"
        assert image.size == (128, 96)
        whole = np.asarray(image)
    assert np.array_equal(whole[:70, :100], codec.decode(path))


def test_bare_tiles_are_better_by_the_markers(photograph: np.ndarray) -> None:
    bare, counted = make_codec("patch-jpeg2000-bare"), make_codec("patch-jpeg2000")
    if bare.missing():
        pytest.skip(str(bare.missing()))
    assert isinstance(bare, PatchCodec) and isinstance(counted, PatchCodec)
    assert "NOT COUNTED" in bare.about
    markers = 8 * J2K_MARKERS
    assert np.array_equal(
        bare.image_codes(photograph, 512 - markers), counted.image_codes(photograph, 512)
    )


# Mean PSNR in dB over the corner of three validation photographs at 0.25 bpp, less 0.3 dB.
EXPECTED = {
    "patch-jpeg2000": 22.8,
    "patch-jpeg2000-bare": 25.2,
    "patch-klt": 28.5,
    "patch-dct": 28.0,
    "patch-cs": 22.5,
    "patch-cs-learned": 25.3,
}


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "val").is_dir(), reason="needs HEQCODEC_DATA")
def test_photographs_come_back_as_well_as_they_did(codec: PatchCodec, tmp_path: Path) -> None:
    qualities = []
    for path in sorted((DATA / "val").glob("*.avif"))[:3]:
        pixels = np.ascontiguousarray(load_image(path).pixels[:256, :256])
        qualities.append(psnr(pixels, coded(codec, pixels, 0.25, tmp_path / "coded")))
    assert EXPECTED[codec.name] < np.mean(qualities) < EXPECTED[codec.name] + 1
