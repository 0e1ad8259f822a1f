"""Counting the variable-rate mode: its encoder and decoder by hand, and a whole model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from heqcodec.eval.complexity import rate_work
from heqcodec.eval.complexity.candidate import Candidate
from heqcodec.eval.complexity.frame import noise_frame
from heqcodec.eval.complexity.models import BITS, our_candidates
from heqcodec.eval.complexity.rate_frame import RateParts, fitting_step
from heqcodec.eval.complexity.rate_models import rate_candidates
from heqcodec.eval.complexity.work import Stage, Work
from heqcodec.export.layers import layer_operations, rate_layers
from heqcodec.export.operations import (
    Operations,
    cross_operations,
    index_operations,
    means_operations,
    near_operations,
    pass_operations,
    vector_operations,
    weight_operations,
)
from heqcodec.image.patches import split_patches
from heqcodec.nqe_r.cost_layer import REACH, SHAPES, CostLayer, thresholds
from heqcodec.nqe_r.device_coder.coder import DeviceCoder
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.layout import LEVELS, band_frequencies
from heqcodec.nqe_r.quantizer import WEIGHTS, rounded, transform_costs
from heqcodec.nqe_r.transform import dct_layers
from numpy.typing import NDArray
from sample_cost_layers import random_cost_layer
from small_rate_model import NAME, only_weights, write_rate_weights

FRAME = noise_frame(128, 64)


class TestTransforms:
    def test_by_hand(self) -> None:
        layers = np.zeros((3, 32, 32), dtype=np.int8)
        layers[0, :, 0], layers[2, 1, 3] = 2, -1
        # One pass over three planes; a weight of A in each row, one of C in an odd row.
        large = pass_operations(layers)
        assert large.additions == pytest.approx(3 * (33 / 32 + 3))
        assert large.shifts == pytest.approx(3 * (32 / 32 + 3))
        # T16 has the even rows; the four means take 12 additions and 4 shifts a plane.
        small = pass_operations(layers[:, ::2, :16])
        assert small.additions == pytest.approx(3 * (1 + 3))
        assert small.shifts == pytest.approx(3 * (1 + 3))
        assert means_operations() == Operations(3 * 12 / 1024, 3 * 4 / 1024)

    def test_butterflies_by_hand(self) -> None:
        layers = np.zeros((1, 8, 8), dtype=np.int8)
        layers[0, 0], layers[0, 1, 3:5] = 1, (2, -2)
        # Four sums and four differences; then four of the sums, and one of the differences.
        assert vector_operations(layers) == Operations(8 + 4 + 1, 1)

    def test_butterflies_change_no_sum_and_cost_what_is_counted(self) -> None:
        layers = dct_layers()
        for own in (layers, layers[:, ::2, :16]):
            x = np.random.default_rng(1).integers(-500, 500, own.shape[1])
            sums, work = folded_product(own, x.tolist())
            np.testing.assert_array_equal(sums, own.astype(int) @ x)
            assert rate_work.work_of(vector_operations(own)) == work
            assert work.additions < 0.5 * np.count_nonzero(own)

    def test_rows_that_are_neither_even_nor_odd_are_dense(self) -> None:
        layers = dct_layers()
        layers[1, 5, 7] = -layers[1, 5, 7] or 1
        assert vector_operations(layers) == weight_operations(layers)


def folded_product(layers: NDArray[np.int8], x: list[int]) -> tuple[NDArray[np.int64], Work]:
    """Sums (3, points) by butterflies, one operation after another, and how many they were."""
    if len(x) == 4:
        sums = layers.astype(int) @ np.array(x)
        return sums, plain_work(layers.ravel().tolist())
    half = len(x) // 2
    pairs = [x[i] + x[-1 - i] for i in range(half)]
    differences = [x[i] - x[-1 - i] for i in range(half)]
    work = Work(additions=2 * half)
    made = np.zeros((3, len(x)), dtype=np.int64)
    made[:, ::2], even = folded_product(layers[:, ::2, :half], pairs)
    for layer in range(3):
        for row in range(1, len(x), 2):
            weights = [int(weight) for weight in layers[layer, row, :half]]
            made[layer, row] = sum(w * d for w, d in zip(weights, differences, strict=True))
            work = work + plain_work(weights)
    return made, work + even


def plain_work(weights: list[int]) -> Work:
    return Work(
        additions=sum(weight != 0 for weight in weights),
        shifts=sum(abs(weight) == 2 for weight in weights),
    )


def divided(value: int, step: int) -> tuple[int, Work]:
    """A quotient of at least 2 by compare and subtract, and what it took."""
    additions = shifts = places = 0
    while True:
        additions += 1
        if value < step << places:
            break
        places += 1
        shifts += 1
    quotient = 0
    for place in range(places - 1, -1, -1):
        shifts += 1
        if place == places - 1:
            fits, quotient = True, 1
        else:
            fits = value >= step << place
            quotient = 2 * quotient + fits
            additions += 1 + fits
            shifts += 1
        if fits and place:
            value -= step << place
            additions += 1
    return quotient, Work(additions=additions, shifts=shifts)


class TestChoices:
    def test_bounds_are_those_of_the_size_decision(self) -> None:
        random = np.random.default_rng(2)
        given = random.integers(-4000, 4000, (3, 3, LEVELS)).astype(np.int32)
        given >>= random.integers(0, 12, given.shape).astype(np.int32)
        steps = np.array([75, 61, 106], dtype=np.int32)
        exceeded = rate_work.exceeded_bounds(given, steps)
        weights = np.concatenate([[0], np.cumsum(WEIGHTS)])
        np.testing.assert_array_equal(weights[exceeded].sum((1, 2)), transform_costs(given, steps))
        assert set(np.unique(exceeded)) == set(range(9))

    def test_sizes_by_hand(self) -> None:
        given = np.zeros((2, 2, 1, LEVELS), dtype=np.int32)
        given[0, 0, 0, :3] = [-5, 12, 10**6]
        work = rate_work.transform_choice_work(given, np.array([[16], [8]], dtype=np.int32))
        # All 4,096: a magnitude and a comparison; bounds are 4, 8, 12, 24, ...: one more for -5,
        # two for 12, seven for the last, each of which adds something; two comparisons of sums.
        assert work == Work(additions=4096 * 2 + 1 + 2 + 7 + 3 + 2)

    def test_quotients_by_hand(self) -> None:
        assert rate_work.quotient_work(np.array([2])) == Work(additions=5, shifts=5)
        assert rate_work.quotient_work(np.array([], dtype=np.int64)) == Work()

    def test_quotients_take_what_is_counted(self) -> None:
        for quotient in [*range(2, 70), 255, 256, 1000, 32767]:
            found, work = divided(quotient * 61 + 17, 61)
            assert found == quotient
            assert rate_work.quotient_work(np.array([quotient])) == work

    def test_quantization_by_hand(self) -> None:
        given = np.array([[[0, 9, -40, 100]]], dtype=np.int32)
        levels = np.array([[[0, 1, -2, 6]]], dtype=np.int16)
        work = rate_work.quantizer_work(given, levels, np.array([16], dtype=np.int32))
        # Magnitudes; the cost layer sees 0, 0, 2, 3 after 1, 1, 3, 3 comparisons; are they 2? two
        # thresholds; two additions and limits; three signs; quotients of 2 and 6.
        assert work == Work(additions=4 + 8 + 4 + 2 + 4 + 3 + 5 + 9, shifts=5 + 8)


class TestCostLayer:
    def test_by_hand(self) -> None:
        tensors = {name: np.zeros(shape, dtype=np.int8) for name, shape in SHAPES.items()}
        tensors["near"][0, 0, 1, 2, 0, 1] = 2
        tensors["cross"][0, 2, 3, 0] = -1
        tensors["shifts"][:] = [0, 3]
        # Two bands up and one to the left is there for 14 x 15 bands.
        assert near_operations(tensors["near"][0]) == Operations(14 * 15, 14 * 15)
        assert cross_operations(tensors["cross"][0]) == Operations(256, 0)
        # One of the two sums is shifted.
        assert index_operations(tensors["shifts"]) == Operations(4 * 3072, 3 * 3072)
        for weights in (tensors["near"], tensors["cross"]):
            assert not weights[1].any()

    @pytest.mark.parametrize("size", [0, 1])
    def test_every_weight_is_met_as_often_from_either_side(self, size: int) -> None:
        layer = CostLayer(random_cost_layer(4))
        sums = near_operations(layer.near[size]).plus(cross_operations(layer.cross[size]))
        for inward in (True, False):
            assert rate_work.met_weights(layer, size, inward).sum() == sums.additions

    def test_additions_where_zeros_are_skipped(self) -> None:
        tensors = random_cost_layer(5)
        random = np.random.default_rng(6)
        given = random.integers(0, 40, (1, 3, LEVELS)) * (random.random((1, 3, LEVELS)) < 0.02)
        steps = np.array([8, 9, 10], dtype=np.int32)
        given = given.astype(np.int32)
        counted = rate_work.sparse_cost_additions(CostLayer(tensors), 1, given, steps)
        assert counted == plain_sparse_additions(tensors, rounded(given, steps)[0] > 0, size=1)

    def test_where_it_decides(self) -> None:
        layer, steps = CostLayer(random_cost_layer(5)), np.array([16, 16, 32], dtype=np.int32)
        given = np.zeros((1, 3, LEVELS), dtype=np.int32)
        given[0, 0, 8:14], given[0, 2, 1023] = [7, 8, -22, 23, 25, -8], 45
        doubtful = np.zeros((1, 3, LEVELS), dtype=bool)
        doubtful[0, 0, [9, 10, 13]] = doubtful[0, 2, 1023] = True
        np.testing.assert_array_equal(rate_work.doubtful_levels(given, steps), doubtful)
        # Elsewhere no index of a threshold changes the level.
        for index in (0, 15):
            fixed = np.abs(given) >= thresholds(steps)[:, index, None]
            assert (fixed == (np.abs(given) >= steps[:, None]))[~doubtful].all()
        led = rate_work.met_weights(layer, 0, inward=True)
        expected = led[0, [9, 10, 13]].sum() + led[2, 1023] + 4 * 4
        assert rate_work.doubtful_cost_additions(layer, 0, given, steps) == expected


def plain_sparse_additions(
    tensors: dict[str, NDArray[np.int8]], there: NDArray[np.bool_], size: int
) -> int:
    frequencies = [(int(u), int(v)) for u, v in band_frequencies()]
    band_at = {pair: band for band, pair in enumerate(frequencies)}
    near, cross = tensors["near"][size], tensors["cross"][size]
    count = 0
    for plane, level in np.ndindex(3, LEVELS):
        (u, v), sub = frequencies[level // 4], level % 4
        for du, dv in np.ndindex(5, 5):
            band = band_at.get((u + du - REACH, v + dv - REACH))
            if band is not None:
                inputs = there[plane, 4 * band : 4 * band + 4]
                count += int((inputs & (near[plane, sub, :, du, dv] != 0)).sum())
        for which in range(2):
            other = there[(plane + 1 + which) % 3, level]
            count += int(other and cross[plane, sub, which] != 0)
    return count


# ---- A whole model ----


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RateParts]:
    model = write_rate_weights(tmp_path)
    encoder = RateNqe(model.encoder)
    with only_weights(tmp_path, monkeypatch):
        yield RateParts(encoder, model.encoder, model.device, model.packed)


def stage_of(candidate: Candidate, name: str) -> Stage:
    stage = candidate.cost.stage(name)
    assert stage is not None and stage.work is not None
    return stage


class TestModel:
    def test_candidates(self, parts: RateParts) -> None:
        found = our_candidates(FRAME)
        assert [candidate.cost.name for candidate in found] == [
            NAME,
            f"{NAME}-packed",
            f"{NAME}-fast",
        ]
        device, packed, fast = found
        assert device.codec is not None and device.codec.name == "heq"
        assert packed.codec is not None and packed.codec.name == "heq-packed"
        assert fast.codec is None
        step = fitting_step(parts, FRAME, BITS / 1024)
        assert device.setting == min(max((912 - step) / 8, 1), 100)
        encoder = stage_of(device, "encoder")
        assert encoder.weight_bits == sum(parts.encoder.weight_bits().values())
        # Pixels, two transform sizes in 32 bits, a row of 32, two bits a level.
        assert encoder.activation_bytes == 3072 + 8 * 3072 + 128 + 768
        for candidate in found:
            assert stage_of(candidate, "encoder") == encoder
            assert candidate.networks is not None
            candidate.networks.encode()
            candidate.networks.decode()
        for end in ("entropy encoder", "entropy decoder"):
            own = stage_of(device, end)
            assert own.weight_bits == sum(DeviceCoder(parts.device).weight_bits().values())
            assert own.work is not None and own.work.multiply_accumulates == 0
            assert stage_of(fast, end) == own
            served = stage_of(packed, end)
            assert served.weight_bits == 8 * sum(t.nbytes for t in parts.packed.values())
            assert served.work is not None and served.work.multiply_accumulates > 100
        strong, small = (stage_of(c, "decoder").work for c in (device, fast))
        assert strong is not None and small is not None
        assert strong.multiply_accumulates > small.multiply_accumulates

    def test_layers_are_those_of_the_report_and_choices_are_the_sum_of_their_kinds(
        self, parts: RateParts
    ) -> None:
        candidate = rate_candidates(NAME, FRAME, 0.25)[0]
        layers = stage_of(candidate, "encoder").work
        reported = layer_operations(rate_layers({**parts.tensors, **parts.device}))
        assert layers is not None
        assert layers.additions == pytest.approx(reported.additions)
        assert layers.shifts == pytest.approx(reported.shifts)
        choices = stage_of(candidate, "choices").work
        assert choices is not None and choices.multiply_accumulates == choices.multiplications == 0
        detail = candidate.cost.detail
        for kind in ("additions", "shifts"):
            kinds = ("choice of sizes", "quantization")
            total = sum(detail[f"{name}, {kind} a pixel"] for name in kinds)
            assert getattr(choices, kind) == pytest.approx(total)
        # A magnitude and a comparison of every coefficient in both sizes, and more.
        assert choices.additions > 2 * 3 * 2
        skipped = detail["cost layer, additions a pixel where zeros are skipped"]
        assert 0 < skipped < layers.additions
        assert (
            f"brings the sums of the cost layer to {skipped:.1f} additions" in candidate.cost.note
        )

    def test_is_counted_at_the_finest_step_that_fits(self, parts: RateParts) -> None:
        step = fitting_step(parts, FRAME, 0.25)
        reported = rate_candidates(NAME, FRAME, 0.25)[0].cost
        assert f"counted at step {step}, " in reported.note
        assert reported.detail["device coder, bpp"] <= 0.25
        coder = DeviceCoder(parts.device)
        lengths = [
            len(coder.encode(*strip, step - 1))
            for strip in whole_strips(parts.encoder, FRAME, step - 1)
        ]
        assert 8 * sum(lengths) > 0.25 * 128 * 64

    def test_decoder_by_hand(self, parts: RateParts) -> None:
        """PURENET with a stage at 1/4 and without, and the plain inverse in the chosen sizes."""
        device, _, fast = rate_candidates(NAME, FRAME, 0.25)
        quarters = device.cost.detail["share of patches in quarters"]
        inverse = 9 + 2 * 3 * (32 * (1 - quarters) + 16 * quarters)
        # At 1/8: enter, a local block and one more, the correction; then what leads on.
        cell = 193 * 8 + 2 * 18 * 8**2 + 8 * 192
        # At 1/2: 4 channels and the pixels of 2x2, a block, the correction.
        half = 9 * (4 + 12) * 4 + 18 * 4**2 + 9 * 4 * 12
        plain = (cell + 8 * 4 * 16) / 64 + half / 4
        # At 1/4: 6 channels and the pixels of 4x4, two blocks.
        mid = 9 * (6 + 48) * 6 + 2 * 18 * 6**2 + 6 * 4 * 4
        staged = (cell + 8 * 6 * 4) / 64 + mid / 16 + half / 4
        for candidate, expected in ((fast, plain), (device, staged)):
            work = stage_of(candidate, "decoder").work
            assert work is not None
            assert work.multiply_accumulates == pytest.approx(expected + inverse)

    def test_budget_and_memory_are_told(self, parts: RateParts) -> None:
        note = rate_candidates(NAME, FRAME, 0.25)[0].cost.note
        bits = sum(parts.encoder.weight_bits().values())
        bits += sum(DeviceCoder(parts.device).weight_bits().values())
        assert f"{bits:,} bits of weights of 1,048,576" in note
        assert "16,196 of state" in note


def whole_strips(
    encoder: RateNqe, frame: NDArray[np.uint8], step: int
) -> Iterator[tuple[NDArray[np.int16], NDArray[np.uint8]]]:
    levels, transform_sizes = encoder.levels(encoder.coefficients(split_patches(frame)), step)
    columns = frame.shape[1] // 32
    yield levels.reshape(-1, columns, 3, LEVELS), transform_sizes.reshape(-1, columns)
