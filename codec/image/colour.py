"""Conversion of samples to sRGB, from the colour spaces that image files name by number.

Code points, primaries and transfer functions are those of ITU-T H.273; the names of its tables are
used. All arithmetic on samples is of single IEEE operations (no BLAS, none of the C library's
functions), so that the result is the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exact_power import exp2, power

__all__ = ["BT709", "PRIMARIES", "SRGB", "TRANSFERS", "ColourSpace", "rgb_to_srgb", "to_srgb"]

Matrix = tuple[tuple[Fraction, ...], ...]
Point = tuple[Fraction, Fraction]
Primaries = tuple[Point, ...]
"""Chromaticities x, y of red, green, blue and white."""


def _points(text: str) -> Primaries:
    numbers = list(map(Fraction, text.split()))
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


BT709 = _points("0.640 0.330  0.300 0.600  0.150 0.060  0.3127 0.3290")
_SMPTE_170M = _points("0.630 0.340  0.310 0.595  0.155 0.070  0.3127 0.3290")
PRIMARIES: dict[int, tuple[str, Primaries]] = {
    1: ("BT.709", BT709),
    2: ("BT.709", BT709),  # unspecified
    4: ("BT.470 M", _points("0.67 0.33  0.21 0.71  0.14 0.08  0.310 0.316")),
    5: ("BT.470 BG", _points("0.64 0.33  0.29 0.60  0.15 0.06  0.3127 0.3290")),
    6: ("SMPTE 170M", _SMPTE_170M),
    7: ("SMPTE 240M", _SMPTE_170M),
    8: ("film", _points("0.681 0.319  0.243 0.692  0.145 0.049  0.310 0.316")),
    9: ("BT.2020", _points("0.708 0.292  0.170 0.797  0.131 0.046  0.3127 0.3290")),
    11: ("DCI P3", _points("0.680 0.320  0.265 0.690  0.150 0.060  0.314 0.351")),
    12: ("Display P3", _points("0.680 0.320  0.265 0.690  0.150 0.060  0.3127 0.3290")),
    22: ("EBU 3213", _points("0.630 0.340  0.295 0.605  0.155 0.077  0.3127 0.3290")),
}
"""Name and chromaticities by ColourPrimaries."""

SRGB, GAMMA, PQ, HLG = "sRGB", "gamma", "PQ", "HLG"
TRANSFERS: dict[int, tuple[str, float]] = {
    # The camera curves of television: a picture made by them is judged on a display, and every
    # viewer of still images shows them as it shows sRGB.
    **{code: (SRGB, 0.0) for code in (1, 2, 6, 7, 11, 13, 14, 15)},
    4: (GAMMA, 2.2),
    5: (GAMMA, 2.8),
    8: (GAMMA, 1.0),
    16: (PQ, 0.0),
    18: (HLG, 0.0),
}
"""Kind, and exponent of a gamma, by TransferCharacteristics."""

REFERENCE_WHITE = 203
"""cd/m2 of white in pictures of a high dynamic range (ITU-R BT.2408)."""
HLG_PEAK, HLG_GAMMA = 1000, 1.2
"""Display for which BT.2100 gives this system gamma."""
LINEAR_STEPS = 65535
"""Steps of linear light before sRGB: 20 to its first level."""
_ROWS = 64
"""Rows converted at once."""
_OUTSIDE = 1 / 512
"""How far linear light may pass 0 or 1 before it counts as clipped."""


@dataclass(frozen=True)
class ColourSpace:
    """What samples mean.

    Attributes:
        name: for people.
        primaries: of red, green, blue and white.
        transfer: "sRGB", "gamma", "PQ" or "HLG".
        gamma: exponent from samples to light, for "gamma".
        full_range: black is 0 and white the largest sample; else 16 and 235 of 255.
    """

    name: str
    primaries: Primaries = BT709
    transfer: str = SRGB
    gamma: float = 0.0
    full_range: bool = True

    @property
    def is_srgb(self) -> bool:
        """Whether there is nothing to convert."""
        return self.transfer == SRGB and self.full_range and self.primaries == BT709


def to_srgb(values: NDArray[Any], top: int, space: ColourSpace) -> tuple[NDArray[np.uint8], float]:
    """Convert samples to sRGB.

    Args:
        values: uint8 or uint16 (H, W, 1) gray or (H, W, 3) RGB.
        top: the largest sample, white in full range.
        space: what they are in.

    Returns:
        uint8 of the same shape, and the share of pixels that were brighter than white or outside
        the triangle of sRGB, and were clipped.
    """
    light, levels = _light_of_samples(top, space), _level_of_light()
    mix: tuple[tuple[float, ...], ...] = ((1.0,),)
    if values.shape[2] == 3:
        mix = rgb_to_srgb(space.primaries)
    made = np.empty(values.shape, np.uint8)
    clipped = 0
    for row in range(0, len(values), _ROWS):
        linear = light[values[row : row + _ROWS]]
        if space.transfer == HLG:
            linear = _displayed(linear, space)
        outside = np.zeros(linear.shape[:2], bool)
        for channel, weights in enumerate(mix):
            mixed = _mixed(linear, weights)
            outside |= (mixed < -_OUTSIDE) | (mixed > 1 + _OUTSIDE)
            steps = np.clip(mixed, 0, 1) * LINEAR_STEPS + 0.5
            made[row : row + _ROWS, :, channel] = levels[steps.astype(np.uint16)]
        clipped += int(outside.sum())
    return made, clipped / math.prod(values.shape[:2])


@lru_cache(maxsize=8)
def _light_of_samples(top: int, space: ColourSpace) -> NDArray[np.float64]:
    """Linear light by sample, 1 for white; of HLG the scene's light, 1 for the peak."""
    samples = np.arange(top + 1) / top
    if not space.full_range:
        samples = np.clip((samples * 255 - 16) / 219, 0, 1)
    if space.transfer == GAMMA:
        return power(samples, space.gamma)
    if space.transfer == PQ:
        return _pq_light(samples) * (10000 / REFERENCE_WHITE)
    if space.transfer == HLG:
        return _hlg_light(samples)
    return _srgb_light(samples)


def _srgb_light(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """H.273, TransferCharacteristics 13, inverted."""
    return np.where(samples <= 0.04045, samples / 12.92, power((samples + 0.055) / 1.055, 2.4))


def _pq_light(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """H.273, TransferCharacteristics 16, inverted: 1 is 10,000 cd/m2."""
    n, m = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = power(samples, 1 / m)
    return power(np.maximum(root - c1, 0) / (c2 - c3 * root), 1 / n)


def _hlg_light(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """H.273, TransferCharacteristics 18, inverted: the scene's light, 0 to 1."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.55991073  # c = 0.5 - a ln(4 a)
    high = exp2((samples - c) / a * 1.4426950408889634) + b  # log2 e
    return np.where(samples <= 0.5, samples * samples / 3, high / 12)


def _displayed(scene: NDArray[np.float64], space: ColourSpace) -> NDArray[np.float64]:
    """Light of the display that BT.2100 has for the scene's, in units of reference white."""
    luminance = scene[..., 0]
    if scene.shape[2] == 3:
        weights = [float(part) for part in _to_xyz(space.primaries)[1]]
        luminance = _mixed(scene, weights)
    gain = power(luminance, HLG_GAMMA - 1) * (HLG_PEAK / REFERENCE_WHITE)
    return scene * gain[..., None]


def _mixed(linear: NDArray[np.float64], weights: Sequence[float]) -> NDArray[np.float64]:
    """Channels (H, W, C), weighted and added in their order."""
    total = linear[..., 0] * weights[0]
    for channel in range(1, len(weights)):
        total = total + linear[..., channel] * weights[channel]
    return total


@cache
def _level_of_light() -> NDArray[np.uint8]:
    """The nearest level of sRGB, by steps of linear light."""
    between = _srgb_light((np.arange(255) + 0.5) / 255)
    light = np.arange(LINEAR_STEPS + 1) / LINEAR_STEPS
    return np.searchsorted(between, light, side="right").astype(np.uint8)


@lru_cache(maxsize=32)
def rgb_to_srgb(primaries: Primaries) -> tuple[tuple[float, ...], ...]:
    """Matrix from linear RGB of these primaries to that of sRGB, white to white.

    Raises:
        ValueError, ZeroDivisionError: they span no colours.
    """
    made = _product(_inverse(_to_xyz(BT709)), _product(_to_d65(primaries), _to_xyz(primaries)))
    return tuple(tuple(float(part) for part in row) for row in made)


def _xyz(point: Point) -> tuple[Fraction, ...]:
    """XYZ of a chromaticity (x, y) at luminance 1."""
    x, y = point
    return x / y, Fraction(1), (1 - x - y) / y


@lru_cache(maxsize=32)
def _to_xyz(primaries: Primaries) -> Matrix:
    """From linear RGB to XYZ, luminance 1 for white."""
    columns: Matrix = tuple(zip(*map(_xyz, primaries[:3]), strict=True))
    white = _applied(_inverse(columns), _xyz(primaries[3]))
    return tuple(tuple(part * w for part, w in zip(row, white, strict=True)) for row in columns)


def _to_d65(primaries: Primaries) -> Matrix:
    """Chromatic adaptation of XYZ from the primaries' white to D65, after Bradford."""
    cone: Matrix = tuple(
        tuple(map(Fraction, row.split()))
        for row in (
            "0.8951 0.2664 -0.1614",
            "-0.7502 1.7135 0.0367",
            "0.0389 -0.0685 1.0296",
        )
    )
    own, wanted = _applied(cone, _xyz(primaries[3])), _applied(cone, _xyz(BT709[3]))
    scaled: Matrix = tuple(
        tuple(part * w / o for part in row) for row, o, w in zip(cone, own, wanted, strict=True)
    )
    return _product(_inverse(cone), scaled)


def _applied(matrix: Matrix, vector: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    return tuple(
        sum((a * b for a, b in zip(row, vector, strict=True)), Fraction()) for row in matrix
    )


def _product(left: Matrix, right: Matrix) -> Matrix:
    columns = tuple(zip(*right, strict=True))
    return tuple(zip(*(_applied(left, column) for column in columns), strict=True))


def _inverse(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    adjugate = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    determinant = a * adjugate[0][0] + b * adjugate[1][0] + c * adjugate[2][0]
    return tuple(tuple(part / determinant for part in row) for row in adjugate)
