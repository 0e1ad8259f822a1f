"""Codes of the patch-constant models, in the form that PURENET takes."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from heqcodec.nqe_t.encoder import TransformCodeReader
from heqcodec.nqe_vgg.code_reader import ClassCodeReader
from heqcodec.nqe_vgg.payload import unpack_code
from heqcodec.purenet.features import BaseFeatures, CellFeatures, Features, base_frame
from numpy.typing import NDArray

from .config import CELLS
from .guard import Bounds


class Reader(Protocol):
    """Turns codes ``(R, C, bytes)`` into features; lost patches (``valid`` false) say nothing."""

    bounded: bool
    """Whether the codes say what a decoded patch must keep to."""

    def read(
        self, codes: NDArray[np.uint8], bits: int, channels: int, valid: NDArray[np.bool_]
    ) -> tuple[Features, Bounds | None]:
        """Features, and what a decoded patch must keep to, where the codes say that."""
        ...


class TransformReader:
    """Features of `nqe-t` codes: the plain inverse transform and how far each zone was coded."""

    bounded = True

    def __init__(self, reader: TransformCodeReader) -> None:
        self._reader = reader

    def read(
        self, codes: NDArray[np.uint8], bits: int, channels: int, valid: NDArray[np.bool_]
    ) -> tuple[BaseFeatures, Bounds]:
        """See `Reader`."""
        rows, columns, length = codes.shape
        coefficients = self._reader.coefficients(codes.reshape(-1, length), channels)
        pixels, hints = (
            self._reader.pixels(coefficients),
            self._reader.hints_of(coefficients, channels),
        )
        hints[~valid.reshape(-1)] = 0
        grid = hints.reshape(rows, columns, -1).transpose(2, 0, 1)
        features = BaseFeatures(base_frame(pixels, valid), np.ascontiguousarray(grid))
        return features, self._reader.bounds(coefficients, channels)


class ClassReader:
    """Features of `nqe-vgg` codes: the plain inverse transform, and which class a patch has."""

    bounded = False

    def __init__(self, reader: ClassCodeReader) -> None:
        self._reader = reader

    def read(
        self, codes: NDArray[np.uint8], bits: int, channels: int, valid: NDArray[np.bool_]
    ) -> tuple[BaseFeatures, None]:
        """See `Reader`."""
        rows, columns, length = codes.shape
        flat = codes.reshape(-1, length)
        pixels = self._reader.pixels(self._reader.coefficients(flat, channels))
        hints = self._reader.hints_of(flat)
        hints[~valid.reshape(-1)] = 0
        grid = hints.reshape(rows, columns, -1).transpose(2, 0, 1)
        return BaseFeatures(base_frame(pixels, valid), np.ascontiguousarray(grid)), None


class BinaryReader:
    """Features of binary codes: -1 and +1, and 0 for channels not sent and for lost patches."""

    bounded = False

    def read(
        self, codes: NDArray[np.uint8], bits: int, channels: int, valid: NDArray[np.bool_]
    ) -> tuple[CellFeatures, None]:
        """See `Reader`."""
        rows, columns, length = codes.shape
        signs = unpack_code(codes.reshape(-1, length), bits).astype(np.float32)
        signs[~valid.reshape(-1)] = 0
        depth = signs.shape[1]
        grid = signs.reshape(rows, columns, depth, CELLS, CELLS).transpose(2, 0, 3, 1, 4)
        cells = grid.reshape(depth, rows * CELLS, columns * CELLS)
        return CellFeatures(np.ascontiguousarray(cells)), None
