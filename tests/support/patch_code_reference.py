"""The patch code and the transform once more, written from docs/FORMAT.md, one integer at a time.

Nothing of the numpy code is used here, so that the two can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

TOP_PLANE, BOTTOM_PLANE = 17, 5
EVEN = 127
LONGEST = 512

LUMA_RINGS = (0, 1, 3, 8, 18, 38, 81, 169, 361, 784, 1922)
CHROMA_RINGS = (0, 2, 10, 36, 121, 400, 1922)
"""Largest u^2 + v^2 of each ring, the mean first."""
LUMA_ZONES = ("0", "1 2", "- - 3", "4 5 6", "7 8 9", "10 11 12", "13 14 15", "16 17 18")
LUMA_ZONES += ("19 20 21", "22 23 24", "25 26 27")
"""Zones of each ring: horizontal, vertical, diagonal."""
CHROMA_ZONES = ((28, 29, 30, 31, 32, 33, 34), (35, 36, 37, 38, 39, 40, 41))
BESIDE_CHROMA = ((0,), (1,), (3,), (7,), (10,), (16,), (22, 23))

Cell = tuple[int, int, int]
"""Plane, u, v."""
Tables = Mapping[str, Any]
"""The tensors of `nqe-t` as nested lists of int."""


class Interval(NamedTuple):
    """A significant coefficient: its magnitude is in [low, low + width)."""

    low: int
    width: int
    negative: bool


class Parsed(NamedTuple):
    """Intervals of the significant coefficients, and how many planes each zone was through."""

    intervals: dict[Cell, Interval]
    reached: list[int]


class CodeEnd(Exception):
    """No further bit is coded."""


def ring_of(plane: int, u: int, v: int) -> int:
    rings = CHROMA_RINGS if plane else LUMA_RINGS
    return next(ring for ring, most in enumerate(rings) if u * u + v * v <= most)


def zone_of(plane: int, u: int, v: int) -> int:
    ring = ring_of(plane, u, v)
    if plane:
        return CHROMA_ZONES[plane - 1][ring]
    orientation = 0 if 2 * u <= v else 1 if 2 * v <= u else 2
    return int(LUMA_ZONES[ring].split()[orientation])


def zone_halves() -> list[tuple[list[Cell], list[Cell]]]:
    """Cells of the two halves of every zone, in the order of coding."""
    halves: list[tuple[list[Cell], list[Cell]]] = [([], []) for _ in range(42)]
    for plane in range(3):
        by_frequency = sorted((u * u + v * v, u, v) for u in range(32) for v in range(32))
        for _, u, v in by_frequency:
            halves[zone_of(plane, u, v)][(u + v) % 2].append((plane, u, v))
    return halves


def near_zones() -> list[list[int]]:
    """The zones whose activity makes up the context of a zone's flag."""
    near: list[list[int]] = [[] for _ in range(42)]
    luma = [row.split() for row in LUMA_ZONES]
    for ring, row in enumerate(luma):
        for orientation, zone in enumerate(row):
            if zone == "-":
                continue
            beside = [row[other] for other in range(len(row)) if other != orientation]
            for other_ring in (ring - 1, ring + 1):
                if 0 <= other_ring < len(luma) and orientation < len(luma[other_ring]):
                    beside.append(luma[other_ring][orientation])
            near[int(zone)] = [int(other) for other in beside if other != "-"]
    for own, other in (CHROMA_ZONES, CHROMA_ZONES[::-1]):
        for ring, zone in enumerate(own):
            near[zone] = [other[ring], *BESIDE_CHROMA[ring]]
            near[zone] += own[max(ring - 1, 0) : ring] + own[ring + 1 : ring + 2]
    return near


HALVES = zone_halves()
NEAR = near_zones()


def cells_of(zone: int) -> list[Cell]:
    even, odd = HALVES[zone]
    return even + odd


class EncodingCoder:
    """The arithmetic encoder; ``low`` is one long integer."""

    def __init__(self, tables: Tables) -> None:
        self._lps = tables["lps"]
        self.low, self.range, self.fixed = 0, 65535, 0
        self.ended = False

    def code(self, state: int, question: Callable[[], bool]) -> bool:
        if self.ended:
            raise CodeEnd
        width = _bit_one_width(self._lps, self.range, state)
        bit = question()
        if bit:
            self.low += self.range - width
            self.range = width
        else:
            self.range -= width
        while self.range < 1 << 15:
            self.range <<= 1
            self.low <<= 1
            self.fixed += 1
        self.ended = self.fixed >= LONGEST
        return bit

    def bits(self) -> str:
        """The code as ``LONGEST`` characters 0 and 1."""
        return f"{self.low:0{16 + self.fixed}b}".ljust(LONGEST, "0")[:LONGEST]


class DecodingCoder:
    """The arithmetic decoder of a code of any number of bits; it asks no question."""

    def __init__(self, tables: Tables, code: bytes) -> None:
        self._lps = tables["lps"]
        self._count = 8 * len(code)
        bits = [byte >> shift & 1 for byte in code for shift in range(7, -1, -1)]
        self._bits: Iterator[int] = iter(bits)
        self.range, self.offset, self.read = 65535, 0, 0
        for _ in range(16):
            self._next_bit()
        self.ended = False

    def _next_bit(self) -> None:
        self.offset = 2 * self.offset + next(self._bits, 0)
        self.read += 1

    def code(self, state: int, question: Callable[[], bool]) -> bool:
        if self.ended:
            raise CodeEnd
        width = _bit_one_width(self._lps, self.range, state)
        cut = self.range - width
        unknown = max(self.read - self._count, 0)
        if self.offset >= cut:
            bit = True
            self.offset -= cut
            self.range = width
        elif self.offset + (1 << unknown) <= cut:
            bit = False
            self.range = cut
        else:
            self.ended = True
            raise CodeEnd
        while self.range < 1 << 15:
            self.range <<= 1
            self._next_bit()
        self.ended = self.read - self._count >= 16
        return bit


def _bit_one_width(lps: list[list[int]], range_: int, state: int) -> int:
    return range_ >> 1 if state == EVEN else lps[state][(range_ >> 12) & 7]


class PatchCode:
    """One patch on its way through the bit planes, in either direction.

    Args:
        coder: encoder or decoder.
        tables: of the coder.
        channels: 1 or 3.
        coefficients: by plane, u, v; a decoder's are never looked at.
    """

    def __init__(
        self,
        coder: EncodingCoder | DecodingCoder,
        tables: Tables,
        channels: int,
        coefficients: list[list[list[int]]] | None = None,
    ) -> None:
        self._coder = coder
        self._tables = tables
        self._channels = channels
        self._coefficients = coefficients
        self._order = [z for z in tables["order"] if cells_of(z)[0][0] < channels]
        self._level: dict[Cell, int] = {}
        self._active = [0] * 42
        self.decoded = Parsed({}, [0] * 42)

    def run(self) -> Parsed:
        """Code until all planes are done or the code ends."""
        try:
            for plane in range(TOP_PLANE, BOTTOM_PLANE - 1, -1):
                self._level = {cell: min(level + 1, 3) for cell, level in self._level.items()}
                self._active = [2 if active else 0 for active in self._active]
                for zone in self._order:
                    self._find_significant(zone, plane)
                    if not self._coder.ended:
                        self.decoded.reached[zone] = TOP_PLANE - plane + 1
                for zone in self._order:
                    self._refine(zone, plane)
        except CodeEnd:
            pass
        return self.decoded

    def _value(self, cell: Cell) -> int:
        assert self._coefficients is not None
        plane, u, v = cell
        return self._coefficients[plane][u][v]

    def _any_reaches(self, cells: list[Cell], threshold: int) -> bool:
        return any(abs(self._value(cell)) >= threshold for cell in cells)

    def _is_negative(self, cell: Cell) -> bool:
        return self._value(cell) < 0

    def _has_bit(self, cell: Cell, plane: int) -> bool:
        return bool(abs(self._value(cell)) >> plane & 1)

    def _find_significant(self, zone: int, plane: int) -> None:
        threshold = 1 << plane
        if len(cells_of(zone)) > 1:
            if not self._active[zone]:
                state = self._tables["flag"][zone][TOP_PLANE - plane][self._activity(zone)]
                question = partial(self._any_reaches, cells_of(zone), threshold)
                self._active[zone] = int(self._coder.code(state, question))
            if not self._active[zone]:
                return
        table = self._tables["significance"][zone][TOP_PLANE - plane][self._active[zone] == 1]
        for half in HALVES[zone]:
            states = [table[self._cross(cell)][self._near(cell)] for cell in half]
            for cell, state in zip(half, states, strict=True):
                if cell in self._level:
                    continue
                if self._coder.code(state, partial(self._any_reaches, [cell], threshold)):
                    negative = self._coder.code(EVEN, partial(self._is_negative, cell))
                    self._level[cell] = 1
                    self.decoded.intervals[cell] = Interval(threshold, threshold, negative)

    def _refine(self, zone: int, plane: int) -> None:
        for cell in cells_of(zone):
            level = self._level.get(cell, 0)
            if level < 2:
                continue
            state = self._tables["refinement"][zone][TOP_PLANE - plane][level == 2]
            bit = self._coder.code(state, partial(self._has_bit, cell, plane))
            low, _, negative = self.decoded.intervals[cell]
            self.decoded.intervals[cell] = Interval(low + (bit << plane), 1 << plane, negative)

    def _activity(self, zone: int) -> int:
        total = 0
        for near in NEAR[zone]:
            cells = cells_of(near)
            if len(cells) > 1:
                total += self._active[near]
            else:
                total += min(self._level.get(cells[0], 0), 2)
        return min(total, 7)

    def _cross(self, cell: Cell) -> int:
        plane, u, v = cell
        if self._channels == 1:
            return 0
        return min(max(self._level.get((p, u, v), 0) for p in range(3) if p != plane), 2)

    def _near(self, cell: Cell) -> int:
        plane, u, v = cell

        def level(du: int, dv: int) -> int:
            return self._level.get((plane, u + du, v + dv), 0)

        total = 2 * (level(-1, 0) + level(1, 0) + level(0, -1) + level(0, 1))
        total += level(-1, -1) + level(-1, 1) + level(1, -1) + level(1, 1)
        total += level(-2, 0) + level(2, 0) + level(0, -2) + level(0, 2)
        return sum(total >= least for least in (1, 2, 3, 5, 8, 12, 18))


def encode_patch(coefficients: list[list[list[int]]], tables: Tables) -> bytes:
    """The code of ``LONGEST`` bits of one patch, from its coefficients by plane, u, v."""
    coder = EncodingCoder(tables)
    PatchCode(coder, tables, len(coefficients), coefficients).run()
    return int(coder.bits(), 2).to_bytes(LONGEST // 8, "big")


def decode_patch(code: bytes, channels: int, tables: Tables) -> Parsed:
    """What a code of any length tells."""
    return PatchCode(DecodingCoder(tables, code), tables, channels).run()


def transform_patch(pixels: list[list[list[int]]], tables: Tables) -> list[list[list[int]]]:
    """Coefficients by plane, u, v of a patch: samples by row, column, channel."""
    weights = [
        [4 * a + b for a, b in zip(*rows, strict=True)]
        for rows in zip(tables["coarse"], tables["fine"], strict=True)
    ]
    if len(pixels[0][0]) == 1:
        planes = [[[3 * grey - 384 for (grey,) in row] for row in pixels]]
    else:
        planes = [
            [[r + g + b - 384 for r, g, b in row] for row in pixels],
            [[r - b for r, _, b in row] for row in pixels],
            [[r - 2 * g + b for r, g, b in row] for row in pixels],
        ]

    def pass_rows(samples: list[list[int]]) -> list[list[int]]:
        return [
            [(sum(w * x for w, x in zip(weight, row, strict=True)) + 4) >> 3 for weight in weights]
            for row in samples
        ]

    result = []
    for index, plane in enumerate(planes):
        by_v = [list(column) for column in zip(*pass_rows(plane), strict=True)]
        by_u = [list(column) for column in zip(*pass_rows(by_v), strict=True)]
        if index == 1:
            by_u = [[c + (c >> 2) for c in row] for row in by_u]
        if index == 2:
            by_u = [[(c >> 1) + (c >> 2) for c in row] for row in by_u]
        result.append(by_u)
    return result
