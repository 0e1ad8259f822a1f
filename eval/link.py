"""A link that loses and reorders packets, and what is left of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.packets import PacketAssembler
from heqcodec.packets.picture import GREY
from numpy.typing import NDArray

from .metrics import psnr


class Outcome(NamedTuple):
    """Of some draws.

    Attributes:
        percent: of packets that the link loses.
        psnr: mean over the draws, dB.
        worst: lowest of the draws, dB.
        patches: mean share of patches that are known, 0..1.
        whole: share of draws in which the picture is whole, 0..1.
    """

    percent: float
    psnr: float
    worst: float
    patches: float
    whole: float


def arrivals(
    count: int, loss: float, burst: float, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Indices of the packets that come, in the order in which they come.

    A Gilbert model: the link loses all packets while it is bad, none while it is good; it stays bad
    for ``burst`` packets in the mean, and is bad for a part ``loss`` of all packets.
    Neighbours may change places.

    Args:
        count: packets that are sent.
        loss: 0..1.
        burst: at least 1; with 1 / (1 - loss), losses are independent of each other, and 1 stands
            for that.
    """
    if loss >= 1:
        return np.zeros(0, np.int64)
    ends = 1 / burst if burst > 1 else 1 - loss
    begins = min(ends * loss / (1 - loss), 1.0)
    bad = generator.random() < loss
    came = []
    for index in range(count):
        if not bad:
            came.append(index)
        bad = generator.random() >= ends if bad else generator.random() < begins
    order = np.argsort(np.array(came) + 2 * generator.random(len(came)))
    return np.array(came, np.int64)[order]


def draws_of(percent: float, seed: int) -> np.random.Generator:
    """What draws the packets that `simulate` loses, at this loss.

    Raises:
        HeqError: it is none.
    """
    if not 0 <= percent <= 100:
        raise HeqError(f"a loss is 0 to 100 percent, not {percent}.")
    return np.random.default_rng([seed, round(percent * 1000)])


def simulate(
    original: NDArray[np.uint8],
    packets: Sequence[bytes],
    percents: Sequence[float],
    burst: float,
    draws: int,
    seed: int,
    decoder: str,
) -> list[Outcome]:
    """Send the packets of an image over links of several losses.

    Args:
        original: the image that the packets are of, uint8 (H, W, channels).
        packets: all of them, in the order of sending.
        percents: losses, 0..100.
        burst: see `arrivals`.
        draws: of each loss.
        seed: of all draws.
        decoder: see :func:`heqcodec.decode`.
    """
    made = []
    for percent in percents:
        generator = draws_of(percent, seed)
        results = []
        for _ in range(draws if percent else 1):
            assembler = PacketAssembler()
            for index in arrivals(len(packets), percent / 100, burst, generator):
                assembler.feed(packets[index])
            images = [image for image in assembler.images() if image.start]
            if images:
                frame, valid = images[0].picture(decoder), images[0].valid
                share = float(valid.mean())
            else:
                frame, share = np.full_like(original, int(GREY)), 0.0
            results.append((psnr(original, frame), share))
        values, shares = np.array(results).T
        whole = float((shares == 1).mean())
        made.append(Outcome(percent, values.mean(), values.min(), shares.mean(), whole))
    return made
