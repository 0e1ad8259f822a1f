"""The container as a whole: its writer and its reader, strips, and offsets."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from dataclasses import replace

import pytest
from heqcodec.base.errors import HeqChecksumError, HeqFormatError, HeqLimitError, HeqTruncatedError
from heqcodec.container import (
    Chunk,
    ContainerReader,
    ContainerWriter,
    Header,
    patch_offset,
    strip_offset,
    total_size,
)
from heqcodec.container.header import U32_MAX
from heqcodec.container.strips import Strip, pack_strip, strip_length
from hypothesis import given
from hypothesis import strategies as st
from sample_containers import HEADER, build, patch_code, read, small_headers


class TestOffsets:
    @given(small_headers, st.lists(st.binary(max_size=20), max_size=3))
    def test_known_before_encoding(self, header: Header, private: list[bytes]) -> None:
        data = build(header, tuple(Chunk(b"mine", content) for content in private))
        assert len(data) == total_size(header, [len(content) for content in private])
        for index in range(header.strip_count):
            head = struct.unpack_from("<HHI", data, strip_offset(header, index))
            assert head == (index, header.rate, strip_length(header, index))
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


class Announced(bytes):
    """So long by its own account, without the memory."""

    length = U32_MAX

    def __len__(self) -> int:
        return self.length


def test_lengths_of_32_bits() -> None:
    header = replace(HEADER, rate=500, coder=2, mode=1)
    for pack in (lambda data: Chunk(b"note", data).pack(), lambda d: pack_strip(header, 0, d)):
        assert pack(Announced(b"data"))[4:12] == b"\xff\xff\xff\xffdata"
        longer = Announced(b"data")
        longer.length += 1
        with pytest.raises(HeqFormatError, match="at most 4294967295 fit"):
            pack(longer)


class TestReader:
    def test_starts_where_the_stream_stands(self) -> None:
        stream = io.BytesIO(b"before" + build())
        stream.seek(6)
        reader = ContainerReader(stream)
        assert reader.header == HEADER
        codes = b"".join(patch_code(HEADER, 2, c) for c in range(4))
        assert reader.read_strip(2) == Strip(HEADER.rate, codes)
        assert reader.damaged_chunks == reader.read_chunks() == []

    def test_strip_with_a_valid_checksum_and_a_wrong_head(self) -> None:
        data = bytearray(build())
        start, stop = strip_offset(HEADER, 1), strip_offset(HEADER, 2)
        struct.pack_into("<H", data, start, 7)
        struct.pack_into("<I", data, stop - 4, zlib.crc32(data[start : stop - 4]))
        with pytest.raises(HeqFormatError, match="number 7"):
            read(bytes(data))
        reader, _ = read(bytes(data), partial=True)
        assert reader.damaged_strips == [1]
        reader.mark_damaged(0)
        assert reader.damaged_strips == [0, 1]

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

    def test_header_is_repaired_in_partial_mode(self) -> None:
        data = bytearray(build())
        data[13] ^= 8
        with pytest.raises(HeqChecksumError, match="header is damaged"):
            read(bytes(data))
        reader, _ = read(bytes(data), partial=True)
        assert (reader.header, reader.repaired) == (HEADER, ["header"])
        data[14] ^= 8
        with pytest.raises(HeqChecksumError, match="header is damaged"):
            read(bytes(data), partial=True)

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
                ContainerReader(io.BytesIO(replace(HEADER, width=2**32 - 1, height=2**21).pack()))
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


class TestChain:
    """Strict reading of the rate mode follows the lengths of the strips."""

    header = Header(
        width=40, height=96, channels=1, rate=500, encoder_id=b"encoder.", coder=2, mode=1
    )

    def whole(self, *lengths: int) -> bytes:
        stream = io.BytesIO()
        writer = ContainerWriter(stream, self.header)
        for index, length in enumerate(lengths):
            writer.write_strip(bytes(length), 500 + index)
        writer.finish()
        return stream.getvalue()

    @pytest.mark.parametrize("left", [0, 1, 11])
    def test_a_file_that_ends_before_a_strip_says_which(self, left: int) -> None:
        data = self.whole(100, 7, 7)[: 44 + 112 + left]
        with pytest.raises(HeqTruncatedError, match="before strip 1 of 3"):
            ContainerReader(io.BytesIO(data)).read_strip(1)

    @pytest.mark.parametrize("left", [12, 18])
    def test_a_file_that_ends_in_a_strip_says_how_much_is_there(self, left: int) -> None:
        data = self.whole(100, 7, 7)[: 44 + 112 + left]
        with pytest.raises(HeqTruncatedError, match=f"announces 7 bytes and only {left - 12} are"):
            ContainerReader(io.BytesIO(data)).read_strip(1)

    @pytest.mark.parametrize("last", [0, 7])
    def test_a_file_may_end_where_its_last_strip_does(self, last: int) -> None:
        data = self.whole(100, 7, last)[:-12]
        reader = ContainerReader(io.BytesIO(data))
        assert reader.read_strip(2) == Strip(502, bytes(last))
        with pytest.raises(HeqTruncatedError, match="without its END_ chunk"):
            reader.read_chunks()
