"""Regions of frames beyond `max_pixels`: what is held counts, and nothing is held before."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from dataclasses import replace

import heqcodec
import numpy as np
import pytest
from heqcodec import HeqLimitError
from heqcodec.container import Chunk, ContainerReader, ContainerWriter
from heqcodec.container.strips import NOT_SENT
from sample_rate_files import PHOTO

STEP = 520


def claimed(
    width: int, height: int, strip_rows: int = 4, chunks: tuple[Chunk, ...] = (), unsent: int = -1
) -> bytes:
    """A gray frame of any size, whose strips are all the same, and empty: noise."""
    header = ContainerReader(io.BytesIO(heqcodec.encode(PHOTO[..., :1]))).header
    header = replace(header, width=width, height=height, strip_rows=strip_rows)
    stream = io.BytesIO()
    writer = ContainerWriter(stream, header)
    for index in range(header.strip_count):
        writer.write_strip(b"", NOT_SENT if index == unsent else STEP)
    for chunk in chunks:
        writer.write_chunk(chunk)
    writer.finish()
    return stream.getvalue()


def region(data: bytes, box: tuple[int, int, int, int], **options: int) -> np.ndarray:
    return heqcodec.decode(data, region=box, decoder="plain", **options)


def test_a_region_of_a_frame_beyond_the_limit() -> None:
    data = claimed(200, 1_000_000)
    with pytest.raises(HeqLimitError, match="200 x 1000000"):
        heqcodec.decode(data, decoder="plain")
    tracemalloc.start()
    pixels = region(data, (100, 128 * 5000 + 60, 100, 100))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(pixels, region(claimed(200, 256), (100, 60, 100, 100)))
    assert peak < 8e6  # a byte of each pixel of the frame would be 200 MB


def test_it_is_the_same_region() -> None:
    data = heqcodec.encode(np.tile(PHOTO, (24, 1, 1)))
    box = (30, 900, 200, 120)
    assert np.array_equal(region(data, box, max_pixels=300_000), region(data, box))


@pytest.mark.parametrize(
    ("width", "strip_rows"), [((1 << 31) - 1, 4), (40_000, 255)], ids=["wide", "strips"]
)
def test_strips_that_take_too_much(width: int, strip_rows: int) -> None:
    data = claimed(width, 32 * strip_rows, strip_rows)
    tracemalloc.start()
    with pytest.raises(HeqLimitError, match=r"region of 8 x 8 in an image .* raise max_pixels to"):
        region(data, (width // 2, 0, 8, 8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


def test_the_limit_that_is_named_is_enough() -> None:
    data = claimed(3200, 3200)
    with pytest.raises(HeqLimitError) as caught:
        region(data, (0, 0, 3200, 640), max_pixels=2_000_000)
    enough = int(str(caught.value).rstrip(".").rpartition(" ")[2])
    assert region(data, (0, 0, 3200, 640), max_pixels=enough).shape == (640, 3200, 1)
    with pytest.raises(HeqLimitError):
        region(data, (0, 0, 3200, 640), max_pixels=enough - 1)


def test_alpha_and_filling_take_the_whole_frame() -> None:
    box = (0, 0, 50, 50)
    alpha = Chunk(b"ALPH", zlib.compress(bytes(200 * 8000)))
    for data in (claimed(200, 8000, chunks=(alpha,)), claimed(200, 8000, unsent=0)):
        with pytest.raises(HeqLimitError, match="200 x 8000"):
            region(data, box, max_pixels=1_100_000)
        assert region(data, box).shape[:2] == (50, 50)
    assert region(claimed(200, 8000), box, max_pixels=1_100_000).shape == (50, 50, 1)
