"""Decoding of a file while it grows: rows of pixels as soon as their strips are there.

::

    bytes ──► strips, verified ──► rows that no later strip reaches ──► feed() returns them
          ──► metadata, alpha, END_ ─────────────────────────────────► finish()
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from heqcodec.base.arguments import BackendName, DecoderName, checked_limit
from heqcodec.base.constants import PATCH
from heqcodec.base.errors import HeqError, HeqFormatError
from heqcodec.container.chunks import CHUNK_CRC, CHUNK_HEAD, END
from heqcodec.container.header import (
    DEFAULT_MAX_PIXELS,
    HEADER_LENGTH,
    Header,
    check_pixels,
    parse_header,
)
from heqcodec.container.reader import ContainerReader
from heqcodec.container.strips import (
    STRIP_HEAD,
    STRIP_OVERHEAD,
    Strip,
    check_strip,
    strip_length,
    strip_patch_rows,
)
from numpy.typing import NDArray

from .decoding import (
    PartialImage,
    all_channels,
    alpha_plane,
    collect_metadata,
    decode_file,
    strip_decoder_of,
)
from .frame import Grids, StripDecoder, decode_window, region_window, whole_window


class Rows(NamedTuple):
    """Rows of an image that are final.

    Attributes:
        first: index of the first.
        pixels: uint8 (rows, W, channels); without alpha, which comes last in a file.
    """

    first: int
    pixels: NDArray[np.uint8]


@dataclass
class _Verified:
    """What a strip decoder asks a reader, where all strips are whole."""

    header: Header
    strips: list[Strip]
    partial: bool = False

    def read_strip(self, index: int) -> Strip | None:
        """One that has come."""
        return self.strips[index]

    def read_remains(self, index: int) -> Strip | None:
        """Nothing is damaged."""
        return None

    def mark_damaged(self, index: int) -> None:
        """Never called for a reader that is not partial."""


class StreamDecoder:
    """Decodes a growing ``.heq`` file strip by strip.

    Args:
        decoder: as in :func:`heqcodec.decode`.
        backend: likewise.
        device: likewise.
        max_pixels: largest number of pixels; None for no limit.

    Attributes:
        header: of the file; None until it is there.
        complete: whether the file came to its end.
        rows: how many rows of pixels were returned.
    """

    def __init__(
        self,
        decoder: DecoderName = "strong",
        backend: BackendName = "auto",
        device: str = "auto",
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
    ) -> None:
        self.header: Header | None = None
        self.complete = False
        self.rows = 0
        self._options = decoder, backend, str(device)
        self._limit = checked_limit(max_pixels)
        self._data = bytearray()
        self._place = HEADER_LENGTH
        self._strips: list[Strip] = []
        self._all_sent = True
        self._grids: dict[int, Grids | None] = {}
        self._strip_decoder: StripDecoder | None = None
        self._image: NDArray[np.uint8] | None = None
        self._coarse: NDArray[np.uint8] | None = None

    def feed(self, data: bytes) -> list[Rows]:
        """Take the next bytes of the file.

        Args:
            data: as many as there are.

        Returns:
            The rows that are final now and were not before: none, or one run of rows. Rows below a
            strip that the encoder left out come with `finish`.

        Raises:
            HeqError: the file is damaged, too large, or none that can be decoded here; it stays so.
        """
        self._data += data
        if self.header is None:
            if len(self._data) < HEADER_LENGTH:
                return []
            header = parse_header(bytes(self._data[:HEADER_LENGTH]))
            check_pixels(header.width, header.height, self._limit)
            self.header = header
        while len(self._strips) < self.header.strip_count and self._next_strip(self.header):
            pass
        if len(self._strips) == self.header.strip_count:
            self._pass_chunks()
        found = self._new_rows(self.header)
        return [] if found is None else [found]

    def finish(self) -> PartialImage:
        """The whole image with its metadata and alpha, the same as :func:`heqcodec.decode` gives.

        Raises:
            HeqTruncatedError: the file is not complete.
            HeqError: its end is damaged.
        """
        data = bytes(self._data)
        reader = ContainerReader(io.BytesIO(data), max_pixels=self._limit)
        header, chunks = reader.header, reader.read_chunks()
        if self._image is None or self.rows < header.height:
            decoder, backend, device = self._options
            return decode_file(
                data, None, False, self._limit, device, None, decoder, backend, all_chunks=True
            )
        return PartialImage(
            pixels=all_channels(header, self._image, alpha_plane(chunks, reader)),
            metadata=collect_metadata(chunks),
        )

    def picture(self) -> NDArray[np.uint8]:
        """The image so far, uint8 (H, W, channels), without alpha. Below it is mid-grey, or in a
        progressive file, once its first part has come, what that alone gives.

        Raises:
            HeqError: the header has not come.
        """
        if self.header is None:
            raise HeqError("not even the header of the file is there.")
        header = self.header
        shape = header.height, header.width, header.channels
        image = np.full(shape, 128, np.uint8) if self._image is None else self._image
        if 0 < header.strip_count - header.row_strips <= len(self._strips) < header.strip_count:
            image = np.concatenate((image[: self.rows], self._coarse_image(header)[self.rows :]))
        return all_channels(header, image, None)

    def _coarse_image(self, header: Header) -> NDArray[np.uint8]:
        """The image by the first part of a progressive file, uint8 (H, W, coded channels)."""
        if self._coarse is None:
            decoder, backend, device = self._options
            strips = _Verified(header, self._strips)
            strip_decoder, _ = strip_decoder_of(strips, device, 1, decoder, backend)
            self._coarse = decode_window(
                header,
                whole_window(header),
                (0, 0, header.width, header.height),
                lambda index: strip_decoder.grids(index, self._strips[index]),
                strip_decoder,
            )
        return self._coarse

    def _next_strip(self, header: Header) -> bool:
        """Take the next strip; whether it was there."""
        place, index = self._place, len(self._strips)
        if len(self._data) < place + STRIP_HEAD.size:
            return False
        number, _, length = STRIP_HEAD.unpack_from(self._data, place)
        fits = not header.constant_rate or length == strip_length(header, index)
        if number != index or not fits:
            raise HeqFormatError(
                f"strip {index} does not begin where it should; decode the file with partial."
            )
        stop = place + STRIP_OVERHEAD + length
        if len(self._data) < stop:
            return False
        strip = check_strip(header, index, bytes(self._data[place:stop]))
        self._strips.append(strip)
        self._all_sent = self._all_sent and strip.sent
        self._place = stop
        return True

    def _pass_chunks(self) -> None:
        """Go on to the end of the file; `finish` verifies what lies before it."""
        while not self.complete and len(self._data) >= self._place + CHUNK_HEAD.size:
            name, length = CHUNK_HEAD.unpack_from(self._data, self._place)
            stop = self._place + CHUNK_HEAD.size + length + CHUNK_CRC.size
            if len(self._data) < stop:
                return
            self._place = stop
            self.complete = name == END

    def _new_rows(self, header: Header) -> Rows | None:
        if not self._all_sent:
            return None
        # Rows of a progressive file are final with the strips of their second part.
        before = (header.parts - 1) * header.row_strips
        if self._strip_decoder is None:
            if len(self._strips) <= before:
                return None
            decoder, backend, device = self._options
            self._strip_decoder, _ = strip_decoder_of(
                _Verified(header, self._strips), device, None, decoder, backend
            )
            self._image = np.full((header.height, header.width, header.channels), 128, np.uint8)
        strip_decoder, image = self._strip_decoder, self._image
        assert image is not None
        come = range(before, len(self._strips))
        known = sum(strip_patch_rows(header, index) for index in come)
        end = header.height
        if known < header.patch_rows:
            end = (known * PATCH - strip_decoder.radius) // PATCH * PATCH
        if end <= self.rows:
            return None
        box = 0, self.rows, header.width, end - self.rows
        window = region_window(header, box, strip_decoder.radius)
        for index in [index for index in self._grids if index < window.strips(header).start]:
            del self._grids[index]

        def read(index: int) -> Grids | None:
            if index not in self._grids:
                self._grids[index] = strip_decoder.grids(index, self._strips[index])
            return self._grids[index]

        first, self.rows = self.rows, end
        image[first:end] = decode_window(header, window, box, read, strip_decoder)
        return Rows(first, all_channels(header, image[first:end], None))
