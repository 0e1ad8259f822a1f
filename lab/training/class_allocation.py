"""Fits the bit allocations of `nqe-vgg`: which classes of patches there are, and their scales.

::

    coefficients of patches ──► first classes: k-means over log energies of bands
          ┌──────────────────────────┘
          ▼
    scales of a class: root mean squares, to half octaves ──► order of bits, quantizer
          ▲                                                        │ squared error of each patch
          └── each patch goes to the class that codes it best ◄────┘ in each class, at each rate

Lloyd's iteration with bit allocations for centres. Magnitudes are taken for generalized Gaussian
ones of shape 1.1, a little less peaked than Laplacian: classes take the peak away. Thresholds are
the optimal halves of each cell in turn (a tree-structured quantizer), so that bits can be added.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from heqcodec.nqe_t.transform import UNIT
from heqcodec.nqe_vgg.allocation import (
    CELLS,
    CLASSES,
    FRACTION,
    MOST_BITS,
    PLACES,
    PRIORITY_STEPS,
    SCALE_BITS,
    Allocation,
)
from heqcodec.nqe_vgg.payload import RATES
from numpy.typing import NDArray
from torch import Tensor

SHAPE = 1.1
SAMPLES = 600_000
SCALE_UNIT = 10 * UNIT
"""Root mean square of a coefficient of scale 0, in the encoder's units: 10 of the orthonormal
transform. The largest scale is 181 times as much."""
RATE_IMPORTANCE = (0.3, 0.7, 1.0, 1.0)
LEAST_ERROR = 2.0
"""Mean squared error, in samples, from which on patches count as equally good."""
CUT_LIMIT = (1 << 16) - 1
_BANDS = ((1, 2), (2, 4), (4, 8), (8, 16), (16, 32))


@cache
def magnitudes() -> NDArray[np.float64]:
    """Sorted samples of |x|, x generalized Gaussian of shape `SHAPE` and mean square 1."""
    drawn = np.random.default_rng(0).gamma(1 / SHAPE, 1, SAMPLES) ** (1 / SHAPE)
    drawn /= np.sqrt((drawn**2).mean())
    return np.sort(drawn)


def tree_thresholds() -> NDArray[np.float64]:
    """Thresholds between `CELLS` cells of magnitudes of mean square 1; each is halved in turn."""
    whole, thresholds = magnitudes(), np.zeros(CELLS - 1)
    cells = [(0, len(whole))]
    while len(cells) < CELLS:
        step, halves = CELLS // len(cells), []
        for place, (low, high) in enumerate(cells):
            part = whole[low:high]
            cut = part.mean()
            for _ in range(30):
                middle = int(np.clip(np.searchsorted(part, cut), 1, len(part) - 1))
                cut = (part[:middle].mean() + part[middle:].mean()) / 2
            thresholds[place * step + step // 2 - 1] = cut
            halves += [(low, low + middle), (low + middle, high)]
        cells = halves
    return thresholds


def expected_magnitudes(cuts: NDArray[np.uint16]) -> NDArray[np.float32]:
    """What magnitudes of each cell are on average; see `heqcodec.nqe_vgg.code_reader`.

    Args:
        cuts: see `Allocation`.

    Returns:
        float32 (`MOST_BITS`, `CELLS`), in the unit of coefficients at scale 0.
    """
    points = np.zeros((MOST_BITS, CELLS), dtype=np.float32)
    whole = magnitudes() * SCALE_UNIT
    found = np.searchsorted(cuts.astype(np.float64) / (1 << FRACTION), whole, side="right")
    for known in range(MOST_BITS):
        cells = found >> (MOST_BITS - 1 - known)
        count = np.bincount(cells, minlength=1 << known)
        total = np.bincount(cells, weights=whole, minlength=1 << known)
        points[known, : 1 << known] = total / np.maximum(count, 1)
    return points


def _gains(cuts: NDArray[np.uint16], points: NDArray[np.float32]) -> NDArray[np.int8]:
    """What each bit takes from the squared error, log2 in eighths."""
    whole = magnitudes() * SCALE_UNIT
    found = np.searchsorted(cuts.astype(np.float64) / (1 << FRACTION), whole, side="right")
    errors = [SCALE_UNIT**2]
    for known in range(MOST_BITS):
        errors.append(
            float(((whole - points[known, found >> (MOST_BITS - 1 - known)]) ** 2).mean())
        )
    worth = np.log2(-np.diff(errors) / SCALE_UNIT**2)
    return np.rint(PRIORITY_STEPS * worth).astype(np.int8)


class Distortions:
    """Squared errors of patches in every class, at every rate.

    Args:
        allocation: of the classes.
        points: see `expected_magnitudes`.
    """

    def __init__(self, allocation: Allocation, points: NDArray[np.float32]) -> None:
        self._counts = [torch.from_numpy(allocation.counts(bits)) for bits in RATES]
        self._points = torch.from_numpy(points).reshape(-1)
        self._cuts = torch.from_numpy(allocation.cuts.astype(np.float32) / (1 << FRACTION))
        scales = allocation.scales.astype(np.int64)
        factors = np.where(scales & 1, 45 / 32, 1.0) * 2.0 ** (scales >> 1)
        self._factors = torch.from_numpy(factors.astype(np.float32))

    def __call__(self, coefficients: NDArray[np.int32]) -> Tensor:
        """int32 (N, 3, 32, 32) to mean squared errors of samples, (N, classes, rates)."""
        given = torch.from_numpy(coefficients.reshape(len(coefficients), -1).astype(np.float32))
        own = given[:, torch.from_numpy(PLACES)].abs()
        squares, total = own.square(), given.square().sum(1)
        classes = [self._of_class(own, squares, total, label) for label in range(CLASSES)]
        return torch.stack(classes, 1) / (3 * 1024 * UNIT**2)

    def _of_class(self, own: Tensor, squares: Tensor, total: Tensor, label: int) -> Tensor:
        factor = self._factors[label]
        scaled = own / factor
        cells = torch.bucketize(scaled, self._cuts, right=True)
        errors = []
        for counts in self._counts:
            coded = torch.nonzero(counts[label])[:, 0]
            known = counts[label, coded] - 1
            at = known * CELLS + (cells[:, coded] >> (MOST_BITS - 1 - known))
            off = (scaled[:, coded] - self._points[at]) * factor[coded]
            errors.append(total - squares[:, coded].sum(1) + off.square().sum(1))
        return torch.stack(errors, 1)


def regrets(errors: Tensor) -> Tensor:
    """How much worse than in its best class each patch is coded, (N, classes), in nepers.

    Args:
        errors: see `Distortions`; of the rates, logs are averaged by `RATE_IMPORTANCE`.
    """
    weights = torch.tensor(RATE_IMPORTANCE)
    mean = (errors.clamp(min=LEAST_ERROR).log() * weights).sum(2) / weights.sum()
    return mean - mean.min(1, keepdim=True).values


def fit_allocation(
    coefficients: NDArray[np.int32], rounds: int, seed: int
) -> dict[str, NDArray[Any]]:
    """Classes and their scales for patches.

    Args:
        coefficients: int32 (N, 3, 32, 32), N well above `CLASSES`.
        rounds: of Lloyd's iteration.
        seed: of the first classes.

    Returns:
        The tensors of `Allocation`.
    """
    cuts = np.rint(tree_thresholds() * SCALE_UNIT * (1 << FRACTION))
    cuts = np.minimum(cuts, CUT_LIMIT).astype(np.uint16)
    points = expected_magnitudes(cuts)
    tensors: dict[str, NDArray[Any]] = {"cuts": cuts, "gains": _gains(cuts, points)}
    own = coefficients.reshape(len(coefficients), -1)[:, PLACES].astype(np.float32)
    labels, scales = _first_classes(coefficients, seed), None
    for _ in range(rounds):
        fitted = [_scales(own[labels == label]) for label in range(CLASSES)]
        if scales is not None:
            # A class that nothing is in stays as it was.
            kept = zip(fitted, scales, np.bincount(labels, minlength=CLASSES), strict=True)
            fitted = [new if count else old for new, old, count in kept]
        scales = np.stack(fitted)
        tensors["scales"] = scales
        measure = Distortions(Allocation(tensors), points)
        parts = [
            regrets(measure(coefficients[start : start + 512])).argmin(1).numpy()
            for start in range(0, len(coefficients), 512)
        ]
        labels = np.concatenate(parts)
    return tensors


def _scales(own: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Root mean squares of coefficients (N, 243) in half octaves over `SCALE_UNIT`."""
    size = np.sqrt(np.square(own).mean(axis=0)) if len(own) else np.ones(own.shape[1])
    exponent = np.rint(2 * np.log2(np.maximum(size, 1e-3) / SCALE_UNIT))
    return np.clip(exponent, 0, (1 << SCALE_BITS) - 1).astype(np.uint8)


def _first_classes(coefficients: NDArray[np.int32], seed: int) -> NDArray[np.int64]:
    """k-means over the log energies of bands and orientations, (N,)."""
    fields = torch.from_numpy(coefficients.astype(np.float32)) / UNIT
    v, u = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    features = []
    for low, high in _BANDS:
        ring = (torch.maximum(u, v) >= low) & (torch.maximum(u, v) < high)
        for part in (v > 2 * u, u > 2 * v, (v <= 2 * u) & (u <= 2 * v)):
            features.append(fields[:, 0][:, ring & part].square().mean(1))
        features.append(fields[:, 1:][:, :, ring].square().mean((1, 2)))
    points = torch.log2(1 + torch.stack(features, 1).sqrt())
    generator = torch.Generator().manual_seed(seed)
    centres = points[torch.randperm(len(points), generator=generator)[:CLASSES]]
    for _ in range(15):
        labels = torch.cdist(points, centres).argmin(1)
        for label in range(CLASSES):
            if (labels == label).any():
                centres[label] = points[labels == label].mean(0)
    return torch.cdist(points, centres).argmin(1).numpy()
