"""The index of strips: one read says where all lie, and nothing depends on it."""

from __future__ import annotations

import io
import struct
import zlib

import heqcodec
import numpy as np
import pytest
from counting_file import CountingFile
from heqcodec.base.errors import HeqChecksumError, HeqFormatError
from heqcodec.container import Chunk, ContainerReader, ContainerWriter, Header
from heqcodec.container.chunks import INDEX
from heqcodec.container.index import tail_length
from light_rate_model import LightRateModels
from sample_containers import Strict
from sample_rate_files import PHOTO, extents, flipped, lost

pytestmark = pytest.mark.usefixtures("light_rate")
TALL = np.tile(PHOTO, (4, 1, 1))[: 32 * 20]
REGION = (100, 320, 32, 32)
"""Patch rows 8 to 12 with the decoder's reach."""


def indexed(image: np.ndarray = TALL, rows: int = 2, **options: object) -> bytes:
    return heqcodec.encode(image, strip_rows=rows, index=True, **options)


def tail_of(data: bytes) -> int:
    """Bytes from the index to the end."""
    return 4 * len(extents(data)) + 28


def test_layout_is_that_of_the_page() -> None:
    data = indexed()
    places = extents(data)
    chunk = data[-tail_of(data) : -12]
    assert data[: -tail_of(data)] + data[-12:] == heqcodec.encode(TALL, strip_rows=2)
    assert data[-12:-4] == b"END_\0\0\0\0"
    assert chunk[:8] == b"sIDX" + struct.pack("<I", len(chunk) - 12)
    numbers = struct.unpack(f"<{len(places) + 1}I", chunk[8:-4])
    assert numbers == (*(stop - start - 12 for start, stop in places), len(chunk) - 12)
    assert chunk[-4:] == struct.pack("<I", zlib.crc32(chunk[:-4]))


def test_region_takes_one_read_for_the_places_of_all_strips() -> None:
    plain, data = CountingFile(heqcodec.encode(TALL, strip_rows=1)), CountingFile(indexed(rows=1))
    wanted = heqcodec.decode(plain, region=REGION)
    assert np.array_equal(heqcodec.decode(data, region=REGION), wanted)
    # The header, the index with the end of the file, and the strips of rows 8 to 12.
    assert data.reads == 2 + 5
    assert plain.reads > 20
    touched = data.touched.copy()
    touched[:44] = touched[-tail_of(data.getvalue()) :] = False
    strips = extents(data.getvalue())
    assert np.flatnonzero(touched).tolist() == list(range(strips[8][0], strips[12][1]))


def test_partial_region_reads_no_more() -> None:
    data = CountingFile(indexed(rows=1))
    found = heqcodec.decode_partial(data, region=REGION)
    assert not found.damaged and data.reads == 2 + 5
    assert np.array_equal(found.pixels, heqcodec.decode(data.getvalue(), region=REGION))


def test_metadata_are_read_without_the_strips() -> None:
    data = CountingFile(indexed())
    assert heqcodec.read_metadata(data) == heqcodec.Metadata()
    assert data.reads == 2 and data.touched.sum() == 44 + tail_of(data.getvalue())


def test_damage_to_any_byte_of_it_costs_nothing() -> None:
    header = Header(40, 96, 1, 500, b"encoder.", coder=2, mode=1)
    exif, stream = Chunk(b"EXIF", b"II*\0"), io.BytesIO()
    writer = ContainerWriter(stream, header)
    for length in (100, 0, 7):
        writer.write_strip(bytes(length))
    writer.write_chunk(exif)
    writer.finish(index=True)
    data = stream.getvalue()
    whole = ContainerReader(io.BytesIO(data))
    strips = whole.read_strips(range(3))
    assert whole.read_chunks(frozenset({b"EXIF"})) == [exif]
    for offset in range(len(data) - tail_length(header), len(data) - 12):
        for value in (0x01, 0x20, 0xFF):
            for partial in (False, True):
                reader = ContainerReader(Strict(flipped(data, offset, value)), partial=partial)
                assert reader.read_strips(range(3)) == strips and reader.read_chunks() == [exif]
                assert bool(reader.damaged_chunks) == partial  # It is listed, all the same.


def test_pixels_of_a_file_with_a_damaged_index() -> None:
    data = indexed(PHOTO, 3)
    damaged = flipped(data, len(data) - 20)
    assert np.array_equal(heqcodec.decode(damaged), heqcodec.decode(data))
    part = heqcodec.decode_partial(damaged)
    assert np.array_equal(part.pixels, heqcodec.decode(data)) and lost(part) == []


def test_damage_elsewhere_is_still_found() -> None:
    data = indexed(PHOTO, 3)
    start, stop = extents(data)[1]
    with pytest.raises(HeqChecksumError, match="Strip 1"):
        heqcodec.decode(flipped(data, stop - 6))
    assert heqcodec.decode_partial(flipped(data, stop - 6)).damaged_strips == [1]
    repaired = heqcodec.decode_partial(flipped(data, start))
    assert repaired.repaired == ["strip 1"] and repaired.damaged_strips == []
    with pytest.raises(HeqChecksumError, match="END_"):
        heqcodec.decode(flipped(data, len(data) - 1))


@pytest.mark.parametrize(
    "wrong", ["shifted", "other strip", "past the end", "beyond the file", "own length"]
)
def test_index_that_lies_is_not_believed(wrong: str) -> None:
    data = indexed(PHOTO, 2)
    places = extents(data)
    lengths = [stop - start - 12 for start, stop in places]
    own = 4 * len(lengths) + 4
    if wrong == "shifted":
        lengths[0] += 1
    elif wrong == "other strip":
        lengths[0] += lengths.pop(1) + 12
        lengths.append(5)
    elif wrong == "past the end":
        lengths[-1] += tail_of(data) + 20
    elif wrong == "beyond the file":
        lengths[-1] = 2**32 - 1
    else:
        own += 1
    body = b"sIDX" + struct.pack(f"<{len(lengths) + 2}I", 4 * len(lengths) + 4, *lengths, own)
    lying = data[: -tail_of(data)] + body + struct.pack("<I", zlib.crc32(body)) + data[-12:]
    wanted = heqcodec.decode(data)
    assert np.array_equal(heqcodec.decode(Strict(lying)), wanted)
    found = heqcodec.decode_partial(lying, region=(0, 70, 64, 64))
    assert not found.damaged and np.array_equal(found.pixels, wanted[70:134, :64])


def test_other_chunk_of_that_length_is_none(light_rate: LightRateModels) -> None:
    """A damaged chunk in the place of an index is not passed over."""
    plain = heqcodec.encode(PHOTO, strip_rows=2)
    count = len(extents(plain))
    body = b"EXIF" + struct.pack("<I", 4 * count + 4) + bytes(4 * count + 4)
    data = plain[:-12] + body + struct.pack("<I", zlib.crc32(body)) + plain[-12:]
    heqcodec.decode(data)
    with pytest.raises((HeqChecksumError, HeqFormatError)):
        heqcodec.decode(flipped(data, len(plain)))


def test_target_and_budget_count_it() -> None:
    for options in ({"target_size": 9_000}, {"budget": 9_000}):
        data = indexed(PHOTO, 1, **options)
        assert 8_000 < len(data) <= 9_000


def test_packing_writes_it_anew() -> None:
    data = indexed()
    packed = heqcodec.pack(data, strip_rows=3)
    assert heqcodec.unpack(packed) == data
    reader = ContainerReader(io.BytesIO(packed))
    (chunk,) = [chunk for chunk in reader.read_chunks() if chunk.type == INDEX]
    lengths = [stop - start - 12 for start, stop in extents(packed)]
    assert chunk.data[:-4] == struct.pack(f"<{len(lengths)}I", *lengths)
    assert heqcodec.info(packed)["chunks"] == [{"type": "sIDX", "bytes": len(chunk.data)}]


def test_patch_mode_has_none() -> None:
    with pytest.raises(heqcodec.HeqError, match="index"):
        heqcodec.encode(PHOTO, mode="patch", index=True)
