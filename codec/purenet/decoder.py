"""PURENET at work: codes of a frame to pixels, in overlapping tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from heqcodec.backend import PATCH
from heqcodec.nqe.payload import unpack_code
from heqcodec.nqe.transform_nqe import TransformCodeReader
from numpy.typing import NDArray

from .network import CELLS, Purenet, transform_cells

TILE = 24
"""Patches along the side of a tile's core: 768 pixels, so that common photographs are one tile."""
GREY = 128.0


class Features(NamedTuple):
    """What the network takes, without the batch axis: (inputs, 4 R, 4 C) and (3, 32 R, 32 C)."""

    cells: torch.Tensor
    base: torch.Tensor | None


class Reader(Protocol):
    """Turns codes ``(R, C, bytes)`` into features; lost patches (``valid`` false) say nothing."""

    def features(
        self, codes: NDArray[np.uint8], bits: int, channels: int, valid: NDArray[np.bool_]
    ) -> Features: ...


class TransformReader:
    """Features of `nqe-t` codes: the plain inverse transform and how far each zone was coded."""

    def __init__(self, reader: TransformCodeReader) -> None:
        self._reader = reader

    def features(
        self, codes: NDArray[np.uint8], bits: int, channels: int, valid: NDArray[np.bool_]
    ) -> Features:
        """See `Reader`."""
        rows, columns, length = codes.shape
        pixels, hints = self._reader.read(codes.reshape(-1, length), channels)
        lost = ~valid.reshape(-1)
        pixels[lost] = GREY
        hints[lost] = 0
        base = pixels.reshape(rows, columns, 3, PATCH, PATCH).transpose(2, 0, 3, 1, 4)
        frame = torch.from_numpy(
            np.ascontiguousarray(base.reshape(3, rows * PATCH, columns * PATCH))
        ).div_(255)
        grid = torch.from_numpy(
            np.ascontiguousarray(hints.reshape(rows, columns, -1).transpose(2, 0, 1))
        )
        return Features(transform_cells(frame[None], grid[None])[0], frame)


class BinaryReader:
    """Features of `nqe-vgg` codes: -1 and +1, and 0 for channels not sent and for lost patches."""

    def features(
        self, codes: NDArray[np.uint8], bits: int, channels: int, valid: NDArray[np.bool_]
    ) -> Features:
        """See `Reader`."""
        rows, columns, length = codes.shape
        signs = unpack_code(codes.reshape(-1, length), bits).astype(np.float32)
        signs[~valid.reshape(-1)] = 0
        depth = signs.shape[1]
        grid = signs.reshape(rows, columns, depth, CELLS, CELLS).transpose(2, 0, 3, 1, 4)
        cells = np.ascontiguousarray(grid.reshape(depth, rows * CELLS, columns * CELLS))
        return Features(torch.from_numpy(cells), None)


class PurenetDecoder:
    """A `FrameDecoder`: reader, network and tiles.

    Args:
        reader: of the encoder's codes.
        network: trained, in evaluation mode, float32.
        rates: bits a patch that it was trained for, in the order of its rate indices.
        device: torch device of the network.
    """

    def __init__(
        self, reader: Reader, network: Purenet, rates: tuple[int, ...], device: torch.device
    ) -> None:
        self._reader = reader
        self._network = network.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._rates = rates
        self._device = device
        self.radius = network.radius

    def decode_frame(
        self,
        codes: NDArray[np.uint8],
        bits: int,
        channels: int,
        valid: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.uint8]:
        """Codes (R, C, bits // 8) to pixels (32 R, 32 C, channels); see `FrameDecoder`."""
        rows, columns = codes.shape[:2]
        if valid is None:
            valid = np.ones((rows, columns), dtype=bool)

        def run(around: Window) -> NDArray[np.float32]:
            features = self._reader.features(codes[around], bits, channels, valid[around])
            return self._run(features, bits)

        return paint_tiles(run, rows, columns, channels, self.radius)

    def _run(self, features: Features, bits: int) -> NDArray[np.float32]:
        rate = torch.tensor([self._rate_index(bits)], device=self._device)
        cells = features.cells[None].to(self._device)
        cells = cells.contiguous(memory_format=torch.channels_last)
        base = None if features.base is None else features.base[None].to(self._device)
        # TF32 would move samples by more than the promised 1/255 between devices.
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        ):
            frame = self._network(cells, base, rate)[0]
        return frame.permute(1, 2, 0).contiguous().cpu().numpy()

    def _rate_index(self, bits: int) -> int:
        # A code of a length in between is treated like the next one known.
        return next(
            (index for index, rate in enumerate(self._rates) if bits <= rate),
            len(self._rates) - 1,
        )


Window = tuple[slice, slice]


def paint_tiles(
    run: Callable[[Window], NDArray[np.float32]],
    rows: int,
    columns: int,
    channels: int,
    radius: int,
) -> NDArray[np.uint8]:
    """A whole frame, tile by tile.

    Args:
        run: decodes a window of the grid of patches to RGB / 255, (32 R, 32 C, 3).
        rows, columns: of the grid.
        channels: 1 or 3.
        radius: how far a patch reaches, in pixels: tiles are decoded with as much around them.

    Returns:
        uint8 (32 rows, 32 columns, channels).
    """
    out = np.empty((rows * PATCH, columns * PATCH, channels), dtype=np.uint8)
    for core, around in _tiles(rows, columns, -(-radius // PATCH)):
        pixels = run(around)
        top, left = ((core[axis].start - around[axis].start) * PATCH for axis in (0, 1))
        high, wide = ((core[axis].stop - core[axis].start) * PATCH for axis in (0, 1))
        inner = pixels[top : top + high, left : left + wide]
        if channels == 1:
            inner = inner.mean(axis=2, keepdims=True)
        place = tuple(slice(part.start * PATCH, part.stop * PATCH) for part in core)
        out[place] = np.clip(np.rint(255 * inner), 0, 255).astype(np.uint8)
    return out


def _tiles(rows: int, columns: int, halo: int) -> Iterator[tuple[Window, Window]]:
    """Cores that cover the grid once, each with its surroundings within ``halo``, in patches."""
    for top in range(0, rows, TILE):
        for left in range(0, columns, TILE):
            bottom, right = min(top + TILE, rows), min(left + TILE, columns)
            yield (
                (slice(top, bottom), slice(left, right)),
                (
                    slice(max(top - halo, 0), min(bottom + halo, rows)),
                    slice(max(left - halo, 0), min(right + halo, columns)),
                ),
            )
