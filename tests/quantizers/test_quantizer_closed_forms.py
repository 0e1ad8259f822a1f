"""Small cases that are worked out by hand, and what the quantizers take when nothing is said."""

import math
import random

import numpy as np
import pytest
import torch
from heqcodec.quantizers import BitShiftNorm, RunningBatchNorm2d, code_statistics, half_wave_msb
from heqcodec.quantizers.accuracy_predictor import AccuracyPredictor, fit_predictor
from heqcodec.quantizers.base import window_gradient
from heqcodec.quantizers.bit_splitting import keep_probabilities
from heqcodec.quantizers.codeq import DeadZoneQuantizer
from heqcodec.quantizers.diagnostics import COLLAPSE, plot_layer_log
from heqcodec.quantizers.elastic import ElasticQuantizer
from heqcodec.quantizers.gradient_quantizers import PerSampleGradient, PerTensorGradient
from heqcodec.quantizers.hadamard import HadamardQuantizer
from heqcodec.quantizers.heq import HistogramEqualizedQuantizer, quantile_step
from heqcodec.quantizers.householder import BlockHouseholderGradient
from heqcodec.quantizers.level_rules import cheapest_levels, filled_levels, scalar_indices
from heqcodec.quantizers.lsq import initial_step
from heqcodec.quantizers.pair_grids import PairGrid
from heqcodec.quantizers.progressive_guidance import sandwich
from heqcodec.quantizers.prox_connect import ProxConnectQuantizer
from heqcodec.quantizers.quantized_linear import QuantizedLinear
from heqcodec.quantizers.randomness import RandomSource
from heqcodec.quantizers.search import Candidate, GeneticSearch, LayerCost, PrecisionSpace
from heqcodec.quantizers.straight_through import in_single
from heqcodec.quantizers.tinyllava import ScalarQuantizer, ScalarWeightQuantizer
from torch import nn


def rounded(quantizer):
    return quantizer(torch.linspace(-1, 2, 30).view(5, 6).cos())


def weight_gradient(layer):
    """What one backward pass leaves, rounding and sampling included."""
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1, 1, layer.weight.numel()).view_as(layer.weight))
    layer.refresh()
    layer(torch.linspace(-1, 1, 24).view(3, 8)).square().sum().backward()
    return layer.weight.grad


@pytest.mark.parametrize(
    ("what", "make", "usual"),
    [
        (rounded, PerTensorGradient, {"bits": 8, "seed": 0, "zero": True}),
        (rounded, PerSampleGradient, {"bits": 8, "seed": 0}),
        (rounded, BlockHouseholderGradient, {"bits": 8, "seed": 0}),
        (weight_gradient, lambda **how: QuantizedLinear(8, 4, False, **how), {"seed": 0}),
        (
            lambda made: made.network[0].weight,
            lambda **how: AccuracyPredictor(2, **how),
            {"seed": 0},
        ),
        (lambda made: made.uniform_like(torch.zeros(9)), RandomSource, {"seed": 0}),
        (lambda made: torch.tensor(made.levels), HistogramEqualizedQuantizer, {"levels": 3}),
        (
            lambda made: torch.tensor(made.levels),
            lambda **how: ScalarQuantizer(None, **how),
            {"levels": 4},
        ),
        (lambda made: made.bn.bias, lambda **how: BitShiftNorm(2, **how), {"bias": 0.0}),
    ],
)
def test_what_is_taken_when_nothing_is_said(what, make, usual):
    assert torch.equal(what(make()), what(make(**usual)))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (BitShiftNorm(2), "batch normalization"),
        (DeadZoneQuantizer(5), "bits=5"),
        (DeadZoneQuantizer(None, 7), "bits=2..7"),
        (HistogramEqualizedQuantizer(5), "levels=5, rule='A', window='clip'"),
        (
            HistogramEqualizedQuantizer(zero_median=True),
            "levels=3, rule='A', window='clip', zero_median=True",
        ),
    ],
)
def test_what_a_printed_module_shows(module, words):
    assert module.extra_repr() == words


def test_a_printed_normalization_shows_its_phase():
    norm = BitShiftNorm(2, scale=0.25)
    assert norm.shift == 0 and not norm.is_bsn
    norm.switch_to_bsn(fade=0.5)
    assert norm.extra_repr() == "shift=2, fade=0.5"
    norm.set_fade(0.0)
    assert norm.extra_repr() == "shift=2"


@pytest.mark.slow
def test_a_predictor_sees_four_fifths():
    """Accuracies are powers of two, so that the mean of the seen ones says which they are."""
    vectors = torch.eye(10, 20)
    accuracies = 2.0 ** -torch.arange(10)
    predictor = AccuracyPredictor(1, seed=3)
    error = fit_predictor(predictor, vectors, accuracies, epochs=1)
    total = round(float(predictor.base) * 8 * 512)
    seen = torch.tensor([bool(total >> (9 - index) & 1) for index in range(10)])
    assert int(seen.sum()) == 8
    left = (predictor(vectors) - accuracies)[~seen].detach()
    assert error == pytest.approx(float(left.square().mean().sqrt()))
    fit_predictor(predictor, vectors[:5], accuracies[:5], epochs=1)


@pytest.mark.slow
def test_a_predictor_takes_a_hundred_epochs_of_256():
    """Of accuracies so far off that the hundredth epoch still comes nearer."""
    vectors = torch.rand(330, 20, generator=torch.Generator().manual_seed(2))

    def error(count, **how):
        predictor = AccuracyPredictor(1, seed=3)
        return fit_predictor(predictor, vectors[:count], 1000 * vectors[:count, 0], **how)

    assert error(330, epochs=2) == error(330, epochs=2, batch=256, seed=0)
    assert error(330, epochs=2) != error(330, epochs=2, batch=257)
    assert error(10, epochs=99) > error(10) == error(10, epochs=100) > error(10, epochs=101)


@pytest.mark.slow
def test_the_first_of_equally_good_states_is_kept():
    """The last layer is 0, so the predictions stay, while weight decay changes the others."""

    def after(epochs):
        predictor = AccuracyPredictor(1, seed=3)
        with torch.no_grad():
            predictor.network[-1].weight.zero_()
        assert fit_predictor(predictor, torch.eye(10, 20), torch.full((10,), 0.5), epochs) == 0
        return predictor

    one, four = after(1), after(4)
    assert torch.equal(one.network[0].weight, four.network[0].weight)
    assert one(torch.zeros(3, 20)).tolist() == [0.5] * 3


def test_a_weight_out_of_range_comes_back_however_small_its_gradient():
    gradient, u = torch.tensor([1e-3, -1e-3, 1e-3]), torch.tensor([2.0, 2.0, -2.0])
    assert window_gradient(gradient, u, 1.5, "inward").tolist() == pytest.approx([1e-3, 0, 0])


@pytest.mark.parametrize("count", [1, 2, 8])
def test_rows_without_scores_are_not_kept(count):
    assert keep_probabilities(torch.zeros(8), count).tolist() == [0] * 8


def test_a_closed_dead_zone_leaves_the_floor_of_the_step():
    quantizer = DeadZoneQuantizer(4)
    quantizer.refresh(torch.linspace(-1, 1, 101))
    with torch.no_grad():
        quantizer.dead_zone_logit.zero_()
    width = float(quantizer.dead_zone().detach())
    assert width == pytest.approx(2 * float(quantizer.magnitude))
    assert quantizer.delta() == pytest.approx(1e-8)
    with torch.no_grad():
        quantizer = DeadZoneQuantizer(None)
    assert float(quantizer.bit_logit.detach()) == 3


def test_bits_that_never_change():
    """Two that are always 1, one that is always -1, one of either kind, in one channel of two."""
    code = torch.ones(4, 1, 1, 4)
    code[:, ..., 2] = -1
    code[:2, ..., 3] = -1
    assert code_statistics(code) == pytest.approx({"entropy": 0.25, "stuck": 0.75})


@pytest.mark.slow
def test_the_plot_of_the_layers(tmp_path, monkeypatch):
    from matplotlib import pyplot

    figures = []
    monkeypatch.setattr(pyplot, "close", figures.append)
    log = tmp_path / "layers.csv"
    log.write_text("step,layer,entropy_ratio,delta_sigma,zeros\n1,a,1,2,0.25\n5,a,0.5,3,0.75\n")
    plot_layer_log(log, tmp_path / "layers.svg")
    monkeypatch.undo()
    (figure,) = figures
    panels = figure.axes
    drawn = [[list(line.get_ydata()) for line in panel.get_lines()] for panel in panels]
    assert drawn == [[[1, 0.5]], [[2, 3]], [[0.25, 0.75], [COLLAPSE] * 2]]
    assert [panel.get_xlabel() for panel in panels] == ["", "", "step"]
    assert [panel.get_legend() is not None for panel in panels] == [True, False, False]
    pyplot.close(figure)


def test_the_range_of_a_gradient_without_negative_values_begins_at_0():
    assert PerTensorGradient(2)(torch.tensor([[2.0, 4.0]])).tolist() == [[2, 4]]
    assert PerTensorGradient(2)(torch.tensor([[-2.0, -4.0]])).tolist() == [[-2, -4]]
    assert PerTensorGradient(2)(torch.tensor([[-1.0, 1.0]])).tolist() == [[-1, 1]]


class AlwaysTheSame(RandomSource):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def uniform_like(self, x):
        return torch.full_like(x, self.number)


def test_no_more_values_than_the_bits_say_where_a_division_rounds_up():
    """Of -c .. 5 c, six bins wide, both ends lie a rounding beyond an integer for some c."""
    beyond = 0
    for c in torch.linspace(1, 2, 1000).tolist():
        gradient = torch.tensor([[-c, 5 * c]])
        values = []
        for number in (0.0, 1 - 2**-24):
            quantizer = PerTensorGradient(3)
            quantizer.random = AlwaysTheSame(number)
            values += quantizer(gradient).flatten().tolist()
        width = float((gradient.amax() - gradient.amin()) / 6)
        beyond += float(gradient[0, 0]) / -width > 1
        assert round((max(values) - min(values)) / width) <= 7
    assert beyond


def test_a_hadamard_block_of_one_is_no_rotation():
    quantizer, weight = HadamardQuantizer(4, 1), torch.linspace(-1, 1, 12).view(3, 4)
    quantizer.refresh(weight)
    plain = (weight / quantizer.step).round().clamp(-8, 7)
    assert torch.equal(quantizer.codes(weight), plain)
    for block in (0, 3, 6):
        with pytest.raises(ValueError, match="power of two"):
            HadamardQuantizer(4, block)


@pytest.mark.parametrize("levels", [3, 4, 5, 8])
def test_the_mean_of_the_steps_by_each_quantile(levels):
    weight = torch.linspace(-1, 2, 1001).exp() - 1
    quantiles = np.quantile(weight.double().numpy(), np.arange(1, levels) / levels)
    thresholds = np.arange(1, levels) - levels / 2
    each = [q / t for q, t in zip(quantiles, thresholds, strict=True) if t]
    assert float(quantile_step(weight, levels, "C")) == pytest.approx(np.mean(each), rel=1e-4)


def test_the_gradient_of_hwmsb_follows_the_one_that_comes():
    x = torch.tensor([0.2, 0.7], requires_grad=True)
    half_wave_msb(x).backward(torch.tensor([2.0, -0.5]))
    assert x.grad.tolist() == [6, -1.5]


def test_one_sigma_is_a_third_of_the_range():
    x = torch.tensor([-1.0, 1.0])
    assert scalar_indices(x, 8).tolist() == [2, 5]
    restored = []
    cheapest_levels(x, [8], 0.0, lambda _, values: restored.append(values.tolist()) or 0.0)
    assert restored[0] == pytest.approx([-9 / 7, 9 / 7])


def test_levels_that_just_fill_their_bits():
    """A Gaussian clipped at 3 sigma loses 0.54 bits, which is 0.045 of 12."""
    x = math.sqrt(2) * torch.special.erfinv(torch.linspace(-1, 1, 100_003)[1:-1])
    assert filled_levels(x, [2, 4096]) == 4096
    assert filled_levels(x, [2, 4096], fill=0.96) == 2
    assert filled_levels(torch.ones(9), [2, 4], fill=0) == 4


def test_the_first_step_of_weights_of_0():
    assert float(initial_step(torch.zeros(5), 7)) == pytest.approx(1e-10)


@pytest.mark.parametrize("levels", [(3, 4), (4, 3)])
def test_a_rhombic_grid_takes_odd_numbers(levels):
    with pytest.raises(ValueError, match="odd"):
        PairGrid("rhombic", levels)


def test_a_tie_of_two_grids_goes_to_the_first():
    grid = PairGrid("rhombic", (3, 3))
    assert grid.nearest(torch.tensor([[0.25, 0.25], [0.26, 0.26]])).tolist() == [[0, 0], [0.5, 0.5]]


def test_switches_draw_both_symmetries_and_granularities():
    network = nn.Module()
    network.layers = nn.ModuleList([ElasticQuantizer(elastic=True) for _ in range(40)])
    for switch in sandwich(network, random.Random(1)):
        switch()
        drawn = {layer.precision[1:] for layer in network.layers}
        assert drawn == {(g, s) for g in ("tensor", "channel") for s in (True, False)}


def test_a_sharpness_may_rise_at_once_from_less_than_1():
    quantizer = ProxConnectQuantizer("bnn++", beta=0.5, final_beta=50, refreshes=1)
    quantizer.refresh(torch.zeros(2))
    assert float(quantizer.beta) == 50
    with pytest.raises(ValueError, match="at least one refresh"):
        ProxConnectQuantizer("bnn++", refreshes=0)


@pytest.mark.parametrize(
    ("dtype", "single", "uniform"),
    [
        (torch.float16, torch.float32, torch.float32),
        (torch.bfloat16, torch.float32, torch.float32),
        (torch.float32, torch.float32, torch.float32),
        (torch.float64, torch.float64, torch.float64),
    ],
)
def test_half_precision_is_computed_in_single(dtype, single, uniform):
    x = torch.zeros(3, dtype=dtype)
    assert in_single(x).dtype == single
    assert RandomSource().uniform_like(x).dtype == uniform


def test_a_running_norm_settles_after_a_hundred_batches():
    """The mean of the outputs is 0 only where the statistics are those of the batch."""
    norm, generator = RunningBatchNorm2d(1).train(), torch.Generator().manual_seed(2)
    with torch.no_grad():
        means = [
            float(norm(torch.randn(4, 1, 2, 2, generator=generator)).mean()) for _ in range(103)
        ]
    assert max(map(abs, means[:100])) < 1e-5 < min(map(abs, means[100:]))
    restored = RunningBatchNorm2d(1).train()
    restored.load_state_dict(norm.state_dict())
    x = torch.randn(4, 1, 2, 2, generator=generator)
    assert torch.equal(restored(x), norm(x))
    norm.momentum = None
    assert abs(float(norm(x).mean().detach())) < 1e-5
    norm.momentum = 0.1
    norm.eval()
    before = norm.running_mean.clone()
    norm(x)
    assert torch.equal(norm.running_mean, before)


def test_a_settled_norm_takes_several_passes_before_a_step():
    """Each pass has the gradient of the statistics that it was normalized by."""
    norm, generator = RunningBatchNorm2d(1, settle=0).train(), torch.Generator().manual_seed(2)
    x, y = (3 * torch.randn(4, 1, 2, 2, generator=generator) + 1 for _ in range(2))
    x.requires_grad_()
    first = norm(x)
    scale = float(((norm.running_var + norm.eps) ** -0.5).detach())
    second = norm(y)
    (first.square().sum() + second.sum()).backward()
    first, second = first.detach(), second.detach()
    assert torch.allclose(x.grad, 2 * first * scale, rtol=1e-4)
    # Gamma is 1 and beta 0, so the outputs are the normalized values.
    assert torch.allclose(norm.weight.grad, 2 * first.square().sum() + second.sum(), rtol=1e-4)


def test_a_better_score_at_the_same_costs_dominates():
    better, worse = Candidate((0,), 2.0, (5.0, 3.0)), Candidate((1,), 1.0, (5.0, 3.0))
    assert better.dominates(worse) and not worse.dominates(better)


@pytest.mark.parametrize("empty", [("layers",), ("weight_bits",), ("activation_bits",)])
def test_a_space_needs_choices_of_each_kind(empty):
    kinds = {"layers": (LayerCost(1, 1),), "weight_bits": (1, 2), "activation_bits": (2,)}
    with pytest.raises(ValueError, match="needs layers"):
        PrecisionSpace(**{**kinds, empty[0]: ()})


def free_space():
    return PrecisionSpace((LayerCost(1, 1),) * 20, tuple(range(9)))


@pytest.mark.parametrize(("population", "parents"), [(4, 2), (40, 10)])
def test_half_of_the_parents_are_the_best(population, parents):
    chosen = []

    class Watched(GeneticSearch):
        def _child(self, parents, by_mutation):
            chosen.append((list(parents), sorted(c.score for c in self.seen.values())))
            return super()._child(parents, by_mutation)

    limits = (math.inf, math.inf)
    Watched(sum, free_space(), limits, population=population, generations=1, seed=3).run()
    taken, scores = chosen[0]
    assert len(taken) == parents
    best = parents - parents // 2
    assert [candidate.score for candidate in taken[:best]] == scores[::-1][:best]


def test_a_point_that_fits_no_budget_is_drawn_20_times_more():
    drawn = []

    class Counted(GeneticSearch):
        def _draw(self, make):
            return super()._draw(lambda: drawn.append(1) or make())

    search = Counted(sum, free_space(), (0, 0), population=2, generations=0)
    assert [candidate.genes for candidate in search.run()] == [(0,) * 40]
    assert len(drawn) == 21


def test_the_gradient_of_a_weight_ends_at_three_sigma():
    quantizer = ScalarWeightQuantizer(4)
    quantizer.spread.fill_(2.0)
    weight = torch.tensor([-3.0, -1.9, 1.9, 3.0], requires_grad=True)
    quantizer(weight).sum().backward()
    assert weight.grad.tolist() == [0, 1, 1, 0]
