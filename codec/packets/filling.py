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
from heqcodec.container.source import Source
from heqcodec.nqe_r.layout import SUBS
from numpy.typing import NDArray

from .layout import LARGEST, MOST_PATCHES, OVERHEAD, SMALLEST, Kind, Packet
from .levels import Patches, interleaved_order, read_patches, start_of
from .parity import PROTECTED_HEAD, with_parity

if TYPE_CHECKING:
    from heqcodec.base.rate_protocols import StripCoder

START_EVERY = 32
"""Packets between two start packets, by default."""
LEAST_STARTS = 3
"""Start packets of an image at least, if it has so many others: without one nothing is seen."""
CUTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192)
"""Bands at which a patch is split."""
LEAST_ROOM = 6
"""Bytes that a packet may be short of full before a patch is split."""


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
    stride = interleaved_order(*shape) if interleaved else 1
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

    Raises:
        HeqError: not even the means of a patch fit.
    """
    levels, transform_sizes = patches.levels[order], patches.transform_sizes[order]
    steps, known = patches.steps[order], patches.known[order]
    position, rest = 0, None
    while position < len(order):
        if not known[position]:
            position += 1
            continue
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
            if len(longer) <= room:
                held, payload, rest = [*held, patch], longer, None
                position += 1
                continue
            cut = _cut(held, patch, room, coded) if room - len(payload) >= LEAST_ROOM else None
            if cut is not None:
                held, continues = [*held, patch], True
                payload, rest = cut
            break
        if not held:
            raise HeqError(
                f"the means of a patch do not fit into {room} bytes; take larger packets, or a "
                "lower quality."
            )
        yield Packet(
            *(Kind.PATCHES, 0, 0, 0, payload, step, False, continued, continues),
            first=first,
            count=len(held),
        )


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
