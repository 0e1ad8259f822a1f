"""Small containers whose every patch has a code of its own."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

from heqcodec.container import Chunk, Coder, ContainerReader, ContainerWriter, Header
from hypothesis import strategies as st

HEADER = Header(width=100, height=70, channels=3, rate=64, encoder_id=b"encoder.")

headers = st.builds(
    Header,
    width=st.integers(1, 2**20),
    height=st.integers(1, 2**21),
    channels=st.sampled_from([1, 3]),
    rate=st.integers(1, 1000).map(lambda n: 8 * n),
    encoder_id=st.binary(min_size=8, max_size=8),
    coder_id=st.binary(min_size=8, max_size=8),
    coder=st.just(int(Coder.PATCH)),
    strip_rows=st.integers(1, 100),
).flatmap(
    lambda header: st.sampled_from([False, header.channels == 1]).map(
        lambda gray: replace(header, gray_as_rgb=gray)
    )
)
small_headers = st.builds(
    replace,
    headers,
    width=st.integers(1, 200),
    height=st.integers(1, 300),
    rate=st.sampled_from([8, 64, 256]),
    strip_rows=st.integers(1, 4),
)


class WriteOnly:
    """A stream that can do nothing but write, as a camera's link."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


class Strict(io.BytesIO):
    """A file that objects when more is asked for than is left: a real one would reserve it."""

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and 0 <= size <= len(self.getvalue()) - self.tell()
        return super().read(size)


def patch_code(header: Header, row: int, column: int) -> bytes:
    """A code that is different for every patch of a small image."""
    return struct.pack("<HH", row, column).ljust(header.patch_bytes, b"\xa5")[: header.patch_bytes]


def build(header: Header = HEADER, chunks: tuple[Chunk, ...] = ()) -> bytes:
    """A file of such codes."""
    stream = WriteOnly()
    writer = ContainerWriter(stream, header)  # type: ignore[arg-type]
    for index in range(header.strip_count):
        first = index * header.strip_rows
        last = min(first + header.strip_rows, header.patch_rows)
        rows, columns = range(first, last), range(header.patch_columns)
        writer.write_strip(b"".join(patch_code(header, r, c) for r in rows for c in columns))
    for chunk in chunks:
        writer.write_chunk(chunk)
    writer.finish()
    return stream.data


def read(data: bytes, partial: bool = False) -> tuple[ContainerReader, list[Chunk]]:
    """Everything of a file, verified."""
    reader = ContainerReader(Strict(data), partial=partial)
    reader.read_strips(range(reader.header.strip_count))
    return reader, reader.read_chunks()
