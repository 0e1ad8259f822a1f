"""Fitting the tables of the packed coder to photographs, in one call: `fit_packed_tables`.

Three stages, each on levels drawn at random steps: regression for means and borders, and counts for
sizes and signs; maximum likelihood for the networks, on what the coder itself would give them; and
the first weights of the mixes, by coding. Needs the C coder, which says what a
decision sees. 6,000 iterations take a core about four minutes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from heqcodec.container.header import PATCH
from heqcodec.errors import HeqError
from heqcodec.kernels import native_extension
from heqcodec.patches import split_patches
from heqcodec.rate.backend import STEPS, RateEncoder
from heqcodec.rate.layout import LEVELS
from heqcodec.rate.packed import tables as layout
from heqcodec.rate.packed.tables import PackedTables, checked_tables, fixed_tables
from numpy.typing import NDArray
from torch.nn import functional

from .device_tables import Strip

_native = native_extension()

Tables = dict[str, NDArray[Any]]
HEAD_BOUNDS = (1, 2, 3, 4, 5, 6, 8, 12)
"""A head says how likely a magnitude that has reached the bound before is to reach its own."""
INPUT_SCALE = 32.0
SAMPLES = 400_000
"""Decisions that are looked at in a strip, at most."""
_STRIP_SHARE = 2400
"""Decisions of one network that are kept of a strip, at most: the frequent ones say little new."""
_PRIOR_STRIPS = 90
_STRIPS = 28
_REUSE = 100
"""Iterations on the decisions of so many strips; others are drawn meanwhile."""
_BATCH = 256
_MIX_STRIPS = 24
_MIX_TILES = 6


class Effort(NamedTuple):
    """How hard the networks are fitted.

    iterations: at most.
    batch: decisions of each network in an iteration.
    strips: whose decisions are drawn at a time.
    minutes: after which the schedule has ended, if the iterations took longer; None for no limit.
    device: of the networks.
    """

    iterations: int
    batch: int = _BATCH
    strips: int = _STRIPS
    minutes: float | None = None
    device: str = "cpu"


class StripSource(Protocol):
    """Where the strips come from."""

    def __call__(self, rng: np.random.Generator, tiles: int) -> Strip:
        """A random strip of so many tiles side by side, at a random step."""
        ...


class TileStrips:
    """Strips of tiles of photographs.

    Args:
        tiles: uint8 (N, H, W, 3), H and W multiples of 32; neighbours in the array are best from
            the same photograph.
        encoder: whose levels they are.
    """

    usual = (256, 960)
    """Seven eighths of the steps are drawn from here; 0.03 to 2.5 bits a pixel."""

    def __init__(self, tiles: NDArray[np.uint8], encoder: RateEncoder) -> None:
        self._tiles, self._encoder = tiles, encoder

    def __call__(self, rng: np.random.Generator, tiles: int) -> Strip:
        step = int(rng.integers(*self.usual) if rng.random() < 0.875 else rng.integers(STEPS))
        first = int(rng.integers(len(self._tiles) - tiles + 1))
        parts = []
        for tile in self._tiles[first : first + tiles]:
            rows, columns = tile.shape[0] // PATCH, tile.shape[1] // PATCH
            coefficients = self._encoder.coefficients(split_patches(np.asarray(tile)))
            levels, sizes = self._encoder.levels(coefficients, step)
            shaped = levels.reshape(rows, columns, -1, LEVELS)
            parts.append((shaped, sizes.reshape(rows, columns)))
        levels, sizes = (np.concatenate(kind, axis=1) for kind in zip(*parts, strict=True))
        return Strip(levels, sizes, step)


class _Decisions(NamedTuple):
    inputs: NDArray[np.uint8]
    nets: NDArray[np.uint8]
    values: NDArray[np.uint8]
    borders: NDArray[np.int16]
    mixing: NDArray[np.int32]


def _decisions(tables: PackedTables, strip: Strip) -> _Decisions:
    rows, columns, planes, _ = strip.levels.shape
    reply = _native.packed_encode(
        tables, strip.levels, strip.sizes, rows, columns, planes, strip.step, SAMPLES
    )
    inputs, nets, values, borders, mixing = reply[2:]
    return _Decisions(
        np.frombuffer(inputs, np.uint8).reshape(-1, layout.INPUTS),
        np.frombuffer(nets, np.uint8),
        np.frombuffer(values, np.uint8),
        np.frombuffer(borders, np.int16).reshape(-1, 6),
        np.frombuffer(mixing, np.int32).reshape(layout.MIXES, 4, layout.MIXED),
    )


def blank_tables() -> Tables:
    """Tables of no knowledge: every network says one half."""
    tables: Tables = {
        name: np.zeros(shape, dtype=np.dtype(kind)) for name, (kind, shape) in layout.KINDS.items()
    }
    tables |= fixed_tables()
    tables["mixing"][:] = 15000
    tables["mixing"][layout.FLAG_NETS :] = 22000
    tables["mixing"][layout.SIGN_MIX] = 40000
    tables["mixing"][..., 0] = 65536
    tables["dc"][:] = (2458, 2458, -1229, 409)
    return tables


# ---- regression ---------------------------------------------------------------------------------


def _fit_priors(source: StripSource, rng: np.random.Generator) -> Tables:
    tables = blank_tables()
    strips = [source(rng, 1) for _ in range(_PRIOR_STRIPS)]
    coded = checked_tables(tables)
    rows = np.concatenate([_decisions(coded, strip).borders for strip in strips])
    rows = rows[(rows[:, 5] >= 0) & (rows[:, 4] != 0)].astype(np.float64)
    tables["dc"] = _mean_weights(strips)
    tables["size"] = _size_logits(strips)
    tables["border"], tables["sign"] = _border_weights(rows)
    return tables


def _mean_weights(strips: list[Strip]) -> NDArray[np.int16]:
    weights = np.empty((layout.PLANES, 4))
    for plane in range(layout.PLANES):
        left, right = 1e-3 * np.eye(4), np.zeros(4)
        for strip in strips:
            means = strip.levels[:, :, plane, 0] * 2.0 ** (strip.step / 128)
            near = np.stack(
                [means[1:, :-2], means[:-1, 1:-1], means[:-1, :-2], means[:-1, 2:]], axis=-1
            ).reshape(-1, 4)
            mean = means[1:, 1:-1].reshape(-1)
            # Smooth places count more: there the prediction is worth something.
            sure = near / (1 + np.abs(near - mean[:, None]).mean(axis=1, keepdims=True))
            left += sure.T @ near
            right += sure.T @ mean
        weights[plane] = np.linalg.solve(left, right)
    return np.clip(np.rint(weights * 4096), -32767, 32767).astype(np.int16)


def _size_logits(strips: list[Strip]) -> NDArray[np.int32]:
    counts = np.full((STEPS >> 7, 3, 2), 0.5)
    for strip in strips:
        sizes = strip.sizes.astype(np.int64)
        near = np.zeros_like(sizes)
        near[:, 1:] += sizes[:, :-1]
        near[1:] += sizes[:-1]
        np.add.at(counts[strip.step >> 7], (near, sizes), 1)
    return np.rint(4096 * np.log(counts[..., 1] / counts[..., 0])).astype(np.int32)


def _border_weights(rows: NDArray[np.float64]) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
    gaps, level, places = rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64)
    shape = (layout.PLANES, 2, layout.BORDERED)
    weights = np.zeros((int(np.prod(shape)), 4))
    for place in np.unique(places):
        near = gaps[places == place]
        # Large levels are as rare as they are heavy; those of 1 and 2 are what signs are spent on.
        wanted = np.clip(level[places == place], -4, 4)
        weights[place] = np.linalg.solve(near.T @ near + 2e5 * np.eye(4), near.T @ wanted)
    integers = np.clip(np.rint(weights * (256 << 12)), -32767, 32767).astype(np.int16)
    expected = (gaps * integers[places]).sum(axis=1) / 4096
    sure = np.digitize(np.abs(expected), layout.SURE_BOUNDS)
    strength = np.minimum(np.abs(level), 3).astype(np.int64) - 1
    wrong = (np.sign(expected) != np.sign(level)).astype(np.int64)
    counts = np.ones((layout.PLANES, layout.SURE, 3, 2))
    np.add.at(counts, (places // (2 * layout.BORDERED), sure, strength, wrong), 1)
    logits = np.rint(4096 * np.log(counts[..., 1] / counts[..., 0])).astype(np.int32)
    logits[:, 0] = 0
    return integers.reshape(*shape, 4), logits


# ---- networks -----------------------------------------------------------------------------------


class _Networks(torch.nn.Module):
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
        found = _decisions(tables, source(rng, 1))
        counts = np.bincount(found.nets, minlength=layout.NETS)
        kept = rng.random(len(found.nets)) * counts[found.nets] < _STRIP_SHARE
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


def _fit_networks(
    tables: Tables,
    networks: _Networks,
    source: StripSource,
    rng: np.random.Generator,
    effort: Effort,
    rate: float,
    report: Callable[[str], None],
) -> None:
    coded = checked_tables(tables)
    device = effort.device
    networks.to(device)
    optimizer = torch.optim.Adam(networks.parameters(), lr=rate, betas=(0.9, 0.99))
    smooth = torch.zeros((), device=device)
    begun, place, iteration = time.monotonic(), 0.0, 0
    firsts = torch.arange(layout.NETS, device=device)[:, None]
    with ThreadPoolExecutor(os.cpu_count()) as pool, ThreadPoolExecutor(1) as ahead:

        def draw() -> _Drawn:
            return _drawn(coded, source, rng.integers(2**62, size=effort.strips), pool)

        coming = ahead.submit(draw)
        while place < 1:
            if iteration % _REUSE == 0:
                drawn = coming.result()
                coming = ahead.submit(draw)
                inputs = torch.from_numpy(drawn.inputs).to(device)
                values = torch.from_numpy(drawn.values).to(device)
                places = torch.from_numpy(drawn.places).to(device)
                counts = places.diff()[:, None]
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1, (iteration + 1) / 30) * (1 - place)
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
                told = float(smooth) / (1 - 0.98**iteration)
                report(f"networks, iteration {iteration}: {told:.4f} nats a decision")
        coming.cancel()
    networks.cpu()


# ---- mixes --------------------------------------------------------------------------------------


def _fit_mixes(tables: Tables, source: StripSource, rng: np.random.Generator) -> NDArray[np.int32]:
    """First weights of the mixes: where each of many strips leaves them, on average.

    Each strip begins with those of `blank_tables`. Carried on from strip to strip they would come
    to suit the ends of strips, and cost 1 % (measured).
    """
    coded = checked_tables({**tables, "mixing": blank_tables()["mixing"]})
    ends = [_decisions(coded, source(rng, _MIX_TILES)).mixing for _ in range(_MIX_STRIPS)]
    return np.rint(np.mean(ends, axis=0)).astype(np.int32)


def fit_packed_tables(
    source: StripSource,
    iterations: int = 6000,
    rate: float = 6e-3,
    seed: int = 0,
    start: Mapping[str, NDArray[Any]] | None = None,
    report: Callable[[str], None] = print,
    effort: Effort | None = None,
) -> Tables:
    """Fit all tables of the packed coder.

    Args:
        source: of strips, for instance `TileStrips`; called from several threads.
        iterations: of the networks.
        rate: first learning rate; 1e-3 with ``start``.
        seed: of everything random.
        start: tables to go on from; only networks and mixes are fitted then.
        report: gets a line of progress now and then.
        effort: what the networks' iterations are; takes the place of ``iterations``.

    Returns:
        Tables by name, fit for `PackedCoder`.

    Raises:
        HeqError: the C coder is not built.
    """
    if _native is None:
        raise HeqError(
            "Fitting the packed coder needs heqcodec's C extension; install a C compiler and "
            "install heqcodec again."
        )
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    tables = dict(start) if start is not None else _fit_priors(source, rng)
    report("means, sizes and borders are fitted")
    networks = _Networks(start)
    _fit_networks(tables, networks, source, rng, effort or Effort(iterations), rate, report)
    tables |= networks.tables()
    tables["mixing"] = _fit_mixes(tables, source, rng)
    report("the mixes are fitted")
    return tables
