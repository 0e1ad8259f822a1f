"""Levels of `nqe-r` from pixels, after docs/FORMAT.md alone: plain integers, one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Tables = Mapping[str, Any]
"""The tensors as nested lists."""
Plane = list[list[int]]

BANDS = sorted(
    ((u, v) for u in range(16) for v in range(16)),
    key=lambda pair: (pair[0] ** 2 + pair[1] ** 2, pair[0], pair[1]),
)
BAND_OF = {pair: band for band, pair in enumerate(BANDS)}


def colour_planes(pixels: list[list[list[int]]]) -> list[Plane]:
    """Samples by row, column, channel to planes by row, column."""
    if len(pixels[0][0]) == 1:
        return [[[3 * grey - 384 for (grey,) in row] for row in pixels]]
    return [
        [[r + g + b - 384 for r, g, b in row] for row in pixels],
        [[r - b for r, _, b in row] for row in pixels],
        [[r - 2 * g + b for r, g, b in row] for row in pixels],
    ]


def transformed(plane: Plane, weights: Plane) -> Plane:
    """A square by vertical and horizontal frequency."""
    points = range(len(plane))
    rows = [
        [(sum(weights[v][x] * plane[y][x] for x in points) + 16) >> 5 for v in points]
        for y in points
    ]
    return [
        [(sum(weights[u][y] * rows[y][v] for y in points) + 16) >> 5 for v in points]
        for u in points
    ]


def coefficients(plane: Plane, tables: Tables) -> tuple[list[int], list[int]]:
    """1,024 of each size."""
    a, b, c = tables["layers"]
    large = [[16 * a[u][x] + 4 * b[u][x] + c[u][x] for x in range(32)] for u in range(32)]
    small = [large[2 * u][:16] for u in range(16)]
    whole = transformed(plane, large)
    quarters = [
        [
            transformed([row[16 * q : 16 * q + 16] for row in plane[16 * r : 16 * r + 16]], small)
            for q in range(2)
        ]
        for r in range(2)
    ]
    first, second = [], []
    for u, v in BANDS:
        for sub in range(4):
            first.append(whole[2 * u + (sub >> 1)][2 * v + (sub & 1)])
            second.append(quarters[sub >> 1][sub & 1][u][v])
    m00, m01, m10, m11 = second[:4]
    second[0] = (m00 + m01 + m10 + m11 + 1) >> 1
    second[1] = (m00 - m01 + m10 - m11 + 1) >> 1
    second[2] = (m00 + m01 - m10 - m11 + 1) >> 1
    second[3] = (m00 - m01 - m10 + m11 + 1) >> 1
    return first, second


def step_of(tables: Tables, size: int, plane: int, index: int) -> int:
    """The integer step."""
    return int(((tables["steps"][size][plane][index & 127] << (index >> 7)) + 8) >> 4)


def cost(values: list[int], step: int) -> int:
    """What the coefficients of a plane cost."""
    more = step + (step >> 1)
    bounds = [
        (step >> 2, 1),
        (step >> 1, 2),
        ((step >> 1) + (step >> 2), 3),
        (more, 3),
        (2 * more, 2),
        (4 * more, 2),
        (8 * more, 2),
        (16 * more, 2),
    ]
    return sum(adds for value in values for bound, adds in bounds if abs(value) > bound)


def threshold_index(
    tables: Tables, size: int, plane: int, level: int, seen: list[list[int]]
) -> int:
    """What the cost layer says, 0 to 15."""
    band, sub = divmod(level, 4)
    u, v = BANDS[band]
    weights = tables["near"][size][plane][sub]
    near = 0
    for du in range(-2, 3):
        for dv in range(-2, 3):
            other = BAND_OF.get((u + du, v + dv))
            if other is None:
                continue
            for e in range(4):
                near += weights[e][du + 2][dv + 2] * seen[plane][4 * other + e]
    cross = sum(
        tables["cross"][size][plane][sub][which] * seen[(plane + 1 + which) % 3][level]
        for which in range(2)
    )
    first, second = tables["shifts"]
    total = (tables["bias"][size][plane][level] << 2) - near * 2**first - cross * 2**second
    return int(min(max(total >> 4, 0), 15))


def patch_levels(
    pixels: list[list[list[int]]], tables: Tables, index: int
) -> tuple[list[list[int]], int]:
    """Levels of a patch by plane, and its size.

    Args:
        pixels: samples by row, column, channel.
        tables: of the encoder.
        index: of the step.
    """
    both = [coefficients(plane, tables) for plane in colour_planes(pixels)]
    costs = [
        sum(cost(one[size], step_of(tables, size, p, index)) for p, one in enumerate(both))
        for size in range(2)
    ]
    size = int(costs[1] < costs[0])
    steps = [step_of(tables, size, p, index) for p in range(len(both))]
    seen = [[0] * 1024 for _ in range(3)]
    for p, step in enumerate(steps):
        seen[p] = [
            min((abs(value) + (step >> 2) + (step >> 4)) // step, 3) for value in both[p][size]
        ]
    levels = []
    for p, step in enumerate(steps):
        own = []
        for level, value in enumerate(both[p][size]):
            magnitude = (abs(value) + (step >> 1) - (step >> 4)) // step
            if magnitude >= 2:
                magnitude = min(magnitude, 32767)
            else:
                j = threshold_index(tables, size, p, level, seen)
                magnitude = int(abs(value) >= ((8 + j) * step) >> 4)
            own.append(-magnitude if value < 0 else magnitude)
        levels.append(own)
    return levels, size
