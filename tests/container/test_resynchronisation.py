"""Damage costs the strip that was hit and no other, whatever the bytes, in all modes and coders."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache

import heqcodec
import numpy as np
import pytest
from field_files import FIELD, in_the_field
from heqcodec.container import ContainerReader, strip_places
from heqcodec.container.strips import Strip
from heqcodec.image.images import LoadedImage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most
from sample_rate_files import PHOTO, per_example
from slow_cases import slow

pytestmark = pytest.mark.usefixtures("light_rate")
STRIPS = 5
CODERS = ("patch", "device", "packed")
FILLS = ("00", "ff", "01", "random", "copy")
CUTS = (1, 3, 4, 8, 12, 57, 200)
CUT = st.integers(0, 5000)


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
@pytest.mark.parametrize("index", [1, *map(slow, (0, 2, 3, 4))])
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
@pytest.mark.parametrize("index", [1, *map(slow, (0, 2, 3, 4))])
def test_bytes_inserted(file: bytes, kind: str, index: int) -> None:
    start, stop = places_of(file)[index]
    for length in (1, 12, 57) if kind != "copy" else (57,):
        for put in filling(kind, file, index, length):
            for place in (start, start + 6, (start + stop) // 2):
                check(file, file[:place] + put + file[place:], {index})


@settings(per_example, max_examples=most(100))
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


def test_heads_that_were_hit_before_and_behind_a_strip_that_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lengths of the patch mode are known: strips are found from what is whole behind them."""
    monkeypatch.setattr(strip_places, "BLOCK", 16)  # Payloads are read in parts.
    file = make("patch")
    places = places_of(file)
    head = places[2][0]
    damaged = file[:head] + bytes(8) + file[head + 8 :]
    cut = places[1][0] + 20
    check(file, damaged[:cut] + damaged[cut + 7 :], {1})
    check(file, file[:head] + bytes(15) + file[head + 8 :], set())
    three = b"".join(bytes(8) + file[start + 8 : stop] for start, stop in places[1:4])
    check(file, file[: places[1][0]] + b"moved" + three + file[places[4][0] :], set())


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


@in_the_field
def test_the_first_strip_filled_with_zeros() -> None:
    """Of a real file: it took all four strips with it, for it holds every head of strip 0."""
    intact = ContainerReader(io.BytesIO((FIELD / "strip0_intact.heq").read_bytes()))
    data = (FIELD / "strip0_zeroed_loses_all.heq").read_bytes()
    reader = ContainerReader(io.BytesIO(data), partial=True)
    found, expected = reader.read_strips(range(4)), intact.read_strips(range(4))
    assert found == expected | {0: None} and reader.damaged_strips == [0]
