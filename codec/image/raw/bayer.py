"""Bayer patterns to RGB: unpacked, balanced, demosaiced, reduced to 8 bits; integers alone.

What a pixel lacks is a mean of neighbours, or the mean with gradients of the pixel's own colour: H.
S. Malvar, L. He, R. Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned
color images", ICASSP 2004. Beyond the image its samples are mirrored, which keeps the pattern. The
same as heq_read_bayer.c of ``codec/export/c``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .colour import Samples, plane
from .layout import GAIN_ONE, ORDERS, RawLayout

Wide = NDArray[np.int64]


def bayer_samples(layout: RawLayout, data: Samples) -> Samples:
    """RGB of a Bayer pattern, uint8 (H, W, 3).

    Args:
        layout: of such a kind.
        data: uint8 (N,).
    """
    assert layout.bayer is not None
    order, bits, _ = layout.bayer
    colours = colours_of(order, layout.height, layout.width)
    samples = _balanced(_unpacked(layout, data), colours, layout, bits)
    red_rows = (np.arange(layout.height) & 1) == ORDERS.index(order) >> 1
    found = _demosaiced(samples, colours, red_rows, layout.bilinear)
    if bits > 8:
        found = (found + (1 << (bits - 9))) >> (bits - 8)
    return np.clip(found, 0, 255).astype(np.uint8)


def colours_of(order: str, height: int, width: int) -> Wide:
    """The colour of each sample, int64 (H, W): 0 red, 1 green, 2 blue."""
    number = ORDERS.index(order)
    down, across = np.arange(height) & 1, np.arange(width) & 1
    return (down ^ number >> 1)[:, None] + (across ^ number & 1)


def _unpacked(layout: RawLayout, data: Samples) -> Wide:
    """Samples of their bits, int64 (H, W)."""
    assert layout.bayer is not None
    _, bits, packed = layout.bayer
    height, width = layout.height, layout.width
    if bits == 8:
        return plane(data, 0, layout.stride, height, width).astype(np.int64)
    if not packed:
        pairs = plane(data, 0, layout.stride, height, 2 * width).astype(np.int64)
        return (pairs[:, ::2] | pairs[:, 1::2] << 8) & ((1 << bits) - 1)
    # The high bytes of a few pixels, then one with their low bits, the first pixel's lowest.
    many, low = (4, 2) if bits == 10 else (2, 4)
    groups = -(-width // many)
    bytes_ = plane(data, 0, layout.stride, height, (many + 1) * groups).astype(np.int64)
    grouped = bytes_.reshape(height, groups, many + 1)
    lows = grouped[..., -1:] >> low * np.arange(many) & ((1 << low) - 1)
    return (grouped[..., :-1] << low | lows).reshape(height, -1)[:, :width]


def _balanced(samples: Wide, colours: Wide, layout: RawLayout, bits: int) -> Wide:
    """Samples less black, times the gain of their colour, rounded."""
    gains = np.array(layout.gains)[colours]
    above = np.maximum(samples - layout.black, 0)
    made: Wide = np.minimum((above * gains + GAIN_ONE // 2) // GAIN_ONE, (1 << bits) - 1)
    return made


def _mirrored(count: int) -> Wide:
    """Places -2 to count + 1 mirrored at the ends; of less than three places within them."""
    places = np.abs(np.arange(-2, count + 2))
    places = np.where(places >= count, 2 * (count - 1) - places, places)
    outside = (places < 0) | (places >= count)
    return np.where(outside, np.arange(-2, count + 2) & 1 if count > 1 else 0, places)


def _demosaiced(samples: Wide, colours: Wide, red_rows: NDArray[np.bool_], bilinear: bool) -> Wide:
    """All three colours, int64 (H, W, 3), which may pass the samples' range.

    Args:
        samples, colours: int64 (H, W).
        red_rows: bool (H,): whether red and not blue is among a row's samples.
        bilinear: without gradients.
    """
    height, width = samples.shape
    wide = samples[_mirrored(height)][:, _mirrored(width)]

    def at(down: int, across: int) -> Wide:
        return wide[2 + down : 2 + down + height, 2 + across : 2 + across + width]

    beside, above = at(0, -1) + at(0, 1), at(-1, 0) + at(1, 0)
    beside_2, above_2 = at(0, -2) + at(0, 2), at(-2, 0) + at(2, 0)
    corners = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)
    if bilinear:
        green, opposite = (beside + above + 2) >> 2, (corners + 2) >> 2
        across, down = (beside + 1) >> 1, (above + 1) >> 1
    else:
        twice = beside_2 + above_2
        green = (8 * samples + 4 * (beside + above) - 2 * twice + 8) >> 4
        opposite = (12 * samples + 4 * corners - 3 * twice + 8) >> 4
        across, down = (
            (10 * samples + 8 * near - 2 * (corners + same) + other + 8) >> 4
            for near, same, other in ((beside, beside_2, above_2), (above, above_2, beside_2))
        )
    # Of a green pixel, red is beside it in the rows that hold red.
    reds, blues = np.where(red_rows[:, None], (across, down), (down, across))
    return np.stack(
        [
            np.choose(colours, (samples, reds, opposite)),
            np.choose(colours, (green, samples, green)),
            np.choose(colours, (opposite, blues, samples)),
        ],
        axis=-1,
    )
