"""The transform's products as C without multiplications: additions of shifted samples.

What is left of a transform after its even and odd halves are squares of weights
(`heqcodec.native.transform_packing.squares`). Two rows and two columns at equal distance from the
ends of a square of a rounded DCT hold two weights, as a rotation does:

    y  = a d + b e = b (d + e) + (a - b) d = a (d - e) + (a + b) e
    y' = b d - a e = b (d + e) - (a + b) e = a (d - e) + (b - a) d

so that three products do for four, and the shortest of the three ways is taken. A product is a sum
of signed powers of two (canonical signed digits). Numbers are unsigned: sums wrap, and come out
as the same integers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.native.transform_packing import squares
from numpy.typing import NDArray

LARGEST_WEIGHT, LARGEST_ENERGY = 40, 14
"""HEQ_LARGEST_WEIGHT and HEQ_LARGEST_ENERGY of codec/native/heq_transform.h."""
TOGETHER = 2
"""Pairs of rows that are summed at a time: as many as the registers of a Cortex-M hold."""


class Term(NamedTuple):
    """``sum += sign * (value << shift)``.

    Attributes:
        row: of the sum; -1 for the part that both rows of a pair have in common.
        value: "first", "last", "both" (their sum) or "apart" (their difference).
        shift: left.
        sign: 1 or -1.
    """

    row: int
    value: str
    shift: int
    sign: int


def digits(number: int) -> Iterator[tuple[int, int]]:
    """Canonical signed digits of a number: exponent and sign, lowest first."""
    exponent = 0
    while number:
        if number & 1:
            sign = 2 - (number & 3)
            yield exponent, sign
            number -= sign
        number >>= 1
        exponent += 1


def product(row: int, value: str, weight: int) -> list[Term]:
    """The terms of a weight times a value."""
    return [Term(row, value, exponent, sign) for exponent, sign in digits(weight)]


def rotation(weights: NDArray[np.integer], turned: int) -> list[Term]:
    """Two rows of two weights times "first" and "last", with as few terms as the three ways give.

    Args:
        weights: int (2, 2), by row.
        turned: 1 or -1, with which sign the second row takes the part that both have in common.
    """
    (a, b), (c, d) = weights.tolist()
    ways = [
        [
            *product(0, "first", a),
            *product(0, "last", b),
            *product(1, "first", c),
            *product(1, "last", d),
        ],
        [
            *product(-1, "both", b),
            *product(0, "first", a - b),
            *product(1, "first", c - turned * b),
            *product(1, "last", d - turned * b),
        ],
        [
            *product(-1, "apart", a),
            *product(0, "last", b + a),
            *product(1, "first", c - turned * a),
            *product(1, "last", d + turned * a),
        ],
    ]
    return min(ways, key=len)


def pair_groups(count: int) -> Iterator[tuple[int, ...]]:
    """Pairs of rows that are summed at the same time: in a DCT their signs turn alike."""
    pairs = range(count // 2)
    for parity in (0, 1):
        alike = pairs[parity::2]
        for begin in range(0, len(alike), TOGETHER):
            yield tuple(alike[begin : begin + TOGETHER])


def square_lines(square: NDArray[np.integer], stride: int, begin: int) -> list[str]:
    """Statements that add up a square of weights times ``x`` to every `stride`-th of ``y``.

    Args:
        square: int (n, n), n even.
        stride, begin: of the sums in ``y``.
    """
    count = len(square)
    lines = []
    for pairs in pair_groups(count):
        rotations = [_rotations(square, pairs, column) for column in range(count // 2)]
        known: set[str] = set()
        for turned in (1, -1):
            columns = [column for column, (sign, _) in enumerate(rotations) if sign == turned]
            for column in columns:
                lines += _column_lines(rotations[column][1], column, count - 1 - column, known)
            for slot in range(len(pairs)):
                if f"c{slot}" in known:
                    lines += _sum_line(f"a{slot}", f"c{slot}", 1, known)
                    lines += _sum_line(f"b{slot}", f"c{slot}", turned, known)
                    known.remove(f"c{slot}")
        for slot, pair in enumerate(pairs):
            for letter, row in (("a", pair), ("b", count - 1 - pair)):
                lines.append(f"y[{begin + row * stride}] = {letter}{slot};")
    return lines


def _rotations(
    square: NDArray[np.integer], pairs: tuple[int, ...], column: int
) -> tuple[int, list[tuple[int, Term]]]:
    """The terms of a column and its opposite in some pairs of rows, and how the pairs turn."""
    count = len(square)
    blocks = [square[[pair, count - 1 - pair]][:, [column, count - 1 - column]] for pair in pairs]
    found = {
        turned: [
            (slot, term) for slot, block in enumerate(blocks) for term in rotation(block, turned)
        ]
        for turned in (1, -1)
    }
    turned = min(found, key=lambda sign: len(found[sign]))
    return turned, found[turned]


def _column_lines(
    terms: list[tuple[int, Term]], column: int, opposite: int, known: set[str]
) -> list[str]:
    used = {term.value for _, term in terms}
    lines = [f"first = x[{column}];", f"last = x[{opposite}];"]
    lines += ["both = first + last;"] if "both" in used else []
    lines += ["apart = first - last;"] if "apart" in used else []
    for slot, (row, value, shift, sign) in terms:
        shifted = f"{value} << {shift}" if shift else value
        lines += _sum_line(f"{'abc'[row]}{slot}", shifted, sign, known)
    return lines


def _sum_line(name: str, value: str, sign: int, known: set[str]) -> list[str]:
    """A value added to a sum, or the sum's first value."""
    if name in known:
        return [f"{'ADD' if sign > 0 else 'SUB'}({name}, {value});"]
    known.add(name)
    return [f"SET({name}, {value});" if sign > 0 else f"SET({name}, 0 - ({value}));"]


def _names(lines: list[str]) -> str:
    """The variables that statements set."""
    found = set(re.findall(r"^(?:SET\()?(\w+)(?: =|,)", "\n".join(lines), re.MULTILINE))
    return ", ".join(sorted(found))


def _function(name: str, comment: str, blocks: list[list[str]]) -> str:
    lines = [line for block in blocks for line in block]
    body = "\n".join(f"    {line}" for line in lines)
    return (
        f"/* {comment} */\n"
        f"static void {name}(const uint32_t *x, uint32_t *y)\n{{\n"
        f"    uint32_t {_names(lines)};\n{body}\n}}\n"
    )


def matrix_squares(layers: NDArray[np.int8]) -> list[NDArray[np.int64]]:
    """The squares of weights that are left of a transform, layers added up.

    Args:
        layers: int8 (L, 32, 32), digits -2..2, rows by frequency.

    Raises:
        HeqError: rows are not even and odd in turn.
    """
    worth = 4 ** np.arange(len(layers) - 1, -1, -1, dtype=np.int64)
    return [(worth[:, None, None] * square).sum(axis=0) for square in squares(layers)]


def products(layers: NDArray[np.int8]) -> NDArray[np.int16]:
    """The weights for kernels that multiply, int16 (640,); see codec/native/heq_products.h.

    Odd rows of 32 points, 16x16; all rows of 16 points, 16x16; the first eight columns of those
    that are even, 8x8, and odd, 8x8.

    Raises:
        HeqError: weights pass the bounds of codec/native/heq_transform.h.
    """
    worth = 4 ** np.arange(len(layers) - 1, -1, -1, dtype=np.int64)
    large = (worth[:, None, None] * layers).sum(axis=0)
    small = large[::2, :16]
    parts = (large[1::2, :16], small, small[::2, :8], small[1::2, :8])
    if (
        np.abs(large).max() > LARGEST_WEIGHT
        or max((part**2).sum(axis=1).max() for part in parts) > 2**LARGEST_ENERGY
    ):
        raise HeqError("the transform's weights are too large; this model cannot be exported.")
    return np.concatenate([part.reshape(-1) for part in parts]).astype(np.int16)


def network_text(layers: NDArray[np.int8]) -> str:
    """The functions of a transform of 32 points as C; see codec/native/heq_transform.c.

    Args:
        layers: int8 (L, 32, 32), digits -2..2, rows by frequency.

    Raises:
        HeqError: rows are not even and odd in turn.
    """
    wide, middle, small, rest = matrix_squares(layers)
    parts = [
        "#define SET(sum, value) \\\n    sum = value;        \\\n    HEQ_HIDE(sum)\n"
        "#define ADD(sum, value) \\\n    sum += value;       \\\n    HEQ_HIDE(sum)\n"
        "#define SUB(sum, value) \\\n    sum -= value;       \\\n    HEQ_HIDE(sum)\n",
        _function("network_16", "Odd rows of 32 points.", [square_lines(wide, 1, 0)]),
        _function("network_8", "Odd rows of 16 points.", [square_lines(middle, 2, 1)]),
        _function("network_4", "Odd rows of 8 points.", [square_lines(small, 4, 2)]),
        _function("network_rest", "Rows of 4 points.", [square_lines(rest, 4, 0)]),
        "#undef SET\n#undef ADD\n#undef SUB\n",
    ]
    return "\n".join(parts)
