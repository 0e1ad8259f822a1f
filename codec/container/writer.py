"""Streaming writer: header, strips from top to bottom, chunks, end; it never seeks."""

from __future__ import annotations

from typing import BinaryIO

from heqcodec.base.errors import HeqFormatError
from heqcodec.container.chunks import CHUNK_TYPES, END, Chunk, is_ancillary
from heqcodec.container.header import Header
from heqcodec.container.index import index_chunk
from heqcodec.container.strips import pack_strip


class ContainerWriter:
    """Writes a ``.heq`` file to a stream as the data come, for instance from a line camera.

    Example:
        ``writer = ContainerWriter(stream, header)``, then ``writer.write_strip(payload)`` for
        each strip from top to bottom, ``writer.write_chunk(chunk)`` for each chunk, and
        ``writer.finish()``. Only ``stream.write`` is called, so a pipe or socket serves.
    """

    def __init__(self, stream: BinaryIO, header: Header) -> None:
        """Check the header and write it.

        Raises:
            HeqFormatError, HeqUnsupportedError: the header breaks a rule of the format.
        """
        self.header = header
        self._stream = stream
        self._lengths: list[int] = []
        self._chunks: set[bytes] = set()
        stream.write(header.pack())

    def write_strip(self, payload: bytes, rate: int | None = None) -> None:
        """Write the next strip.

        Args:
            payload: patch mode: the codes of its patches, row by row, ``rate / 8`` bytes each;
                rate mode: what the strip coder wrote.
            rate: of a strip of the rate mode: the step index at which it was coded, or `NOT_SENT`;
                None for that of the header.

        Raises:
            HeqFormatError: wrong length or rate, or more strips than the header has.
        """
        done = len(self._lengths)
        if done == self.header.strip_count:
            raise HeqFormatError(f"All {done} strips are written; chunks or the end follow.")
        self._stream.write(pack_strip(self.header, done, payload, rate))
        self._lengths.append(len(payload))

    def write_chunk(self, chunk: Chunk) -> None:
        """Write one chunk, after the last strip.

        Raises:
            HeqFormatError: before the last strip, after the end, or a known type twice.
        """
        if len(self._lengths) != self.header.strip_count:
            raise HeqFormatError(
                f"Chunks follow the strips: {len(self._lengths)} of {self.header.strip_count} are "
                "written."
            )
        if END in self._chunks:
            raise HeqFormatError("The file is finished; no chunk can follow END_.")
        if chunk.type in self._chunks and not is_ancillary(chunk.type):
            raise HeqFormatError(f"Chunk {chunk.name} is written already; a file has one.")
        if chunk.type not in CHUNK_TYPES and not is_ancillary(chunk.type):
            raise HeqFormatError(
                f"Chunk {chunk.name} is not of this format version; begin the type of a private "
                "chunk with a lower-case letter."
            )
        self._stream.write(chunk.pack())
        self._chunks.add(chunk.type)

    def finish(self, index: bool = False) -> None:
        """Write the END_ chunk; the stream stays open.

        Args:
            index: before it, write an index of the strips.

        Raises:
            HeqFormatError: strips are missing, or the file is finished already.
        """
        if index:
            self.write_chunk(index_chunk(self._lengths))
        self.write_chunk(Chunk(END))
