"""Bjontegaard's deltas: how much rate one curve saves against another, and how much quality.

G. Bjontegaard, "Calculation of average PSNR differences between RD curves", VCEG-M33, 2001, with
piecewise cubic Hermite interpolation (PCHIP) in the logarithm of the rate in the place of its
cubic fit, as JCT-VC's and the CompressAI project's tables have it: a fit oscillates between
points, PCHIP keeps a rising curve rising.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from heqcodec.base.errors import HeqError

Points = Iterable[tuple[float, float]]
"""Pairs of a rate in bits per pixel, above 0, and a quality in dB, in any order."""
Range = tuple[float, float]

GRID = 250
"""Qualities on which the limits of a range of rates are looked up."""


@dataclass(frozen=True)
class Delta:
    """One curve against an anchor; ``None`` where the two have nothing in common."""

    rate: float | None
    """BD-rate in percent: the codec's rate over the anchor's at equal quality, less 1."""
    quality: float | None
    """BD-PSNR in dB (or BD of another quality): the codec's less the anchor's at equal rate."""
    qualities: Range | None
    """The dB over which ``rate`` is averaged."""
    rates: Range | None
    """The bits per pixel over which ``quality`` is averaged."""


class Pchip:
    """The monotone cubic through points: Fritsch and Butland's slopes, SIAM J. Sci. Stat. Comput.
    5 (1984), with the three-point slope at the ends, the same as SciPy's ``PchipInterpolator``.

    ``x`` and ``y`` are float64 (n,), n at least 2, ``x`` strictly rising. Raises ``HeqError`` when
    they are not.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if self.x.ndim != 1 or self.x.shape != self.y.shape or self.x.size < 2:
            raise HeqError("An interpolation needs two points or more, as many values as places.")
        if not np.all(np.diff(self.x) > 0):
            raise HeqError("An interpolation needs places that rise strictly.")
        width = np.diff(self.x)
        slope = np.diff(self.y) / width
        self._slopes = _slopes(width, slope)
        # y + d t + c t^2 + b t^3 on each interval, t from its left end.
        left, right = self._slopes[:-1], self._slopes[1:]
        self._c = (3 * slope - 2 * left - right) / width
        self._b = (left + right - 2 * slope) / width**2

    def __call__(self, x: float | np.ndarray) -> np.ndarray:
        """Values at places within the points; those outside continue the outermost cubics."""
        i, t = self._place(x)
        return self.y[i] + t * (self._slopes[i] + t * (self._c[i] + t * self._b[i]))

    def mean(self, low: float, high: float) -> float:
        """The average over low..high, the integral being exact. Needs ``low < high``."""
        widths = np.diff(self.x)
        whole = np.concatenate(([0.0], np.cumsum(self._area(np.arange(widths.size), widths))))

        def up_to(x: float) -> float:
            i, t = self._place(x)
            return float(whole[i] + self._area(i, t))

        return (up_to(high) - up_to(low)) / (high - low)

    def _place(self, x: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        i = np.clip(np.searchsorted(self.x, x, "right") - 1, 0, self.x.size - 2)
        return i, np.asarray(x) - self.x[i]

    def _area(self, i: np.ndarray, t: np.ndarray) -> np.ndarray:
        quarters = t * (self._c[i] / 3 + t * self._b[i] / 4)
        return t * (self.y[i] + t * (self._slopes[i] / 2 + quarters))


def _slopes(width: np.ndarray, slope: np.ndarray) -> np.ndarray:
    if slope.size == 1:
        return np.array([slope[0], slope[0]])
    inner = np.zeros(slope.size - 1)
    rising = slope[:-1] * slope[1:] > 0
    w1, w2 = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    mean = w1[rising] / slope[:-1][rising] + w2[rising] / slope[1:][rising]
    inner[rising] = (w1[rising] + w2[rising]) / mean
    first = _end_slope(width[0], width[1], slope[0], slope[1])
    last = _end_slope(width[-1], width[-2], slope[-1], slope[-2])
    return np.concatenate(([first], inner, [last]))


def _end_slope(near: float, far: float, near_slope: float, far_slope: float) -> float:
    """The slope of the parabola through three points, bent so that the end stays monotone."""
    slope = ((2 * near + far) * near_slope - near * far_slope) / (near + far)
    if slope * near_slope <= 0:
        return 0.0
    if near_slope * far_slope <= 0 and abs(slope) > 3 * abs(near_slope):
        return 3 * near_slope
    return float(slope)


def front(points: Points) -> list[tuple[float, float]]:
    """The points worth choosing, by rising rate: each better than all that cost no more.

    Our choice, because a delta needs a quality for each rate and back, and nobody would use a
    setting that costs more for less. Pairs that are not finite are left out.

    Raises ``HeqError`` for a rate that is not above 0.
    """
    finite = [pair for pair in points if math.isfinite(pair[0]) and math.isfinite(pair[1])]
    chosen: list[tuple[float, float]] = []
    # At equal rate the best comes first and hides the others.
    for rate, quality in sorted(finite, key=lambda pair: (pair[0], -pair[1])):
        if rate <= 0:
            raise HeqError(f"A curve has a point at {rate:g} bits per pixel; rates are above 0.")
        if not chosen or quality > chosen[-1][1]:
            chosen.append((rate, quality))
    return chosen


def compare(anchor: Points, codec: Points, rates: Range | None = None) -> Delta:
    """Compare a codec's curve with an anchor's.

    BD-rate is the mean, over an interval of quality, of log(rate of the codec) - log(rate of the
    anchor), each by PCHIP as a function of quality, taken back from the logarithm and in percent:
    negative is saved. BD-quality is the mean difference of quality over an interval of log rate.
    Integrals are exact; nothing is extrapolated.

    Args:
        anchor: pairs of bits per pixel and dB; see ``front`` for the ones that count.
        codec: the same.
        rates: None for the full range, the whole interval of quality (or of rate) that the two
            have in common. ``(low, high)`` in bits per pixel keeps of that interval what the
            anchor reaches at a rate within ``low..high``; the codec's rate is free for BD-rate,
            for it is what is asked. The limits are looked up on ``GRID`` qualities, evenly
            spaced over the common interval, ends included: from the first to the last one at
            which the anchor's rate lies within. So the range never reaches beyond ``low..high``,
            and stays below it by less than a step. This is the definition that gives the known
            values for CompressAI's Kodak files, 0.1 to 1 bpp: BPG 4:4:4 -65.5 % against JPEG
            (with a limit at exactly 1 bpp -65.4 %), VTM -22.2 % and bmshj2018-factorized (mse)
            +33.8 % against BPG 4:4:4.

    Returns:
        The deltas, and the intervals they are of; None for both where the interval is empty or
        a curve has fewer than two points.

    Raises:
        HeqError: the range is not ``0 <= low < high``, or a rate is not above 0.
    """
    if rates is not None and not 0 <= rates[0] < rates[1]:
        raise HeqError(f"A range of {rates[0]:g} to {rates[1]:g} bits per pixel is empty.")
    first, second = front(anchor), front(codec)
    if min(len(first), len(second)) < 2:
        return Delta(None, None, None, None)
    (rate_a, quality_a), (rate_b, quality_b) = _columns(first), _columns(second)

    rate_of_a, rate_of_b = Pchip(quality_a, rate_a), Pchip(quality_b, rate_b)
    qualities = _overlap(quality_a, quality_b)
    if qualities and rates:
        grid = np.linspace(*qualities, GRID)
        reached = np.exp(rate_of_a(grid))
        inside = grid[(reached >= rates[0]) & (reached <= rates[1])]
        qualities = (float(inside[0]), float(inside[-1])) if inside.size > 1 else None
    saved = None
    if qualities:
        saved = 100 * math.expm1(rate_of_b.mean(*qualities) - rate_of_a.mean(*qualities))

    logs = _overlap(rate_a, rate_b)
    if logs and rates:
        low = max(logs[0], math.log(rates[0])) if rates[0] else logs[0]
        high = min(logs[1], math.log(rates[1]))
        logs = (low, high) if low < high else None
    gained = None
    if logs:
        gained = Pchip(rate_b, quality_b).mean(*logs) - Pchip(rate_a, quality_a).mean(*logs)
    return Delta(saved, gained, qualities, (math.exp(logs[0]), math.exp(logs[1])) if logs else None)


def _columns(points: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Log rates and qualities."""
    rates, qualities = zip(*points, strict=True)
    return np.log(rates), np.array(qualities)


def _overlap(a: np.ndarray, b: np.ndarray) -> Range | None:
    low, high = max(a[0], b[0]), min(a[-1], b[-1])
    return (float(low), float(high)) if low < high else None
