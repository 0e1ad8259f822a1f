"""Damaged strips of files made by hand: what is found, put right, and left of them."""

from __future__ import annotations

import io
import zlib
from dataclasses import replace

import numpy as np
import pytest
from heqcodec.base.errors import HeqFormatError
from heqcodec.container import Chunk, ContainerReader, Header
from heqcodec.container.header import MOST_STRIPS
from heqcodec.container.strips import (
    NOT_SENT,
    Strip,
    pack_strip,
    strip_length,
    strip_offset,
    valid_rate,
    valid_rates,
)
from sample_containers import HEADER, build, read

END = Chunk(b"END_").pack()


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


def pack_strip_of(index: int, payload: bytes, rate: int) -> bytes:
    """A strip, whatever the header says."""
    body = index.to_bytes(2, "little") + rate.to_bytes(2, "little")
    body += len(payload).to_bytes(4, "little") + payload
    return body + zlib.crc32(body).to_bytes(4, "little")


def partly(data: bytes) -> ContainerReader:
    return ContainerReader(io.BytesIO(data), partial=True, max_pixels=None)


def test_the_last_of_all_strips_is_found_behind_damage() -> None:
    data = rate_file(
        32 * MOST_STRIPS, bytes(40), pack_strip_of(MOST_STRIPS - 1, b"payload", rate=77)
    )
    reader = partly(data)
    assert reader.read_strip(MOST_STRIPS - 1) == Strip(77, b"payload")
    assert reader.strips_present == MOST_STRIPS


@pytest.mark.parametrize(("height", "foreign"), [(70, 2), (70, 9), (160, 3), (160, 9)])
def test_strips_of_the_patch_mode_are_found_where_they_were_moved_to(
    height: int, foreign: int
) -> None:
    """The last, which alone is not full, or those before it; a strip of another file is none."""
    header = replace(HEADER, height=height, strip_rows=2)
    count = header.strip_count
    file = build(header)
    whole, _ = read(file)
    cut = strip_offset(header, count - 1)
    first, last = file[44:cut], file[cut:-12]
    behind = pack_strip_of(foreign, bytes(64), 64) + END
    for strips, lost in (
        (b"\0" + first + last, []),
        (first + b"\0" + last, []),
        (b"\0" + first + last[:-9] + b"?" + last[-8:], [count - 1]),
    ):
        reader = partly(file[:44] + strips + behind)
        expected = whole.read_strips(range(count)) | dict.fromkeys(lost)
        assert (reader.read_strips(range(count)), reader.damaged_strips) == (expected, lost)
        assert reader.strips_present == count
        assert (reader.read_chunks(), reader.damaged_chunks) == ([], [] if lost else ["?"])


@pytest.mark.parametrize("rate", [0, 499, 1023, NOT_SENT])
def test_a_rate_that_was_hit_is_known_by_the_checksum(rate: int) -> None:
    """No other place says the step of a strip: of 1,024 that it can be, one has this checksum."""
    payload = b"" if rate == NOT_SENT else bytes(range(200))
    strips = [pack_strip_of(0, b"first", 500), pack_strip_of(1, payload, rate)]
    whole = rate_file(64, *strips) + END
    place = len(rate_file(64, strips[0]))
    strict = ContainerReader(io.BytesIO(whole))
    assert strict.read_strip(1) == Strip(rate, payload)
    assert pack_strip(strict.header, 1, payload, rate) == strips[1]
    for hit in ([2], [3], [2, 3], [0, 1, 2, 3], [3, 4], range(8)):
        damaged = bytearray(whole)
        for offset in hit:
            damaged[place + offset] ^= 0xA5
        reader = partly(bytes(damaged))
        assert reader.read_strip(1) == Strip(rate, payload)
        assert (reader.damaged_strips, reader.repaired) == ([], ["strip 1"])


@pytest.mark.parametrize(("index", "rate"), [(0, 1024), (0, 65534), (0, NOT_SENT), (3, 500)])
def test_heads_that_there_are_not(index: int, rate: int) -> None:
    """A strip with a payload was sent."""
    data = rate_file(32, pack_strip_of(index, b"payload", rate)) + END
    with pytest.raises(HeqFormatError, match=f"At byte 44 strip 0 .*{index} with rate {rate}"):
        ContainerReader(io.BytesIO(data)).read_strip(0)
    assert partly(data).read_strip(0) is None


def test_nothing_is_left_of_an_empty_strip() -> None:
    strips = [pack_strip_of(index, b"", 500) for index in range(3)]
    data = bytearray(rate_file(96, *strips) + END)
    data[44 + 23] ^= 1
    reader = partly(bytes(data))
    assert reader.read_strip(1) is None and reader.read_remains(1) is None


@pytest.mark.parametrize("hit", [[0], [2], [0, 1, 2, 3]])
@pytest.mark.parametrize("last", [Strip(500, bytes(range(9))), Strip(NOT_SENT, b"")])
def test_the_last_strip_is_repaired_where_the_file_ends_with_it(
    hit: list[int], last: Strip
) -> None:
    strip = pack_strip_of(1, last.payload, last.rate)
    damaged = bytearray(rate_file(64, pack_strip_of(0, b"first", 500), strip))
    for offset in hit:
        damaged[len(damaged) - len(strip) + offset] ^= 0xA5
    reader = partly(bytes(damaged))
    assert reader.read_strip(1) == last
    assert (reader.repaired, reader.strips_present) == (["strip 1"], 2)


@pytest.mark.parametrize("behind", [b"", END])
def test_a_strip_that_was_not_sent_is_found_where_it_was_moved_to(behind: bytes) -> None:
    strips = [pack_strip_of(0, b"first", 500), b"\0", pack_strip_of(1, b"", NOT_SENT)]
    reader = partly(rate_file(64, *strips) + behind)
    assert reader.read_strip(1) == Strip(NOT_SENT, b"") and reader.damaged_strips == []


@pytest.mark.parametrize(
    ("left", "present", "known"), [(0, 2, 0), (11, 1, 0), (12, 2, 4), (111, 2, 100)]
)
def test_what_is_left_of_a_strip_that_was_cut(left: int, present: int, known: int) -> None:
    """The strip before is damaged too; a place for head and checksum says that it begins there."""
    strips = [pack_strip_of(index, bytes(range(100)), 500) for index in range(3)]
    data = bytearray(rate_file(96, *strips))
    first, last = len(data) - 224, len(data) - 112
    data[first + 30] ^= 1
    reader = partly(bytes(data[: last + left]))
    reader.read_strips(range(3))
    assert (reader.damaged_strips, reader.strips_present) == ([1, 2], present)
    assert reader.read_remains(1) == Strip(500, bytes(data[first + 8 : first + 108]))
    assert reader.read_remains(2) == (Strip(500, bytes(range(known))) if known else None)


def test_a_header_alone_has_no_strips() -> None:
    reader = partly(rate_file(32 * 60))
    assert reader.read_strip(0) is None and reader.strips_present == 0
    assert (reader.read_chunks(), reader.damaged_chunks) == ([], ["END_"])


@pytest.mark.parametrize("header", [HEADER, Header(128, 32, 1, 500, b"encoder.", coder=2, mode=1)])
def test_rates_are_valid_one_by_one_as_in_arrays(header: Header) -> None:
    rates, lengths = np.meshgrid([0, 64, 500, 1023, 1024, 65534, NOT_SENT], [0, 1, 1 << 31])
    found = valid_rates(header, rates.astype(np.uint32), lengths.astype(np.uint32))
    one_by_one = np.vectorize(lambda rate, length: valid_rate(header, rate, length))
    assert np.array_equal(found, one_by_one(rates, lengths))


@pytest.mark.parametrize(
    ("hit", "left"),
    [
        ([30], {1}),
        ([0, 30], {1}),  # The length says that it begins here.
        ([4, 30], {1}),  # The index does.
        ([0, 4, 30], set()),
        ([3, 30], set()),  # A rate that there is not.
        ([30, 142], {1, 2}),
    ],
)
def test_what_is_left_of_strips_between_whole_ones(hit: list[int], left: set[int]) -> None:
    """All of a payload, as it stands, if its index or its length is right."""
    strips = [pack_strip_of(index, bytes(range(100)), 500) for index in range(4)]
    damaged = bytearray(rate_file(128, *strips) + END)
    start = len(rate_file(128, strips[0]))
    for offset in hit:
        damaged[start + offset] ^= 0xA5
    reader = partly(bytes(damaged))
    reader.read_strips(range(4))
    assert reader.damaged_strips == sorted({1 + offset // 112 for offset in hit})
    for index in reader.damaged_strips:
        payload = start + 112 * (index - 1) + 8
        expected = Strip(500, bytes(damaged[payload : payload + 100])) if index in left else None
        assert reader.read_remains(index) == expected


def test_a_length_that_leads_from_the_last_strip_over_a_whole_chunk_is_not_believed() -> None:
    exif, xmp = Chunk(b"EXIF", b"II*\0"), Chunk(b"XMP_", b"<x/>")
    strip = bytearray(pack_strip_of(0, bytes(range(100)), 500))
    strip[4] += len(exif.pack())
    reader = partly(rate_file(32, bytes(strip)) + exif.pack() + xmp.pack() + END)
    assert reader.read_strip(0) == Strip(500, bytes(range(100)))
    assert (reader.read_chunks(), reader.repaired) == ([exif, xmp], ["strip 0"])


def test_what_is_left_of_the_last_strip_ends_before_a_chunk_that_is_damaged_too() -> None:
    strips = [pack_strip_of(index, bytes(range(100)), 500) for index in range(2)]
    exif, xmp = Chunk(b"EXIF", b"II*\0").pack(), Chunk(b"XMP_", b"<x/>")
    data = bytearray(rate_file(64, *strips) + exif + xmp.pack() + END)
    place = len(rate_file(64, *strips))
    data[place - 10] ^= 1
    data[place + 9] ^= 1
    reader = partly(bytes(data))
    assert reader.read_strip(1) is None
    assert reader.read_remains(1) == Strip(500, bytes(data[place - 104 : place - 4]))
    assert (reader.read_chunks(), reader.damaged_chunks) == ([xmp], ["EXIF"])


@pytest.mark.parametrize("length", [0, 16, 48 * 3])
def test_a_strip_of_another_length_is_damaged_though_its_checksum_is_right(length: int) -> None:
    """In patch mode the header fixes the length; decoding ended with numpy's words."""
    header = Header(width=40, height=70, channels=3, rate=64, encoder_id=b"encoder.", strip_rows=3)
    chunk = Chunk(b"note", b"any").pack()
    data = header.pack() + pack_strip_of(0, bytes(length), 64) + chunk + Chunk(b"END_").pack()
    reader = partly(data)
    assert strip_length(header, 0) == 48
    assert reader.read_strip(0) is None
    assert reader.damaged_strips == [0] and reader.read_remains(0) is None
    assert [found.type for found in reader.read_chunks()] == [b"note"]
