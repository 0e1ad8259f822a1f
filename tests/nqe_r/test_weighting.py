"""Coefficients weighted by frequency: numbers, intervals, and what files say of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from heqcodec.base.constants import WEIGHTED
from heqcodec.base.errors import HeqFormatError
from heqcodec.container.header import Header, parse_header
from heqcodec.eval.metrics import psnr
from heqcodec.image.patches import split_patches
from heqcodec.models.registry import load_dequantizer, load_rate_encoder
from heqcodec.nqe_r.bounds import LevelBounds
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.layout import band_frequencies
from heqcodec.nqe_r.weighting import (
    FINER,
    FREQUENCY_WEIGHTS,
    base_step,
    level_weights,
    step_factors,
    weighted,
)
from heqcodec.packets import PacketAssembler, packetize
from hypothesis import given
from hypothesis import strategies as st
from small_models import photograph

ROOT = Path(__file__).parents[2]


def encoder() -> RateNqe:
    made = load_rate_encoder("nqe-r")
    assert isinstance(made, RateNqe)
    return made


def test_weights_are_those_of_the_power_law_and_of_the_pages() -> None:
    law = 16 * (1 + np.arange(31) / 2) ** -0.4
    assert np.abs(law - FREQUENCY_WEIGHTS).max() <= 0.5
    listed = ", ".join(map(str, FREQUENCY_WEIGHTS))
    assert f"m = {listed}\n" in (ROOT / "docs" / "FORMAT.md").read_text("utf-8")
    header = (ROOT / "codec" / "native" / "heq_weights.h").read_text("utf-8")
    table = re.search(r"frequency_weights\[31\] = \{(.*?)\}", header, re.DOTALL)
    assert table and [int(number) for number in re.findall(r"\d+", table[1])] == [
        *FREQUENCY_WEIGHTS
    ]
    assert f"#define HEQ_FINER {FINER} " in header


def test_weights_by_level() -> None:
    bands = band_frequencies().sum(axis=1).tolist()
    assert level_weights()[::4].tolist() == [FREQUENCY_WEIGHTS[diagonal] for diagonal in bands]
    np.testing.assert_array_equal(level_weights()[3::4], level_weights()[::4])
    np.testing.assert_allclose(step_factors() * level_weights(), 16, rtol=1e-6)


@given(magnitude=st.integers(0, (1 << 18) - 1), place=st.integers(0, 1023))
def test_weighted_magnitudes(magnitude: int, place: int) -> None:
    row = np.zeros((2, 1024), np.int32)
    row[:, place] = magnitude, -magnitude
    found = weighted(row)[:, place]
    expected = (magnitude * int(level_weights()[place]) + 8) // 16
    # None grows, so that what is below a threshold may be left out before it is weighted.
    assert found.tolist() == [expected, -expected] and expected <= magnitude


def test_steps_of_an_index() -> None:
    ends = 0, 1023, WEIGHTED, WEIGHTED + FINER - 1
    assert [base_step(index) for index in ends] == [0, 1023, 0, 0]
    indices = np.array([500 - FINER, WEIGHTED + 500])
    assert base_step(int(indices[1])) == indices[0]
    nqe, sizes = encoder(), np.array([0, 1], np.uint8)
    plain, finer = (nqe.level_steps(index.repeat(2), sizes, 3) for index in indices)
    assert plain.shape == (2, 3, 1) and finer.shape == (2, 3, 1024)
    np.testing.assert_allclose(finer, plain * step_factors(), rtol=1e-6)
    mixed = nqe.level_steps(indices, sizes, 3)
    np.testing.assert_array_equal(mixed[0], np.broadcast_to(plain[0], (3, 1024)))
    np.testing.assert_array_equal(mixed[1], finer[1])
    with pytest.raises(ValueError, match="0 to 2047, not 2048"):
        nqe.levels(nqe.coefficients(split_patches(photograph()[:32, :32])), 2048)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("step", [30, 500, 850])
def test_patches_lie_in_the_intervals_of_their_levels(step: int, channels: int) -> None:
    patches = split_patches(photograph()[:96, :160])[..., :channels]
    nqe, index = encoder(), WEIGHTED + step
    levels, sizes = nqe.levels(nqe.coefficients(patches), index)
    samples = patches.transpose(0, 3, 1, 2).astype(np.float32)
    # Integer transforms round; at the finest steps that is a part of a step.
    most = 25 if step < 100 else 0.05
    assert LevelBounds(nqe, levels, sizes, index).violations(samples).max() < most
    # Levels of an index without weights are others: the intervals are not so wide that all fits.
    other, _ = nqe.levels(nqe.coefficients(patches), step)
    assert LevelBounds(nqe, other, sizes, index).violations(samples).max() > 2 * most


def test_low_frequencies_are_finer_and_high_ones_coarser() -> None:
    patches = split_patches(photograph()[:192, :256])
    nqe = encoder()
    coefficients = nqe.coefficients(patches)
    dequantizer = load_dequantizer("nqe-r")
    errors = []
    for index in (500, WEIGHTED + 500):
        levels, sizes = nqe.levels(coefficients, index)
        found = dequantizer.coefficients(levels, sizes, index)
        apart = found - coefficients[np.arange(len(sizes)), sizes]
        errors.append((apart**2).mean(axis=(0, 1)))
    low, high = slice(0, 4), slice(256, 1024)
    assert errors[1][low].mean() < 0.7 * errors[0][low].mean()
    assert errors[1][high].mean() > 1.1 * errors[0][high].mean()


def test_files_say_it_and_have_about_as_many_bytes() -> None:
    image = photograph()[:192, :256]
    for quality in (25, 45, 70):
        plain, tuned = (heqcodec.encode(image, quality=quality, tune=t) for t in ("psnr", "ssim"))  # type: ignore[arg-type]
        assert (plain[11], tuned[11]) == (3, 67)
        assert heqcodec.info(tuned)["weighted"] and not heqcodec.info(plain)["weighted"]
        assert heqcodec.info(tuned)["quality"] == quality
        assert 0.85 < len(tuned) / len(plain) < 1.15
        decoded = [heqcodec.decode(tuned, decoder=d) for d in ("plain", "strong")]  # type: ignore[arg-type]
        assert psnr(image, decoded[1]) > psnr(image, decoded[0]) > 26
        # Taken for a file without weights it is another picture.
        header = replace(parse_header(tuned), weighted=False).pack()
        assert psnr(image, heqcodec.decode(header + tuned[44:], decoder="plain")) < 25


def test_header_byte() -> None:
    header = Header(9, 9, 3, 500, bytes(8), b"coder id", 2, 1, weighted=True)
    assert parse_header(header.pack()) == header
    gray = replace(header, channels=1, gray_as_rgb=True)
    assert gray.pack()[11] == 193 and parse_header(gray.pack()) == gray
    with pytest.raises(HeqFormatError, match="no coefficients are weighted"):
        Header(9, 9, 3, 256, bytes(8), weighted=True).pack()


def test_packets_of_a_tuned_file() -> None:
    image = photograph()[:128, :160]
    file = heqcodec.encode(image, quality=40, tune="ssim", strip_rows=1)
    packets = packetize(file, 200)
    assembler = PacketAssembler()
    assembler.feed_all(packets)
    (whole,) = assembler.images()
    assert whole.to_heq() == file
    np.testing.assert_array_equal(whole.picture("strong"), heqcodec.decode(file, decoder="strong"))
    lossy = PacketAssembler()
    lossy.feed_all(packets[:3] + packets[4:])
    (part,) = lossy.images()
    known = part.valid.repeat(32, 0).repeat(32, 1)
    assert 0 < known.mean() < 1
    assert psnr(image[known][None], part.picture("strong")[known][None]) > 27
