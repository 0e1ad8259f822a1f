"""Progressive files of the shipped model: the lowest frequencies of the whole image come first."""

from __future__ import annotations

import io

import heqcodec
import numpy as np
import pytest
from counting_file import CountingFile
from heqcodec.container import ContainerReader, parse_header
from heqcodec.container.strips import NOT_SENT, pack_strip
from heqcodec.file.reduced import decode_reduced
from heqcodec.file.stream_decoding import StreamDecoder
from sample_rate_files import PHOTO, extents, flipped


def coded(progressive: bool = True, **options: object) -> bytes:
    options = {"quality": 40, "strip_rows": 2, **options}
    return heqcodec.encode(PHOTO, progressive=progressive, **options)


def plain(data: bytes, **options: object) -> np.ndarray:
    return heqcodec.decode(data, decoder="plain", **options)


def part(data: bytes, **options: object) -> heqcodec.PartialImage:
    return heqcodec.decode_partial(data, decoder="plain", **options)


def first_part(data: bytes) -> bytes:
    """The file up to the end of its first part."""
    places = extents(data)
    return data[: places[len(places) // 2 - 1][1]]


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.mean((found.astype(float) - wanted) ** 2))


def test_pixels_are_those_of_the_file_in_one_part() -> None:
    data, whole = coded(), coded(False)
    assert len(extents(data)) == 2 * len(extents(whole)) == 8
    assert np.array_equal(plain(data), plain(whole))
    assert 0 < len(data) - len(whole) < 0.04 * len(whole)
    assert np.array_equal(plain(data, region=(50, 60, 70, 80)), plain(data)[60:140, 50:120])
    facts = heqcodec.info(data)
    assert (facts["mode"], facts["progressive"], facts["strips"]) == ("rate", True, 8)
    assert not heqcodec.info(whole)["progressive"]


def test_first_part_alone_gives_the_image_at_an_eighth() -> None:
    data = coded()
    begin = first_part(data)
    assert len(begin) < 0.5 * len(data)
    # Of 32 points the first part has the frequencies up to 3 in both directions, and some more;
    # higher ones add a little to means of 8 samples.
    means = PHOTO[:200, :264].reshape(25, 8, 33, 8, 3).mean(axis=(1, 3))
    small = decode_reduced(begin, 8, partial=True)
    assert small.shape == (25, 34, 3) and error(small[:, :33], means) < 10
    found = part(begin)
    assert found.coarse_strips == [4, 5, 6, 7] and found.damaged_strips == []
    assert np.array_equal(found.pixels, plain(data, slices=1))
    assert error(plain(data), PHOTO) < error(found.pixels, PHOTO) < 600
    assert np.array_equal(plain(data, slices=2), plain(data))


def test_thumbnail_does_not_read_the_second_part() -> None:
    data = CountingFile(coded(index=True))
    small = decode_reduced(data, 8)
    places = extents(data.getvalue())
    assert not data.touched[places[4][0] : places[7][1]].any()
    assert np.array_equal(small, decode_reduced(first_part(data.getvalue()), 8, partial=True))
    assert decode_reduced(data, 4).shape == (50, 68, 3)


@pytest.mark.parametrize("number", [0, 2, 5, 7])
def test_damage_costs_a_strip(number: int) -> None:
    data = coded()
    start, stop = extents(data)[number]
    found = part(flipped(data, (start + stop) // 2))
    lost, coarse = ([number], []) if number < 4 else ([], [number])
    assert (found.damaged_strips, found.coarse_strips) == (lost, coarse)
    first = 64 * (number % 4)
    changed = (found.pixels != plain(data)).any(axis=(1, 2))
    assert changed[first : first + 64].any()
    # The plain decoder smooths across borders of patches, by a few pixels.
    assert not changed[: max(first - 8, 0)].any() and not changed[first + 72 :].any()
    with pytest.raises(heqcodec.HeqChecksumError, match=f"Strip {number}"):
        plain(flipped(data, (start + stop) // 2))


def rewritten(data: bytes, number: int, payload: bytes, rate: int) -> bytes:
    start, stop = extents(data)[number]
    return data[:start] + pack_strip(parse_header(data), number, payload, rate) + data[stop:]


def test_second_part_that_was_not_sent_is_coarse_and_no_damage() -> None:
    data = coded()
    short = rewritten(data, 5, b"", NOT_SENT)
    found = part(short)
    assert found.unsent_strips == [5] and not found.damaged
    assert np.array_equal(found.pixels[64:128], plain(short)[64:128])
    start, stop = extents(data)[5]
    assert np.array_equal(found.pixels, part(flipped(data, (start + stop) // 2)).pixels)
    with pytest.raises(heqcodec.HeqError, match="cannot be packed"):
        heqcodec.pack(short)


def test_second_part_of_another_step_or_payload_is_damage() -> None:
    data = coded()
    reader = ContainerReader(io.BytesIO(data))
    strip = reader.read_strip(6)
    assert strip is not None
    for payload, rate in ((strip.payload, strip.rate + 1), (bytes(40), strip.rate)):
        wrong = rewritten(data, 6, payload, rate)
        with pytest.raises(heqcodec.HeqFormatError, match="Strip 6"):
            plain(wrong)
        found = part(wrong)
        assert (found.damaged_strips, found.coarse_strips) == ([], [6])
    wrong = rewritten(data, 2, bytes(40), strip.rate)
    with pytest.raises(heqcodec.HeqFormatError, match="Strip 2"):
        plain(wrong)
    assert part(wrong).damaged_strips == [2]


def test_packs_and_unpacks_bit_for_bit() -> None:
    for data in (coded(), coded(index=True), heqcodec.encode(PHOTO[..., :1], progressive=True)):
        packed = heqcodec.pack(data)
        assert heqcodec.unpack(packed) == data
        assert heqcodec.info(packed)["progressive"]
        assert np.array_equal(plain(packed), plain(data))
    assert heqcodec.pack(coded(strip_rows=4)) == coded(coder="packed", strip_rows=None)


def test_target_size_is_met() -> None:
    data = coded(quality=None, target_size=9_000)
    assert 8_700 < len(data) <= 9_000


def test_rows_come_with_the_second_part_and_a_coarse_picture_before() -> None:
    data = coded()
    stream = StreamDecoder("plain")
    assert stream.feed(first_part(data)) == []
    assert np.array_equal(stream.picture(), plain(data, slices=1))
    places = extents(data)
    rows = stream.feed(data[places[4][0] : places[5][1]])
    assert len(rows) == 1 and rows[0].first == 0
    done = stream.rows
    assert 0 < done <= 128
    assert np.array_equal(stream.picture()[:done], plain(data)[:done])
    assert np.array_equal(stream.picture()[done:], plain(data, slices=1)[done:])
    stream.feed(data[places[6][0] :])
    assert np.array_equal(stream.finish().pixels, plain(data))


def test_what_cannot_be_progressive_says_so() -> None:
    with pytest.raises(heqcodec.HeqError, match="budget"):
        coded(quality=None, budget=9_000)
    with pytest.raises(heqcodec.HeqError, match="progressive"):
        heqcodec.encode(PHOTO, mode="patch", progressive=True)
    with pytest.raises(heqcodec.HeqError, match="progressive"):
        heqcodec.packetize(coded(), 222)
