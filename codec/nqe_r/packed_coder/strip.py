"""The order and the contexts in which a strip is coded, slice by slice: encoder and decoder alike.

A slice holds some levels of every plane of every patch, the lowest frequencies first; what was
coded before it is known on all sides. This is the reference, plain and slow; `heqcodec._native`
gives the same bytes some thousand times faster. docs/FORMAT.md has the same in words.
"""

from __future__ import annotations

import numpy as np
from heqcodec.base.errors import HeqFormatError
from heqcodec.nqe_r.layout import LEVELS, band_frequencies
from numpy.typing import NDArray

from .arithmetic import BitCoder
from .borders import Borders, Position
from .mixing import EVEN, Predictor, clamp
from .tables import (
    FLAG_NETS,
    HEADS,
    INPUTS,
    LISTED,
    MIXED,
    PLANES,
    SEGMENT_STARTS,
    SIGN_MIX,
    SLICE_SEGMENTS,
    SLICE_STARTS,
    SURE_BOUNDS,
    PackedTables,
    angles_and_rings,
)

LARGEST = 32767
"""Largest magnitude of a level."""
LONGEST = 22
"""Decisions of the largest magnitude."""
REST_MIX = (SIGN_MIX, 2)
"""Which weights mix the highest bit that the unary prefix leaves open."""
UNARY = 5
"""Magnitudes below are unary; from here on a unary prefix gives the number of bits."""
_BELOW = 3
_SIDE = _BELOW + 16 + 1
"""A map has 16 frequencies and a border: three below, one above."""
_COARSE = (0, 1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 7)
"""Bins of a sum of neighbours: fine near 0, one for all that is large."""
_AROUND = ((0, -1), (-1, 0), (0, 1), (1, 0))
_BANDS = [(int(u), int(v)) for u, v in band_frequencies()]
_ANGLES = [(int(angle), int(ring)) for angle, ring in angles_and_rings()]


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


class StripModel:
    """A strip while it is coded or decoded.

    Args:
        tables: of the model.
        levels: int16 (R, C, planes, 1024): what to code, or where to put what is decoded.
        transform_sizes: uint8 (R, C), likewise.
        step: index.
    """

    def __init__(
        self,
        tables: PackedTables,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        step: int,
    ) -> None:
        self._tables, self._levels, self._transform_sizes, self._step = (
            tables,
            levels,
            transform_sizes,
            step,
        )
        self._predictor = Predictor(tables)
        self._borders = Borders(tables, transform_sizes)
        rows, columns, self._planes, _ = levels.shape
        # One patch of border on each side, so that every neighbour exists.
        field = (PLANES, rows + 2, columns + 2)
        self._map = np.zeros((*field, _SIDE, _SIDE, 4), dtype=np.int64)
        self._segments = np.zeros((*field, len(SEGMENT_STARTS) - 1), dtype=np.int64)
        self._slices = np.zeros((*field, len(SLICE_STARTS) - 1), dtype=np.int64)
        self._runs = np.zeros((*field, 2), dtype=np.int64)
        self._surprise = np.zeros(field, dtype=np.int64)
        self._agreement = np.zeros((*field, 2), dtype=np.int64)
        sources = tables.sources.astype(np.int64)
        strides = np.array(self._map.strides[:5]) // self._map.strides[4]
        offsets = sources[:, 1:5] @ strides[1:]
        turns = (np.arange(PLANES)[:, None] + PLANES - sources[:, 0]) % PLANES
        self._cells = offsets + (turns - np.arange(PLANES)[:, None]) * strides[0]
        self._subs = sources[:, 5]

    def code_slice(self, coder: BitCoder, index: int) -> None:
        """Code or decode a slice; all before it have been.

        Raises:
            HeqFormatError: a decoded level is out of range.
        """
        transform_sizes = self._transform_sizes
        for row, column in np.ndindex(*transform_sizes.shape):
            if index == 0:
                left = int(transform_sizes[row, column - 1]) if column else 0
                above = int(transform_sizes[row - 1, column]) if row else 0
                ones = self._predictor.ones(int(self._tables.size[self._step >> 7, left + above]))
                transform_sizes[row, column] = coder.code(int(transform_sizes[row, column]), ones)
            for plane in range(self._planes):
                at = Position(row, column, plane, index, int(transform_sizes[row, column]))
                self._code_part(coder, at)

    def _code_part(self, coder: BitCoder, at: Position) -> None:
        levels = self._levels[at.row, at.column, at.plane]
        place = (at.plane, at.row + 1, at.column + 1)
        first, last = SLICE_SEGMENTS[at.slice : at.slice + 2]
        start, stop = SLICE_STARTS[at.slice : at.slice + 2]
        if at.slice >= 2 and not self._code_flag(coder, at, first, True, 0, levels[start:stop]):
            return
        around = self._borders.around(at) if at.slice else []
        before, total = 0, 0
        for segment in range(first, last):
            start, stop = SEGMENT_STARTS[segment : segment + 2]
            # The last one is not empty if all before it are.
            asked = last - first > 1 and (before or segment < last - 1)
            if asked and not self._code_flag(coder, at, segment, False, before, levels[start:stop]):
                run = self._runs[place]
                run[:] = 0, int(run[1]) >> ((stop - start) // 32)
                continue
            before, energy, seen = 1, 0, False
            for index in range(start, stop):
                kept = self._code_level(coder, at, index, segment, around, seen)
                seen |= kept > 0
                energy += kept
            self._segments[place][segment] = int(self._tables.energy[min(energy, 2047)])
            total += int(self._segments[place][segment])
            shift = 2 if last - first > 4 else int(last - first > 1)
            self._slices[place][at.slice] = min(total >> shift, 255)

    def _other(self, at: Position, turn: int) -> tuple[int, int, int]:
        """The index of the plane ``turn`` places before this one, cyclically."""
        return ((at.plane + PLANES - turn) % PLANES, at.row + 1, at.column + 1)

    def _code_flag(
        self,
        coder: BitCoder,
        at: Position,
        segment: int,
        whole: bool,
        before: int,
        levels: NDArray[np.int16],
    ) -> int:
        """Is any level of the slice (whole), or of one of its segments, not 0?"""
        p, row, column = place = self._other(at, 0)
        segments, slices = self._segments, self._slices
        inputs = [segments[place][segment - i] if segment >= i else 0 for i in range(1, 5)]
        inputs += [slices[place][at.slice - i] for i in range(3)]
        others = [(p, row + down, column + across) for down, across in _AROUND]
        others += [self._other(at, turn) for turn in (1, 2)]
        for other in others:
            inputs += [segments[other][segment], slices[other][at.slice]]
            inputs += [slices[other][at.slice - 1], segments[other][segment - 1]]
        inputs += [slices[p, row - 1, column + i][at.slice] for i in (-1, 1)]
        inputs += self._run_inputs(place)
        inputs += [at.size * 64, self._step >> 2, (segment - SLICE_SEGMENTS[at.slice]) * 8]
        inputs += [before * 64, at.slice * 32]
        net = FLAG_NETS + p * 2 + (not whole)
        padded = np.array(inputs + [0] * (INPUTS - len(inputs)), dtype=np.int64)
        logit = self._predictor.head(net, 0, self._predictor.run(net, padded))
        # Surprise has 16 bits of fraction: 32 bins of 1/16, 0 in the middle.
        surprise = clamp((int(self._surprise[place]) >> 12) + 16, 0, 31)
        contexts = [  # logits have 12 bits of fraction: 32 bins of 1/2, 0 in the middle
            ("segment", p, at.size, whole, segment),
            ("logit", net, 0, clamp((logit >> 11) + 16, 0, 31)),
            ("logit", net, 1, surprise),
        ]
        return self._predictor.decide(coder, int(levels.any()), logit, (net, 0), contexts)

    def _run_inputs(self, place: tuple[int, int, int]) -> list[int]:
        short, long = (int(run) for run in self._runs[place])
        # Sums that decay by 1/8 and 1/32 a level, scaled to the bytes that networks take.
        return [min(short >> 1, 255), min(long >> 3, 255)]

    def _predict_mean(self, at: Position, inputs: NDArray[np.int64]) -> int:
        """The mean level of this patch, predicted from those of the patches left and above."""
        means = self._levels[:, :, at.plane, 0]
        row, column = at.row, at.column
        if not row or not column:
            # How much is known: 0 with both neighbours, 32 with one, 128 with none.
            inputs[LISTED + 7] = 32 if row or column else 128
            return int(means[row, column - 1] if column else means[row - 1, 0] if row else 0)
        left, above = int(means[row, column - 1]), int(means[row - 1, column])
        corner = int(means[row - 1, column - 1])
        far = int(means[row - 1, column + 1]) if column + 1 < means.shape[1] else above
        for i, gap in enumerate((left - corner, above - corner, above - far, left - above)):
            inputs[i] = self._tables.magnitude[min(abs(gap), 255)]
        # The median of the three, as in JPEG-LS.
        return clamp(left + above - corner, min(left, above), max(left, above))

    def _code_level(
        self,
        coder: BitCoder,
        at: Position,
        index: int,
        segment: int,
        around: list[NDArray[np.int64] | None],
        seen: bool,
    ) -> int:
        """Code or decode a level; what the map keeps of it is returned."""
        levels, (band, sub) = self._levels[at.row, at.column], divmod(index, 4)
        p, size, (u, v) = at.plane, at.size, _BANDS[band]
        place = self._other(at, 0)
        cells = self._map.reshape(-1, 4)
        cell = np.ravel_multi_index((*place, u + _BELOW, v + _BELOW), self._map.shape[:5])
        inputs = np.zeros(INPUTS, dtype=np.int64)
        near = cells[cell + self._cells[p]]
        single = near[np.arange(LISTED), sub ^ (self._subs & 3)]
        inputs[:LISTED] = np.where(self._subs < 4, single, near.sum(axis=1))
        extra = inputs[LISTED:]
        extra[0:2] = self._run_inputs(place)
        extra[2:6] = u * 16, v * 16, (index - SLICE_STARTS[at.slice]) >> 2, self._step >> 2
        if not seen and at.slice >= 2:
            extra[6] = 16 + (index - SEGMENT_STARTS[segment]) * 3
        extra[7] = sub * 32 if p and not size else 0
        mean, expected = 0, 0
        if not index:
            mean = self._predict_mean(at, inputs)
        else:
            expected, gaps = self._borders.expect(at, index, around)
            extra[8] = min(abs(expected) >> 4, 255)  # 1/256 to 1/16 of a level
            extra[9:13] = [abs(gap) >> 3 for gap in gaps]
        if at.column:
            extra[13] = 64 + 64 * int(self._transform_sizes[at.row, at.column - 1])
        if at.row:
            extra[14] = 64 + 64 * int(self._transform_sizes[at.row - 1, at.column])
        value = int(levels[p, index]) - mean
        # Nine kinds a slice: luma of 32 points by sub 0..3, luma of 16 points 4, chroma 5..8 by
        # plane and size. Networks 0..2 are slice 0, by plane.
        kind = 3 + p * 2 + size if p else 4 if size else sub
        net = 3 + (at.slice - 1) * 9 + kind if at.slice else p
        magnitude = self._code_magnitude(coder, at, index, abs(value), net, inputs)
        if magnitude:
            others = [int(levels[p - i, index]) if p >= i and index else 0 for i in (1, 2)]
            sign = self._code_sign(coder, at, magnitude, expected, others, _sign(value))
            value = sign * magnitude
        else:
            value = 0
        value += mean
        if abs(value) > LARGEST:
            raise HeqFormatError("a level of the packed stream is out of range.")
        levels[p, index] = value
        self._borders.add(at, index, value)
        kept = int(self._tables.magnitude[min(magnitude, 255)])
        cells[cell, sub] = kept
        run = self._runs[place]
        run += kept - (run >> np.array([3, 5]))
        return kept

    def _code_magnitude(
        self,
        coder: BitCoder,
        at: Position,
        index: int,
        magnitude: int,
        net: int,
        inputs: NDArray[np.int64],
    ) -> int:
        p, size, (band, sub) = at.plane, at.size, divmod(index, 4)
        predictor, place = self._predictor, self._other(at, 0)
        last = predictor.run(net, inputs)
        (u, v), (angle, ring) = _BANDS[band], _ANGLES[band]
        first = self._map[self._other(at, 1)][u + _BELOW, v + _BELOW]
        second = self._map[self._other(at, 2)][u + _BELOW, v + _BELOW]
        sums = (
            int(inputs[:6].sum()),
            int(self._runs[place][0]),
            int(first[sub] + second[sub] + (first.sum() >> 1)),
        )
        environs = tuple(_COARSE[min(total >> 3, 14)] for total in sums)
        # 16 bins of 1/16, 0 in the middle: of this patch, and of the mean of two neighbours.
        here = clamp((int(self._surprise[place]) >> 12) + 8, 0, 15)
        _, row, column = place
        others = int(self._surprise[p, row, column - 1] + self._surprise[p, row - 1, column])
        there = clamp((others >> 13) + 8, 0, 15)
        count = 0
        while count < LONGEST:
            rank = min(count, 3)
            logit = predictor.head(net, min(count, HEADS - 1), last)
            # Logits in 32 bins of 1/4, from -6 to 2: most levels are 0.
            contexts: list[tuple[int | str, ...]] = [
                ("level", p, size, index, rank),
                ("logit", net, rank, clamp((logit >> 10) + 24, 0, 31)),
                ("environs", p, rank, *environs),
                ("ring", p, size, angle, ring, rank),
                ("here", p, at.slice, rank, here),
                ("there", p, at.slice, rank, there),
            ]
            assert len(contexts) == MIXED - 1
            # Rank UNARY and up: has magnitude - 4 more than count - 4 bits?
            more = magnitude - 4 >= 2 << count - UNARY if count >= UNARY else magnitude > count
            bit = predictor.decide(coder, int(more), logit, (net, rank), contexts)
            if not count:
                error = (bit << 16) - predictor.ones(logit)
                # Mean of bit minus probability, in 1/65536, over about 16 decisions.
                self._surprise[place] += (error - int(self._surprise[place])) >> 4
            if not bit:
                break
            count += 1
        if count < UNARY:
            return count
        rest = 1  # magnitude - 4 has count - 4 bits, the first of them 1
        for i in range(count - 6, -1, -1):
            bit = (magnitude - 4) >> i & 1
            if rest == 1:
                bit = predictor.decide(coder, bit, 0, REST_MIX, [("rest", p, count)])
            else:
                bit = coder.code(bit, EVEN)
            rest = rest << 1 | bit
        return rest + 4

    def _code_sign(
        self,
        coder: BitCoder,
        at: Position,
        magnitude: int,
        expected: int,
        others: list[int],
        sign: int,
    ) -> int:
        """A sign, against the one expected from the borders, and against those of other planes."""
        p, row, column = place = self._other(at, 0)
        sure = sum(abs(expected) >= bound for bound in SURE_BOUNDS)
        strength = min(magnitude, 3) - 1
        first, second = (_sign(other) for other in others)
        which, reference = (0, first) if first else (1, second)
        guess = _sign(expected) if sure else reference
        if not guess:
            return -1 if coder.code(int(sign < 0), EVEN) else 1
        turn, agreement = guess * reference, self._agreement[..., which]
        near = int(agreement[p, row, column - 1] + agreement[p, row - 1, column])
        # Agreement is -64 to 64: nine bins of this patch, five of its two neighbours.
        here = clamp((int(agreement[place]) * turn + 8 >> 4) + 4, 0, 8)
        there = clamp((near * turn + 16 >> 5) + 2, 0, 4)
        contexts: list[tuple[int | str, ...]] = [
            ("agreement", p, which, here, there),
            ("sign", p, sure, strength, guess * first, guess * second),
        ]
        logit = int(self._tables.sign[p, sure, strength])
        mix = (SIGN_MIX, int(p > 0))
        differs = self._predictor.decide(coder, int(sign != guess), logit, mix, contexts)
        sign = -guess if differs else guess
        for i, other in enumerate((first, second)):
            if other:
                old = int(self._agreement[place][i])  # moves a quarter of the way to +-64
                self._agreement[place][i] += ((64 if sign == other else -64) - old) >> 2
        return sign


assert SLICE_STARTS[-1] == LEVELS
