"""Bjontegaard's deltas against closed forms, SciPy, and known values of published curves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.eval.bjontegaard import Pchip, compare, front
from heqcodec.eval.publications import published_curve
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most

Curve = list[tuple[float, float]]

KNOWN = [
    # anchor, codec, BD-rate in percent over the full range, and over 0.1 to 1 bpp of the anchor
    ("jpeg", "bpg444", -58.9, -65.5),
    ("bpg444", "vtm", -18.0, -22.2),
    ("bpg444", "compressai-bmshj2018-factorized", 32.5, 33.8),
]
KNOWN_FULL = [
    ("jpeg", "jpeg2000", -35.9, "psnr"),
    ("jpeg", "webp", -36.2, "psnr"),
    ("jpeg", "compressai-cheng2020-anchor", -65.4, "psnr"),
    ("vtm", "jpeg", 208.5, "psnr"),
    ("vtm", "paper-elic2022", -7.0, "psnr"),
    ("jpeg", "bpg444", -47.8, "ms_ssim_db"),
    ("jpeg", "compressai-bmshj2018-factorized-ms-ssim", -64.0, "ms_ssim_db"),
]


def logarithmic(rates: list[float], scale: float = 1.0, gain: float = 0.0) -> Curve:
    """Points of 30 + 6 log2(rate / scale) + gain: straight in log rate, so PCHIP is exact."""
    return [(rate, 30 + 6 * math.log2(rate / scale) + gain) for rate in rates]


@pytest.mark.parametrize(("anchor", "codec", "full", "ranged"), KNOWN)
def test_known_values_of_the_published_kodak_files(
    anchor: str, codec: str, full: float, ranged: float
) -> None:
    a, b = published_curve(anchor).pairs("psnr"), published_curve(codec).pairs("psnr")
    whole, part = compare(a, b), compare(a, b, (0.1, 1.0))
    assert whole.rate is not None and round(whole.rate, 1) == full
    assert part.rate is not None and round(part.rate, 1) == ranged


@pytest.mark.parametrize(("anchor", "codec", "full", "measure"), KNOWN_FULL)
def test_further_known_values_over_the_full_range(
    anchor: str, codec: str, full: float, measure: str
) -> None:
    delta = compare(published_curve(anchor).pairs(measure), published_curve(codec).pairs(measure))
    assert delta.rate is not None and round(delta.rate, 1) == full


@settings(deadline=None, max_examples=most(40))
@given(st.floats(0.2, 5.0), st.floats(0.3, 0.9))
def test_a_curve_scaled_in_rate_differs_by_that_scale(scale: float, start: float) -> None:
    anchor = logarithmic([0.05, 0.1, 0.3, 1.0, 2.0])
    codec = logarithmic([start * 0.1, start * 0.5, start * 1.1, start * 2.7], scale)
    delta = compare(anchor, codec)
    if delta.rate is None:
        return
    assert delta.rate == pytest.approx(100 * (scale - 1), abs=1e-6)
    assert delta.quality == pytest.approx(-6 * math.log2(scale), abs=1e-9)


def test_the_ranges_are_what_the_curves_have_in_common() -> None:
    anchor, codec = logarithmic([0.25, 0.5, 1.0]), logarithmic([0.125, 0.5], gain=6.0)
    delta = compare(anchor, codec)
    assert delta.qualities == pytest.approx((18.0, 30.0))
    assert delta.rates == pytest.approx((0.25, 0.5))
    assert delta.rate == pytest.approx(-50.0)
    assert delta.quality == pytest.approx(6.0)


def test_a_range_of_rates_is_the_anchors() -> None:
    anchor = logarithmic([0.1, 0.2, 0.4, 0.8, 1.6])
    codec = logarithmic([0.02, 0.05, 0.1, 0.2, 0.8], gain=12.0)
    full, part = compare(anchor, codec), compare(anchor, codec, (0.2, 0.6))
    assert full.qualities and part.qualities and full.qualities != part.qualities
    low, high = (30 + 6 * math.log2(rate) for rate in (0.2, 0.6))
    step = (full.qualities[1] - full.qualities[0]) / 249
    assert low <= part.qualities[0] <= low + step
    assert high - step <= part.qualities[1] <= high
    assert part.rates == pytest.approx((0.2, 0.6))
    # A range wider than the curves changes nothing, to the last digit.
    assert compare(anchor, codec, (0.0, 9.0)).rate == full.rate


@pytest.mark.parametrize(
    ("anchor", "codec", "rates"),
    [
        (logarithmic([0.1, 0.2]), logarithmic([1.0, 2.0]), None),
        (logarithmic([0.1, 0.2]), logarithmic([0.2, 0.4]), None),  # touching is not overlapping
        (logarithmic([0.1, 0.2]), logarithmic([0.15]), None),
        (logarithmic([0.1, 0.2]), [], None),
        (logarithmic([0.1, 1.0]), logarithmic([0.1, 1.0]), (2.0, 3.0)),
    ],
)
def test_nothing_in_common_gives_nothing(anchor: Curve, codec: Curve, rates: None) -> None:
    delta = compare(anchor, codec, rates)
    assert delta.rate is None and delta.quality is None
    assert delta.qualities is None and delta.rates is None


def test_one_of_the_two_can_be_missing() -> None:
    # The same rates, but the worst of one is better than the best of the other.
    delta = compare(logarithmic([0.1, 0.2]), logarithmic([0.1, 0.2], gain=20.0))
    assert delta.rate is None and delta.qualities is None
    assert delta.quality == pytest.approx(20.0)


def test_only_the_front_counts() -> None:
    good = logarithmic([0.1, 0.4, 0.9])
    assert front([*good, (0.5, 1.0), (0.4, 3.0), (0.95, math.inf), (0.99, math.nan)]) == good
    assert compare(good, [*good, (0.5, 1.0)]).rate == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(HeqError, match="above 0"):
        front([(0.0, 30.0)])


@pytest.mark.parametrize("rates", [(1.0, 1.0), (1.0, 0.5), (-1.0, 2.0), (math.nan, 1.0)])
def test_an_empty_range_is_refused(rates: tuple[float, float]) -> None:
    with pytest.raises(HeqError, match="empty"):
        compare(logarithmic([0.1, 1.0]), logarithmic([0.1, 1.0]), rates)


@settings(deadline=None, max_examples=most(100))
@given(st.integers(2, 12), st.integers(0, 2**32 - 1), st.booleans())
def test_pchip_is_scipys(count: int, seed: int, flat: bool) -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    rng = np.random.default_rng(seed)
    x, y = np.cumsum(rng.uniform(0.01, 2, count)), rng.normal(0, 5, count)
    if flat:
        y[count // 2] = y[count // 2 - 1]
    theirs, ours = interpolate.PchipInterpolator(x, y), Pchip(x, y)
    places = rng.uniform(x[0], x[-1], 50)
    assert ours(places) == pytest.approx(theirs(places), abs=1e-9)
    low, high = np.sort(rng.uniform(x[0], x[-1], 2))
    expected = float(theirs.integrate(low, high)) / (high - low)
    assert ours.mean(low, high) == pytest.approx(expected, abs=1e-6)


def test_pchip_refuses_what_is_no_function() -> None:
    for x, y in (([1.0], [1.0]), ([1.0, 1.0], [1.0, 2.0]), ([1.0, 2.0], [1.0])):
        with pytest.raises(HeqError):
            Pchip(np.array(x), np.array(y))
