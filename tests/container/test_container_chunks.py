"""What follows the strips of a container: chunks of metadata, transparency, and the end."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from heqcodec.base.errors import (
    HeqChecksumError,
    HeqError,
    HeqFormatError,
    HeqTruncatedError,
    HeqUnsupportedError,
)
from heqcodec.container import Chunk, ContainerReader
from heqcodec.container.chunks import END, alpha_chunk, can_be_chunk, is_chunk_type, read_alpha
from sample_containers import build, read

STRIPS_ONLY = build()[:-12]


def raw_chunk(name: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A chunk with a right CRC-32, valid or not."""
    body = struct.pack("<4sI", name, len(data) if length is None else length) + data
    return body + struct.pack("<I", zlib.crc32(body))


class TestChunks:
    def test_order_and_unknown_ones(self) -> None:
        given = (Chunk(b"XMP_", b"x"), Chunk(b"nOTE", b"1"), Chunk(b"nOTE", b"2"), Chunk(b"EXIF"))
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

    @pytest.mark.parametrize(
        ("tail", "kept", "damaged"),
        [
            (b"?" + raw_chunk(b"EXIF", b"II") + raw_chunk(END), [Chunk(b"EXIF", b"II")], ["?"]),
            (raw_chunk(b"NEWS", raw_chunk(b"EXIF", b"II")) + raw_chunk(END), [], ["NEWS"]),
            (raw_chunk(END) + b"more", [], ["after END_"]),
            (b"EX", [], ["?"]),
        ],
    )
    def test_what_is_kept_behind_damage(
        self, tail: bytes, kept: list[Chunk], damaged: list[str]
    ) -> None:
        """Also what is within a chunk that this version does not know is not for it."""
        reader, chunks = read(STRIPS_ONLY + tail, partial=True)
        assert (chunks, reader.damaged_chunks) == (kept, damaged)

    def test_search_looks_for_valid_types(self) -> None:
        """All octets in all places of a type, and END_ that has data."""
        names = [
            b"ABcd"[:place] + bytes([octet]) + b"ABcd"[place + 1 :]
            for place in range(4)
            for octet in range(256)
        ]
        words = np.frombuffer(b"".join(names) + END * 2, "<u4")
        lengths = np.array([1] * len(names) + [0, 1], np.uint32)
        expected = [is_chunk_type(name) for name in names] + [True, False]
        assert can_be_chunk(words, lengths).tolist() == expected

    def test_search_after_damage_is_bounded(self) -> None:
        decoys = b"ALPH\x00\x00\x10\x00" * (1 << 17)
        reader, chunks = read(STRIPS_ONLY + b"????" + decoys, partial=True)
        assert (chunks, reader.damaged_chunks) == ([], ["?"])


class TestAlpha:
    def test_round_trip(self) -> None:
        alpha = np.random.default_rng(1).integers(0, 256, (31, 47), np.uint8)
        chunk = alpha_chunk(alpha)
        assert chunk.name == "ALPH" and np.array_equal(read_alpha(chunk.data, 47, 31), alpha)

    def test_is_compressed_as_well_as_zlib_can(self) -> None:
        alpha = np.add.outer(np.arange(99), np.arange(99) // 3).astype(np.uint8)
        best = zlib.compress(alpha.tobytes(), 9)
        assert alpha_chunk(alpha).data == best and len(best) < len(
            zlib.compress(alpha.tobytes(), 1)
        )

    def test_bomb(self) -> None:
        stream = zlib.compressobj(9)
        bomb = b"".join(stream.compress(bytes(1 << 20)) for _ in range(64)) + stream.flush()
        tracemalloc.start()
        try:
            with pytest.raises(HeqFormatError, match="more data"):
                read_alpha(bomb, 100, 100)
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize(
        ("data", "what"),
        [
            (b"", "found 0 bytes"),
            (b"not zlib", "not a zlib stream"),
            (zlib.compress(bytes(99)), "found 99 bytes"),
            (zlib.compress(bytes(101)), "found more data"),
            (zlib.compress(bytes(100))[:-1], "found 100 bytes"),
            (zlib.compress(bytes(100)) + b"x", "found more data"),
            (zlib.compress(bytes(100))[:-4] + b"wrng", "not a zlib stream"),
        ],
    )
    def test_anything_but_the_plane(self, data: bytes, what: str) -> None:
        with pytest.raises(HeqFormatError, match=f"ALPH.*{what}"):
            read_alpha(data, 10, 10)
