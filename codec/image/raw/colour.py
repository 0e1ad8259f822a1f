"""Rows of RGB in other orders and widths, and of Y, Cb and Cr, as RGB; see heq_read_rgb.c and
heq_read_yuv.c of ``codec/export/c``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .layout import RawLayout

Samples = NDArray[np.uint8]


def plane(data: Samples, offset: int, stride: int, rows: int, columns: int) -> Samples:
    """Rows of bytes: uint8 (rows, columns) of bytes (N,) from an offset on."""
    whole = np.lib.stride_tricks.as_strided(data[offset:], (rows, columns), (stride, 1))
    return np.ascontiguousarray(whole)


def rgb_samples(layout: RawLayout, data: Samples) -> Samples:
    """RGB or gray of kinds of one plane.

    Args:
        layout: of such a kind.
        data: uint8 (N,).

    Returns:
        uint8 (H, W, 3), or (H, W, 1) of gray.
    """
    width, height = layout.width, layout.height
    each = {"rgb24": 3, "bgr24": 3, "rgba": 4, "gray8": 1}.get(layout.kind, 2)
    pixels = plane(data, 0, layout.stride, height, each * width).reshape(height, width, each)
    if layout.kind == "bgr24":
        return pixels[..., ::-1]
    if each != 2:
        return pixels[..., :3]
    low, high = (0, 1) if layout.kind == "rgb565le" else (1, 0)
    words = pixels[..., high].astype(np.uint16) << 8 | pixels[..., low]
    red, green, blue = words >> 11, words >> 5 & 63, words & 31
    # The highest bits again below the lowest: the largest becomes 255.
    wide = (red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2)
    return np.stack(wide, axis=-1).astype(np.uint8)


def yuv_samples(layout: RawLayout, data: Samples) -> Samples:
    """RGB of Y, Cb and Cr, uint8 (H, W, 3); pixels share the Cb and Cr next to them.

    Args:
        layout: of such a kind.
        data: uint8 (N,).
    """
    width, height, stride = layout.width, layout.height, layout.stride
    pairs = (width + 1) // 2
    if layout.kind in ("yuyv", "uyvy"):
        packed = plane(data, 0, stride, height, 4 * pairs)
        first = 0 if layout.kind == "yuyv" else 1
        luma, u, v = packed[:, first::2], packed[:, 1 - first :: 4], packed[:, 3 - first :: 4]
    else:
        luma = plane(data, 0, stride, height, width)
        lines, begin, step = (height + 1) // 2, stride * height, layout.chroma_stride
        if layout.kind == "yuv420p":
            u = plane(data, begin, step, lines, pairs)
            v = plane(data, begin + step * lines, step, lines, pairs)
        else:
            both = plane(data, begin, step, lines, 2 * pairs)
            first = 0 if layout.kind == "nv12" else 1
            u, v = both[:, first::2], both[:, 1 - first :: 2]
        u, v = (part.repeat(2, axis=0)[:height] for part in (u, v))
    halves = [part.repeat(2, axis=1)[:, :width].astype(np.int32) - 128 for part in (u, v)]
    return _rgb_of_yuv(luma[:, :width].astype(np.int32), halves[0], halves[1], layout.limited)


def _rgb_of_yuv(
    luma: NDArray[np.int32], u: NDArray[np.int32], v: NDArray[np.int32], limited: bool
) -> Samples:
    """BT.601 in 256ths, rounded and clipped."""
    if limited:
        level = 298 * (luma - 16)
        sums = (level + 409 * v, level - 100 * u - 208 * v, level + 516 * u)
    else:
        level = 256 * luma
        sums = (level + 359 * v, level - 88 * u - 183 * v, level + 454 * u)
    return np.clip((np.stack(sums, axis=-1) + 128) >> 8, 0, 255).astype(np.uint8)
