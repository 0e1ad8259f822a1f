"""The decisions that make up a patch, in Python: what codec/native/heq_device.c does in C.

For each patch its size, then for each colour plane:

- level 0, as the difference from what the patches left and above say;
- for each group of 8 bands: does any level from here on differ from 0? If not, the plane is done;
- for each level of the group: is it 0? larger than 1? 2? ..., and its sign.

Magnitudes lie in one field a plane, in which a patch overwrites its left neighbour level by level:
what stands at lower bands is this patch's, at higher ones still the left patch's. So a sum over a
neighbourhood takes both in. Of the row above `Borders` keeps what levels 0 and signs need.
"""

from __future__ import annotations

import numpy as np
from heqcodec.nqe_r.layout import BANDS, LEVEL_LIMIT, LEVELS, SUBS

from .around import BAND_GROUP, MAGNITUDE_LIMIT, MOST, Around, Scores, bin_of
from .borders import NO_GAP, Borders, gap_bin
from .contexts import (
    BAND_GROUPS,
    CONTEXT_AT,
    FAST,
    GAPS,
    SCORES,
    SET_AT,
    SIGNED_BANDS,
    SLOW,
    UNARY,
    ZONES,
    Decisions,
)
from .parts import Part

GROUPS = 32
GROUP_BANDS = BANDS // GROUPS
GROUP_LEVELS = LEVELS // GROUPS
BORDER_BANDS = 128
"""Bands of plane 0 whose signs are expected from the borders."""


CUTS_10 = (1, 2, 3, 4, 5, 7, 10, 15, 24)
CUTS_7 = (1, 2, 3, 4, 6, 10)
CUTS_6 = (1, 2, 3, 5, 9)
CUTS_4 = (1, 4, 10)
BIN10, BIN7, BIN6, BIN4 = (bin_of(cuts) for cuts in (CUTS_10, CUTS_7, CUTS_6, CUTS_4))
ZONE_STARTS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192)
ZONE = (np.searchsorted(ZONE_STARTS, np.arange(BANDS), side="right") - 1).tolist()
LARGER_CLASS = [0, 0, 1, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4]


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


class PatchCoder:
    """Codes the patches of a strip one after another, either way.

    Args:
        decisions: where they go to or come from.
        planes: 1 or 3.
        part: which decisions are coded.

    Attributes:
        failed: a level was out of range, so what is decoded is no strip.
    """

    def __init__(self, decisions: Decisions, planes: int, part: Part = Part.WHOLE) -> None:
        self.failed = False
        self._part = part
        self._decisions = decisions
        self._decoding = decisions.coder.decoding
        self._scores = Scores(decisions.tables)
        self._magnitudes = [[0] * (LEVELS + 4) for _ in range(planes)]
        self._signs = [[0] * (4 * SIGNED_BANDS) for _ in range(planes)]
        self._counts = [[0] * GROUPS for _ in range(planes)]
        self._size = 0
        self._borders = Borders(planes)
        self._luma_difference = 0

    def code(self, levels: list[list[int]], size: int, first: bool) -> int:
        """Code a patch.

        Args:
            levels: of each plane 1,024; written to when decoding, but for those of the part
                before.
            size: 0 or 1; not looked at when decoding, unless the part before has it.
            first: is it the first of its row?

        Returns:
            The size.
        """
        if self._part != Part.HIGH:
            size = self._decisions.decide_alone(CONTEXT_AT["size"] + self._size, size)
        self._size = size
        self._borders.begin_patch(size, first)
        self._luma_difference = 0
        for plane, own in enumerate(levels):
            self._code_plane(plane, size, own)
        self._borders.end_patch()
        return size

    def _code_plane(self, plane: int, size: int, levels: list[int]) -> None:
        expected, gradient = self._borders.predict_dc(plane)
        difference, known = levels[0] - expected, self._part == Part.HIGH
        if not known:
            difference = self._code_dc(plane, difference, gradient)
        level = expected + difference
        if abs(level) > LEVEL_LIMIT:
            self.failed, level = True, 0
        levels[0] = level
        if plane == 0:
            self._luma_difference = difference
        self._borders.keep_dc(plane, level)
        self._magnitudes[plane][0] = 0
        self._signs[plane][0] = _sign(difference)
        last, groups = 0, 1 if self._part == Part.LOW else GROUPS
        if not self._decoding:
            end = groups * GROUP_LEVELS
            last = max((index for index in range(1, end) if levels[index]), default=0)
        before = 0
        for group in range(groups):
            if known and group == 0:
                before = self._keep_group(plane, levels)
                continue
            more = last > 0 and last // GROUP_LEVELS >= group
            if not self._code_more(plane, size, group, before, int(more)):
                self._clear(plane, group, levels)
                return
            before = count = 0
            for band in range(GROUP_BANDS * group, GROUP_BANDS * (group + 1)):
                total, nonzero = self._code_band(plane, size, band, levels)
                before += total
                count += nonzero
            self._counts[plane][group] = count

    def _keep_group(self, plane: int, levels: list[int]) -> int:
        """Keep the levels of group 0, which are known; returns the sum of magnitudes."""
        for index in range(1, GROUP_LEVELS):
            self._keep(plane, index, levels[index])
            if plane == 0 and index == SUBS - 1:
                self._borders.end_means()
        return sum(self._magnitudes[plane][1:GROUP_LEVELS])

    def _keep(self, plane: int, index: int, level: int) -> int:
        """Keep what later levels are expected from; returns the magnitude as it is kept."""
        magnitude = min(abs(level), MAGNITUDE_LIMIT)
        self._magnitudes[plane][index] = magnitude
        band, sub = divmod(index, SUBS)
        if band < SIGNED_BANDS:
            self._signs[plane][index] = _sign(level)
        if plane == 0 and level:
            self._borders.add_level(band, sub, level)
        return magnitude

    def _clear(self, plane: int, group: int, levels: list[int]) -> None:
        start = max(GROUP_LEVELS * group, 1)
        self._magnitudes[plane][start:LEVELS] = [0] * (LEVELS - start)
        self._counts[plane][group:] = [0] * (GROUPS - group)
        if group == 0:
            self._signs[plane][1:] = [0] * (4 * SIGNED_BANDS - 1)
        if self._decoding:
            levels[start:] = [0] * (LEVELS - start)

    def _code_dc(self, plane: int, difference: int, gradient: int) -> int:
        """Code the difference of level 0 from what is expected; returns it."""
        decisions = self._decisions
        left = self._magnitudes[plane]
        energy = left[1] + left[2] + left[3] + left[4] + left[8] + gradient
        luma = self._luma_difference if plane else 0
        energy = min(energy + 2 * abs(luma), MOST - 1)
        context = CONTEXT_AT["dc"] + UNARY * (6 * plane + BIN6[energy >> 1])
        coded = 0
        while coded < UNARY and decisions.decide_alone(
            context + coded, int(abs(difference) > coded)
        ):
            coded += 1
        if coded == UNARY:
            context = CONTEXT_AT["dc_escape"] + 16 * plane
            coded += decisions.escape(context, abs(difference) - UNARY)
        if coded:
            context = CONTEXT_AT["dc_sign"] + 9 * plane
            context += 3 * (self._signs[plane][1] + 1) + _sign(luma) + 1
            if not decisions.decide_alone(context, int(difference > 0)):
                return -coded
        return coded

    def _code_more(self, plane: int, size: int, group: int, before: int, bit: int) -> int:
        """Code whether any level of this group or a later one differs from 0."""
        left = sum(self._counts[plane][group:])
        lower = sum(sum(counts[group:]) for counts in self._counts[:plane])
        contexts = [
            CONTEXT_AT["more_group"] + 32 * (2 * plane + size) + group,
            CONTEXT_AT["more_left"] + (10 * plane + BIN10[before]) * 6 + BIN6[left],
            CONTEXT_AT["more_plane"] + (10 * (plane > 0) + BIN10[left]) * 7 + BIN7[lower],
        ]
        return self._decisions.decide(SET_AT["more"] + 8 * plane + group // 4, contexts, FAST, bit)

    def _code_band(self, plane: int, size: int, band: int, levels: list[int]) -> tuple[int, int]:
        """Code the levels of a band; returns the sum of magnitudes and how many are not 0."""
        around = Around(self._magnitudes, plane, band)
        start = 4 * band
        total = count = 0
        for sub in range(band == 0, 4):
            index = start + sub
            around.look(sub)
            value = self._code_magnitude(plane, size, index, around, abs(levels[index]))
            if value and not self._code_sign(plane, size, index, value, int(levels[index] > 0)):
                level = -value
            else:
                level = value
            if value > LEVEL_LIMIT:
                self.failed, level = True, 0
            levels[index] = level
            magnitude = self._keep(plane, index, level)
            total += magnitude
            count += level != 0
        if plane == 0 and band == 0:
            self._borders.end_means()
        return total, count

    def _code_magnitude(self, plane: int, size: int, index: int, around: Around, value: int) -> int:
        band = index // SUBS
        near, same, other = around.near, around.same, around.other
        decide = self._decisions.decide
        kind, zone = 2 * (plane > 0) + size, ZONE[band]
        row = BAND_GROUPS * kind + BAND_GROUP[band]
        score = self._scores.zero(plane, size, index, around.bins)
        contexts = [
            CONTEXT_AT["zero_score"] + SCORES * row + score,
            CONTEXT_AT["zero_both"] + (10 * kind + BIN10[near]) * 10 + BIN10[same],
            CONTEXT_AT["zero_other"]
            + ((9 * plane + zone // 2) * 6 + BIN6[other]) * 4
            + BIN4[near + same],
            CONTEXT_AT["zero_first"] + (6 * kind + BIN6[other]) * SCORES + score,
        ]
        weights = SET_AT["zero"] + 4 * (ZONES * (2 * plane + size) + zone) + BIN4[near + same]
        if not decide(weights, contexts, SLOW, int(value > 0)):
            return 0
        score = self._scores.larger(plane, size, index, around.bins)
        both = 10 * BIN10[near >> 1] + BIN10[same >> 1]
        wide = 6 * BIN10[(near + same) >> 1] + BIN6[other >> 1]
        for coded in range(1, UNARY):
            larger = LARGER_CLASS[coded]
            contexts = [
                CONTEXT_AT["larger_score"] + (4 * BAND_GROUPS * larger + row) * SCORES + score,
                CONTEXT_AT["larger_both"] + 100 * larger + both,
                CONTEXT_AT["larger_other"] + 60 * larger + wide,
            ]
            weights = SET_AT["larger"] + 4 * (3 * larger + plane) + BIN4[(near + same) >> 1]
            if not decide(weights, contexts, FAST, int(value > coded)):
                return coded
        return UNARY + self._decisions.escape(CONTEXT_AT["escape"], value - UNARY)

    def _code_sign(self, plane: int, size: int, index: int, magnitude: int, bit: int) -> int:
        """Code whether a level of a known magnitude is positive."""
        band, sub = divmod(index, 4)
        # The means of quarters have no border of their own.
        has_border = plane == 0 and band < BORDER_BANDS and (band > 0 or not size)
        if has_border:
            area = (band >= SIGNED_BANDS) + (band >= 24)
            gap = gap_bin(self._borders.gap(band, sub))
            border = CONTEXT_AT["sign_border"] + GAPS * (3 * area + min(magnitude, 3) - 1) + gap
            if band >= SIGNED_BANDS and gap != NO_GAP:
                return self._decisions.decide(SET_AT["one"], [border], SLOW, bit)
        if band >= SIGNED_BANDS:
            return self._decisions.coder.code(0, bit)
        signs = self._signs[plane]
        if size:
            across = signs[index - 1] if sub & 1 else signs[index + 1]
            along = signs[index - 2] if sub & 2 else 0
        else:
            across, along = signs[index], signs[0]
        merged = 2 * (plane > 0) + size
        around = ((SIGNED_BANDS * merged + band) * 4 + sub) * 3 + across + 1
        if has_border:
            contexts = [CONTEXT_AT["sign_around"] + 3 * around + along + 1, border]
            weights = SET_AT["sign_border"] + SIGNED_BANDS * size + band
            return self._decisions.decide(weights, contexts, FAST, bit)
        luma = self._signs[0][index] if plane else 0
        contexts = [
            CONTEXT_AT["sign_around"] + 3 * around + along + 1,
            CONTEXT_AT["sign_plane"]
            + ((SIGNED_BANDS * plane + band) * 3 + across + 1) * 3
            + luma
            + 1,
        ]
        return self._decisions.decide(
            SET_AT["sign"] + SIGNED_BANDS * plane + band, contexts, FAST, bit
        )
