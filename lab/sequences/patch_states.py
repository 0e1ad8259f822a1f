"""Patches that are skipped, refined or refreshed, with one exact state on both sides.

The state of a patch is what its last code said: levels and transform size, integers. The encoder
keeps the decoder's state, so nothing drifts while all frames arrive. Of each patch of a frame::

    levels now - levels of the state  ──►  few, small?  ──► skip      nothing is sent
                                             │ no
                                             ├──► refine    the difference is coded
                                             └──► refresh   the levels are coded, as in a picture

A refresh goes round: each patch gets one in ``period`` frames, so that after lost frames the state
is the encoder's again. Decisions take additions, shifts and comparisons alone.

A frame's payload, little-endian: index u16, bytes of the first strip u32; a bit a patch, is it
coded; a bit a coded patch, is it refined; a strip of the refreshed patches and one of the refined,
both by the device coder; CRC-32 of all before.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from heqcodec.base.errors import HeqFormatError
from heqcodec.base.rate_protocols import StripCoder
from heqcodec.image.patches import patch_batches
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.quantizer import quantize
from numpy.typing import NDArray

PLANES = 3
HEAD = struct.Struct("<HI")
CRC = struct.Struct("<I")
LOWEST, LOWEST_SHIFT = 4, 2
"""So many levels of a plane, the lowest frequencies, count 2 to this times as much when they move:
a step of the mean is seen over the whole patch, and falling light comes as single steps."""
MOST = 15
"""A level of more counts as so much in what a code is guessed to cost."""
NEVER_SKIP = -1


class Choice(IntEnum):
    """What becomes of a patch."""

    SKIP = 0
    REFINE = 1
    REFRESH = 2


@dataclass(frozen=True)
class StateRules:
    """Of encoder and decoder.

    Attributes:
        step: index of the quantizer.
        skip_shift: k; a patch is skipped when 2^k times what its levels differ by is at most 2^k
            plus the number of levels other than 0, see `skippable`; `NEVER_SKIP` for none.
        refines: whether differences are coded, or such patches refreshed.
        period: frames in which each patch is refreshed once.
    """

    step: int
    skip_shift: int = 3
    refines: bool = True
    period: int = 16


class PatchStates:
    """Levels int16 (N, 3, 1024) and transform sizes uint8 (N,) of the patches of a frame."""

    def __init__(self, count: int) -> None:
        self.levels = np.zeros((count, PLANES, LEVELS), dtype=np.int16)
        self.transform_sizes = np.zeros(count, dtype=np.uint8)

    def differing(self, other: PatchStates) -> NDArray[np.bool_]:
        """Which patches are not the same, bool (N,)."""
        levels = (self.levels != other.levels).any(axis=(1, 2))
        return levels | (self.transform_sizes != other.transform_sizes)


def differences(levels: NDArray[np.int16], held: NDArray[np.int16]) -> NDArray[np.int32]:
    """Levels less those of the state, int32, both (N, 3, 1024)."""
    return levels.astype(np.int32) - held.astype(np.int32)


def code_guess(levels: NDArray[np.int32]) -> NDArray[np.int32]:
    """What a code of levels (N, 3, 1024) is guessed to cost, int32 (N,): for each level other than
    0 one, and its magnitude up to `MOST`."""
    magnitude = np.minimum(np.abs(levels), MOST)
    guess: NDArray[np.int32] = (magnitude + (magnitude > 0)).sum(axis=(1, 2), dtype=np.int32)
    return guess


def skippable(change: NDArray[np.int32], held: NDArray[np.int16], shift: int) -> NDArray[np.bool_]:
    """Patches whose change (N, 3, 1024) is small beside the levels that they hold, bool (N,)."""
    if shift == NEVER_SKIP:
        return np.zeros(len(change), dtype=bool)
    size = np.abs(change).astype(np.int64)
    size[..., :LOWEST] <<= LOWEST_SHIFT
    moved = size.sum(axis=(1, 2))
    filled = (held != 0).sum(axis=(1, 2), dtype=np.int64)
    smaller: NDArray[np.bool_] = (moved << shift) <= filled + (1 << shift)
    return smaller


class SequenceEncoder:
    """Frames of one shape to payloads.

    Args:
        encoder: of the levels.
        coder: of strips.
        rules: see there.
        count: of patches in a frame.
    """

    def __init__(self, encoder: RateNqe, coder: StripCoder, rules: StateRules, count: int) -> None:
        self._encoder, self._coder, self._rules = encoder, coder, rules
        self.state = PatchStates(count)
        self._index = 0

    def encode(self, frame: NDArray[np.uint8]) -> bytes:
        """A frame uint8 (H, W, 3), which must have the patches of all others."""
        coefficients = np.concatenate(
            [self._encoder.coefficients(patches) for patches in patch_batches(frame, 1024)]
        )
        choices, levels, sizes, change = self.choose(coefficients)
        refresh, refine = choices == Choice.REFRESH, choices == Choice.REFINE
        payload = pack_frame(
            self._index,
            choices,
            self._strip(levels[refresh], sizes[refresh]),
            self._strip(change[refine].astype(np.int16), self.state.transform_sizes[refine]),
        )
        self.state.levels[refresh] = levels[refresh]
        self.state.transform_sizes[refresh] = sizes[refresh]
        self.state.levels[refine] += change[refine].astype(np.int16)
        self._index += 1
        return payload

    def choose(
        self, coefficients: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.uint8], NDArray[np.int32]]:
        """What becomes of each patch.

        Args:
            coefficients: int32 (N, 2, 3, 1024).

        Returns:
            `Choice` of each patch; levels and transform sizes as a picture would have them; and
            the differences to the state, in the state's transform size.
        """
        rules, held = self._rules, self.state
        levels, sizes = self._encoder.levels(coefficients, rules.step)
        comparable = levels.copy()
        steps = self._encoder.integer_steps(rules.step)
        for size in (0, 1):
            other = (sizes != size) & (held.transform_sizes == size)
            given = coefficients[other, size]
            comparable[other] = quantize(given, steps[size], self._encoder.costs, size)
        change = differences(comparable, held.levels)
        cheaper = code_guess(change) < code_guess(levels.astype(np.int32))
        refine = cheaper & rules.refines & (np.abs(change).max(axis=(1, 2)) < 1 << 15)
        choices = np.where(refine, Choice.REFINE, Choice.REFRESH).astype(np.int64)
        choices[skippable(change, held.levels, rules.skip_shift)] = Choice.SKIP
        turn = (np.arange(len(choices)) + self._index) % rules.period == 0
        choices[turn | (self._index == 0)] = Choice.REFRESH
        return choices, levels, sizes, change

    def _strip(self, levels: NDArray[np.int16], sizes: NDArray[np.uint8]) -> bytes:
        if not len(levels):
            return b""
        return self._coder.encode(levels[None], sizes[None], self._rules.step)


class SequenceDecoder:
    """Payloads to states; a payload that is lost is left out.

    Args:
        coder, rules, count: as the encoder's.
    """

    def __init__(self, coder: StripCoder, rules: StateRules, count: int) -> None:
        self._coder, self._rules = coder, rules
        self.state = PatchStates(count)

    def decode(self, payload: bytes) -> NDArray[np.int64]:
        """Bring the state up to date by a frame's payload; what became of each patch.

        Raises:
            HeqFormatError: the payload is none.
        """
        choices, refreshed, refined = unpack_frame(payload, len(self.state.transform_sizes))
        for choice, strip in ((Choice.REFRESH, refreshed), (Choice.REFINE, refined)):
            chosen = choices == choice
            count = int(chosen.sum())
            if not count:
                continue
            levels, sizes = self._coder.decode(strip, 1, count, PLANES, self._rules.step)
            if choice == Choice.REFRESH:
                self.state.levels[chosen] = levels[0]
                self.state.transform_sizes[chosen] = sizes[0]
            else:
                self.state.levels[chosen] += levels[0]
                self.state.transform_sizes[chosen] = sizes[0]
        return choices


def pack_frame(index: int, choices: NDArray[np.int64], refreshed: bytes, refined: bytes) -> bytes:
    """The payload of a frame, see the module."""
    coded = choices != Choice.SKIP
    bits = np.packbits(coded).tobytes() + np.packbits(choices[coded] == Choice.REFINE).tobytes()
    data = HEAD.pack(index % (1 << 16), len(refreshed)) + bits + refreshed + refined
    return data + CRC.pack(zlib.crc32(data))


def unpack_frame(payload: bytes, count: int) -> tuple[NDArray[np.int64], bytes, bytes]:
    """Choices of ``count`` patches, and the two strips.

    Raises:
        HeqFormatError: the payload is damaged, or none of so many patches.
    """
    data, check = payload[: -CRC.size], payload[-CRC.size :]
    place = HEAD.size + -(-count // 8)
    if len(data) < place or CRC.unpack(check) != (zlib.crc32(data),):
        raise HeqFormatError(f"a payload of {len(payload)} bytes is no frame of {count} patches.")
    _, first = HEAD.unpack_from(data)
    coded = np.unpackbits(np.frombuffer(data[HEAD.size : place], np.uint8), count=count) > 0
    coded_count = int(coded.sum())
    end = place + -(-coded_count // 8)
    refined = np.unpackbits(np.frombuffer(data[place:end], np.uint8), count=coded_count)
    choices = np.zeros(count, dtype=np.int64)
    choices[coded] = np.where(refined > 0, Choice.REFINE, Choice.REFRESH)
    return choices, data[end : end + first], data[end + first :]
