"""The container: header, strips, chunks, offsets, and every rule of the format."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest
from heqcodec.container import (
    Chunk,
    Coder,
    ContainerReader,
    ContainerWriter,
    Header,
    Mode,
    parse_header,
    patch_offset,
    strip_offset,
    total_size,
)
from heqcodec.container.chunks import alpha_chunk, read_alpha
from heqcodec.container.header import HEADER_LENGTH, MAGIC, check_pixels, field_offsets
from heqcodec.container.repair import repair_header
from heqcodec.container.strips import strip_length
from heqcodec.errors import (
    HeqChecksumError,
    HeqError,
    HeqFormatError,
    HeqLimitError,
    HeqTruncatedError,
    HeqUnsupportedError,
)
from hypothesis import given
from hypothesis import strategies as st

HEADER = Header(width=100, height=70, channels=3, rate=64, encoder_id=b"encoder.")

headers = st.builds(
    Header,
    width=st.integers(1, 2**20),
    height=st.integers(1, 2**32 - 1),
    channels=st.sampled_from([1, 3]),
    rate=st.integers(1, 1000).map(lambda n: 8 * n),
    encoder_id=st.binary(min_size=8, max_size=8),
    coder_id=st.binary(min_size=8, max_size=8),
    coder=st.just(int(Coder.PATCH)),
    strip_rows=st.integers(1, 100),
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


def with_header_field(name: str, code: str, value: object) -> bytes:
    """A header with one raw value changed and its CRC-32 right."""
    data = bytearray(HEADER.pack())
    struct.pack_into("<" + code, data, field_offsets()[name], value)
    struct.pack_into("<I", data, 40, zlib.crc32(data[:40]))
    return bytes(data)


def raw_chunk(name: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A chunk with a right CRC-32, lawful or not."""
    body = struct.pack("<4sI", name, len(data) if length is None else length) + data
    return body + struct.pack("<I", zlib.crc32(body))


STRIPS_ONLY = build()[:-12]


class TestHeader:
    @given(headers)
    def test_round_trip(self, header: Header) -> None:
        packed = header.pack()
        assert len(packed) == HEADER_LENGTH
        assert parse_header(packed + b"what follows") == header

    @pytest.mark.parametrize(
        ("name", "code", "value", "error"),
        [
            ("version", "B", 2, HeqUnsupportedError),
            ("reserved", "B", 1, HeqUnsupportedError),
            ("mode", "B", Mode.RATE, HeqUnsupportedError),
            ("mode", "B", 2, HeqUnsupportedError),
            ("coder", "B", Coder.DEVICE, HeqFormatError),
            ("coder", "B", 4, HeqUnsupportedError),
            ("channels", "B", 0, HeqFormatError),
            ("channels", "B", 2, HeqFormatError),
            ("width", "I", 0, HeqFormatError),
            ("height", "I", 0, HeqFormatError),
            ("rate", "H", 0, HeqFormatError),
            ("rate", "H", 65, HeqFormatError),
            ("strip_rows", "B", 0, HeqFormatError),
            ("coder_id", "8s", b"nonsense", HeqFormatError),
        ],
    )
    def test_values_that_are_refused(
        self, name: str, code: str, value: object, error: type[HeqError]
    ) -> None:
        data = with_header_field(name, code, value)
        with pytest.raises(error):
            parse_header(data)
        with pytest.raises(error):
            ContainerReader(io.BytesIO(data), partial=True)

    def test_a_strip_longer_than_its_length_field(self) -> None:
        wide = replace(HEADER, width=2**32 - 1, rate=65528, strip_rows=255)
        with pytest.raises(HeqFormatError, match="fewer rows per strip"):
            wide.pack()

    def test_ids_of_another_length(self) -> None:
        with pytest.raises(HeqFormatError):
            replace(HEADER, encoder_id=b"short").pack()

    @pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(60), MAGIC[:4] + b"..."])
    def test_other_files(self, data: bytes) -> None:
        with pytest.raises(HeqFormatError, match=r"not a \.heq file"):
            parse_header(data)

    def test_cut_short(self) -> None:
        for length in range(1, HEADER_LENGTH):
            with pytest.raises(HeqTruncatedError):
                parse_header(HEADER.pack()[:length])

    def test_damage_is_told_from_a_newer_version(self) -> None:
        data = bytearray(HEADER.pack())
        data[8] = 2
        with pytest.raises(HeqChecksumError, match="CRC-32"):
            parse_header(bytes(data))

    def test_repair_of_any_one_byte(self) -> None:
        clean = HEADER.pack()
        rng = np.random.default_rng(5)
        for offset in range(HEADER_LENGTH):
            damaged = bytearray(clean)
            damaged[offset] ^= int(rng.integers(1, 256))
            assert repair_header(bytes(damaged)) == clean
        assert repair_header(clean) == clean
        assert repair_header(clean[:43]) is None
        assert repair_header(bytes(44 * [7])) is None


class TestPixelLimit:
    def test_at_and_over(self) -> None:
        check_pixels(10, 10, 100)
        check_pixels(2**32 - 1, 2**32 - 1, None)
        with pytest.raises(HeqLimitError, match="max_pixels"):
            check_pixels(101, 1, 100)

    def test_padding_counts(self) -> None:
        check_pixels(1, 1, 1)
        with pytest.raises(HeqLimitError, match="pads to"):
            check_pixels(1, 50_000_000, 89_478_485)


class TestOffsets:
    @given(small_headers, st.lists(st.binary(max_size=20), max_size=3))
    def test_known_before_encoding(self, header: Header, private: list[bytes]) -> None:
        data = build(header, tuple(Chunk(b"mine", content) for content in private))
        assert len(data) == total_size(header, [len(content) for content in private])
        for index in range(header.strip_count):
            head = struct.unpack_from("<II", data, strip_offset(header, index))
            assert head == (index, strip_length(header, index))
        for row in range(header.patch_rows):
            for column in range(header.patch_columns):
                start = patch_offset(header, row, column)
                assert data[start : start + header.patch_bytes] == patch_code(header, row, column)
        reader, chunks = read(data)
        assert reader.header == header
        assert [chunk.data for chunk in chunks] == private

    @pytest.mark.parametrize("place", [(-1, 0), (0, -1), (3, 0), (0, 4)])
    def test_patches_that_are_not_there(self, place: tuple[int, int]) -> None:
        with pytest.raises(HeqLimitError):
            patch_offset(HEADER, *place)


class TestWriter:
    def test_order_is_kept(self) -> None:
        writer = ContainerWriter(io.BytesIO(), HEADER)
        with pytest.raises(HeqFormatError, match="0 of 3"):
            writer.finish()
        with pytest.raises(HeqFormatError, match="payload"):
            writer.write_strip(b"short")
        for index in range(3):
            writer.write_strip(bytes(strip_length(HEADER, index)))
        with pytest.raises(HeqFormatError):
            writer.write_strip(bytes(32))
        writer.write_chunk(Chunk(b"EXIF", b"II"))
        with pytest.raises(HeqFormatError, match="already"):
            writer.write_chunk(Chunk(b"EXIF", b"II"))
        for name in (b"ABCD", b"ab", b"ab1d", b"_bcd", b"\xffabc"):
            with pytest.raises(HeqFormatError):
                writer.write_chunk(Chunk(name))
        writer.finish()
        with pytest.raises(HeqFormatError, match="finished"):
            writer.write_chunk(Chunk(b"XMP_"))


class TestReader:
    def test_starts_where_the_stream_stands(self) -> None:
        stream = io.BytesIO(b"before" + build())
        stream.seek(6)
        reader = ContainerReader(stream)
        assert reader.header == HEADER
        assert reader.read_strip(2) == b"".join(patch_code(HEADER, 2, c) for c in range(4))

    def test_strip_with_a_lawful_checksum_and_a_wrong_head(self) -> None:
        data = bytearray(build())
        start, stop = strip_offset(HEADER, 1), strip_offset(HEADER, 2)
        struct.pack_into("<I", data, start, 7)
        struct.pack_into("<I", data, stop - 4, zlib.crc32(data[start : stop - 4]))
        with pytest.raises(HeqFormatError, match="number 7"):
            read(bytes(data))
        assert read(bytes(data), partial=True)[0].damaged_strips == [1]

    @pytest.mark.parametrize("offset", range(8))
    def test_strip_head_is_repaired_in_partial_mode(self, offset: int) -> None:
        data = bytearray(build())
        data[strip_offset(HEADER, 1) + offset] ^= 0x40
        with pytest.raises(HeqChecksumError, match="Strip 1 of 3"):
            read(bytes(data))
        reader, _ = read(bytes(data), partial=True)
        assert reader.damaged_strips == []
        assert reader.repaired == ["strip 1"]
        assert reader.read_strip(1) == read(build())[0].read_strip(1)

    def test_missing_strips(self) -> None:
        data = build()
        cut = data[: strip_offset(HEADER, 2) + 5]
        with pytest.raises(HeqTruncatedError, match=f"{len(cut)} bytes found"):
            ContainerReader(io.BytesIO(cut))
        reader, chunks = read(cut, partial=True)
        assert reader.damaged_strips == [2]
        assert reader.strips_present == 2
        assert reader.damaged_chunks == ["END_"]
        assert chunks == []

    def test_a_header_that_promises_much_costs_nothing(self) -> None:
        huge = replace(HEADER, width=9000, height=9000).pack()
        tracemalloc.start()
        try:
            with pytest.raises(HeqTruncatedError):
                ContainerReader(io.BytesIO(huge))
            with pytest.raises(HeqLimitError):
                ContainerReader(
                    io.BytesIO(replace(HEADER, width=2**32 - 1, height=2**32 - 1).pack())
                )
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


class TestChunks:
    def test_order_and_unknown_ones(self) -> None:
        given = (Chunk(b"XMP_", b"x"), Chunk(b"note", b"1"), Chunk(b"note", b"2"), Chunk(b"EXIF"))
        assert tuple(read(build(chunks=given))[1]) == given

    def test_only_some_are_read(self) -> None:
        data = bytearray(build(chunks=(Chunk(b"ICCP", b"abc"), Chunk(b"ALPH", b"d"))))
        data[len(STRIPS_ONLY) + 9] ^= 1
        reader = ContainerReader(io.BytesIO(data))
        assert reader.read_chunks(frozenset({b"ALPH"})) == [Chunk(b"ALPH", b"d")]
        with pytest.raises(HeqChecksumError, match="ICCP"):
            reader.read_chunks()

    @pytest.mark.parametrize(
        ("tail", "error"),
        [
            (b"", HeqTruncatedError),
            (raw_chunk(b"EXIF", b"II"), HeqTruncatedError),
            (raw_chunk(b"NEWS") + raw_chunk(b"END_"), HeqUnsupportedError),
            (raw_chunk(b"EXIF") * 2 + raw_chunk(b"END_"), HeqFormatError),
            (raw_chunk(b"12 4") + raw_chunk(b"END_"), HeqFormatError),
            (raw_chunk(b"END_", b"x"), HeqFormatError),
            (raw_chunk(b"END_") + b"more", HeqFormatError),
            (raw_chunk(b"EXIF", length=2**32 - 1) + raw_chunk(b"END_"), HeqTruncatedError),
            (raw_chunk(b"EXIF")[:-1] + b"?" + raw_chunk(b"END_"), HeqChecksumError),
        ],
    )
    def test_broken_tails(self, tail: bytes, error: type[HeqError]) -> None:
        with pytest.raises(error):
            read(STRIPS_ONLY + tail)
        reader, _ = read(STRIPS_ONLY + tail, partial=True)
        assert reader.damaged_chunks
        assert reader.damaged_strips == []

    @pytest.mark.parametrize("offset", [0, 3, 4, 7, 8, 12])
    def test_damage_to_one_chunk_costs_that_chunk(self, offset: int) -> None:
        chunks = (Chunk(b"ICCP", b"prof"), Chunk(b"EXIF", b"II*"), Chunk(b"XMP_", b"<x/>"))
        data = bytearray(build(chunks=chunks))
        data[len(STRIPS_ONLY) + 16 + offset] ^= 0x80
        reader, kept = read(bytes(data), partial=True)
        assert kept == [chunks[0], chunks[2]]
        assert len(reader.damaged_chunks) == 1

    def test_search_after_damage_is_bounded(self) -> None:
        decoys = b"ALPH\x00\x00\x10\x00" * (1 << 17)
        reader, chunks = read(STRIPS_ONLY + b"????" + decoys, partial=True)
        assert (chunks, reader.damaged_chunks) == ([], ["?"])


class TestAlpha:
    def test_round_trip(self) -> None:
        alpha = np.random.default_rng(1).integers(0, 256, (31, 47), np.uint8)
        assert np.array_equal(read_alpha(alpha_chunk(alpha).data, 47, 31), alpha)

    def test_bomb(self) -> None:
        stream = zlib.compressobj(9)
        bomb = b"".join(stream.compress(bytes(1 << 20)) for _ in range(256)) + stream.flush()
        tracemalloc.start()
        try:
            with pytest.raises(HeqFormatError, match="more data"):
                read_alpha(bomb, 100, 100)
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"not zlib",
            zlib.compress(bytes(99)),
            zlib.compress(bytes(101)),
            zlib.compress(bytes(100))[:-1],
            zlib.compress(bytes(100)) + b"x",
            zlib.compress(bytes(100))[:-4] + b"wrng",
        ],
    )
    def test_anything_but_the_plane(self, data: bytes) -> None:
        with pytest.raises(HeqFormatError, match="ALPH"):
            read_alpha(data, 10, 10)
