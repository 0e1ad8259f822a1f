"""EQ-Net: elastic quantizer, distribution losses, guidance, predictor, search."""

import itertools
import math
import random

import pytest
import torch
from heqcodec.quantizers.accuracy_predictor import (
    AccuracyPredictor,
    Condition,
    encode,
    fit_predictor,
)
from heqcodec.quantizers.distribution_losses import (
    distribution_loss,
    kurtosis,
    kurtosis_loss,
    latent_weights,
    skewness,
    skewness_loss,
)
from heqcodec.quantizers.elastic import (
    ElasticQuantizer,
    Precision,
    every_precision,
    scan_step,
)
from heqcodec.quantizers.progressive_guidance import (
    elastic_quantizers,
    guided_loss,
    guided_losses,
    sandwich,
)
from heqcodec.quantizers.search import (
    Candidate,
    GeneticSearch,
    LayerCost,
    PrecisionSpace,
    pareto_front,
)
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize


def elastic_network():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    for layer in (network[0], network[2]):
        parametrize.register_parametrization(layer, "weight", ElasticQuantizer(elastic=True))
    return network


def test_space_and_levels():
    assert len(every_precision()) == 28
    quantizer = ElasticQuantizer(3)
    assert quantizer.levels == tuple(range(-4, 4))
    with pytest.raises(ValueError, match="not in the space"):
        quantizer.set_precision(Precision(4))
    with pytest.raises(ValueError, match="2 to 8 bits"):
        ElasticQuantizer(9)
    with pytest.raises(RuntimeError, match="refresh"):
        quantizer(torch.randn(3, 3))


def test_error_falls_with_bits_channels_and_offsets():
    torch.manual_seed(1)
    weight = torch.randn(8, 40) * torch.logspace(-1, 1, 8).unsqueeze(1) + 0.3
    quantizer = ElasticQuantizer(elastic=True)
    quantizer.refresh(weight)

    def error(bits, granularity, symmetric):
        quantizer.set_precision(Precision(bits, granularity, symmetric))
        assert quantizer.bits == bits
        return float((quantizer(weight) - weight).detach().abs().pow(2.4).mean())

    for granularity, symmetric in itertools.product(("tensor", "channel"), (True, False)):
        errors = [error(bits, granularity, symmetric) for bits in range(2, 9)]
        assert errors == sorted(errors, reverse=True)
    for bits in range(2, 9):
        assert error(bits, "channel", True) < error(bits, "tensor", True)
        assert error(bits, "channel", False) < error(bits, "tensor", False)


def test_scan_covers_a_grid_exactly():
    grid = torch.arange(-4.0, 4).repeat(1, 5) * 0.25
    for symmetric in (True, False):
        step, offset = scan_step(grid + (0 if symmetric else 7), 3, symmetric)
        assert float(offset) == pytest.approx(0 if symmetric else 7, abs=1e-5)
        assert float(step) == pytest.approx(0.25, rel=0.35 if symmetric else 1e-5)


def test_gradients_are_those_of_the_released_code():
    """forward of LSQQuantizerForWeight, by autograd: clip, round straight through, scaled steps."""
    torch.manual_seed(2)
    weight = torch.randn(4, 5, 3, 3)
    for granularity in ("tensor", "channel"):
        quantizer = ElasticQuantizer(2, granularity, symmetric=False)
        quantizer.refresh(weight)
        step, offset = quantizer.steps[quantizer.precision.key], next(quantizer.offsets.values())
        latent = weight.clone().requires_grad_()
        grad = torch.randn_like(weight)
        (quantizer(latent) * grad).sum().backward()
        numel = weight.numel()
        scale = numel**-0.5 if granularity == "tensor" else 2 * (numel / 5) ** -0.5
        x, s, beta = (t.detach().clone().requires_grad_() for t in (weight, step, offset))
        u = ((x - beta) / s).clamp(-2, 1)
        ((((u.round() - u).detach() + u) * s + beta) * grad).sum().backward()
        torch.testing.assert_close(step.grad, s.grad * scale, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(offset.grad, beta.grad * scale, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(latent.grad, x.grad)


def test_trained_steps_stay_and_switching_keeps_each_apart():
    network = elastic_network()
    first = elastic_quantizers(network)[0]
    precision = Precision(3, "channel", False)
    first.set_precision(precision)
    with torch.no_grad():
        first.steps[precision.key].mul_(1.25)
    kept = first.steps[precision.key].detach().clone()
    other = first.steps[Precision(4).key].detach().clone()
    first.refresh(network[0].parametrizations.weight.original.detach() * 2)
    assert torch.equal(first.steps[precision.key], kept)
    torch.testing.assert_close(first.steps[Precision(4).key].detach(), 2 * other)
    assert kept.shape == (12, 1)
    # A quantizer that has seen no weights yet takes what a state holds.
    fresh = ElasticQuantizer(elastic=True)
    fresh.load_state_dict(first.state_dict())
    fresh.set_precision(precision)
    latent = network[0].parametrizations.weight.original.detach()
    assert torch.equal(fresh(latent), first(latent))


def test_skewness_and_kurtosis_of_known_distributions():
    p = (torch.arange(100_001, dtype=torch.float64) + 0.5) / 100_001
    uniform, gauss = p.float(), (2**0.5 * torch.erfinv(2 * p - 1)).float()
    exponential = -torch.log1p(-p).float()
    assert float(kurtosis(uniform)) == pytest.approx(1.8, abs=1e-3)
    assert float(kurtosis(gauss)) == pytest.approx(3.0, abs=5e-3)
    assert float(skewness(uniform)) == pytest.approx(0, abs=1e-4)
    assert float(skewness(gauss)) == pytest.approx(0, abs=1e-4)
    assert float(skewness(exponential)) == pytest.approx(2.0, abs=0.02)
    assert float(kurtosis(exponential)) == pytest.approx(9.0, abs=0.2)
    two_points = torch.tensor([-1.0, 1.0]).repeat(5000)
    assert float(kurtosis(two_points)) == pytest.approx(1.0, abs=1e-3)
    assert float(kurtosis_loss([uniform])) == pytest.approx(0, abs=1e-5)
    assert float(kurtosis_loss([uniform, gauss])) == pytest.approx(1.2**2 / 2, abs=1e-2)
    assert float(skewness_loss([exponential, gauss])) == pytest.approx(2, abs=0.05)
    total = distribution_loss([exponential])
    assert float(total) == pytest.approx(4 + 0.015 * 7.2**2, rel=0.05)
    assert float(distribution_loss([torch.full((9,), 0.5)])) >= 0
    with pytest.raises(ValueError, match="at least one layer"):
        distribution_loss([])


def test_distribution_loss_makes_weights_uniform():
    torch.manual_seed(3)
    weight = torch.randn(2000).abs().requires_grad_()
    optimizer = torch.optim.Adam([weight], lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        distribution_loss([weight], kurtosis_weight=1.0).backward()
        optimizer.step()
    assert abs(float(skewness(weight).detach())) < 0.1
    assert float(kurtosis(weight).detach()) == pytest.approx(1.8, abs=0.1)
    found = latent_weights(elastic_network().modules())
    assert [tuple(w.shape) for w in found] == [(12, 6), (3, 12)]
    assert all(w.requires_grad for w in found)


def test_guided_loss_is_half_cross_entropy_and_half_divergence():
    torch.manual_seed(4)
    logits, teacher = torch.randn(5, 3), torch.randn(5, 3)
    labels = torch.tensor([0, 1, 2, 1, 0])
    hard = F.cross_entropy(logits, labels)
    assert float(guided_loss(logits, labels, None)) == pytest.approx(float(hard))
    p, q = teacher.softmax(1), logits.softmax(1)
    divergence = (p * (p / q).log()).sum(1).mean()
    expected = 0.5 * float(divergence) + 0.5 * float(hard)
    assert float(guided_loss(logits, labels, teacher)) == pytest.approx(expected, rel=1e-5)


def test_guidance_goes_from_subnet_to_subnet_and_accumulates():
    torch.manual_seed(5)
    logits = [torch.randn(4, 3, requires_grad=True) for _ in range(3)]
    labels, order = torch.tensor([0, 1, 2, 0]), []
    switches = [lambda index=index: order.append(index) for index in range(3)]
    losses = guided_losses(lambda: logits[order[-1]], labels, switches)
    sum(losses).backward()
    assert order == [0, 1, 2]
    teachers = [None, logits[0], logits[1]]
    for x, teacher, loss in zip(logits, teachers, losses, strict=True):
        assert float(loss.detach()) == pytest.approx(
            float(guided_loss(x, labels, teacher).detach())
        )
        assert x.grad is not None


def test_an_elastic_network_learns_in_all_its_precisions():
    network, generator = elastic_network(), torch.Generator().manual_seed(6)
    x = torch.randn(256, 6, generator=generator)
    labels = (x[:, 0] > 0.3).long() + (x[:, 1] > 0.3).long()
    switches = sandwich(network, random.Random(7))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    history = []
    for _ in range(60):
        optimizer.zero_grad()
        losses = guided_losses(lambda: network(x), labels, switches)
        sum(losses).backward()
        bits = {quantizer.bits for quantizer in elastic_quantizers(network)}
        assert bits == {2}
        nn.utils.clip_grad_value_(network.parameters(), 1.0)
        optimizer.step()
        history.append([float(loss.detach()) for loss in losses])
    assert all(end < 0.7 * start for start, end in zip(history[0], history[-1], strict=True))


def test_encoding_and_predictor():
    vector = encode(Condition(True, False, True), [0, 2, 8], [0, 5, 2])
    assert vector.shape == (6 + 14 * 3,)
    assert vector[:6].tolist() == [1, 0, 0, 1, 1, 0]
    weights, activations = vector[6:27].view(3, 7), vector[27:].view(3, 7)
    assert weights.argmax(1).tolist() == [0, 0, 6] and weights.sum(1).tolist() == [0, 1, 1]
    assert activations[1:].argmax(1).tolist() == [3, 0]
    with pytest.raises(ValueError, match="2 to 8 bits"):
        encode(Condition(), [1], [2])
    with pytest.raises(ValueError, match="1 layers of weights"):
        encode(Condition(), [2], [])

    source = random.Random(8)
    points = [[source.randint(2, 8) for _ in range(8)] for _ in range(400)]
    vectors = torch.stack([encode(Condition(), p[:4], p[4:]) for p in points])
    # Accuracy that saturates with bits, the first layer weighing most.
    accuracies = torch.tensor(
        [0.9 - sum(2.0**-b / (i + 1) for i, b in enumerate(p)) for p in points]
    )
    predictor = AccuracyPredictor(4, seed=1)
    layers = [m for m in predictor.network if isinstance(m, nn.Linear)]
    assert len(layers) == 8 and layers[-1].bias is None
    assert {m.out_features for m in layers[:-1]} == {200}
    error = fit_predictor(predictor, vectors, accuracies, epochs=40, batch=64)
    assert error < 0.35 * float(accuracies.std())
    with pytest.raises(ValueError, match="5 examples"):
        fit_predictor(predictor, vectors[:4], accuracies[:4])


def toy_space():
    layers = (LayerCost(100, 4000), LayerCost(400, 3000), LayerCost(900, 1000))
    return PrecisionSpace(layers, (1, 2, 3), (1, 2))


def toy_score(genes):
    sensitivity = (5.0, 2.0, 1.0, 3.0, 1.5, 0.5)
    return -sum(s * 4.0**-g for s, g in zip(sensitivity, genes, strict=True))


@pytest.mark.parametrize("budget", [(2600, 25_000), (4200, 48_000), (1400, 8000)])
def test_search_finds_what_trying_everything_finds(budget):
    space = toy_space()
    everything = []
    for genes in itertools.product(*(range(count) for count in space.choices)):
        costs = space.costs(genes)
        if all(c <= b for c, b in zip(costs, budget, strict=True)):
            everything.append(Candidate(genes, toy_score(genes), costs))
    calls = []

    def score(genes):
        calls.append(genes)
        return toy_score(genes)

    search = GeneticSearch(score, space, budget, population=40, generations=150, seed=2)
    front = search.run()
    assert len(calls) == len(set(calls)) <= len(everything)
    assert all(c <= b for found in front for c, b in zip(found.costs, budget, strict=True))
    assert front[0].score == max(c.score for c in everything)
    exact = pareto_front(everything)
    assert {(c.score, c.costs) for c in front} == {(c.score, c.costs) for c in exact}


def test_costs_and_fronts():
    space = toy_space()
    assert space.choices == (3, 3, 3, 2, 2, 2)
    assert space.bits((2, 1, 0, 1, 0, 1)) == ((3, 2, 1), (2, 1, 2))
    assert space.costs((2, 1, 0, 1, 0, 1)) == (300 + 800 + 900, 24_000 + 6000 + 2000)
    a, b = Candidate((0,), 1.0, (5.0,)), Candidate((1,), 1.0, (6.0,))
    c, d = Candidate((2,), 0.5, (4.0,)), Candidate((3,), 1.0, (5.0,))
    assert a.dominates(b) and not b.dominates(a) and not a.dominates(d)
    assert pareto_front([b, c, a, d]) == [a, c]
    with pytest.raises(ValueError, match="cheapest point"):
        GeneticSearch(toy_score, space, (10, 10))
    with pytest.raises(ValueError, match="needs layers"):
        PrecisionSpace((), (1,))


def scan_as_published(row, bits, symmetric):
    """symmetric_init and asymmetric_init of EQ-Net in plain Python: (step, offset) of one row."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    least, most = min(row), max(row)
    best = math.inf, 0.0, 0.0
    for percent in range(100, 20, -1):
        if symmetric:
            step, offset = percent / 100 * 2 * max(-least, most) / (high - low), 0.0
        else:
            step = percent / 100 * (most - least) / (high - low)
            offset = percent / 100 * least - step * low
        codes = [min(max(round((x - offset) / step), low), high) for x in row]
        errors = [abs(x - step * q - offset) ** 2.4 for x, q in zip(row, codes, strict=True)]
        best = min(best, (sum(errors), step, offset))
    return best[1:]


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("symmetric", [True, False])
def test_scan_takes_the_step_and_offset_of_the_published_one(bits, symmetric):
    generator = torch.Generator().manual_seed(bits)
    # Heavy tails and a mean: squares, and an offset from the whole range, would choose otherwise.
    rows = torch.randn(8, 200, generator=generator, dtype=torch.float64) ** 3 + 2.5
    steps, offsets = scan_step(rows, bits, symmetric)
    for row, step, offset in zip(rows.tolist(), steps.tolist(), offsets.tolist(), strict=True):
        assert (*step, *offset) == pytest.approx(scan_as_published(row, bits, symmetric), rel=1e-9)


def test_half_of_the_children_mutate_a_tenth_of_their_genes():
    alternatives, layers, population = 50, 400, 60
    space = PrecisionSpace((LayerCost(1, 1),) * layers, tuple(range(alternatives)), (2,))
    scored = []

    def score(genes):
        scored.append(genes[:layers])
        return random.Random(str(genes)).random()

    limits = (math.inf, math.inf)
    GeneticSearch(score, space, limits, population=population, generations=1, seed=3).run()
    pool, children = torch.tensor(scored[:population]), torch.tensor(scored[population:])
    changed = (children[:, None] != pool).double().mean(2).amin(1)
    mutated = changed < 0.3
    # A quarter are parents, of which one may be drawn twice. Two parents have no common genes, so
    # that half of either one is left; where both are the same, no new child is scored.
    assert 40 <= len(children) <= 47
    assert (changed[~mutated] > 0.4).all()
    assert 22 <= int(mutated.sum()) <= 24
    # 22 x 400 draws: a standard deviation of 0.0032.
    assert float(changed[mutated].mean()) == pytest.approx(0.1 * (1 - 1 / alternatives), abs=0.013)
