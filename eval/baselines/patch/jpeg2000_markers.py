"""The markers around the packets of a patch in JPEG 2000, all of them constant but the size.

ISO/IEC 15444-1, Annex A. Three components of 8 bits, the irreversible colour transform, three
levels of the 9/7 wavelet, one layer, packets by rising resolution, tiles of 32x32 pixels.
"""

from __future__ import annotations

import struct

from .planes import SIDE

RESOLUTIONS = 4
"""One more than levels of the wavelet. Best of 3 to 6 on validation photographs with 8, 16, 32 and
64 bytes of packets: with more, the headers of ever smaller code-blocks eat the budget."""
COMPONENTS = 3

SOC, SOD, EOC = b"\xff\x4f", b"\xff\x93", b"\xff\xd9"
_SIZ, _COD, _QCD, _COM, _SOT = b"\xff\x51", b"\xff\x52", b"\xff\x5c", b"\xff\x64", b"\xff\x90"
_BINARY = 0
_RESOLUTION_FIRST = 1
_CODEBLOCK_EXPONENT = 3  # 2^(3 + 2) = 32

QUANTIZATION = bytes.fromhex("42673867506750676850055005504757d357d35762")
"""Steps of the ten subbands as OpenJPEG sets them for three levels of the 9/7 wavelet: constant, so
that a decoder can rebuild them. What OpenJPEG writes is compared with it before it is used."""
TILE_MARKERS = 12 + len(SOD)
"""Bytes of SOT and SOD, which each tile has."""
MAX_TILES = 65535


def _segment(marker: bytes, content: bytes) -> bytes:
    return marker + struct.pack(">H", len(content) + 2) + content


def main_header(width: int, height: int, comment: bytes = b"") -> bytes:
    """The main header of an image of whole patches, with an optional binary comment."""
    size = struct.pack(">H8IH", 0, width, height, 0, 0, SIDE, SIDE, 0, 0, COMPONENTS)
    size += struct.pack(">3B", 7, 1, 1) * COMPONENTS
    style = struct.pack(
        ">BBHB5B",
        0,
        _RESOLUTION_FIRST,
        1,  # layers
        1,  # colour transform
        RESOLUTIONS - 1,
        _CODEBLOCK_EXPONENT,
        _CODEBLOCK_EXPONENT,
        0,  # coding style of code-blocks: neither bypass nor termination
        0,  # irreversible 9/7 wavelet
    )
    header = SOC + _segment(_SIZ, size) + _segment(_COD, style) + _segment(_QCD, QUANTIZATION)
    if comment:
        header += _segment(_COM, struct.pack(">H", _BINARY) + comment)
    return header


def tile_part(number: int, packets: bytes) -> bytes:
    """A tile with its markers."""
    content = struct.pack(">HIBB", number, TILE_MARKERS + len(packets), 0, 1)
    return _segment(_SOT, content) + SOD + packets


def patch_stream(packets: bytes) -> bytes:
    """A whole code stream that holds one patch."""
    return main_header(SIDE, SIDE) + tile_part(0, packets) + EOC
