"""Fits the tables of ``patch-klt`` to photographs: transform, classes, bit allocation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from heqcodec.eval.baselines.patch.klt import CLASS_BITS, SPREAD_STEPS, spread_of
from heqcodec.eval.baselines.patch.lloyd_max import MAX_DEPTH, laplacian_quantizer, quantize
from heqcodec.eval.baselines.patch.planes import (
    SAMPLES,
    SIDE,
    coefficients,
    fixed_point,
    integer_planes,
)
from numpy.typing import NDArray

KEPT = 768
"""Coefficients of most energy among which bits are given; the others get none at any rate."""
PASSES = 10
"""Of the generalised Lloyd iteration; later ones change the error by less than 0.01 dB."""
CANDIDATES = 8
"""Classes looked at exactly for each patch, of those that an estimate prefers."""

_BATCH = 8192
_FEWEST = 30
_RESEED = 300


class PatchClass(NamedTuple):
    """One class: for each kept coefficient its depth in bits and its standard deviation."""

    depth: NDArray[np.int64]
    spread: NDArray[np.float32]


def fit_matrices(patches: NDArray[np.uint8]) -> NDArray[np.int16]:
    """The separable Karhunen-Loeve transform of each plane, int16 (3, 32, 32) in fixed point.

    Eigenvectors of the mean second moment of all rows and columns, mirrored ones included, so
    that the basis is of even and odd vectors.
    """
    moments = np.zeros((3, SIDE, SIDE))
    for start in range(0, len(patches), _BATCH):
        planes = integer_planes(patches[start : start + _BATCH]).astype(np.float64)
        for moment, plane in zip(moments, planes.swapaxes(0, 1), strict=True):
            for lines in (plane, plane.swapaxes(1, 2)):
                flat = lines.reshape(-1, SIDE)
                moment += flat.T @ flat
    moments += moments[:, ::-1, ::-1]
    vectors = np.linalg.eigh(moments)[1][:, :, ::-1].swapaxes(1, 2)
    # The sign of an eigenvector is the library's whim; tables must not depend on it.
    vectors *= np.where(np.sum(vectors * np.linspace(2, 1, SIDE), axis=2) < 0, -1, 1)[..., None]
    return fixed_point(vectors)


def allocate(variances: NDArray[np.floating], errors: Sequence[float], bits: int) -> NDArray:
    """Give bits one by one to the coefficient whose squared error falls most by it.

    Optimal where each further bit of a quantizer gains less than the one before (Fox 1966), as
    with Lloyd-Max quantizers of a Laplacian variable.

    Args:
        variances: (n,).
        errors: mean squared error at unit variance by depth, from 0 bits.
        bits: how many to give; ``n * (len(errors) - 1)`` at most.

    Returns:
        int64 (n,), bits of each.
    """
    gains = -np.diff(np.asarray(errors, np.float64), append=errors[-1])
    depth = np.zeros(len(variances), np.int64)
    worth = variances * gains[0]
    for _ in range(bits):
        best = int(np.argmax(worth))
        depth[best] += 1
        worth[best] = variances[best] * gains[depth[best]]
    return depth


class ClassFit:
    """Classes of patches for one budget, by the generalised Lloyd iteration.

    Every pass gives each patch to the class that codes it with the least squared error, then fits
    each class to its patches: variances, and from them the bits (after Chen and Smith 1977, whose
    classes were of activity; optimised classes as Archer and Leen 2004).

    Args:
        kept: float32 (N, KEPT), coefficients of all patches.
        energy: float64 (N,), of all their coefficients.
        bits: of a patch.
        rng: for classes that become empty.
    """

    def __init__(
        self,
        kept: NDArray[np.float32],
        energy: NDArray[np.float64],
        bits: int,
        rng: np.random.Generator,
    ) -> None:
        self._kept, self._energy, self._rng = kept, energy, rng
        self._budget = bits - CLASS_BITS[bits]
        self._count = 2 ** CLASS_BITS[bits]
        quantizers = [laplacian_quantizer(depth) for depth in range(MAX_DEPTH + 1)]
        self._points = [points for points, _ in quantizers]
        self._errors = [error for _, error in quantizers]

    def run(self, report: Callable[[str], None]) -> list[PatchClass]:
        """The classes after ``PASSES``."""
        activity = self._energy - self._kept[:, 0].astype(np.float64) ** 2
        labels = np.argsort(np.argsort(activity)) * self._count // len(activity)
        for number in range(PASSES):
            classes = [self._class(labels == label) for label in range(self._count)]
            error, labels = self._assign(classes)
            loss = 10 * np.log10(255.0**2 * SAMPLES / error.mean())
            report(f"pass {number + 1} of {PASSES}: {loss:.3f} dB on the training patches")
        return [self._class(labels == label) for label in range(self._count)]

    def _class(self, members: NDArray[np.bool_]) -> PatchClass:
        rows = self._kept[members]
        if len(rows) < _FEWEST:
            rows = self._kept[self._rng.choice(len(self._kept), min(_RESEED, len(self._kept)))]
        deviation = np.sqrt(np.mean(rows.astype(np.float64) ** 2, axis=0)) + 2.0**-2
        spread = spread_of(np.rint(SPREAD_STEPS * np.log2(deviation)).astype(np.int64))
        return PatchClass(allocate(spread**2, self._errors, self._budget), spread)

    def _assign(
        self, classes: Sequence[PatchClass]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Squared error and class of each patch."""
        best = np.full(len(self._kept), np.inf)
        labels = np.zeros(len(self._kept), np.int64)
        for start in range(0, len(best), _BATCH):
            part = slice(start, start + _BATCH)
            kept, energy = self._kept[part], self._energy[part]
            likely = self._likely(kept, classes)
            for label, patch_class in enumerate(classes):
                rows = np.flatnonzero((likely == label).any(axis=1))
                if len(rows):
                    error = self._error(kept[rows], energy[rows], patch_class)
                    closer = error < best[part][rows]
                    best[start + rows[closer]] = error[closer]
                    labels[start + rows[closer]] = label
        return best, labels

    def _likely(self, kept: NDArray[np.float32], classes: Sequence[PatchClass]) -> NDArray[np.intp]:
        """The ``CANDIDATES`` classes of least estimated error, (N, CANDIDATES).

        The estimate is linear in the squares: a coefficient without bits costs its square, one
        with bits half the class's expectation and half the same part of its own square.
        """
        if len(classes) <= CANDIDATES:
            return np.broadcast_to(np.arange(len(classes)), (len(kept), len(classes)))
        depth = np.stack([c.depth for c in classes], axis=1)
        part = np.asarray(self._errors)[depth]
        weights = np.where(depth > 0, part / 2, 1.0).astype(np.float32)
        spread = np.stack([c.spread for c in classes], axis=1)
        expected = np.where(depth > 0, part / 2, 0.0) * spread**2
        estimate = (kept * kept) @ weights + expected.sum(axis=0)
        return np.argpartition(estimate, CANDIDATES, axis=1)[:, :CANDIDATES]

    def _error(
        self, kept: NDArray[np.float32], energy: NDArray[np.float64], patch_class: PatchClass
    ) -> NDArray[np.float64]:
        error = energy.copy()
        for depth in range(1, MAX_DEPTH + 1):
            places = np.flatnonzero(patch_class.depth == depth)
            values, spread = kept[:, places], patch_class.spread[places]
            points = self._points[depth].astype(np.float32)
            residue = values - points[quantize(values / spread, points)] * spread
            error += np.sum(residue * residue - values * values, axis=1)
        return error


def fit_klt(
    patches: NDArray[np.uint8], seed: int, report: Callable[[str], None]
) -> dict[str, np.ndarray]:
    """All tables of ``klt.py``.

    Args:
        patches: uint8 (N, 32, 32, 3) of photographs; N some 10,000 or more.
        seed: of the random choices, which are made where a class becomes empty.
        report: is given a line about each pass.
    """
    matrices = fit_matrices(patches)

    def transformed(start: int) -> NDArray[np.float64]:
        planes = integer_planes(patches[start : start + _BATCH])
        return coefficients(planes, matrices).reshape(-1, SAMPLES)

    starts = range(0, len(patches), _BATCH)
    power = sum(np.sum(transformed(start) ** 2, axis=0) for start in starts)
    order = np.argsort(-np.asarray(power), kind="stable")[:KEPT]
    kept = np.empty((len(patches), KEPT), np.float32)
    energy = np.empty(len(patches))
    for start in starts:
        values = transformed(start)
        kept[start : start + _BATCH] = values[:, order]
        energy[start : start + _BATCH] = np.sum(values**2, axis=1)

    tables: dict[str, np.ndarray] = {"matrices": matrices}
    points = [laplacian_quantizer(depth)[0] for depth in range(1, MAX_DEPTH + 1)]
    tables["points"] = np.concatenate(points).astype(np.float32)
    for bits in CLASS_BITS:
        report(f"{bits} bits a patch")
        classes = ClassFit(kept, energy, bits, np.random.default_rng(seed)).run(report)
        tables.update(_class_tables(bits, classes, order))
    return tables


def _class_tables(
    bits: int, classes: Sequence[PatchClass], order: NDArray[np.intp]
) -> dict[str, np.ndarray]:
    """Tables of the classes at one rate: the coefficients with bits, class after class."""
    used = [np.flatnonzero(c.depth) for c in classes]
    pairs = list(zip(classes, used, strict=True))
    spread = np.concatenate([c.spread[places] for c, places in pairs]).astype(np.float64)
    return {
        f"ends_{bits}": np.cumsum([len(places) for places in used]).astype(np.int32),
        f"place_{bits}": order[np.concatenate(used)].astype(np.uint16),
        f"depth_{bits}": np.concatenate([c.depth[places] for c, places in pairs]).astype(np.uint8),
        f"spread_{bits}": np.rint(SPREAD_STEPS * np.log2(spread)).astype(np.int8),
    }
