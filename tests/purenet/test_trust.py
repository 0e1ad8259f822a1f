"""How far a decoder follows its network: weights, their fit, and what they do to a frame."""

from __future__ import annotations

import json
from pathlib import Path

import heqcodec
import numpy as np
import pytest
import torch
from heqcodec.base.arguments import DecoderName
from heqcodec.eval.metrics import psnr
from heqcodec.image.patches import split_patches
from heqcodec.lab.training import trust_fit
from heqcodec.lab.training.rate_frames import RateFrames
from heqcodec.lab.training.trust_fit import Corrections, Schedule, fit_trust, measure_corrections
from heqcodec.models.manifest import encoder_tensors
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.quantizer import step_size
from heqcodec.purenet.dequantizer import Dequantizer, default_places
from heqcodec.purenet.features import BaseFeatures, Features
from heqcodec.purenet.network import Purenet, PurenetConfig
from heqcodec.purenet.rate_decoder import KNOTS, PurenetRateDecoder
from heqcodec.purenet.torch_network import decode_base
from heqcodec.purenet.trust import (
    LEAST,
    LEVEL_HINTS,
    MOST,
    PATCH_HINTS,
    PREFIX,
    TENSORS,
    TRUST_INPUTS,
    Trust,
    between_patches,
    flat_quarters,
    level_hints,
    patch_energy,
    trust_inputs,
    with_neighbours,
)
from numpy.typing import NDArray
from safetensors.numpy import load_file
from small_models import SIZES, photograph, randomised
from small_rate_model import constant_trust, only_weights, write_rate_weights


@pytest.fixture(scope="module")
def encoder() -> RateNqe:
    return RateNqe(encoder_tensors("nqe-r"))


QUICK = Schedule(300, 1024, 4e-3)
STEP = 850
"""So coarse that levels allow the network below what it adds."""


def checks(rows: int, columns: int) -> NDArray[np.float32]:
    """A checkerboard of +1 and -1, (rows, columns, 1)."""
    y, x = np.mgrid[:rows, :columns]
    return (1 - 2 * ((y + x) % 2)).astype(np.float32)[..., None]


class Checks:
    """A network that adds a checkerboard of 5 samples."""

    radius, hints = 0, 1

    def frame(self, features: Features, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        assert isinstance(features, BaseFeatures) and len(features.hints) == 1
        plain = features.base.transpose(1, 2, 0)
        return np.ascontiguousarray(plain + checks(*plain.shape[:2]) * np.float32(0.02))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_frame_follows_its_network_so_far(encoder: RateNqe, channels: int) -> None:
    image = photograph()[96:192, 96:224, :channels]
    levels, transform_sizes = encoder.levels(encoder.coefficients(split_patches(image)), STEP)
    grid = levels.reshape(3, 4, channels, 1024), transform_sizes.reshape(3, 4), np.full(3, STEP)
    frames = [
        PurenetRateDecoder(
            encoder, Dequantizer(encoder, default_places()), network, trust
        ).decode_frame(*grid)
        for network, trust in (
            (None, None),
            (Checks(), None),
            (Checks(), constant_trust(0)),
            (Checks(), constant_trust(0.5)),
            (Checks(), constant_trust(7)),
        )
    ]
    plain, *others = (frame.astype(float) for frame in frames)
    added = [((frame - plain) * checks(96, 128)).mean() for frame in others]
    np.testing.assert_allclose(added, [5.1, 0, 2.55, 5.1 * MOST], atol=0.3)
    assert (others[1] == plain).all()


def test_lost_patches_are_the_networks(encoder: RateNqe) -> None:
    image = photograph()[96:192, 96:224]
    levels, transform_sizes = encoder.levels(encoder.coefficients(split_patches(image)), STEP)
    grid = levels.reshape(3, 4, 3, 1024), transform_sizes.reshape(3, 4), np.full(3, STEP)
    valid = np.ones((3, 4), dtype=bool)
    valid[1, 2] = False
    decoder = PurenetRateDecoder(
        encoder, Dequantizer(encoder, default_places()), Checks(), constant_trust(0)
    )
    lost = decoder.decode_frame(*grid, valid)
    # Only the middle of the patch is its own alone.
    assert np.abs(np.abs(lost[47:49, 79:81].astype(int) - 128) - 5).max() <= 0


def test_weights_change_evenly_between_patches() -> None:
    np.testing.assert_allclose(between_patches(np.full((2, 3), 0.7, np.float32)), 0.7, rtol=1e-6)
    ramp = between_patches(np.array([[0.0, 1.0, 2.0]], dtype=np.float32))
    wanted = np.clip((np.arange(96) - 15.5) / 32, 0, 2)
    np.testing.assert_allclose(ramp, np.tile(wanted, (32, 1)), atol=1e-6)
    np.testing.assert_allclose(between_patches(ramp[:1, ::32].T).shape, (96, 32))


def test_energy_is_the_mean_square_of_what_is_seen() -> None:
    plain = np.full((32, 64, 3), 0.5, dtype=np.float32)
    frame = plain.copy()
    frame[:, 32:] += np.float32(0.1)
    frame[:, 32:, 0] = 7.0
    np.testing.assert_allclose(
        patch_energy(frame, plain), [[0, (2 * 0.1**2 + 0.5**2) / 3]], atol=1e-6
    )


def test_neighbourhoods_are_means_over_nine_patches() -> None:
    hints = np.zeros((2, 3, 4), dtype=np.float32)
    hints[0, 0, 0], hints[1, 1, 2] = 9, 18
    given = with_neighbours(hints)
    np.testing.assert_array_equal(given[:2], hints)
    # A corner is repeated outside: it counts four times at itself.
    np.testing.assert_allclose(given[2], [[4, 2, 0, 0], [2, 1, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(given[3], np.tile(np.float32([0, 2, 2, 2]), (3, 1)))


def test_weights_by_hand() -> None:
    """One hidden unit, one input after the other."""
    rng = np.random.default_rng(1)
    hints = rng.random((17, 2, 3), dtype=np.float32)
    around = with_neighbours(hints)[:, 1, 2]
    energies = np.full((2, 3), 1e-4, dtype=np.float32)
    steps = np.array([100, 640])
    relative = 1e-4 * (255 / 64) ** 2  # the step of index 640 is 2 * 2^5
    given = [2 * 640 / 1024 - 1, *(2 * around - 1), np.log10(1e-4 + relative) / 2 + 1]
    for place, value in enumerate(given):
        tensors = {PREFIX + name: np.zeros(shape, np.float32) for name, shape in TENSORS.items()}
        tensors[PREFIX + "first"][7, place] = 0.25
        tensors[PREFIX + "first_bias"][7] = 0.5
        tensors[PREFIX + "second"][7] = 0.8
        tensors[PREFIX + "second_bias"] = np.float32(0.1)
        weights = Trust(tensors).of_patches(hints, steps, energies)
        assert weights.shape == (2, 3)
        assert weights[1, 2] == pytest.approx(0.1 + 0.8 * (0.5 + 0.25 * value), abs=1e-5)


def test_corrections_small_in_levels_and_in_steps_are_dropped() -> None:
    tensors = {PREFIX + name: np.zeros(shape, np.float32) for name, shape in TENSORS.items()}
    tensors[PREFIX + "second_bias"] = np.float32(0.7)
    trust = Trust({**tensors, LEAST: np.array([0.3, 0.01], np.float16)})
    # Root mean squares of 0.29 and 0.31 grey levels; the steps of 384 and 640 are 16 and 64.
    energies = np.tile((np.array([0.29, 0.31], np.float32) / 255) ** 2, (2, 1))
    hints = np.zeros((17, 2, 2), dtype=np.float32)
    weights = trust.of_patches(hints, np.array([384, 640]), energies)
    np.testing.assert_allclose(weights, [[0.7, 0.7], [0, 0.7]])
    assert (Trust(tensors).of_patches(hints, np.array([384, 640]), energies) > 0).all()
    with pytest.raises(ValueError, match="least"):
        Trust({**tensors, LEAST: np.zeros(3)})


def hints_of(levels: NDArray[np.int16], sizes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of patches (R, C, 3, 1024)."""
    made = level_hints(levels.reshape(-1, 3, 1024)).T.reshape(LEVEL_HINTS, *sizes.shape)
    return np.concatenate([sizes[None], made])


def test_flat_quarters_are_means_alone_with_quarters_among_them() -> None:
    levels, sizes = np.zeros((3, 9, 3, 1024), np.int16), np.zeros((3, 9), np.float32)
    levels[..., 0] = 700
    sizes[1, 4] = 1
    levels[1, 4, :, :4] = -300  # the means of quarters
    found = flat_quarters(with_neighbours(hints_of(levels, sizes))[PATCH_HINTS:])
    np.testing.assert_array_equal(found, np.tile(np.arange(9) // 3 == 1, (3, 1)))
    torch_found = flat_quarters(
        torch.from_numpy(with_neighbours(hints_of(levels, sizes))[PATCH_HINTS:])
    )
    np.testing.assert_array_equal(torch_found.numpy(), found)
    for plane in range(3):
        for place in (4, 5, 300, 1023):
            more = levels.copy()
            more[0, 3, plane, place] = 1
            found = flat_quarters(with_neighbours(hints_of(more, sizes))[PATCH_HINTS:])
            np.testing.assert_array_equal(found[:, 3:6], [[0, 0, 1], [0, 0, 1], [1, 1, 1]])


@pytest.mark.parametrize("decoder", ["fast", "strong"])
def test_squares_of_a_drawing_keep_the_plain_inverse(decoder: DecoderName) -> None:
    colours = np.array([[10, 20, 220], [205, 35, 60], [30, 15, 10]], dtype=np.uint8)
    squares = np.random.default_rng(2).integers(0, 3, (10, 12)).repeat(16, 0).repeat(16, 1)
    picture = colours[squares]
    for quality in (20, 45, 65):
        file = heqcodec.encode(picture, quality=quality)
        plain = heqcodec.decode(file, decoder="plain")
        np.testing.assert_array_equal(heqcodec.decode(file, decoder=decoder), plain)


def test_fit_finds_where_corrections_help() -> None:
    rng = np.random.default_rng(0)
    hints = rng.random((4000, TRUST_INPUTS - 2)).astype(np.float32)
    energy = np.full(4000, 50.0, dtype=np.float32)
    helps = hints[:, 3] > 0.5
    cross = np.where(helps, 45.0, 5.0).astype(np.float32)
    inputs = trust_inputs(hints, 500, energy / 3072)
    found = Corrections(inputs, np.full(4000, 100.0, np.float32), cross, energy)
    fitted = fit_trust(found, schedule=QUICK)
    weights = Trust(fitted).weights(inputs)
    clear = np.abs(hints[:, 3] - 0.5) > 0.2
    # The best weight is that of the product in the energy.
    assert np.abs(weights - np.where(helps, 0.9, 0.1))[clear].mean() < 0.1
    again = fit_trust(found, schedule=QUICK)
    assert all((again[name] == fitted[name]).all() for name in fitted)


@pytest.mark.slow
def test_losses_may_count_more_than_gains() -> None:
    energy = np.full(4000, 50.0, dtype=np.float32)
    # Patches that look alike: half of the corrections are right, half are of something else.
    cross = np.where(np.arange(4000) % 2 == 0, energy, 0).astype(np.float32)
    inputs = np.full((4000, TRUST_INPUTS), 0.5, dtype=np.float32)
    found = Corrections(inputs, np.full(4000, 100.0, np.float32), cross, energy)
    fitted = fit_trust(found, loss_weight=3.0, schedule=Schedule(1000, 256, 4e-3))
    weights = Trust(fitted).weights(inputs)
    # The least of (w^2 - 2 w) + (1 + 3) w^2.
    assert weights[0] == pytest.approx(0.2, abs=0.04)


@pytest.mark.slow
def test_losses_of_gray_patches_at_fine_steps_may_count_more() -> None:
    energy = np.full(4000, 50.0, dtype=np.float32)
    cross = np.where(np.arange(4000) % 2 == 0, energy, 0).astype(np.float32)
    inputs = np.full((4000, TRUST_INPUTS), 0.5, dtype=np.float32)
    chroma = slice(TRUST_INPUTS - 7, TRUST_INPUTS - 1)
    inputs[:, 0] = -0.5
    inputs[1000:, chroma] = -1
    inputs[2000:, 0] = 0.5
    inputs[3000:, chroma] = 0.5
    found = Corrections(inputs, np.full(4000, 100.0, np.float32), cross, energy)
    fitted = fit_trust(found, schedule=Schedule(1500, 512, 6e-3), gray_loss_weight=3.0)
    weights = Trust(fitted).weights(inputs)[::1000]
    # Without losses that count more, the least of (w^2 - 2 w) + w^2; see the test before.
    np.testing.assert_allclose(weights, [0.5, 0.2, 0.5, 0.5], atol=0.06)


def test_corrections_say_the_error_of_any_weight(encoder: RateNqe) -> None:
    torch.manual_seed(1)
    config = PurenetConfig(inputs=193, has_base=True, rates=KNOTS, **SIZES)
    network = randomised(Purenet(config), scale=0.2)
    codec = RateFrames(encoder, default_places())
    tiles = photograph()[None, :256, :256].copy()
    found = measure_corrections(network, codec, tiles, 2, seed=4)
    assert found.inputs.shape == (72, TRUST_INPUTS) and found.energy.min() > 0
    again = measure_corrections(network, codec, tiles, 2, seed=4)
    np.testing.assert_array_equal(found.cross, again.cross)
    # Where the network is right, the product is the energy.
    exact = Corrections(found.inputs, found.energy, found.energy, found.energy)
    assert np.mean(Trust(fit_trust(exact, schedule=QUICK)).weights(exact.inputs)) == pytest.approx(
        1, abs=0.05
    )
    error = found.plain - 2 * found.cross + found.energy
    assert (error > -1e-3 * found.plain).all()
    step = torch.tensor([560])
    pixels = torch.from_numpy(tiles[0, :64, :64].transpose(2, 0, 1).copy())[None]
    base, hints = codec(pixels, step)
    with torch.no_grad():
        frame = decode_base(network, base, hints, step).clamp(0, 1)
    unit = step_size(560) / 255
    direct = float((((pixels / 255 - frame) / unit) ** 2).sum())
    plain = (pixels / 255 - base.clamp(0, 1)) / unit
    change = (frame - base.clamp(0, 1)) / unit
    predicted = sum(
        float(trust_fit._by_patch(part).sum())
        for part in (plain * plain, -2 * plain * change, change * change)
    )
    assert predicted == pytest.approx(direct, rel=1e-4)


def test_errors_of_the_command_are_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rate_weights(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    np.save(tmp_path / "tiles.npy", photograph()[None, :256, :256])
    options = ["--data", str(tmp_path / "tiles.npy"), "--weights", str(tmp_path)]
    for wrong, message in (
        (["--model", "x"], 'has no model "x"; it has r.'),
        (["--model", "r", "--decoder", "best"], '"r" has no decoder "best" with weights of its'),
        (["--model", "r", "--weights", str(tmp_path / "no")], "cannot be read as a manifest"),
    ):
        assert trust_fit.main([*options, *wrong, "--iterations", "1"]) == 1
        assert message in capsys.readouterr().err
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_command_puts_weights_into_the_network_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rate_weights(tmp_path)
    np.save(tmp_path / "tiles.npy", photograph()[None, :256, :256])
    options = ["--data", str(tmp_path / "tiles.npy"), "--weights", str(tmp_path), "--crops", "2"]
    options += ["--iterations", "40"]
    for decoder in ("strong", "fast"):
        assert trust_fit.main([*options, "--model", "r", "--decoder", decoder]) == 0
    entry = json.loads((tmp_path / "manifest.json").read_text())["models"]["r"]
    assert entry["decoder"]["trust"]["crops"] == [2] and entry["decoder"]["trust"]["batch"] == 2048
    assert "trust" in entry["decoders"]["fast"]
    twice = [*options, "--data", str(tmp_path / "tiles.npy"), "--crops", "3", "--model", "r"]
    assert trust_fit.main(twice) == 0
    entry = json.loads((tmp_path / "manifest.json").read_text())["models"]["r"]
    assert entry["decoder"]["trust"]["crops"] == [2, 3]
    with pytest.raises(SystemExit):
        trust_fit.main([*twice, "--data", str(tmp_path / "tiles.npy")])
    still = ["--model", "r", "--decoder", "fast", "--go-on", "strong", "--learning-rate", "1e-9"]
    still += ["--least", "0.25", "0.5"]
    assert trust_fit.main([*options, *still]) == 0
    models = json.loads((tmp_path / "manifest.json").read_text())["models"]
    fast, strong = models["r"]["decoders"]["fast"], models["r"]["decoder"]
    assert fast["trust"]["went_on_from"] == strong["trust"]
    own, given = (load_file(tmp_path / part["file"]) for part in (fast, strong))
    np.testing.assert_array_equal(own.pop(LEAST), [0.25, 0.5])
    assert all((own[name] == given[name]).all() for name in own if name.startswith(PREFIX))
    image = photograph()[:96, 160:288]
    with only_weights(tmp_path, monkeypatch):
        data = heqcodec.encode(image, model="r", quality=60)
        for decoder in ("strong", "fast", "best"):
            assert psnr(image, heqcodec.decode(data, decoder=decoder)) > 25
