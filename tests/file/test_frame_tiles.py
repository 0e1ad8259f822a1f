"""Frames are decoded tile by tile: what is held meanwhile, and that it changes no pixel."""

from __future__ import annotations

import tracemalloc

import heqcodec
import numpy as np
import pytest
from heqcodec.container.header import Header
from heqcodec.file.frame import Grids, decode_window, region_window, whole_window
from heqcodec.purenet import tiles
from light_rate_model import LightRateDecoder, LightRateModels
from sample_rate_files import PHOTO, extents

IMAGE = np.tile(PHOTO, (3, 2, 1))[:500, :330]
HEADER = Header(330, 500, 3, 64, b"lightenc", strip_rows=2)


class ColourfulDecoder:
    """Fills each patch with the colour of its row and column, and remembers what it was given."""

    radius = 40

    def __init__(self) -> None:
        self.given: list[tuple[int, ...]] = []

    def grids(self, index: int, payload: bytes | None) -> Grids | None:
        raise AssertionError

    def decode(
        self, grids: Grids, valid: np.ndarray | None, core: tuple[slice, slice]
    ) -> np.ndarray:
        (grid,) = grids
        self.given.append(grid.shape)
        return grid[core].repeat(32, axis=0).repeat(32, axis=1)


def strip(index: int) -> Grids:
    """Two rows of patches that hold their own places."""
    rows = np.arange(2 * index, min(2 * index + 2, HEADER.patch_rows))
    grid = np.stack(np.meshgrid(rows, np.arange(HEADER.patch_columns), indexing="ij"), axis=2)
    return (np.concatenate((grid, grid[..., :1]), axis=2).astype(np.uint8),)


@pytest.mark.parametrize("box", [(0, 0, 330, 500), (70, 65, 200, 300), (0, 499, 1, 1)])
def test_every_patch_lands_at_its_place(
    monkeypatch: pytest.MonkeyPatch, box: tuple[int, int, int, int]
) -> None:
    monkeypatch.setattr(tiles, "TILE", 3)
    strip_decoder, asked = ColourfulDecoder(), []

    def read(index: int) -> Grids:
        asked.append(index)
        return strip(index)

    x, y, width, height = box
    whole = box == (0, 0, 330, 500)
    window = whole_window(HEADER) if whole else region_window(HEADER, box, strip_decoder.radius)
    pixels = decode_window(HEADER, window, box, read, strip_decoder)
    rows, columns = np.arange(y, y + height) // 32, np.arange(x, x + width) // 32
    assert pixels.shape == (height, width, 3)
    assert (pixels[..., 0] == rows[:, None]).all() and (pixels[..., 1] == columns).all()
    # Each strip is read once, from top to bottom, and tiles are no larger than they must be.
    assert asked == list(window.strips(HEADER))
    assert max(max(shape[:2]) for shape in strip_decoder.given) <= 3 + 2 * 2


def test_lost_strips_are_filled_across_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    box = (0, 0, 330, 500)

    def read(index: int) -> Grids | None:
        return None if index in (0, 3, 4, 7) else strip(index)

    expected = decode_window(HEADER, whole_window(HEADER), box, read, ColourfulDecoder())
    assert (expected[:64, :, 0] == 2).all() and (expected[448:, :, 0] == 13).all()
    between = expected[192:320, 0, 0].astype(int)
    assert (np.diff(between) >= 0).all() and between[0] == 5 and between[-1] == 10
    monkeypatch.setattr(tiles, "TILE", 3)
    assert np.array_equal(
        decode_window(HEADER, whole_window(HEADER), box, read, ColourfulDecoder()), expected
    )


@pytest.mark.parametrize("coder", ["device", "packed"])
def test_tiles_change_no_pixel(
    light_rate: LightRateModels, monkeypatch: pytest.MonkeyPatch, coder: str
) -> None:
    file = bytearray(heqcodec.encode(IMAGE, coder=coder, strip_rows=3))
    whole = heqcodec.decode(bytes(file))
    file[extents(bytes(file))[2][0] + 30] ^= 1
    damaged = heqcodec.decode_partial(bytes(file), region=(10, 150, 300, 200))
    light_rate.decoder.shapes.clear()
    monkeypatch.setattr(tiles, "TILE", 4)
    file[extents(bytes(file))[2][0] + 30] ^= 1
    assert np.array_equal(heqcodec.decode(bytes(file)), whole)
    assert max(max(shape) for shape in light_rate.decoder.shapes) == 4 + 2 * 2
    file[extents(bytes(file))[2][0] + 30] ^= 1
    again = heqcodec.decode_partial(bytes(file), region=(10, 150, 300, 200))
    assert again.damaged_strips == damaged.damaged_strips
    assert np.array_equal(again.pixels, damaged.pixels)


class FlatDecoder(LightRateDecoder):
    """Takes no memory of its own."""

    def decode_frame(
        self,
        levels: np.ndarray,
        transform_sizes: np.ndarray,
        step: int,
        valid: np.ndarray | None = None,
        core: tuple[slice, slice] | None = None,
    ) -> np.ndarray:
        assert core is not None
        rows, columns = (32 * (part.stop - part.start) for part in core)
        return np.broadcast_to(np.uint8(levels[0, 0, 0, 0] & 1), (rows, columns, levels.shape[2]))


def test_memory_is_that_of_the_pixels_and_a_band(light_rate: LightRateModels) -> None:
    """Levels of the whole frame would take 6 bytes a pixel; a band of 24 rows and its
    surroundings takes the same whatever the height."""
    light_rate.decoder = FlatDecoder()
    peaks = []
    for rows in (80, 160):
        image = np.broadcast_to(np.uint8([10, 90, 200]), (32 * rows, 320, 3))
        file = heqcodec.encode(image, strip_rows=1)
        tracemalloc.start()
        heqcodec.decode(file)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    more = 80 * 32 * 320
    assert peaks[1] - peaks[0] < 3.5 * more
