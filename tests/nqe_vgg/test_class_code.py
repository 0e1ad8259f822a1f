"""The code of `nqe-vgg`: allocations, quantizer, bands, classes, and what a reader makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from heqcodec.base.constants import BUDGET_BITS
from heqcodec.base.errors import HeqFormatError, HeqUnsupportedError
from heqcodec.models import registry
from heqcodec.models.manifest import decoder_weights
from heqcodec.nqe_vgg.allocation import (
    CELLS,
    CLASS_BITS,
    CLASSES,
    COEFFICIENTS,
    LUMA,
    MOST_BITS,
    PLACES,
    Allocation,
    scaled_cuts,
)
from heqcodec.nqe_vgg.bands import BAND_OF, BAND_SHIFTS, BANDS, band_levels
from heqcodec.nqe_vgg.code_reader import POINTS, ClassCodeReader
from heqcodec.nqe_vgg.encoder import VggNqe
from heqcodec.nqe_vgg.payload import RATES
from sample_patches import photograph_patches
from sample_vgg import THIRD, random_class_encoder


@pytest.fixture(scope="module")
def encoder() -> VggNqe:
    made = registry.load_encoder("nqe-vgg")
    assert isinstance(made, VggNqe)
    return made


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    noise = np.random.default_rng(3).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    ends = np.stack([np.full((32, 32, 3), value, np.uint8) for value in (0, 255)])
    return np.concatenate([photograph_patches()[:12], noise, ends])


def greedy_order(scales: np.ndarray, gains: np.ndarray, length: int) -> list[tuple[int, int]]:
    """One bit after the other, each to the coefficient that it is worth most to."""
    given, order = [0] * len(scales), []
    for _ in range(length):
        worth = [
            8 * int(e) + int(gains[b]) if b < MOST_BITS else -(10**9)
            for e, b in zip(scales, given, strict=True)
        ]
        best = worth.index(max(worth))
        order.append((best, given[best]))
        given[best] += 1
    return order


@pytest.mark.parametrize("channels", [1, 3])
def test_bits_go_where_they_are_worth_most(encoder: VggNqe, channels: int) -> None:
    allocation = encoder.allocation
    count = COEFFICIENTS if channels == 3 else LUMA
    for label in (0, 7, 31):
        order = allocation.order(label, channels)
        expected = greedy_order(
            allocation.scales[label, :count], allocation.gains, RATES[-1] - CLASS_BITS
        )
        assert list(zip(order.coefficient.tolist(), order.bit.tolist(), strict=True)) == expected


def test_places_are_the_low_frequencies() -> None:
    assert COEFFICIENTS == 153 + 2 * 45 and LUMA == 153
    plane, u, v = np.unravel_index(PLACES, (3, 32, 32))
    assert (u + v <= np.where(plane == 0, 16, 8)).all()
    assert (np.diff(PLACES) > 0).all()


def test_scales_are_half_octaves() -> None:
    cuts = np.array([3200, 64, 1], np.uint16)
    np.testing.assert_array_equal(scaled_cuts(cuts, 4), [12800, 256, 4])
    # 1 + 1/4 + 1/8 + 1/32, each shifted down alone.
    np.testing.assert_array_equal(scaled_cuts(cuts, 5), [4 * 4500, 4 * 90, 4])


def test_cells_count_thresholds(encoder: VggNqe) -> None:
    allocation, label = encoder.allocation, 5
    magnitudes = np.random.default_rng(0).integers(0, 1 << 14, (3, COEFFICIENTS))
    cells = allocation.cells(magnitudes, label)
    for index in (0, 40, 200):
        cuts = scaled_cuts(allocation.cuts, int(allocation.scales[label, index]))
        expected = [(16 * value >= cuts).sum() for value in magnitudes[:, index]]
        np.testing.assert_array_equal(cells[:, index], expected)
    assert cells.max() < CELLS


@pytest.mark.parametrize("channels", [1, 3])
def test_readers_find_what_was_coded(encoder: VggNqe, patches: np.ndarray, channels: int) -> None:
    points = decoder_weights("nqe-vgg", "strong")[0][POINTS]
    reader = ClassCodeReader(encoder, points)
    given = patches[..., :channels]
    coefficients = encoder.stem.forward(given)
    labels = encoder.classes(given)
    true = coefficients.reshape(len(given), -1)[
        :, PLACES[: COEFFICIENTS if channels == 3 else LUMA]
    ]
    for bits in RATES:
        codes = encoder.encode_patches(given, bits)
        assert codes.shape == (len(given), bits // 8)
        np.testing.assert_array_equal(codes, encoder.encode_patches(given, 512)[:, : bits // 8])
        np.testing.assert_array_equal(reader.labels(codes), labels)
        values = reader.coefficients(codes, channels)
        counts = encoder.allocation.counts(bits, channels)[labels]
        assert (counts.sum(axis=1) == bits - CLASS_BITS).all()
        assert (values[counts == 0] == 0).all()
        known = counts[:, : true.shape[1]] > 0
        signs = np.where(true < 0, -1, 1)
        np.testing.assert_array_equal(np.sign(values[:, : true.shape[1]])[known], signs[known])
        assert (values[:, true.shape[1] :] == 0).all()
        # The value lies in the cell that the coefficient lies in.
        for patch in range(len(given)):
            label = int(labels[patch])
            cells = encoder.allocation.cells(np.abs(true[patch : patch + 1]), label)[0]
            found = np.rint(np.abs(values[patch, : true.shape[1]])).astype(np.int64)
            seen = encoder.allocation.cells(found[None], label)[0]
            shift = MOST_BITS - counts[patch, : true.shape[1]]
            fine = known[patch] & (encoder.allocation.scales[label, : true.shape[1]] > 6)
            np.testing.assert_array_equal((cells >> shift)[fine], (seen >> shift)[fine])


def test_more_bits_decode_nearer(encoder: VggNqe) -> None:
    photographs = photograph_patches()[:12]
    reader = ClassCodeReader(encoder, decoder_weights("nqe-vgg", "strong")[0][POINTS])
    errors = []
    for bits in RATES:
        codes = encoder.encode_patches(photographs, bits)
        made = reader.pixels(reader.coefficients(codes, 3)).transpose(0, 2, 3, 1)
        errors.append(float(((made - photographs) ** 2).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.4 * errors[0]


def test_levels_of_bands() -> None:
    assert BANDS == 23 and BAND_OF[0] == -1 and (BAND_OF[1:] >= 0).all()
    coefficients = np.zeros((1, 3, 32, 32), np.int32)
    # Row 0, column 1 is a band of its own, of v > 2 u.
    band = int(BAND_OF[1])
    for mean, level in ((0, 0), (1, 2), (2, 4), (3, 5), (4, 6), (5, 6), (6, 7), (48, 13)):
        for sign in (1, -1):
            coefficients[0, 0, 0, 1] = sign * (mean << int(BAND_SHIFTS[band]))
            levels = band_levels(coefficients)
            assert levels[0, band] == level and levels.sum() == level


@pytest.mark.slow
def test_arithmetics_agree(encoder: VggNqe, patches: np.ndarray) -> None:
    for made in (encoder, random_class_encoder(4), random_class_encoder(5, THIRD, own_cuts=True)):
        codes = made.encode_patches(patches, 256)
        for arithmetic, some in (("float64", 1), ("int64", 4)):
            found = made.encode_patches(patches[::some], 256, arithmetic)
            np.testing.assert_array_equal(found, codes[::some])
    assert len(np.unique(encoder.classes(patches))) > 3


@pytest.mark.slow
def test_scores_add_up(encoder: VggNqe, patches: np.ndarray) -> None:
    coefficients = encoder.stem.forward(patches)
    straight = band_levels(coefficients) @ encoder.bands.T.astype(int)
    expected = encoder.network.totals(patches, "int64") + straight * 2 ** int(encoder.band_shift[0])
    np.testing.assert_array_equal(
        encoder.scores(patches, coefficients), expected + encoder.bias.astype(int)
    )


def test_budget(encoder: VggNqe) -> None:
    parts = encoder.weight_bits()
    assert sum(parts.values()) <= BUDGET_BITS
    assert parts["transform, quinary (3 bits)"] == 3 * 704
    assert parts["scales (4 bits)"] == 4 * CLASSES * COEFFICIENTS


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("scales", lambda a: a.astype(np.int8), "its scales are int8"),
        ("scales", lambda a: np.full_like(a, 16), "more than 4 bits"),
        ("cuts", lambda a: a[::-1].copy(), "do not ascend"),
        ("gains", lambda a: np.zeros_like(a), "do not descend"),
        ("bias", lambda a: a[:-1], "its biases"),
        ("bands", lambda a: np.full_like(a, 3), "not quinary"),
    ],
)
def test_wrong_tensors_are_refused(encoder: VggNqe, name: str, change, message: str) -> None:
    tensors = encoder.packed()
    tensors[name] = change(tensors[name])
    with pytest.raises(HeqFormatError, match=message):
        VggNqe(tensors)


def test_other_rates_are_refused(encoder: VggNqe, patches: np.ndarray) -> None:
    with pytest.raises(HeqUnsupportedError):
        encoder.encode_patches(patches, 96)
    with pytest.raises(KeyError):
        Allocation({})
