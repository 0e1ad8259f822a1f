"""Training of `nqe-vgg`: allocations, the choice of a class, and a run from recipe to model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from heqcodec.lab.training import class_layers
from heqcodec.lab.training.class_allocation import (
    Distortions,
    expected_magnitudes,
    fit_allocation,
    magnitudes,
    regrets,
    tree_thresholds,
)
from heqcodec.lab.training.class_layers import ClassLayers, kept_activations, linear_fit
from heqcodec.models import registry
from heqcodec.nqe_t.transform import TransformStem, dct_layers
from heqcodec.nqe_vgg.allocation import CELLS, CLASSES, Allocation
from heqcodec.nqe_vgg.bands import band_levels
from heqcodec.nqe_vgg.code_reader import ClassCodeReader
from heqcodec.nqe_vgg.encoder import VggNqe
from heqcodec.nqe_vgg.packing import pack_layers
from sample_patches import photograph_patches


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    return photograph_patches()


@pytest.fixture(scope="module")
def encoder() -> VggNqe:
    made = registry.load_encoder("nqe-vgg")
    assert isinstance(made, VggNqe)
    return made


def test_thresholds_halve_each_cell_at_the_middle_of_its_means() -> None:
    cuts, whole = tree_thresholds(), magnitudes()
    assert (np.diff(cuts) > 0).all() and len(cuts) == CELLS - 1
    edges = np.searchsorted(whole, cuts)
    # Lloyd's condition, of the first and of a second cut.
    for low, cut, high in ((0, 63, len(whole)), (0, 31, edges[63]), (edges[63], 95, len(whole))):
        below, above = whole[low : edges[cut]], whole[edges[cut] : high]
        assert cuts[cut] == pytest.approx((below.mean() + above.mean()) / 2, rel=1e-3)


def test_expected_magnitudes_lie_in_their_cells() -> None:
    cuts = registry.encoder_tensors("nqe-vgg")["cuts"]
    points = expected_magnitudes(cuts)
    inner = np.concatenate([[0], cuts / 16])
    assert (points[-1] >= inner - 1).all()
    assert (points[-1][:-1] <= cuts / 16 + 1).all()
    for known in range(1, len(points)):
        assert points[known, 0] < points[known - 1, 0]


def test_distortions_are_what_a_reader_leaves(encoder: VggNqe, patches: np.ndarray) -> None:
    given = patches[:6]
    coefficients = encoder.stem.forward(given)
    points = expected_magnitudes(encoder.allocation.cuts)
    errors = Distortions(encoder.allocation, points)(coefficients)
    reader = ClassCodeReader(encoder, points)
    for label in (0, 9, 30):
        labels = np.full(len(given), label)
        codes = np.packbits(encoder.allocation.encode(coefficients, labels)[:, :256], axis=1)
        pixels = reader.pixels(reader.coefficients(codes, 3)).transpose(0, 2, 3, 1)
        true = ((pixels - given) ** 2).mean(axis=(1, 2, 3))
        # Rows of means weigh 1.12 times the others, and gains make planes differ by as much.
        ratio = errors[:, label, 2].numpy() / true
        assert (ratio > 0.98).all() and (ratio < 1.3).all()


def test_a_fit_gains_on_its_first_round(patches: np.ndarray) -> None:
    coefficients = TransformStem(*dct_layers()).forward(patches)

    def cost(tensors: dict) -> float:
        points = expected_magnitudes(tensors["cuts"])
        errors = Distortions(Allocation(tensors), points)(coefficients)
        return float(errors[:, :, 2].min(1).values.clamp(min=2).log().mean())

    once, more = (fit_allocation(coefficients, rounds, 0) for rounds in (1, 4))
    alone = {**once, "scales": np.repeat(once["scales"][:1], CLASSES, axis=0)}
    assert cost(more) <= cost(once) + 1e-6
    assert cost(once) < cost(alone) - 0.1


def test_regret_is_zero_in_the_best_class() -> None:
    errors = torch.tensor([[[8.0] * 4, [4.0] * 4, [2.0, 4.0, 4.0, 4.0]], [[1.0] * 4] * 3])
    found = regrets(errors)
    # Weights 0.3, 0.7, 1, 1 of the logs.
    assert found[0].tolist() == pytest.approx(
        [np.log(2) * (2 * 0.3 + 2.7) / 3, np.log(2) * 0.3 / 3, 0.0], abs=1e-6
    )
    assert found[1].tolist() == [0, 0, 0]


def test_the_twin_in_integers_scores_alike(
    encoder: VggNqe, patches: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_layers, "FIT_STEPS", 50)
    generator = torch.Generator().manual_seed(0)
    layers = list(encoder.network.layers)
    activations = kept_activations(layers, patches)
    coefficients = encoder.stem.forward(patches)
    levels = torch.from_numpy(band_levels(coefficients)).float()
    points = expected_magnitudes(encoder.allocation.cuts)
    regret = regrets(Distortions(encoder.allocation, points)(coefficients))
    model = ClassLayers(layers, activations, levels, regret, generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(6):
        loss = model.loss(activations.float(), levels, regret)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses[3:]) < losses[0]
    assert all(parameter.grad is not None for parameter in model.parameters())
    made = VggNqe(
        {
            **encoder.packed(),
            **pack_layers(model.integer_layers()),
            **model.class_tensors(),
        }
    )
    with torch.no_grad():
        both, _ = model(activations.float(), levels)
    np.testing.assert_array_equal(made.scores(patches, coefficients), both.numpy())


@pytest.mark.slow
def test_a_linear_fit_prefers_the_wanted_class() -> None:
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 20, (400, 3), generator=generator).float()
    regret = torch.stack([levels[:, 0] < 10, levels[:, 0] >= 10], 1).float()
    slopes, added = linear_fit(levels, regret, generator)
    chosen = (levels @ slopes.T + added).argmax(1)
    assert (regret.gather(1, chosen[:, None]) == 0).float().mean() > 0.95
