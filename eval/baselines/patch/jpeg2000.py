"""JPEG 2000 on tiles of a patch, each cut at the same budget: OpenJPEG by Pillow."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL
from heqcodec.base.errors import HeqError, HeqFormatError, HeqTruncatedError, HeqUnsupportedError
from heqcodec.base.files import write_bytes
from heqcodec.eval.baselines.pixels import rgb_image
from numpy.typing import NDArray
from PIL import Image, features

from . import jpeg2000_markers as markers
from .cost import EncoderCost
from .jpeg2000_packets import CodeBlock, cut_packets, read_packets
from .patch_codec import PatchCodec
from .patch_file import MAX_PIXELS, patch_grid
from .planes import SIDE

_LAYERS = [8 + 0.5 * step for step in range(96)]
"""Truncation points asked of OpenJPEG for each patch, in dB."""
_GRAY = 128
_SIZE_BYTES = 4


class BareTileJpeg2000(PatchCodec):
    """JPEG 2000 whose markers cost nothing: ``patch-jpeg2000-bare``.

    A patch is a code stream of its own; its packets (their headers and bodies, which differ from
    patch to patch) fill the budget, and its markers, which are the same for every patch, are
    not in the file but rebuilt by the decoder. So the file's bytes are those that an encoder has
    to send when both sides know the format beforehand; it is no file that another reader of JPEG
    2000 opens. OpenJPEG codes the patch once, in 96 layers, which gives its path of optimal
    truncation; the packets that fit are written again as one layer (``jpeg2000_packets.py``).
    Packets by rising resolution and three levels of the wavelet, which leave 4x4 coefficients in
    the lowest subband under one header.

    A patch whose bytes OpenJPEG refuses, as damage makes them, becomes mid-gray.

    Cost, on paper: colour 9 multiplications and 6 additions; wavelet by lifting 3 multiplications
    and 4 additions a sample and direction, times 2 directions, 3 components and 1 + 1/4 + 1/16
    for three levels: 23.6 and 31.5; quantization 3 multiplications. Tier 1, an estimate: a sample
    is visited by 5.25 coding passes until OpenJPEG stops (mean of the validation photographs over
    all layers, which the choice of a truncation point needs), 3 samples a pixel, a test each
    visit and 5 additions and comparisons for the third of the visits that code a bit: 42. Memory:
    samples as 32-bit integers (12,288), flags of the largest code-block (18 x 18 x 2), and for the
    choice all coded bytes (2,000 at most on those photographs) and the rate and distortion of 30
    code-blocks of up to 20 passes (4,800).
    """

    name = "patch-jpeg2000-bare"
    about = (
        "JPEG 2000 on 32x32 patches at equal bits (OpenJPEG by Pillow), MARKERS AND MAIN HEADER "
        "NOT COUNTED: left out of the file and rebuilt; packet headers and bodies are counted"
    )
    kind = 1
    cost = EncoderCost(
        multiplications_per_pixel=35.6,
        additions_per_pixel=79.5,
        memory_bytes=19_736,
        note="half of the additions are the coding passes of tier 1, an estimate",
    )

    def missing(self) -> str | None:
        """See ``Codec``."""
        if features.check("jpg_2000"):
            return None
        return (
            f"this Pillow ({PIL.__version__}) was built without JPEG 2000; install a wheel of "
            "Pillow 11.3 or newer, which has it."
        )

    def version(self) -> str:
        """See ``Codec``."""
        library = f"Pillow {PIL.__version__}, OpenJPEG {features.version('jpg_2000')}"
        return f"{super().version()}, {library}"

    def encode_patches(self, patches: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
        """See ``PatchCodec``."""
        budget = self.packet_bytes(bits)
        codes = [cut_packets(_code_blocks(patch, budget), budget) for patch in patches]
        return np.frombuffer(b"".join(codes), np.uint8).reshape(len(patches), -1)

    def packet_bytes(self, bits: int) -> int:
        """Bytes of a patch that its packets may take."""
        return bits // 8

    def decode_patches(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See ``PatchCodec``."""
        patches = np.full((len(codes), SIDE, SIDE, 3), _GRAY, np.uint8)
        for patch, code in zip(patches, codes, strict=True):
            stream = io.BytesIO(markers.patch_stream(code.tobytes()))
            try:
                with Image.open(stream, formats=["JPEG2000"]) as image:
                    patch[:] = np.asarray(image)
            except (OSError, SyntaxError, ValueError):
                continue
        return patches


class TileJpeg2000(BareTileJpeg2000):
    """JPEG 2000 with all bytes counted: ``patch-jpeg2000``.

    The file is a JPEG 2000 code stream (``.j2k``) with tiles of 32x32 that any reader opens: a
    main header of 104 bytes, then tiles of exactly the budget, 14 bytes of it markers (SOT, SOD).
    That leaves 2 bytes for the packets at 128 bits, which hold nothing, so such a file is
    mid-gray; and 64 bits do not hold the markers, so the ladder begins at 128 and goes on to 1024
    bits, where more than half of the budget is left. The image is
    padded to whole tiles; its own size stands in a comment, since the ladder is of whole patches.
    """

    name = "patch-jpeg2000"
    settings = (0.125, 0.25, 0.5, 1.0)
    suffix = ".j2k"
    about = (
        "JPEG 2000 in tiles of 32x32 at equal bits (OpenJPEG by Pillow), every byte counted: 14 "
        "bytes of tile markers in each patch's budget"
    )

    def packet_bytes(self, bits: int) -> int:
        """See ``BareTileJpeg2000``: less by the tile's markers."""
        return bits // 8 - markers.TILE_MARKERS

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """See ``Codec``.

        Raises:
            HeqError: not uint8 (H, W, 3), no setting of the ladder, or more than 65,535 tiles.
        """
        bits = self.bits(setting)
        width, height = rgb_image(pixels).size
        rows, columns = patch_grid(width, height)
        if rows * columns > markers.MAX_TILES:
            raise HeqError(
                f"An image of {width}x{height} has more than {markers.MAX_TILES} tiles of 32x32, "
                "which JPEG 2000 cannot number; crop it."
            )
        codes = self.image_codes(pixels, bits)
        tiles = [markers.tile_part(n, code.tobytes()) for n, code in enumerate(codes)]
        write_bytes(path, _head(width, height) + b"".join(tiles) + markers.EOC)

    def decode(self, path: Path) -> np.ndarray:
        """See ``Codec``.

        Raises:
            HeqError: not a file that ``encode`` wrote.
        """
        data = Path(path).read_bytes()
        width, height = _announced_size(data)
        rows, columns = patch_grid(width, height)
        start = len(_head(width, height))
        content = data[start : -len(markers.EOC)]
        sizes = [self.bits(setting) // 8 for setting in self.settings]
        size = len(content) // (rows * columns)
        if size not in sizes or len(content) != size * rows * columns:
            raise HeqTruncatedError(
                f"{path} has {len(data)} bytes, which fit no setting of {self.name} for an image "
                f"of {width}x{height}."
            )
        tiles = np.frombuffer(content, np.uint8).reshape(rows * columns, size)
        return self.image_pixels(tiles[:, markers.TILE_MARKERS :], width, height)


def _code_blocks(patch: NDArray[np.uint8], budget: int) -> list[list[CodeBlock]]:
    """The code-blocks of a patch, as OpenJPEG codes it, for a choice within a budget of bytes.

    Layers are read well past the budget, because parts of them may still fit.

    Raises:
        HeqUnsupportedError: this OpenJPEG sets other steps than those that decoders rebuild.
        HeqFormatError: its packets are not as the standard has them.
    """
    stream = io.BytesIO()
    Image.fromarray(patch).save(
        stream,
        "JPEG2000",
        no_jp2=True,
        irreversible=True,
        mct=1,
        num_resolutions=markers.RESOLUTIONS,
        codeblock_size=(SIDE, SIDE),
        progression="LRCP",
        quality_mode="dB",
        quality_layers=_LAYERS,
    )
    data = stream.getvalue()
    if markers.QUANTIZATION not in data:
        raise HeqUnsupportedError(
            f"OpenJPEG {features.version('jpg_2000')} quantizes with other steps than the versions "
            "that this comparison knows; use another version of Pillow."
        )
    start = data.index(markers.SOD) + len(markers.SOD)
    body = data[start : -len(markers.EOC)]
    return read_packets(
        body, len(_LAYERS), markers.RESOLUTIONS, markers.COMPONENTS, enough=3 * budget
    )


def _head(width: int, height: int) -> bytes:
    """The main header of an image, padded to whole tiles, with its true size as a comment."""
    rows, columns = patch_grid(width, height)
    size = width.to_bytes(_SIZE_BYTES, "big") + height.to_bytes(_SIZE_BYTES, "big")
    return markers.main_header(columns * SIDE, rows * SIDE, size)


def _announced_size(data: bytes) -> tuple[int, int]:
    """Width and height by the comment of a file that ``TileJpeg2000`` wrote."""
    length = len(_head(1, 1))
    size = data[length - 2 * _SIZE_BYTES : length]
    width = int.from_bytes(size[:_SIZE_BYTES], "big")
    height = int.from_bytes(size[_SIZE_BYTES:], "big")
    if not 0 < width * height <= MAX_PIXELS or data[:length] != _head(width, height):
        raise HeqFormatError("This is no JPEG 2000 file with patches of equal size.")
    return width, height
