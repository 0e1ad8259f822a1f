"""The networks of the packed coder, fitted by maximum likelihood to what the coder sees."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from heqcodec.base.threads import thread_count
from heqcodec.nqe_r.packed_coder import tables as layout
from heqcodec.nqe_r.packed_coder.tables import PackedTables, checked_tables
from numpy.typing import NDArray
from torch.nn import functional

from .packed_strips import StripSource, Tables, decisions_of

HEAD_BOUNDS = (1, 2, 3, 4, 5, 6, 8, 12)
"""A head says how likely a magnitude that has reached the bound before is to reach its own."""
INPUT_SCALE = 32.0
STRIP_SHARE = 2400
"""Decisions of one network that are kept of a strip, at most: the frequent ones say little new."""
STRIPS = 28
REUSE = 100
"""Iterations on the decisions of so many strips; others are drawn meanwhile."""
BATCH = 256


class Effort(NamedTuple):
    """How hard the networks are fitted.

    iterations: at most.
    batch: decisions of each network in an iteration.
    strips: whose decisions are drawn at a time.
    minutes: after which the schedule has ended, if the iterations took longer; None for no limit.
    device: of the networks.
    """

    iterations: int
    batch: int = BATCH
    strips: int = STRIPS
    minutes: float | None = None
    device: str = "cpu"


class PackedNetworks(torch.nn.Module):
    """All networks side by side, as floats whose rounding is the tables."""

    scales = ((512, 1 << 14, 32), (1 << 10, 1 << 18, 512), (1 << 10, 1 << 18, 32))
    """Of weights and biases, and what is added to biases since sums are rounded down."""
    limits = (32767, 8191, 8191)

    def __init__(self, tables: Mapping[str, NDArray[Any]] | None) -> None:
        super().__init__()
        sizes = (layout.INPUTS, layout.HIDDEN, layout.SECOND, layout.HEADS)
        starts = (0.12, 0.2, 0.1)
        self.weights = torch.nn.ParameterList()
        self.biases = torch.nn.ParameterList()
        for index, name in enumerate(("first", "second", "third")):
            weight = torch.randn(layout.NETS, sizes[index], sizes[index + 1]) * starts[index]
            bias = torch.zeros(layout.NETS, 1, sizes[index + 1])
            if tables is not None:
                scale, bias_scale, half = self.scales[index]
                stored = tables[name].astype(np.float32) / scale
                turned = stored if index == 0 else stored.transpose(0, 2, 1)
                weight = torch.from_numpy(np.ascontiguousarray(turned))
                shifted = (tables[f"{name}_bias"].astype(np.float64) - half) / bias_scale
                bias = torch.from_numpy(shifted.astype(np.float32))[:, None]
            self.weights.append(torch.nn.Parameter(weight))
            self.biases.append(torch.nn.Parameter(bias))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        values = inputs
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = torch.baddbmm(bias, values, weight)
            if index < 2:
                values = values.clamp(0, 4095 / 256)
        return values

    def tables(self) -> Tables:
        made: Tables = {}
        for index, name in enumerate(("first", "second", "third")):
            scale, bias_scale, half = self.scales[index]
            weight = self.weights[index].detach().cpu().numpy()
            turned = weight if index == 0 else weight.transpose(0, 2, 1)
            limit = self.limits[index]
            made[name] = np.clip(np.rint(turned * scale), -limit, limit).astype(np.int16)
            bias = self.biases[index].detach().cpu().numpy()[:, 0]
            made[f"{name}_bias"] = np.rint(bias * bias_scale + half).astype(np.int32)
        return made


class _Drawn(NamedTuple):
    """Decisions of many strips, sorted by network; ``places`` is where each network's begin."""

    inputs: NDArray[np.uint8]
    values: NDArray[np.uint8]
    places: NDArray[np.int64]


def _drawn(
    tables: PackedTables, source: StripSource, seeds: NDArray[np.int64], pool: ThreadPoolExecutor
) -> _Drawn:
    def one(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        rng = np.random.default_rng(seed)
        found = decisions_of(tables, source(rng, 1))
        counts = np.bincount(found.nets, minlength=layout.NETS)
        kept = rng.random(len(found.nets)) * counts[found.nets] < STRIP_SHARE
        return found.inputs[kept], found.values[kept], found.nets[kept]

    # The C coder works outside of Python's lock.
    inputs, values, nets = zip(*pool.map(one, seeds.tolist()), strict=True)
    joined = np.concatenate(nets)
    order = np.argsort(joined, kind="stable")
    places = np.searchsorted(joined[order], np.arange(layout.NETS + 1))
    return _Drawn(np.concatenate(inputs)[order], np.concatenate(values)[order], places)


def _loss(logits: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Nats a decision, summed over heads, mean for each network."""
    bounds = torch.tensor(HEAD_BOUNDS, dtype=torch.float32, device=logits.device)
    before = functional.pad(bounds[:-1], (1, 0))
    values = values[..., None]
    signed = torch.where(values >= bounds, -logits, logits)
    return (functional.softplus(signed) * (values >= before)).sum(-1).mean(1)


def fit_networks(
    tables: Tables,
    networks: PackedNetworks,
    source: StripSource,
    rng: np.random.Generator,
    effort: Effort,
    learning_rate: float,
    report: Callable[[str], None],
) -> None:
    coded = checked_tables(tables)
    device = effort.device
    networks.to(device)
    optimizer = torch.optim.Adam(networks.parameters(), lr=learning_rate, betas=(0.9, 0.99))
    smooth = torch.zeros((), device=device)
    begun, place, iteration = time.monotonic(), 0.0, 0
    firsts = torch.arange(layout.NETS, device=device)[:, None]
    with ThreadPoolExecutor(thread_count()) as pool, ThreadPoolExecutor(1) as ahead:

        def draw() -> _Drawn:
            return _drawn(coded, source, rng.integers(2**62, size=effort.strips), pool)

        coming = ahead.submit(draw)
        while place < 1:
            if iteration % REUSE == 0:
                drawn = coming.result()
                coming = ahead.submit(draw)
                inputs = torch.from_numpy(drawn.inputs).to(device)
                values = torch.from_numpy(drawn.values).to(device)
                places = torch.from_numpy(drawn.places).to(device)
                counts = places.diff()[:, None]
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * min(1, (iteration + 1) / 30) * (1 - place)
            picks = torch.rand((layout.NETS, effort.batch), device=device) * counts
            picks = (places[firsts] + picks.long()).clamp_(max=len(inputs) - 1)
            logits = networks(inputs[picks].float() / INPUT_SCALE)
            losses = _loss(logits, values[picks].float())
            loss = (losses * (counts[:, 0] > 0)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            smooth.lerp_(loss.detach() / layout.NETS, 0.02)
            iteration += 1
            place = iteration / effort.iterations
            if effort.minutes is not None:
                place = max(place, (time.monotonic() - begun) / (60 * effort.minutes))
            if iteration % 500 == 0:
                average = float(smooth) / (1 - 0.98**iteration)
                report(f"networks, iteration {iteration}: {average:.4f} nats a decision")
        coming.cancel()
    networks.cpu()
