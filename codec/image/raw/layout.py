"""What a raw dump holds: its size in pixels, the kind of its samples, and where its rows lie.

::

    640x480:rgb565:stride=1536
    1280x960:srggb10p:black=64:gain=120/64/96:bilinear
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from heqcodec.base.errors import HeqError

BYTES_OF_PAIRS = {"rgb24": 6, "bgr24": 6, "rgba": 8, "rgb565le": 4, "rgb565be": 4, "gray8": 2}
"""Kinds of one plane, and bytes of two pixels."""
PAIRED = ("yuyv", "uyvy")
"""Four bytes for two pixels, which cannot be parted."""
YUV420 = ("yuv420p", "nv12", "nv21")
"""A plane of Y, and Cb and Cr of 2 x 2 pixels: in two planes, or side by side."""
BAYER = re.compile(r"s(rggb|grbg|gbrg|bggr)(8|10|10p|12|12p|16)")
"""Names of Video4Linux: order of colours, bits, and p where MIPI CSI-2 packs them."""
ALIASES = {"rgb565": "rgb565le", "rgb888": "rgb24", "bgr888": "bgr24", "yuv420": "yuv420p"}
ORDERS = ("rggb", "grbg", "gbrg", "bggr")
LARGEST_SIDE = 1 << 20
GAIN_ONE = 64
"""A gain of 1."""
_SIZE = re.compile(r"(\d{1,7})x(\d{1,7})")
_KINDS = (
    f"{', '.join([*BYTES_OF_PAIRS, *PAIRED, *YUV420])}, or such as srggb8, sgrbg10, sbggr10p, "
    "sgbrg12p, srggb16"
)


@dataclass(frozen=True)
class RawLayout:
    """A raw dump.

    Attributes:
        width, height: pixels.
        kind: of `BYTES_OF_PAIRS`, `PAIRED` or `YUV420`, or a Bayer pattern.
        stride: bytes from a row to the next; of `YUV420` from a row of Y, and half of it from one
            of Cb in planes of their own.
        limited: of Y, Cb and Cr: 16 to 235 and 240, not 0 to 255.
        black: of Bayer patterns: subtracted from each sample.
        gains: of Bayer patterns: factors of R, G and B in 64ths, 1 to 255.
        bilinear: of Bayer patterns: means of neighbours, without gradients.
    """

    width: int
    height: int
    kind: str
    stride: int
    limited: bool = False
    black: int = 0
    gains: tuple[int, int, int] = (GAIN_ONE, GAIN_ONE, GAIN_ONE)
    bilinear: bool = False

    @property
    def bayer(self) -> tuple[str, int, bool] | None:
        """Order of colours, bits, and whether they are packed; None of other kinds."""
        found = BAYER.fullmatch(self.kind)
        return (found[1], int(found[2].rstrip("p")), found[2].endswith("p")) if found else None

    @property
    def chroma_stride(self) -> int:
        """Bytes from a row of Cb (and Cr, where they are side by side) to the next."""
        return (self.stride + 1) // 2 * (1 if self.kind == "yuv420p" else 2)

    @property
    def size(self) -> int:
        """Bytes of the dump."""
        size = self.stride * self.height
        if self.kind in YUV420:
            planes = 2 if self.kind == "yuv420p" else 1
            size += planes * self.chroma_stride * ((self.height + 1) // 2)
        return size


def parse_layout(text: str) -> RawLayout:
    """A layout as options say it, ``WIDTHxHEIGHT:KIND`` and options after further colons.

    Options: ``stride=BYTES``; of Y, Cb and Cr ``limited``; of Bayer patterns ``black=LEVEL``,
    ``gain=R/G/B`` in 64ths and ``bilinear``.

    Raises:
        HeqError: it is none.
    """
    size, _, rest = text.partition(":")
    kind, *options = rest.split(":")
    kind = ALIASES.get(kind, kind)
    sides = _SIZE.fullmatch(size)
    if sides is None or not all(1 <= int(side) <= LARGEST_SIDE for side in sides.groups()):
        raise HeqError(f"raw is {text!r}; give WIDTHxHEIGHT:KIND, such as 640x480:rgb565.")
    width, height = int(sides[1]), int(sides[2])
    least = least_stride(kind, width)
    if least is None:
        raise HeqError(f"The raw kind {kind!r} is not known; give {_KINDS}.")
    layout = RawLayout(width, height, kind, least)
    for option in options:
        layout = _with_option(layout, option)
    return layout


def least_stride(kind: str, width: int) -> int | None:
    """Bytes of a row without padding; None of unknown kinds."""
    if kind in BYTES_OF_PAIRS:
        return BYTES_OF_PAIRS[kind] * width // 2
    if kind in PAIRED:
        return (width + 1) // 2 * 4
    if kind in YUV420:
        return width
    found = BAYER.fullmatch(kind)
    if found is None:
        return None
    if found[2] == "10p":
        return (width + 3) // 4 * 5
    if found[2] == "12p":
        return (width + 1) // 2 * 3
    return width if found[2] == "8" else 2 * width


def _with_option(layout: RawLayout, option: str) -> RawLayout:
    name, _, value = option.partition("=")
    number = int(value) if re.fullmatch(r"\d{1,9}", value) else None
    yuv = layout.kind in PAIRED or layout.kind in YUV420
    if option == "limited" and yuv:
        return replace(layout, limited=True)
    if name == "stride" and number is not None and layout.stride <= number <= 1 << 30:
        return replace(layout, stride=number)
    if layout.bayer is not None:
        gains = tuple(int(part) for part in re.findall(r"\d{1,3}", value))
        if option == "bilinear":
            return replace(layout, bilinear=True)
        if name == "black" and number is not None and number < 1 << layout.bayer[1]:
            return replace(layout, black=number)
        if (
            name == "gain"
            and re.fullmatch(r"\d{1,3}/\d{1,3}/\d{1,3}", value)
            and _valid_gains(gains)
        ):
            return replace(layout, gains=(gains[0], gains[1], gains[2]))
    raise HeqError(
        f"The raw option {option!r} is none of {layout.kind}: there is stride=BYTES (at least "
        f"{layout.stride}), limited of Y, Cb and Cr, and of Bayer patterns black=LEVEL, gain=R/G/B "
        "in 64ths, 1 to 255, and bilinear."
    )


def _valid_gains(gains: tuple[int, ...]) -> bool:
    return all(1 <= gain <= 255 for gain in gains)
