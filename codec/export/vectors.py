"""Test vectors of an exported encoder: small images, and the files that must come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from heqcodec.base.files import write_bytes
from heqcodec.image.raw.layout import parse_layout
from numpy.typing import NDArray


class Vector(NamedTuple):
    """An image and how it is encoded.

    Attributes:
        name: of the files, without endings.
        pixels: uint8 (H, W, 1) or (H, W, 3).
        options: of heqenc, and by their names of `heqcodec.encode`.
    """

    name: str
    pixels: NDArray[np.uint8]
    options: str
    encode: dict[str, Any]


def write_vectors(model: str, folder: Path) -> None:
    """Write images, the files that the model makes of them, and the list of both.

    Args:
        model: name of the model.
        folder: made if it is not there.
    """
    import heqcodec
    from heqcodec.models import registry

    folder.mkdir(exist_ok=True)
    vectors = {registry.RATE_MODE: rate_vectors, registry.PATCH_MODE: patch_vectors}
    lines = []
    for vector in vectors[registry.mode_of(model)]():
        image = f"{vector.name}.{'pgm' if vector.pixels.shape[2] == 1 else 'ppm'}"
        write_bytes(folder / image, pnm(vector.pixels))
        coded = heqcodec.encode(vector.pixels, model=model, strip_metadata=True, **vector.encode)
        write_bytes(folder / f"{vector.name}.heq", coded)
        lines.append(f"{image} {vector.name}.heq {vector.options}".rstrip() + "\n")
    rate = registry.mode_of(model) == registry.RATE_MODE
    lines += write_packets(model, folder, rate)
    for kind in RAW_KINDS:
        name = kind.replace(":", "-").replace("=", "").replace("/", "-")
        dump, raw = raw_dump(kind)
        write_bytes(folder / f"{name}.raw", dump)
        write_bytes(folder / f"{name}.heq", heqcodec.encode(dump, raw=raw, model=model))
        lines.append(f"{name}.raw {name}.heq --raw {raw}\n")
    write_bytes(folder / "list", "".join(lines).encode())


def write_packets(model: str, folder: Path, rate: bool) -> list[str]:
    """Write packets of some of the images, in either order; their lines of the list."""
    import heqcodec

    lines = []
    for name, size, fec, interleaved, quality in (
        ("edges", 32 if rate else 46, 0, False, 20),
        ("colour", 100, 25, True, 45),
        ("grey", 222, 0, True, 71.5),
    ):
        image = folder / f"{name}.{'pgm' if name == 'grey' else 'ppm'}"
        coded = heqcodec.encode(
            image, model=model, strip_metadata=True, quality=quality if rate else None
        )
        packets = heqcodec.packetize(coded, size, interleaved=interleaved, fec=fec)
        data = b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)
        write_bytes(folder / f"{name}.pkt", data)
        order = "interleaved" if interleaved else "rows"
        options = f"--packets {size} --parity {fec} --order {order}"
        options += f" -q {quality}" if rate else ""
        lines.append(f"{image.name} {name}.pkt {options}\n")
    return lines


RAW_KINDS = (
    "bgr24", "rgba", "rgb565le", "rgb565be", "yuyv", "uyvy:limited", "yuv420p", "nv12:limited",
    "nv21", "srggb8", "sgrbg8:bilinear", "sgbrg10", "sbggr10p:black=40:gain=100/64/80", "srggb12",
    "sgrbg12p:bilinear", "sbggr16",
)  # fmt: skip
"""A dump for each way in which readers read."""


def raw_dump(kind: str) -> tuple[bytes, str]:
    """A raw dump of 35 x 34 pixels: a scene's bytes, whatever they are as samples of that kind.

    Args:
        kind: as after the size in ``--raw``.

    Returns:
        Its bytes, and what ``--raw`` is of it.
    """
    raw = f"35x34:{kind}"
    layout = parse_layout(raw)
    rows = -(-layout.size // layout.stride)
    return scene(rows, layout.stride, 1).tobytes()[: layout.size], raw


def rate_vectors() -> list[Vector]:
    """Awkward sizes, grey, colour and grey in three channels, from coarse to fine."""
    return [
        Vector("pixel", scene(1, 1, 1), "", {}),
        Vector("edges", scene(33, 31, 3), "-q 45", {"quality": 45}),
        Vector("grey", scene(70, 100, 1), "-q 71.5", {"quality": 71.5}),
        Vector("neutral", scene(40, 50, 1).repeat(3, axis=2), "--gray -q 60", {"quality": 60}),
        Vector(
            "colour", scene(100, 70, 3), "-q 20 --strip-rows 1", {"quality": 20, "strip_rows": 1}
        ),
        Vector(
            "tall", scene(200, 40, 3), "-q 100 --strip-rows 3", {"quality": 100, "strip_rows": 3}
        ),
    ]


def patch_vectors() -> list[Vector]:
    """The same images at the rates that there are."""
    return [
        Vector("pixel", scene(1, 1, 1), "", {}),
        Vector("edges", scene(33, 31, 3), "--bits 64", {"bpp": 0.0625}),
        Vector("grey", scene(70, 100, 1), "--bits 128", {"bpp": 0.125}),
        Vector("neutral", scene(40, 50, 1).repeat(3, axis=2), "--gray --bits 256", {"bpp": 0.25}),
        Vector("colour", scene(100, 70, 3), "--bits 256", {"bpp": 0.25}),
        Vector(
            "tall", scene(200, 40, 3), "--bits 512 --strip-rows 3", {"bpp": 0.5, "strip_rows": 3}
        ),
    ]


def scene(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """Slopes, edges and noise: something for every part of an encoder; uint8 (H, W, channels)."""
    random = np.random.default_rng(1000 * height + width)
    y, x = np.mgrid[:height, :width]
    slope = 40 + 120 * (x + 2 * y) / (width + 2 * height)
    disc = 70.0 * (
        (x - 0.4 * width) ** 2 + (y - 0.6 * height) ** 2 < (0.3 * min(height, width)) ** 2
    )
    waves = 25 * np.sin(x * 0.9) * np.sin(y * 0.31)
    tints = np.array([1.0, 0.8, 0.6])[:channels]
    field = (slope + disc + waves)[..., None] * tints
    field += random.normal(0, 6, (height, width, channels)) * (x[..., None] > width / 2)
    return np.clip(np.rint(field), 0, 255).astype(np.uint8)


def pnm(pixels: NDArray[np.uint8]) -> bytes:
    """A binary PGM or PPM of pixels uint8 (H, W, 1) or (H, W, 3)."""
    height, width, channels = pixels.shape
    return b"P%d\n%d %d\n255\n" % (5 if channels == 1 else 6, width, height) + pixels.tobytes()
