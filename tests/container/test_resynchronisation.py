"""Damage costs the strip that was hit and no other, whatever the bytes, in all modes and coders."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import heqcodec
import numpy as np
import pytest
from field_files import FIELD
from heqcodec.container import Chunk, ContainerReader, Header
from heqcodec.container.crc_ranges import CrcRanges, crc_before
from heqcodec.container.header import MOST_STRIPS
from heqcodec.container.record_search import Record, longest_rising
from heqcodec.container.strips import NOT_SENT, Strip, strip_length
from heqcodec.image.images import LoadedImage
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_containers import HEADER, build
from sample_rate_files import PHOTO, per_example

pytestmark = pytest.mark.usefixtures("light_rate")
STRIPS = 5
CODERS = ("patch", "device", "packed")
FILLS = ("00", "ff", "01", "random", "copy")
in_the_field = pytest.mark.skipif(not FIELD.is_dir(), reason="HEQCODEC_DATA has no folder field")
CUTS = (1, 3, 4, 8, 12, 57, 200)


@cache
def make(coder: str) -> bytes:
    """A small file of five strips, with metadata and alpha."""
    image = LoadedImage(
        np.ascontiguousarray(PHOTO[: 32 * STRIPS - 10, :140]),
        np.full((32 * STRIPS - 10, 140), 200, np.uint8),
        icc=b"profile",
        exif=b"II*\0",
        xmp=b"<x/>",
    )
    how = {"bpp": 0.25, "mode": "patch"} if coder == "patch" else {"quality": 8, "coder": coder}
    return heqcodec.encode(image, strip_rows=1, **how)  # type: ignore[arg-type]


@pytest.fixture(params=CODERS)
def file(request: pytest.FixtureRequest) -> bytes:
    return make(request.param)


def places_of(file: bytes) -> list[tuple[int, int]]:
    """Begin and end of each strip, by the heads of an intact file."""
    places, start = [], 44
    for index in range(STRIPS):
        assert int.from_bytes(file[start : start + 2], "little") == index
        stop = start + 12 + int.from_bytes(file[start + 4 : start + 8], "little")
        places.append((start, stop))
        start = stop
    return places


@cache
def payloads(file: bytes) -> dict[int, Strip | None]:
    return ContainerReader(io.BytesIO(file)).read_strips(range(STRIPS))


def check(file: bytes, damaged: bytes, hit: set[int]) -> None:
    """Strips that were not hit are read as they were, and so is everything behind them."""
    intact = payloads(file)
    reader = ContainerReader(io.BytesIO(damaged), partial=True)
    strips = reader.read_strips(range(STRIPS))
    for index in range(STRIPS):
        assert strips[index] == intact[index] or (index in hit and strips[index] is None)
    assert set(reader.damaged_strips) == {i for i in range(STRIPS) if strips[i] is None}
    chunks = {chunk.name: chunk.data for chunk in reader.read_chunks()}
    assert set(chunks) == {"ICCP", "EXIF", "XMP_", "ALPH"}
    assert all(file.index(data) for data in chunks.values())


def filling(kind: str, file: bytes, index: int, length: int) -> Iterator[bytes]:
    """Bytes to put in place of a strip's: one value, noise, or other strips from their heads on."""
    if kind == "random":
        yield np.random.default_rng(index).bytes(length)
    elif kind == "copy":
        for start, stop in places_of(file):
            # Once as it is, followed by what was there, and once over and over.
            yield file[start:stop]
            yield (file[start:stop] * (1 + length // (stop - start)))[:length]
    else:
        yield bytes.fromhex(kind) * length


@pytest.mark.parametrize("kind", FILLS)
@pytest.mark.parametrize("index", range(STRIPS))
def test_fills(file: bytes, kind: str, index: int) -> None:
    start, stop = places_of(file)[index]
    middle = (start + stop) // 2
    parts = (start, stop), (start, middle), (middle, stop), (start, start + 8), (start + 8, stop)
    more = (start + 4, start + 8), (start + 2, start + 30), (stop - 4, stop)
    for first, last in parts[:3] if kind == "copy" else parts + more:
        for put in filling(kind, file, index, last - first):
            damaged = file[:first] + put[: last - first] + file[first + len(put[: last - first]) :]
            assert len(damaged) == len(file)
            check(file, damaged, {index})


@pytest.mark.parametrize("index", range(STRIPS))
def test_bytes_removed(file: bytes, index: int) -> None:
    start, stop = places_of(file)[index]
    for length in (*CUTS, stop - start):
        for first in {start, start + 1, start + 4, start + 8, (start + stop) // 2, stop - length}:
            if start <= first and first + length <= stop:
                check(file, file[:first] + file[first + length :], {index})


@pytest.mark.parametrize("kind", FILLS)
@pytest.mark.parametrize("index", range(STRIPS))
def test_bytes_inserted(file: bytes, kind: str, index: int) -> None:
    start, stop = places_of(file)[index]
    for length in (1, 12, 57) if kind != "copy" else (57,):
        for put in filling(kind, file, index, length):
            for place in (start, start + 6, (start + stop) // 2):
                check(file, file[:place] + put + file[place:], {index})


@settings(per_example, max_examples=100)
@given(st.data())
def test_any_run_of_bytes_replaced_by_any_other(data: st.DataObject) -> None:
    file = make(data.draw(st.sampled_from(CODERS)))
    places = places_of(file)
    first = data.draw(st.integers(44, places[-1][1] - 1))
    last = data.draw(st.integers(first, places[-1][1]))
    begin = data.draw(st.integers(44, places[-1][1]))
    put = data.draw(
        st.one_of(
            st.binary(max_size=60),
            st.builds(lambda value, length: bytes([value]) * length, st.integers(0, 255), CUT),
            CUT.map(lambda length: file[begin : begin + length]),
        )
    )
    hit = {
        i for i, (start, stop) in enumerate(places) if start < max(last, first + 1) and first < stop
    }
    check(file, file[:first] + put + file[last:], hit)


CUT = st.integers(0, 5000)


def test_heads_that_were_hit_before_and_behind_a_strip_that_is_lost() -> None:
    """Lengths of the patch mode are known: strips are found from what is whole behind them."""
    file = make("patch")
    places = places_of(file)
    head = places[2][0]
    damaged = file[:head] + bytes(8) + file[head + 8 :]
    cut = places[1][0] + 20
    check(file, damaged[:cut] + damaged[cut + 7 :], {1})


@pytest.mark.parametrize("coder", ["device", "packed"])
def test_a_rate_that_was_hit_before_a_head_that_was(coder: str) -> None:
    """No head says that strip 1 ends where it does: its checksum does, and gives its rate too."""
    file = make(coder)
    places = places_of(file)
    rate, head = places[1][0] + 2, places[2][0]
    damaged = file[:rate] + bytes([file[rate] ^ 5]) + file[rate + 1 : head]
    check(file, damaged + b"\xff" * 8 + file[head + 8 :], {2})


def test_several_strips_at_once(file: bytes) -> None:
    places = places_of(file)
    for hit in ({0, 1}, {0, 2, 4}, {1, 2, 3}, {3, 4}, {0, 1, 2, 3}):
        for put in (b"\0", b"\1"):
            damaged, shifted = bytearray(file), b""
            end = 0
            for index in sorted(hit):
                start, stop = places[index]
                damaged[start:stop] = put * (stop - start)
                shifted += file[end:start] + put * 7
                end = stop
            check(file, bytes(damaged), hit)
            check(file, shifted + file[end:], hit)


@pytest.mark.parametrize("coder", CODERS)
def test_pixels_of_the_others_stay(coder: str) -> None:
    """The first and the last strip as the field lost them: everything else is still to be seen."""
    file = make(coder)
    whole = heqcodec.decode(file)
    reach = 40
    for index, clean in ((0, slice(32 + reach, None)), (4, slice(0, 128 - reach))):
        start, stop = places_of(file)[index]
        for damaged in (
            file[:start] + bytes(stop - start) + file[stop:],
            file[: start + 20] + file[start + 60 :],
        ):
            result = heqcodec.decode_partial(damaged)
            assert result.damaged_strips + result.coarse_strips == [index]
            assert np.array_equal(result.pixels[clean], whole[clean])
            assert result.metadata.icc == b"profile" and result.pixels.shape[2] == 4


def test_zeros_are_no_slices() -> None:
    """A payload of zeros would be six empty slices, which have no checks: a lost strip instead."""
    from heqcodec.nqe_r.packed_coder.slices import split_slices

    assert split_slices(bytes(40)) == ([b""] * 6, 34)
    file = make("packed")
    start, stop = places_of(file)[2]
    result = heqcodec.decode_partial(file[: start + 8] + bytes(stop - start - 8) + file[stop:])
    assert (result.damaged_strips, result.coarse_strips) == ([2], [])


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


def test_duplicates_are_passed_over() -> None:
    first, second = Chunk(b"EXIF", b"one").pack(), Chunk(b"EXIF", b"two").pack()
    data = (
        build(HEADER)[:-12] + first + second + Chunk(b"ICCP", b"p").pack() + Chunk(b"END_").pack()
    )
    reader = ContainerReader(io.BytesIO(data), partial=True)
    assert [chunk.data for chunk in reader.read_chunks()] == [b"one", b"p"]
    assert reader.damaged_chunks == ["EXIF"]


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


@in_the_field
def test_the_first_strip_filled_with_zeros() -> None:
    """Of a real file: it took all four strips with it, for it holds every head of strip 0."""
    intact = ContainerReader(io.BytesIO((FIELD / "strip0_intact.heq").read_bytes()))
    data = (FIELD / "strip0_zeroed_loses_all.heq").read_bytes()
    reader = ContainerReader(io.BytesIO(data), partial=True)
    found, expected = reader.read_strips(range(4)), intact.read_strips(range(4))
    assert found == expected | {0: None} and reader.damaged_strips == [0]


@in_the_field
def test_a_thousand_duplicates_of_a_real_file(monkeypatch: pytest.MonkeyPatch) -> None:
    data = (FIELD / "quadratic_chunks_12k.heq").read_bytes()
    _, read, checked = work(data, monkeypatch)
    assert read <= 3 * len(data) and checked == 0


def rate_file(height: int, *strips: bytes) -> bytes:
    """A header of the device coder, 4 patches wide, and then these bytes."""
    header = Header(
        width=128,
        height=height,
        channels=1,
        rate=500,
        encoder_id=b"encoder.",
        coder=2,
        mode=1,
        strip_rows=1,
    )
    return header.pack() + b"".join(strips)


def test_the_last_of_all_strips_is_found_behind_damage() -> None:
    data = rate_file(
        32 * MOST_STRIPS, bytes(40), pack_strip_of(MOST_STRIPS - 1, b"payload", rate=77)
    )
    reader = ContainerReader(io.BytesIO(data), max_pixels=None, partial=True)
    assert reader.read_strip(MOST_STRIPS - 1) == Strip(77, b"payload")
    assert reader.strips_present == MOST_STRIPS


def pack_strip_of(index: int, payload: bytes, rate: int) -> bytes:
    """A strip, whatever the header says."""
    body = index.to_bytes(2, "little") + rate.to_bytes(2, "little")
    body += len(payload).to_bytes(4, "little") + payload
    return body + zlib.crc32(body).to_bytes(4, "little")


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checksum_of_what_came_before(head: bytes, tail: bytes) -> None:
    assert crc_before(zlib.crc32(head + tail), zlib.crc32(tail), len(tail)) == zlib.crc32(head)


@pytest.mark.parametrize("rate", [0, 499, 1023, NOT_SENT])
def test_a_rate_that_was_hit_is_known_by_the_checksum(rate: int) -> None:
    """No other place says the step of a strip: of 1,024 that it can be, one has this checksum."""
    payload = b"" if rate == NOT_SENT else bytes(range(200))
    strips = [pack_strip_of(0, b"first", 500), pack_strip_of(1, payload, rate)]
    whole = rate_file(64, *strips) + Chunk(b"END_").pack()
    place = len(rate_file(64, strips[0]))
    for hit in ([2], [3], [2, 3], [0, 1, 2, 3], [3, 4], range(8)):
        damaged = bytearray(whole)
        for offset in hit:
            damaged[place + offset] ^= 0xA5
        reader = ContainerReader(io.BytesIO(bytes(damaged)), partial=True)
        assert reader.read_strip(1) == Strip(rate, payload)
        assert (reader.damaged_strips, reader.repaired) == ([], ["strip 1"])


@pytest.mark.parametrize("rate", [1024, 65534, NOT_SENT])
def test_rates_that_there_are_not(rate: int) -> None:
    """A strip with a payload was sent."""
    data = rate_file(32, pack_strip_of(0, b"payload", rate)) + Chunk(b"END_").pack()
    with pytest.raises(heqcodec.HeqFormatError, match=f"rate {rate}"):
        ContainerReader(io.BytesIO(data)).read_strip(0)
    assert ContainerReader(io.BytesIO(data), partial=True).read_strip(0) is None


@pytest.mark.parametrize(
    ("hit", "left"),
    [
        ((30,), True),
        ((0, 30), True),  # The length says that it begins here.
        ((4, 30), True),  # The index does.
        ((0, 4, 30), False),
        ((3, 30), False),  # A rate that there is not.
    ],
)
def test_what_is_left_of_a_strip_between_two_whole_ones(hit: tuple[int, ...], left: bool) -> None:
    """All of its payload, as it stands, if its index or its length is right."""
    strips = [pack_strip_of(index, bytes(range(100)), 500) for index in range(3)]
    damaged = bytearray(rate_file(96, *strips) + Chunk(b"END_").pack())
    start = len(rate_file(96, strips[0]))
    for offset in hit:
        damaged[start + offset] ^= 0xA5
    reader = ContainerReader(io.BytesIO(bytes(damaged)), partial=True)
    assert reader.read_strip(1) is None
    expected = Strip(500, bytes(damaged[start + 8 : start + 108])) if left else None
    assert reader.read_remains(1) == expected


@pytest.mark.parametrize("length", [0, 16, 48 * 3])
def test_a_strip_of_another_length_is_damaged_though_its_checksum_is_right(length: int) -> None:
    """In patch mode the header fixes the length; decoding ended with numpy's words."""
    header = Header(width=40, height=70, channels=3, rate=64, encoder_id=b"encoder.", strip_rows=3)
    chunk = Chunk(b"note", b"any").pack()
    data = header.pack() + pack_strip_of(0, bytes(length), 64) + chunk + Chunk(b"END_").pack()
    reader = ContainerReader(io.BytesIO(data), partial=True)
    assert strip_length(header, 0) == 48
    assert reader.read_strip(0) is None
    assert reader.damaged_strips == [0]
    assert [found.type for found in reader.read_chunks()] == [b"note"]
