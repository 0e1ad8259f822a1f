"""Packets of patch-constant models: codes of one length, so each has a place that is known.

::

    | code of patch p | code of patch p + 1 | ...      count codes of step / 8 bytes, nothing else
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from heqcodec.base.errors import HeqError, HeqFormatError
from heqcodec.container.header import Header, Mode, enough_strip_rows
from heqcodec.container.strips import Strip, strip_patch_rows
from heqcodec.file.encoding import joined_file
from heqcodec.purenet.concealment import conceal
from numpy.typing import NDArray

from .layout import MOST_PATCHES, START, Kind, Packet, Start

if TYPE_CHECKING:
    from .assembler import ImageState


@dataclass
class Codes:
    """The codes of an image, patch by patch, row by row.

    Attributes:
        codes: uint8 (N, step / 8).
        known: bool (N,), false where nothing was received.
    """

    codes: NDArray[np.uint8]
    known: NDArray[np.bool_]

    @classmethod
    def none(cls, start: Start, model: str) -> Codes:
        """Of an image of which nothing is known.

        Raises:
            HeqFormatError: the model has no such rate.
        """
        from heqcodec.models import registry

        if start.step not in registry.load_encoder(model).rates:
            raise HeqFormatError(f"{model} has no rate of {start.step} bits a patch")
        if start.weighted:
            raise HeqFormatError(f"{model} has no coefficients that are weighted")
        return cls(
            np.zeros((start.patches, start.step // 8), np.uint8), np.zeros(start.patches, bool)
        )

    def take(self, packet: Packet, payload: bytes, start: Start) -> None:
        """Take the codes of a packet.

        Raises:
            HeqFormatError: they are not of this image.
        """
        length = start.step // 8
        if packet.step != start.step or len(payload) != packet.count * length:
            raise HeqFormatError("codes of another length")
        which = start.patches_at(np.arange(packet.first, packet.first + packet.count))
        self.codes[which] = np.frombuffer(payload, np.uint8).reshape(packet.count, length)
        self.known[which] = True


def filled(codes: NDArray[np.uint8], start: Start, room: int, every: int) -> Iterator[Packet]:
    """Numbered packets of the codes of an image, start packets yet without what all share.

    Args:
        codes: uint8 (N, bytes), row by row.
        start: of the image.
        room: most bytes of payload.
        every: so many packets after a start packet comes the next.

    Raises:
        HeqError: not even one code fits.
    """
    length = codes.shape[1]
    if room < length:
        raise HeqError(
            f"the code of a patch has {length} bytes, and {room} fit into a packet; take larger "
            "packets, or fewer bits."
        )
    order = start.patches_at(np.arange(start.patches))
    position = number = 0
    while position < len(order):
        kind = Kind.PATCHES if number % every else Kind.START
        left = room - START.size if kind == Kind.START else room
        count = min(max(left, 0) // length, MOST_PATCHES, len(order) - position)
        payload = codes[order[position : position + count]].tobytes()
        yield Packet(kind, 0, 0, number, payload, start.step, first=position, count=count)
        position += count
        number += 1


def header_of(start: Start, model: str) -> Header:
    """The header of the file that the packets make."""
    from heqcodec.models import registry

    encoder = registry.load_encoder(model)
    return Header(
        width=start.width,
        height=start.height,
        channels=start.planes,
        rate=start.step,
        encoder_id=encoder.encoder_id,
        coder_id=encoder.coder_id,
        coder=encoder.coder,
        mode=Mode.PATCH,
        strip_rows=enough_strip_rows(start.strip_rows, start.height),
        gray_as_rgb=start.gray_as_rgb,
    )


def write_file(header: Header, codes: NDArray[np.uint8]) -> bytes:
    """The file of an image of which all codes are known, without metadata."""

    def strips() -> Iterator[Strip]:
        at = 0
        for index in range(header.strip_count):
            count = strip_patch_rows(header, index) * header.patch_columns
            yield Strip(header.rate, codes[at : at + count].tobytes())
            at += count

    return joined_file(header, strips(), [])


def decode_codes(image: ImageState, decoder: str | None, device: str) -> NDArray[np.uint8]:
    """The whole frame of an image of which something is known, uint8 (32 R, 32 C, planes)."""
    from heqcodec.models import registry

    start, codes, valid = image.start, image.codes, image.valid
    assert start is not None and codes is not None
    header = header_of(start, image.model)
    chosen = registry.load_decoder(
        header.encoder_id, header.coder_id, device, "auto", decoder or registry.STRONG
    )
    grid = codes.codes.reshape(*valid.shape, -1)
    whole = None if valid.all() else valid
    frame = chosen.decode_frame(grid, start.step, start.planes, whole)
    if whole is not None:
        frame = conceal(frame, valid, registry.load_concealment(device))
    return frame
