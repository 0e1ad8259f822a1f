"""pack and unpack with a light model: bit for bit, chunks and strips included."""

from __future__ import annotations

import io
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from heqcodec.container import Chunk, ContainerReader, ContainerWriter
from heqcodec.image.images import LoadedImage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most
from light_rate_model import LightDeviceCoder, LightRateModels
from sample_rate_files import PHOTO, extents, per_example

pytestmark = pytest.mark.usefixtures("light_rate")
RNG = np.random.default_rng(9)


def loaded() -> LoadedImage:
    alpha = RNG.integers(0, 256, PHOTO.shape[:2], np.uint8)
    return LoadedImage(PHOTO, alpha, icc=b"profile", exif=b"II*\0", xmp=b"<x/>")


def with_strips(data: bytes, payloads: list[bytes], chunks: list[Chunk]) -> bytes:
    """The file with other strips and chunks, all checksums right."""
    stream = io.BytesIO()
    writer = ContainerWriter(stream, ContainerReader(io.BytesIO(data)).header)
    for payload in payloads:
        writer.write_strip(payload)
    for chunk in chunks:
        writer.write_chunk(chunk)
    writer.finish()
    return stream.getvalue()


@settings(per_example, max_examples=most(40))
@given(
    st.integers(1, 100),
    st.integers(1, 300),
    st.sampled_from([1, 3, 4]),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 100),
)
def test_identity(
    width: int, height: int, channels: int, rows: int, packed_rows: int, quality: int
) -> None:
    image = np.resize(PHOTO, (height, width, channels))
    device = heqcodec.encode(image, quality=quality, strip_rows=rows)
    packed = heqcodec.pack(device, strip_rows=packed_rows)
    assert heqcodec.unpack(packed) == device
    facts = heqcodec.info(packed)
    assert (facts["coder"], facts["strip_rows"]) == ("packed", packed_rows)
    assert facts["device_strip_rows"] == rows
    assert np.array_equal(heqcodec.decode(packed), heqcodec.decode(device))


def test_packed_is_encode_and_pack() -> None:
    image = loaded()
    device = heqcodec.encode(image, quality=30)
    assert heqcodec.encode(image, quality=30, coder="packed") == heqcodec.pack(device)
    shorter = heqcodec.encode(image, quality=30, coder="packed", strip_rows=2)
    assert shorter == heqcodec.pack(device, strip_rows=2)
    assert heqcodec.unpack(shorter) == device


def test_chunks_are_kept_and_their_order() -> None:
    device = heqcodec.encode(loaded())
    reader = ContainerReader(io.BytesIO(device))
    payloads = [strip.payload for strip in reader.read_strips(range(2)).values() if strip]
    chunks = [Chunk(b"note", b"1"), *reversed(reader.read_chunks()), Chunk(b"note", b"2")]
    device = with_strips(device, payloads, chunks)
    packed = heqcodec.pack(device)
    assert ContainerReader(io.BytesIO(packed)).read_chunks() == chunks
    assert heqcodec.unpack(packed) == device


def test_sources(tmp_path: Path) -> None:
    device = heqcodec.encode(PHOTO)
    path = tmp_path / "a.heq"
    path.write_bytes(device)
    packed = heqcodec.pack(path)
    assert packed == heqcodec.pack(io.BytesIO(device)) == heqcodec.pack(device)
    path.write_bytes(packed)
    assert heqcodec.unpack(str(path)) == device


def test_wrong_way_round() -> None:
    device = heqcodec.encode(PHOTO)
    packed = heqcodec.pack(device)
    with pytest.raises(heqcodec.HeqError, match="packed already"):
        heqcodec.pack(packed)
    with pytest.raises(heqcodec.HeqError, match="it is a device file"):
        heqcodec.unpack(device)
    patch = heqcodec.encode(PHOTO, mode="patch")
    for work in (heqcodec.pack, heqcodec.unpack):
        with pytest.raises(heqcodec.HeqError, match="patch-constant"):
            work(patch)


@pytest.mark.parametrize("rows", [0, 256])
def test_strip_rows_out_of_range(rows: int) -> None:
    with pytest.raises(heqcodec.HeqError, match="1 to 255"):
        heqcodec.pack(heqcodec.encode(PHOTO), strip_rows=rows)


def test_limit() -> None:
    device = heqcodec.encode(PHOTO)
    with pytest.raises(heqcodec.HeqLimitError):
        heqcodec.pack(device, max_pixels=1000)
    with pytest.raises(heqcodec.HeqLimitError):
        heqcodec.unpack(heqcodec.pack(device), max_pixels=1000)


def test_unknown_model(light_rate: LightRateModels) -> None:
    data = heqcodec.encode(PHOTO)
    light_rate.encoder.encoder_id = b"notthere"
    with pytest.raises(heqcodec.HeqUnsupportedError):
        heqcodec.pack(data)


@pytest.mark.parametrize("place", ["strip", "chunk"])
def test_damage_is_told_and_not_packed(place: str) -> None:
    data = bytearray(heqcodec.encode(loaded()))
    start, stop = extents(bytes(data))[1]
    data[(start + stop) // 2 if place == "strip" else len(data) - 20] ^= 1
    with pytest.raises(heqcodec.HeqChecksumError):
        heqcodec.pack(bytes(data))


def test_a_strip_that_is_none() -> None:
    data = with_strips(heqcodec.encode(PHOTO), [b"no zlib", b"stream"], [])
    for work in (heqcodec.pack, heqcodec.decode):
        with pytest.raises(heqcodec.HeqFormatError, match="Strip 0 cannot be decoded"):
            work(data)


def test_another_spelling_of_the_same_levels_is_refused() -> None:
    """Nothing may be lost: what unpacking would not give back is not packed."""
    import zlib

    header = ContainerReader(io.BytesIO(heqcodec.encode(PHOTO))).header
    reader = ContainerReader(io.BytesIO(heqcodec.encode(PHOTO)))
    payloads = [strip.payload for strip in reader.read_strips(range(2)).values() if strip]
    other = payloads[0][:2] + zlib.compress(zlib.decompress(payloads[0][2:]), 1)
    levels, _ = LightDeviceCoder().decode(other, 4, 9, 3, header.rate)
    assert levels.any() and other != payloads[0]
    data = with_strips(heqcodec.encode(PHOTO), [other, payloads[1]], [])
    assert np.array_equal(heqcodec.decode(data), heqcodec.decode(heqcodec.encode(PHOTO)))
    with pytest.raises(heqcodec.HeqError, match="Strip 0 is not spelled"):
        heqcodec.pack(data)
