"""The device coder (a `StripCoder`): levels of a strip to bytes and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from heqcodec.base.constants import STEPS
from heqcodec.base.errors import HeqFormatError
from heqcodec.native.loader import native_extension
from heqcodec.nqe_r.layout import LEVEL_LIMIT, LEVELS
from numpy.typing import NDArray

from .arithmetic import BitDecoder, BitEncoder
from .parts import Part
from .tables import DeviceTables, check_tables, tables_id

if TYPE_CHECKING:
    from .patch import PatchCoder

_native = native_extension()

DEVICE = 2
"""The container's number of this coder."""


class DeviceCoder:
    """Codes strips by the C extension, or in Python where it is not built; to the same bytes.

    Args:
        tensors: the tables, by the names of `DeviceTables`.
        native: use the C extension? By default where it is built.

    Raises:
        HeqFormatError: the tables are none of this coder.
        RuntimeError: ``native`` is required and not built.
    """

    coder = DEVICE

    def __init__(
        self, tensors: Mapping[str, NDArray[np.generic]], native: bool | None = None
    ) -> None:
        self._tables = check_tables(tensors)
        self.coder_id = tables_id(self._tables)
        if native and _native is None:
            raise RuntimeError("heqcodec was installed without its C extension")
        self._native = native is not False and _native is not None

    def encode(
        self, levels: NDArray[np.int16], transform_sizes: NDArray[np.uint8], step: int
    ) -> bytes:
        """See `StripCoder`.

        Raises:
            ValueError: arrays of another kind, or values out of range.
        """
        return self._encode(levels, transform_sizes, step, Part.WHOLE)

    def encode_parts(
        self, levels: NDArray[np.int16], transform_sizes: NDArray[np.uint8], step: int
    ) -> tuple[bytes, bytes]:
        """See `ProgressiveCoder`; errors as those of `encode`."""
        low = self._encode(levels, transform_sizes, step, Part.LOW)
        return low, self._encode(levels, transform_sizes, step, Part.HIGH)

    def _encode(
        self,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        step: int,
        part: Part,
    ) -> bytes:
        if levels.dtype != np.int16 or levels.ndim != 4 or levels.shape[3] != LEVELS:
            raise ValueError(f"levels must be int16 (R, C, planes, 1024), not {levels.shape}")
        rows, columns, planes, _ = levels.shape
        _check_shape(rows, columns, planes, step)
        if (
            transform_sizes.dtype != np.uint8
            or transform_sizes.shape != (rows, columns)
            or transform_sizes.max() > 1
        ):
            raise ValueError("transform sizes must be uint8 (R, C) of 0 and 1")
        if levels.min() < -LEVEL_LIMIT:
            raise ValueError(f"levels must not be below -{LEVEL_LIMIT}")
        if self._native:
            payload: bytes = _native.device_encode(
                tuple(self._tables),
                np.ascontiguousarray(levels),
                np.ascontiguousarray(transform_sizes),
                rows,
                columns,
                planes,
                step,
                part,
            )
            return payload
        coder = BitEncoder(self._tables.widths)
        patches = _patch_coder(coder, self._tables, planes, step, part)
        for row in range(rows):
            for column in range(columns):
                patches.code(
                    levels[row, column].tolist(), int(transform_sizes[row, column]), column == 0
                )
        return coder.payload()

    def decode(
        self, payload: bytes, rows: int, columns: int, planes: int, step: int
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """See `StripCoder`."""
        return self._decode_new(payload, (rows, columns, planes), step, Part.WHOLE)

    def decode_first(
        self, payload: bytes, rows: int, columns: int, planes: int, step: int
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """See `ProgressiveCoder`."""
        return self._decode_new(payload, (rows, columns, planes), step, Part.LOW)

    def decode_rest(
        self,
        payload: bytes,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        step: int,
    ) -> NDArray[np.int16]:
        """See `ProgressiveCoder`."""
        filled = levels.copy()
        self._decode(payload, filled, transform_sizes.copy(), step, Part.HIGH)
        return filled

    def _decode_new(
        self, payload: bytes, shape: tuple[int, int, int], step: int, part: Part
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        _check_shape(*shape, step)
        levels = np.zeros((*shape, LEVELS), dtype=np.int16)
        transform_sizes = np.zeros(shape[:2], dtype=np.uint8)
        self._decode(payload, levels, transform_sizes, step, part)
        return levels, transform_sizes

    def _decode(
        self,
        payload: bytes,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        step: int,
        part: Part,
    ) -> None:
        """Decode a part into arrays, which hold what is known before."""
        shape = levels.shape[:3]
        if self._native:
            tables = tuple(self._tables)
            whole = _native.device_decode(
                tables, payload, levels, transform_sizes, *shape, step, part
            )
        else:
            whole = self._decode_in_python(payload, levels, transform_sizes, step, part)
        if not whole:
            raise HeqFormatError(
                f"a strip's payload of {len(payload)} bytes is no device code of "
                f"{shape[0]} x {shape[1]} patches"
            )

    def weight_bits(self) -> dict[str, int]:
        """Bits of what a device must hold to code, by part."""
        tables = self._tables
        return {
            "coder: start states (8 bits)": 8 * tables.start.size,
            "coder: weights of contexts (8 bits)": 8 * tables.weights.size,
            "coder: scores of levels (8 bits)": 8 * (tables.scores.size + tables.places.size),
            "coder: log odds (8 bits)": 8 * tables.stretch.size,
            "coder: probabilities and widths (16 bits)": 16
            * (tables.squash.size + tables.widths.size),
        }

    def _decode_in_python(
        self,
        payload: bytes,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        step: int,
        part: Part,
    ) -> bool:
        rows, columns, planes, _ = levels.shape
        coder = BitDecoder(self._tables.widths, payload)
        patches = _patch_coder(coder, self._tables, planes, step, part)
        for row in range(rows):
            for column in range(columns):
                decoded = levels[row, column].tolist()
                transform_sizes[row, column] = patches.code(
                    decoded, int(transform_sizes[row, column]), column == 0
                )
                levels[row, column] = decoded
        return coder.is_whole() and not patches.failed


def _patch_coder(
    coder: BitEncoder | BitDecoder, tables: DeviceTables, planes: int, step: int, part: Part
) -> PatchCoder:
    """The coder in Python, whose tables are laid out only where the extension is not built."""
    from .contexts import Decisions
    from .patch import PatchCoder

    return PatchCoder(Decisions(coder, tables, step), planes, part)


def _check_shape(rows: int, columns: int, planes: int, step: int) -> None:
    if rows < 1 or columns < 1 or planes not in (1, 3) or not 0 <= step < STEPS:
        raise ValueError(f"no strip has {rows} x {columns} patches, {planes} planes, step {step}")
