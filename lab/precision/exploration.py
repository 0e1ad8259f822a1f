"""The whole search: elastic training, predictor, genetic search, measured front."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.comparison.training import train_for
from heqcodec.lab.training.vgg_task import patches_of
from heqcodec.nqe_vgg.layout import VGG_LAYERS
from heqcodec.quantizers.accuracy_predictor import AccuracyPredictor, fit_predictor
from heqcodec.quantizers.elastic import GRANULARITIES
from heqcodec.quantizers.search import Candidate, Genes, GeneticSearch, pareto_front
from numpy.typing import NDArray
from torch import Tensor, nn

from .space import NqePrecision, NqeSpace
from .supernet import ElasticCodec

QUICK_CROPS, QUICK_SIDE = 24, 64
CALIBRATION_CROPS = 24
MEASURED = 16
"""How many of the front that the predictor found are measured."""
UNSEEN = 4
"""A subnet that the predictor is neither fitted nor chosen by, for so many that it is."""
FORM_BITS = 10
"""Draws of bits that are measured in all four forms."""
PREDICTOR_EPOCHS = 1500
SCALE = 10.0
"""The predictor learns PSNR / 10, numbers of order one."""


@dataclass(frozen=True)
class SearchSettings:
    """budget: upper limits of bits and of bit operations.  minutes: of elastic training.
    float_minutes: of the float baseline before.  samples: subnets that the predictor learns
    from.  population, generations: of the genetic search.  seed: of everything.
    """

    budget: tuple[float, float]
    minutes: float
    float_minutes: float
    samples: int = 200
    population: int = 50
    generations: int = 30
    seed: int = 1


@dataclass(frozen=True)
class Explored:
    """candidates: measured subnets, best first, scores in dB.  front: those not dominated.
    predicted: by genes, in dB.  rmse: of the predictor on the fifth of the samples that it was
        chosen by, in dB.  kendall: rank correlation of predicted and measured PSNR of subnets that
        had no part in that, -1 to 1.
    forms: PSNR of subnets of the same bits in each form: granularity and symmetry, in dB.
    steps: of the float baseline and of the elastic training.
    """

    candidates: list[Candidate]
    front: list[Candidate]
    predicted: dict[Genes, float]
    rmse: float
    kendall: float
    forms: list[dict[str, Any]]
    steps: tuple[int, int]

    def as_dict(self, space: NqeSpace) -> dict[str, Any]:
        """Plain values for JSON."""

        def row(candidate: Candidate) -> dict[str, Any]:
            return {
                **space.precision(candidate.genes)._asdict(),
                "psnr": round(candidate.score, 3),
                "predicted": round(self.predicted[candidate.genes], 3),
                "bits_of_weights": int(candidate.costs[0]),
                "bit_operations": int(candidate.costs[1]),
            }

        return {
            "predictor_rmse": round(self.rmse, 4),
            "predictor_kendall": round(self.kendall, 4),
            "forms": self.forms,
            "steps": list(self.steps),
            "front": [row(candidate) for candidate in self.front],
            "measured": [row(candidate) for candidate in self.candidates],
        }


def explore(
    task: ElasticCodec,
    frames: Sequence[NDArray[np.uint8]],
    settings: SearchSettings,
    device: torch.device,
    report: Callable[[str], None],
) -> Explored:
    """Train the elastic network and search it.

    Args:
        task: with its photographs.
        frames: held-out photographs, uint8 (H, W, 3), from whose middles crops are measured.
        settings: of the search.
        device: where the network is.
        report: gets a line after each stage.

    Raises:
        HeqError: nothing is within the budget, or too few samples.
    """
    space = NqeSpace()
    cheapest = space.costs((0,) * len(space.choices))
    if any(cost > limit for cost, limit in zip(cheapest, settings.budget, strict=True)):
        raise HeqError(
            f"the smallest encoder takes {cheapest[0]:.0f} bits and {cheapest[1]:.0f} bit "
            "operations a patch, more than the budget; raise it."
        )
    if settings.samples < 5:
        raise HeqError(f"the predictor needs 5 samples or more, but got {settings.samples}.")
    network = task.build()
    first = train_for(task, network, 60 * settings.float_minutes, settings.seed)
    report(f"The float baseline trained {first} steps.")
    task.elastic(network)
    second = train_for(task, network, 60 * settings.minutes, settings.seed + 1)
    report(f"The elastic network trained {second} steps.")
    measure = _measure(task, network, frames, device)
    drawn = _samples(space, settings)
    vectors = torch.stack([space.precision(genes).vector() for genes in drawn])
    scores = [measure(space.precision(genes)) for genes in drawn]
    predictor = AccuracyPredictor(len(VGG_LAYERS), settings.seed)
    rmse = SCALE * fit_predictor(predictor, vectors, torch.tensor(scores) / SCALE, PREDICTOR_EPOCHS)
    report(f"The predictor errs by {rmse:.3f} dB (RMSE) on the fifth that it was chosen by.")

    @torch.no_grad()
    def predict(genes: Genes) -> float:
        return SCALE * float(predictor(space.precision(genes).vector()[None]))

    unseen = [genes for genes in _samples(space, settings, 1) if genes not in drawn]
    unseen = unseen[: max(2, settings.samples // UNSEEN)]
    kendall = rank_correlation(
        [predict(genes) for genes in unseen], [measure(space.precision(genes)) for genes in unseen]
    )
    report(f"Kendall's tau of {len(unseen)} other subnets is {kendall:.3f}.")
    forms = [_in_all_forms(genes, space, measure) for genes in unseen[:FORM_BITS]]
    search = GeneticSearch(
        predict,
        space,  # type: ignore[arg-type]
        settings.budget,
        settings.population,
        settings.generations,
        seed=settings.seed,
    )
    found = search.run()
    report(f"The genetic search scored {len(search.seen)} subnets; {len(found)} are on its front.")
    places = np.unique(np.linspace(0, len(found) - 1, MEASURED).round().astype(int))
    tried = [found[place].genes for place in places]
    measured = [
        Candidate(genes, measure(space.precision(genes)), space.costs(genes)) for genes in tried
    ]
    known = [
        Candidate(genes, score, space.costs(genes))
        for genes, score in zip(drawn, scores, strict=True)
        if all(c <= b for c, b in zip(space.costs(genes), settings.budget, strict=True))
    ]
    unique = {candidate.genes: candidate for candidate in (*known, *measured)}
    candidates = sorted(unique.values(), key=lambda c: (-c.score, c.costs))
    predicted = {candidate.genes: predict(candidate.genes) for candidate in candidates}
    return Explored(
        candidates, pareto_front(candidates), predicted, rmse, kendall, forms, (first, second)
    )


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's tau-a: agreeing pairs minus disagreeing ones, over all pairs.

    Args:
        first, second: of the same things, at least 2.
    """
    one, other = (np.sign(np.subtract.outer(x, x)) for x in (first, second))
    count = len(first)
    return float((one * other).sum() / (count * (count - 1)))


def _in_all_forms(
    genes: Genes, space: NqeSpace, measure: Callable[[NqePrecision], float]
) -> dict[str, Any]:
    """Bits, and the PSNR of a subnet of these bits in each form."""
    bits = space.precision(genes).bits
    row: dict[str, Any] = {"bits": bits}
    for granularity in GRANULARITIES:
        for symmetric in (True, False):
            form = granularity if symmetric else f"{granularity}, offset"
            row[form] = round(measure(NqePrecision(bits, granularity, symmetric)), 3)
    return row


def _samples(space: NqeSpace, settings: SearchSettings, another: int = 0) -> list[Genes]:
    """Half of them anywhere, half of fewer bits, where the budget is: distinct."""
    generator = random.Random(settings.seed + 1000 * another)
    drawn = dict[Genes, None]()
    layers = len(space.layers)
    while len(drawn) < settings.samples:
        top = generator.choice((space.choices[0], 1 + generator.randrange(4)))
        bits = tuple(generator.randrange(top) for _ in range(layers))
        drawn[(*bits, generator.randrange(2), generator.randrange(2))] = None
    return list(drawn)


def _measure(
    task: ElasticCodec,
    network: nn.Module,
    frames: Sequence[NDArray[np.uint8]],
    device: torch.device,
) -> Callable[[NqePrecision], float]:
    """A function from precisions to dB, on crops that are the same for all."""
    cut = []
    for frame in frames[:QUICK_CROPS]:
        side = min(QUICK_SIDE, *(size // 32 * 32 for size in frame.shape[:2]))
        if side < QUICK_SIDE:
            continue
        row, column = ((size - side) // 2 for size in frame.shape[:2])
        cut.append(torch.from_numpy(frame[row : row + side, column : column + side].copy()))
    if not cut:
        raise HeqError(f"no held-out photograph is {QUICK_SIDE} pixels wide and high.")
    crops = torch.stack(cut).permute(0, 3, 1, 2).to(device)
    calibration: Tensor = patches_of(task.training_crops(QUICK_SIDE, CALIBRATION_CROPS))
    return lambda precision: task.quick_measure(network, precision, crops, calibration)
