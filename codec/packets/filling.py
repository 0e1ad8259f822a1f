"""Which levels go into which packet: full packets, of which each stands alone.

Patches follow each other in the order of sending. The one that does not fit any more is split: its
low frequencies end this packet, the others begin the next one, with zeros in their place. Level 0
of each plane is in both, since the next patch is predicted from it, which costs next to nothing. So
packets are full, a lost end costs detail alone, and the coder is that of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from heqcodec.base.errors import HeqError, HeqLimitError
from heqcodec.container.reader import ContainerReader
from heqcodec.container.source import Source, open_source
from heqcodec.nqe_r.layout import SUBS
from numpy.typing import NDArray

from .codes import filled as code_packets
from .layout import LARGEST, MOST_PATCHES, OVERHEAD, SMALLEST, START, Kind, Packet, Start
from .levels import Patches, interleaved_order, read_patches, start_of
from .parity import PROTECTED_HEAD, with_parity

if TYPE_CHECKING:
    from heqcodec.base.rate_protocols import StripCoder

START_EVERY = 8
"""One packet in so many is a start packet, by default; without one nothing is seen."""
CUTS = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64),
    *(80, 96, 112, 128, 160, 192, 224),
)
"""Bands at which a patch is split."""
LEAST_ROOM = 6
"""Bytes that a packet may be short of full before a patch is split, which costs about as many."""


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
    """The packets of a file that a device could write; its metadata and alpha are not sent.

    Args:
        data: such a file, not a packed one: bytes, a path or a binary file object.
        size: most bytes of a packet, 32..1400.
        sender: 0..65535.
        image: 0..255, of the sender.
        interleaved: send neighbours far apart; else row by row.
        fec: parity packets, in percent of the others; 0 for none.
        start_every: one packet in so many is a start packet.
        max_pixels: largest image; None for no limit.

    Returns:
        The packets in the order of sending; the first is a start packet.

    Raises:
        HeqLimitError: the image is too large: 65,535 pixels a side, 65,536 patches.
        HeqError: an argument is out of range, or the file is none of these.
    """
    least = OVERHEAD + PROTECTED_HEAD.size + START.size if fec else SMALLEST
    if not least <= size <= LARGEST:
        kind = "a packet with parity packets" if fec else "a packet"
        raise HeqError(f"{kind} has {least} to {LARGEST} bytes, not {size}.")
    if not (0 <= sender < 1 << 16 and 0 <= image < 1 << 8):
        raise HeqError("a sender is 0 to 65535, an image 0 to 255.")
    if not 0 <= fec <= 100:
        raise HeqError(f"parity packets are 0 to 100 percent, not {fec}.")
    room = size - OVERHEAD - (PROTECTED_HEAD.size if fec else 0)
    every = max(start_every, 1)
    with open_source(data) as stream:
        reader = ContainerReader(stream, max_pixels=max_pixels)
        header = reader.header
        count = header.patch_rows * header.patch_columns
        if max(header.width, header.height) >= 1 << 16 or count > 1 << 16:
            raise HeqLimitError(
                "packets carry images of up to 65,535 pixels a side and 65,536 patches."
            )
        stride, run = interleaved_order(count) if interleaved else (1, 1)
        start = start_of(header, stride, run, 0)
        if header.constant_rate:
            strips = reader.read_strips(range(header.strip_count)).values()
            codes = np.frombuffer(b"".join(s.payload for s in strips if s), np.uint8)
            numbered = list(code_packets(codes.reshape(count, -1), start, room, every))
        else:
            numbered = list(_filled(*read_patches(reader), start, room, every))
    if len(numbered) >= 1 << 16:
        raise HeqLimitError(f"the image takes {len(numbered)} packets; 65,535 can be numbered.")
    start = replace(start, packets=len(numbered))
    numbered = [
        replace(
            packet,
            sender=sender,
            image=image,
            payload=(start.payload() if packet.kind == Kind.START else b"") + packet.payload,
            last=packet.number == len(numbered) - 1,
        )
        for packet in numbered
    ]
    seed = start.seed()
    return [
        packet.packed(0 if packet.kind == Kind.START else seed)
        for packet in with_parity(numbered, fec)
    ]


def _filled(
    patches: Patches, coder: StripCoder, start: Start, room: int, every: int
) -> Iterator[Packet]:
    """Numbered packets of patches that were sent, start packets yet without what all share.

    Args:
        room: most bytes of payload.
        every: so many packets after a start packet comes the next.

    Raises:
        HeqError: not even the means of a patch fit.
    """
    order = start.patches_at(np.arange(start.patches))
    levels, transform_sizes = patches.levels[order], patches.transform_sizes[order]
    steps, known = patches.steps[order], patches.known[order]
    position, number, rest = 0, 0, None
    while position < len(order):
        if not known[position]:
            position += 1
            continue
        kind = Kind.PATCHES if number % every else Kind.START
        left = room - START.size if kind == Kind.START else room
        first, step, continued = position, int(steps[position]), rest is not None
        held: list[NDArray[np.int16]] = []
        payload, continues = b"", False

        def coded(more: list[NDArray[np.int16]], first: int = first, step: int = step) -> bytes:
            sizes = transform_sizes[first : first + len(more)]
            return coder.encode(np.stack(more)[None], sizes[None], step)

        while position < len(order) and len(held) < MOST_PATCHES:
            if not known[position] or steps[position] != step:
                break
            patch = levels[position] if rest is None else rest
            longer = coded([*held, patch])
            if len(longer) <= left:
                held, payload, rest = [*held, patch], longer, None
                position += 1
                continue
            if not held or left - len(payload) >= LEAST_ROOM:
                cut = _cut(held, patch, left, coded)
                if cut is not None:
                    held, continues = [*held, patch], True
                    payload, rest = cut
            break
        if not held and kind != Kind.START:
            raise HeqError(
                f"the means of a patch do not fit into {room} bytes; take larger packets, or a "
                "lower quality."
            )
        yield Packet(
            *(kind, 0, 0, number, payload, step, False, continued and bool(held), continues),
            first=first,
            count=len(held),
        )
        number += 1


def _cut(
    held: list[NDArray[np.int16]],
    patch: NDArray[np.int16],
    room: int,
    coded: Callable[[list[NDArray[np.int16]]], bytes],
) -> tuple[bytes, NDArray[np.int16]] | None:
    """The payload with the longest beginning of a patch that fits, and the patch's rest; None
    where nothing but the means would fit."""
    best, low, high = None, 0, len(CUTS)
    while low < high:
        middle = (low + high) // 2
        end = SUBS * CUTS[middle]
        begin, rest = patch.copy(), patch.copy()
        begin[:, end:] = 0
        rest[:, 1:end] = 0
        payload = coded([*held, begin])
        if len(payload) > room:
            high = middle
            continue
        low = middle + 1
        if begin[:, 1:].any():  # Else the same would be sent again and again.
            best = payload, rest
    return best
