"""Photographs as the raw dumps that image sensors would deliver of them."""

from __future__ import annotations

import numpy as np
from heqcodec.image.raw.bayer import colours_of
from heqcodec.image.raw.layout import parse_layout

BAYER = (
    "srggb8", "sgrbg8:bilinear", "sgbrg10", "sbggr10", "srggb10p:black=64:gain=120/64/97",
    "sgrbg10p", "sgbrg10p:bilinear", "sbggr10p", "srggb12", "sgrbg12:gain=64/70/255",
    "srggb12p", "sgrbg12p", "sgbrg12p:black=100", "sbggr12p:bilinear", "sgbrg16", "sbggr16:black=9",
    "srggb16:bilinear",
)  # fmt: skip
KINDS = (
    "gray8", "rgb24", "bgr24", "rgba", "rgb565", "rgb565be", "yuyv", "uyvy", "yuyv:limited",
    "uyvy:limited", "yuv420p", "nv12", "nv21", "nv12:limited", *BAYER,
)  # fmt: skip
"""Every kind that there is, with its options here and there."""


def dump(pixels: np.ndarray, kind: str, padding: int = 0) -> tuple[bytes, str]:
    """A raw dump of RGB pixels.

    Args:
        pixels: uint8 (H, W, 3).
        kind: and its options, as after the size in `--raw`.
        padding: bytes after each row.

    Returns:
        Bytes, and what `--raw` is of them.
    """
    height, width = pixels.shape[:2]
    raw = f"{width}x{height}:{kind}"
    layout = parse_layout(raw)
    if padding:
        raw += f":stride={layout.stride + padding}"
        layout = parse_layout(raw)
    name = layout.kind
    if layout.bayer is not None:
        rows = [_bayer(pixels, *layout.bayer)]
    elif name == "gray8":
        rows = [pixels[..., 1]]
    elif name == "bgr24":
        rows = [pixels[..., ::-1]]
    elif name == "rgba":
        rows = [np.concatenate([pixels, pixels[..., :1]], axis=2)]
    elif name.startswith("rgb565"):
        wide = pixels.astype(np.uint16)
        words = wide[..., 0] >> 3 << 11 | wide[..., 1] >> 2 << 5 | wide[..., 2] >> 3
        rows = [words.astype("<u2" if name.endswith("le") else ">u2").view(np.uint8)]
    elif name == "rgb24":
        rows = [pixels]
    else:
        rows = _yuv(pixels, name, layout.limited)
    strides = [layout.stride] + [layout.chroma_stride] * (len(rows) - 1)
    return b"".join(map(_padded, rows, strides)), raw


def _padded(rows: np.ndarray, stride: int) -> bytes:
    flat = rows.reshape(len(rows), -1).view(np.uint8)
    return np.pad(flat, ((0, 0), (0, stride - flat.shape[1])), constant_values=77).tobytes()


def _yuv(pixels: np.ndarray, kind: str, limited: bool) -> list[np.ndarray]:
    odd = [(0, -side % 2) for side in pixels.shape[:2]]
    r, g, b = np.moveaxis(np.pad(pixels, (*odd, (0, 0)), mode="edge").astype(float), 2, 0)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    both = np.stack([(b - luma) / 1.772, (r - luma) / 1.402], axis=-1)
    if limited:
        luma, both = 16 + luma * 219 / 255, both * 224 / 255
    luma = np.rint(luma).astype(np.uint8)
    if kind in ("yuyv", "uyvy"):
        chroma = np.rint(128 + (both[:, ::2] + both[:, 1::2]) / 2).clip(0, 255).astype(np.uint8)
        pairs = [luma, chroma.reshape(luma.shape)]
        return [np.stack(pairs if kind == "yuyv" else pairs[::-1], axis=-1)[: len(pixels)]]
    quarters = (both[::2, ::2] + both[1::2, ::2] + both[::2, 1::2] + both[1::2, 1::2]) / 4
    chroma = np.rint(128 + quarters).clip(0, 255).astype(np.uint8)
    luma = luma[: pixels.shape[0], : pixels.shape[1]]
    if kind == "yuv420p":
        return [luma, chroma[..., 0], chroma[..., 1]]
    return [luma, chroma if kind == "nv12" else chroma[..., ::-1]]


def _bayer(pixels: np.ndarray, order: str, bits: int, packed: bool) -> np.ndarray:
    height, width = pixels.shape[:2]
    colours = colours_of(order, height, width)[..., None]
    samples = np.take_along_axis(pixels, colours, axis=2)[..., 0].astype(np.int64)
    # Low bits that 8 bits have not, of some pattern.
    wide = (samples << (bits - 8)) + (samples * 37 + 11 & ((1 << (bits - 8)) - 1))
    if bits == 8:
        return wide.astype(np.uint8)
    if not packed:
        return wide.astype("<u2").view(np.uint8)
    many, low = (4, 2) if bits == 10 else (2, 4)
    grouped = np.pad(wide, ((0, 0), (0, -width % many))).reshape(height, -1, many)
    lows = ((grouped & ((1 << low) - 1)) << low * np.arange(many)).sum(axis=2, keepdims=True)
    return np.concatenate([grouped >> low, lows], axis=2).astype(np.uint8)
