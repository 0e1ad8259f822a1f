"""Which patches go into which packet: as few packets as possible, each of which stands alone.

A packet begins with the first patch that is not sent yet, takes those behind it as they come, and
then those of the next `WINDOW` that fill it best: a patch takes a third of a packet, so without
a choice a sixth of all bytes would be empty. Which ones follows from the sizes of patches coded
alone, by a table of sums; what was chosen is then coded, and patches go or come until it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from heqcodec.base.errors import HeqError, HeqLimitError
from heqcodec.container.source import Source

from .layout import LARGEST, LONGEST_RUN, OVERHEAD, SMALLEST, WINDOW, Kind, Packet
from .levels import Patches, interleaved_order, read_patches, row_order, start_of
from .parity import PROTECTED_HEAD, with_parity

if TYPE_CHECKING:
    from heqcodec.base.rate_protocols import StripCoder

START_EVERY = 32
"""Packets between two start packets, by default."""
LEAST_STARTS = 3
"""Start packets of an image at least, if it has so many others: without one nothing is seen."""
RUNS_TRIED = 3
"""Lengths of the run of patches that are tried for a packet."""
SLACK = 2
"""Bytes that a packet may be short of full."""
TRIALS = 6
"""Choices of patches that are coded for a packet, at most."""


def packetize(
    data: Source,
    size: int = 222,
    *,
    sender: int = 0,
    image: int = 0,
    interleaved: bool = False,
    fec: float = 0,
    start_every: int = START_EVERY,
    max_pixels: int | None = None,
) -> list[bytes]:
    """The packets of a device file; its metadata and alpha are not sent.

    Args:
        data: a device file: bytes, a path or a binary file object.
        size: most bytes of a packet, 32..1400.
        sender: 0..65535.
        image: 0..255, of the sender.
        interleaved: send neighbours far apart; else row by row.
        fec: parity packets, in percent of the others; 0 for none.
        start_every: most packets between two start packets, which are alike.
        max_pixels: largest image; None for no limit.

    Returns:
        The packets in the order of sending; the first is a start packet.

    Raises:
        HeqLimitError: the image is too large: 65,535 pixels a side, 65,536 patches.
        HeqError: an argument is out of range, or the file is none of these.
    """
    if not SMALLEST <= size <= LARGEST:
        raise HeqError(f"a packet has {SMALLEST} to {LARGEST} bytes, not {size}.")
    if not (0 <= sender < 1 << 16 and 0 <= image < 1 << 8):
        raise HeqError("a sender is 0 to 65535, an image 0 to 255.")
    if not 0 <= fec <= 100:
        raise HeqError(f"parity packets are 0 to 100 percent, not {fec}.")
    header, patches, coder = read_patches(data, max_pixels)
    if max(header.width, header.height) >= 1 << 16 or len(patches.known) > 1 << 16:
        raise HeqLimitError(
            "packets carry images of up to 65,535 pixels a side and 65,536 patches."
        )
    shape = header.patch_rows, header.patch_columns
    stride = interleaved_order(*shape) if interleaved else row_order()
    order = np.arange(len(patches.known)) * stride % len(patches.known)
    room = size - OVERHEAD - (PROTECTED_HEAD.size if fec else 0)
    numbered = list(_filled(patches, order, coder, room))
    if len(numbered) >= 1 << 16:
        raise HeqLimitError(f"the image takes {len(numbered)} packets; 65,535 can be numbered.")
    start = start_of(header, stride, len(numbered))
    numbered = [
        replace(packet, sender=sender, image=image, number=number, last=number == len(numbered) - 1)
        for number, packet in enumerate(numbered)
    ]
    start_packet = Packet(Kind.START, sender, image, 0, start.payload()).packed(0)
    sent: list[bytes] = []
    every = max(min(start_every, -(-len(numbered) // LEAST_STARTS)), 1)
    for place, packet in enumerate(with_parity(numbered, fec)):
        if place % every == 0:
            sent.append(start_packet)
        sent.append(packet.packed(start.seed()))
    return sent


def _filled(patches: Patches, order: np.ndarray, coder: StripCoder, room: int) -> Iterator[Packet]:
    """Packets of patches that were sent, not numbered yet.

    Args:
        order: patches by their position in the order of sending.
        room: most bytes of payload.
    """

    def coded(positions: list[int]) -> bytes:
        which = order[positions]
        levels = patches.levels[which][None]
        return coder.encode(
            levels, patches.transform_sizes[which][None], int(patches.steps[which[0]])
        )

    alone = [
        len(coded([position])) if patches.known[order[position]] else 0
        for position in range(len(order))
    ]
    left = [position for position in range(len(order)) if patches.known[order[position]]]
    while left:
        first = left.pop(0)
        step = int(patches.steps[order[first]])
        if alone[first] > room:
            yield from _parts(coded([first]), first, step, room)
            continue
        alike = [p for p in left[: LONGEST_RUN + WINDOW] if patches.steps[order[p]] == step]
        filled = _best_filling(first, alike, alone, room, coded)
        left = [position for position in left if position not in filled.positions]
        yield _unnumbered(
            Kind.PATCHES, filled.payload, step, first, run=filled.run, window=filled.window
        )


class _Filled(NamedTuple):
    positions: list[int]
    run: int
    window: int
    payload: bytes


def _best_filling(
    first: int,
    near: list[int],
    alone: list[int],
    room: int,
    coded: Callable[[list[int]], bytes],
) -> _Filled:
    """The patches of a packet, and its payload.

    Args:
        first: position of the one that is in it.
        near: rising positions of those that may be.
        alone: bytes of each patch coded alone.
        room: most bytes, at least those of the first.
        coded: the payload of patches at rising positions.
    """
    directly = 0
    while directly < min(len(near), LONGEST_RUN) and near[directly] == first + directly + 1:
        directly += 1
    longest = 0
    while longest < directly and len(coded([*range(first, first + longest + 2)])) <= room:
        longest += 1
    best = _Filled([first], 0, 0, coded([first]))
    for run in range(longest, max(longest - RUNS_TRIED, -1), -1):
        behind = first + run + 1
        begun = list(range(first, behind))
        able = [position for position in near if behind <= position < behind + WINDOW]
        target = room - len(coded(begun))
        for _ in range(TRIALS):
            chosen = _nearest_sum(able, alone, target)
            made = coded([*begun, *chosen])
            if len(best.payload) < len(made) <= room:
                window = sum(1 << position - behind for position in chosen)
                best = _Filled([*begun, *chosen], run, window, made)
            if room - SLACK <= len(made) <= room or (len(chosen) == len(able) and len(made) < room):
                break
            target += room - len(made)  # Patches that follow each other take less than alone.
        if len(best.payload) >= room - SLACK:
            break
    return best


def _nearest_sum(near: list[int], sizes: list[int], target: int) -> list[int]:
    """Of some positions, rising, those whose sizes add up to the most that a target allows."""
    reached: dict[int, list[int]] = {0: []}
    for position in near:
        for total, chosen in list(reached.items()):
            more = total + sizes[position]
            if more <= target and more not in reached:
                reached[more] = [*chosen, position]
    return reached[max(reached)]


def _unnumbered(
    kind: Kind, payload: bytes, step: int, first: int, run: int = 0, window: int = 0
) -> Packet:
    return Packet(kind, 0, 0, 0, payload, step, first=first, run=run, window=window)


def _parts(code: bytes, first: int, step: int, room: int) -> Iterator[Packet]:
    """The code of a patch that is too large for a packet, in several."""
    count = -(-len(code) // room)
    if count > 255:
        raise HeqLimitError(f"a patch takes {count} packets; use larger ones, or a lower quality.")
    share = -(-len(code) // count)
    for index in range(count):
        part = code[index * share : (index + 1) * share]
        yield _unnumbered(Kind.PART, part, step, first, window=index | count << 8)
