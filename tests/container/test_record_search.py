"""The search for whole records: its checksums, what it chooses, and how much work it is."""

from __future__ import annotations

import io
import zlib
from itertools import pairwise

import numpy as np
import pytest
from field_files import FIELD, in_the_field
from heqcodec.container import Chunk, ContainerReader, Header, record_search
from heqcodec.container.crc_ranges import CrcRanges, crc_before
from heqcodec.container.record_search import Record, RecordSearch, longest_rising
from hypothesis import given
from hypothesis import strategies as st
from sample_containers import HEADER, build


class Counting(io.BytesIO):
    """A file that counts reads and their bytes."""

    reads = count = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.reads, self.count = self.reads + 1, self.count + len(data)
        return data


def work(data: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, int]:
    """Reads, bytes read, and checksums computed in the search, of a partial reading."""
    checked = []
    of = CrcRanges.of
    with monkeypatch.context() as patched:
        patched.setattr(
            CrcRanges, "of", lambda self, a, b: checked.append(len(a)) or of(self, a, b)
        )
        stream = Counting(data)
        reader = ContainerReader(stream, partial=True)
        for index in range(reader.strips_present):
            reader.read_strip(index)
        reader.read_chunks()
    return stream.reads, stream.count, sum(checked)


def unknown(depth: int) -> bytes:
    """Chunks of an unknown type one within the other, each whole."""
    data = b""
    for _ in range(depth):
        body = b"XXXX" + len(data).to_bytes(4, "little") + data
        data = body + zlib.crc32(body).to_bytes(4, "little")
    return data


TALL = Header(32, 32 * 60, 3, 512, b"lightrat", b"lightdev", 2, 1, strip_rows=1)
HOSTILE = {
    "zeros": lambda n: TALL.pack() + bytes(8 * n),
    "ones": lambda n: TALL.pack() + b"\1" * 8 * n,
    "heads": lambda n: TALL.pack() + b"\1\0\1\0\x10\0\0\0" * n,
    "long heads": lambda n: (
        TALL.pack() + b"".join(b"\1\0\0\0" + (8 * (n - i)).to_bytes(4, "little") for i in range(n))
    ),
    "chunk types": lambda n: TALL.pack() + b"END_ALPH" * n,
    "duplicates": lambda n: build(HEADER)[:-12] + Chunk(b"EXIF").pack() * n,
    "duplicates before damage": lambda n: (
        build(HEADER)[:-12] + (Chunk(b"EXIF").pack() + b"EXIF" + (12 * n).to_bytes(4, "little")) * n
    ),
    "damaged types": lambda n: build(HEADER)[:-12] + b"EXIF\1\0\0\0" * n,
    "nested": lambda n: build(HEADER)[:-12] + unknown(n),
    "patch heads": lambda n: HEADER.pack() + b"\1\0\x40\0\x20\0\0\0" * n,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_work_grows_with_the_file_and_not_faster(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte is read a few times and begins at most one checksum in each of three searches."""
    for count in (300, 1200):
        data = HOSTILE[kind](count)
        reads, read, checked = work(data, monkeypatch)
        assert reads <= 200 + len(data)
        assert read <= 1000 + 8 * len(data)
        assert checked <= 3 * len(data)


def test_a_whole_file_is_not_searched_and_unwanted_chunks_are_not_read() -> None:
    stream = Counting(build(HEADER, (Chunk(b"note", bytes(10_000)),)))
    reader = ContainerReader(stream, partial=True)
    assert reader.read_chunks(frozenset()) == [] and reader.damaged_chunks == []
    assert stream.count < 1000


@given(st.lists(st.one_of(st.binary(max_size=9), st.integers(0, 30)), max_size=9))
def test_all_whole_records_are_found(parts: list[bytes | int]) -> None:
    """Records of so many bytes between any others; in blocks of 16 places."""
    data = b""
    for part in parts:
        body = b"word" + part.to_bytes(4, "little") + bytes(part) if isinstance(part, int) else b""
        data += body + zlib.crc32(body).to_bytes(4, "little") if body else part
    expected = []
    for start in range(len(data) - 11):
        stop = start + 12 + int.from_bytes(data[start + 4 : start + 8], "little")
        if data[start : start + 4] == b"word" and stop <= len(data):
            assert zlib.crc32(data[start : stop - 4]) == int.from_bytes(
                data[stop - 4 : stop], "little"
            )
            expected.append(Record(100 + start, 100 + stop, int.from_bytes(b"word", "little")))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(record_search, "BLOCK", 16)
        found = RecordSearch(data, 100).whole(
            lambda words, lengths: (words == int.from_bytes(b"word", "little")) & (lengths < 99)
        )
    assert found == expected


def test_duplicates_are_passed_over() -> None:
    first, second = Chunk(b"EXIF", b"one").pack(), Chunk(b"EXIF", b"two").pack()
    data = (
        build(HEADER)[:-12] + first + second + Chunk(b"ICCP", b"p").pack() + Chunk(b"END_").pack()
    )
    reader = ContainerReader(io.BytesIO(data), partial=True)
    assert [chunk.data for chunk in reader.read_chunks()] == [b"one", b"p"]
    assert reader.damaged_chunks == ["EXIF"]


@in_the_field
def test_a_thousand_duplicates_of_a_real_file(monkeypatch: pytest.MonkeyPatch) -> None:
    data = (FIELD / "quadratic_chunks_12k.heq").read_bytes()
    _, read, checked = work(data, monkeypatch)
    assert read <= 3 * len(data) and checked == 0


@given(st.binary(max_size=2000), st.data())
def test_checksums_of_ranges(data: bytes, draw: st.DataObject) -> None:
    bounds = st.lists(st.integers(0, len(data)), min_size=2, max_size=2).map(sorted)
    pairs = np.array(draw.draw(st.lists(bounds, min_size=1, max_size=20)))
    found = CrcRanges(data).of(pairs[:, 0], pairs[:, 1])
    assert found.tolist() == [zlib.crc32(data[start:stop]) for start, stop in pairs]


def test_checksums_of_long_ranges() -> None:
    data = np.random.default_rng(5).bytes((1 << 20) + 300_001)
    starts = np.array([0, 0, 1, 65_535, 200_000, len(data)])
    stops = np.array([len(data), 0, 65_537, 1 << 20, 1_300_000, len(data)])
    expected = [zlib.crc32(data[a:b]) for a, b in zip(starts, stops, strict=True)]
    assert CrcRanges(data).of(starts, stops).tolist() == expected


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checksum_of_what_came_before(head: bytes, tail: bytes) -> None:
    assert crc_before(zlib.crc32(head + tail), zlib.crc32(tail), len(tail)) == zlib.crc32(head)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9), st.integers(0, 6)), max_size=9))
def test_longest_row(drawn: list[tuple[int, int, int]]) -> None:
    records = sorted(Record(start, start + length, word) for start, length, word in drawn)
    row = longest_rising(records)
    lengths: list[int] = []
    for place, record in enumerate(records):
        before = [
            lengths[i]
            for i, other in enumerate(records[:place])
            if other.stop <= record.start and other.word < record.word
        ]
        lengths.append(1 + max(before, default=0))
    assert len(row) == max(lengths, default=0)
    for one, other in pairwise(row):
        assert one.stop <= other.start and one.word < other.word
