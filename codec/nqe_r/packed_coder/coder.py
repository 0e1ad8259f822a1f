"""The packed coder: strips to payloads and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from heqcodec.base.constants import STEPS
from heqcodec.base.errors import HeqFormatError
from heqcodec.base.ids import tensors_id
from heqcodec.container.header import Coder
from heqcodec.native.loader import native_extension
from heqcodec.nqe_r.layout import LEVELS
from numpy.typing import NDArray

from .arithmetic import BitDecoder, BitEncoder
from .slices import join_slices, split_slices
from .strip import StripModel
from .tables import SLICES, checked_tables

_native = native_extension()


class StripPrefix(NamedTuple):
    """What the beginning of a payload gives.

    Attributes:
        levels: int16 (R, C, planes, 1024), zeros where they are not known.
        transform_sizes: uint8 (R, C).
        slices: how many slices were decoded, 0..SLICES.
    """

    levels: NDArray[np.int16]
    transform_sizes: NDArray[np.uint8]
    slices: int


class PackedCoder:
    """The packed coder (a `heqcodec.base.rate_protocols.StripCoder`).

    Args:
        tensors: the tables by name, see `packed.tables`; and maybe ``device_id``, uint8 (8,), the
            id of the device coder that files are unpacked to: it becomes a part of `coder_id`, so
            that a packed file always unpacks to the bytes it was packed from.
        native: whether the C coder is used where it is built; the bytes are the same.

    Raises:
        ValueError: a table is missing or of another kind.
    """

    coder = int(Coder.PACKED)

    def __init__(self, tensors: Mapping[str, NDArray[Any]], native: bool = True) -> None:
        self._tables = checked_tables(tensors)
        self._native = _native if native else None
        named: dict[str, NDArray[Any]] = self._tables._asdict()
        if "device_id" in tensors:
            named["device_id"] = tensors["device_id"]
        self.coder_id = tensors_id(named, tuple(named))

    def encode(
        self, levels: NDArray[np.int16], transform_sizes: NDArray[np.uint8], step: int
    ) -> bytes:
        """Code a strip; see `StripCoder.encode`.

        Raises:
            ValueError: arrays of another kind, or levels, transform sizes or a step out of range.
        """
        levels, transform_sizes = _checked_strip(levels, transform_sizes, step)
        rows, columns, planes, _ = levels.shape
        if self._native is not None:
            code, ends = self._native.packed_encode(
                self._tables, levels, transform_sizes, rows, columns, planes, step
            )
            return join_slices([code[a:b] for a, b in zip((0, *ends), ends, strict=False)])
        model = StripModel(self._tables, levels.copy(), transform_sizes.copy(), step)
        slices = []
        for index in range(SLICES):
            coder = BitEncoder()
            model.code_slice(coder, index)
            slices.append(coder.finish())
        return join_slices(slices)

    def decode(
        self, payload: bytes, rows: int, columns: int, planes: int, step: int
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Decode a strip; see `StripCoder.decode`."""
        slices, rest = split_slices(payload)
        if len(slices) < SLICES:
            raise HeqFormatError(
                f"a packed strip is damaged or cut off in slice {len(slices)} of {SLICES}."
            )
        if rest:
            raise HeqFormatError(f"a packed strip has {rest} bytes too many.")
        return self._decode(slices, rows, columns, planes, step)

    def decode_prefix(
        self,
        payload: bytes,
        rows: int,
        columns: int,
        planes: int,
        step: int,
        slices: int | None = None,
    ) -> StripPrefix:
        """Decode as many slices as are whole at the beginning of a payload, ``slices`` at most.

        Damage ends the whole slices like the end of the bytes; it stays unseen in 1 of 256 cases.
        """
        codes = split_slices(payload)[0][:slices]
        while codes:
            try:
                levels, transform_sizes = self._decode(codes, rows, columns, planes, step)
                return StripPrefix(levels, transform_sizes, len(codes))
            except HeqFormatError:
                codes.pop()
        levels = np.zeros((rows, columns, planes, LEVELS), dtype=np.int16)
        return StripPrefix(levels, np.zeros((rows, columns), dtype=np.uint8), 0)

    def _decode(
        self, slices: list[bytes], rows: int, columns: int, planes: int, step: int
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        if rows < 1 or columns < 1 or planes not in (1, 3) or not 0 <= step < STEPS:
            raise ValueError(
                f"no strip is {rows} x {columns} patches, {planes} planes, step {step}"
            )
        levels = np.zeros((rows, columns, planes, LEVELS), dtype=np.int16)
        transform_sizes = np.zeros((rows, columns), dtype=np.uint8)
        if self._native is not None:
            ends = tuple(int(end) for end in np.cumsum([len(code) for code in slices]))
            if not self._native.packed_decode(
                self._tables,
                b"".join(slices),
                ends,
                levels,
                transform_sizes,
                rows,
                columns,
                planes,
                step,
            ):
                raise HeqFormatError("a level of the packed stream is out of range.")
            return levels, transform_sizes
        model = StripModel(self._tables, levels, transform_sizes, step)
        for index, code in enumerate(slices):
            model.code_slice(BitDecoder(code), index)
        return levels, transform_sizes


def _checked_strip(
    levels: NDArray[np.int16], transform_sizes: NDArray[np.uint8], step: int
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    if levels.dtype != np.int16 or levels.ndim != 4 or levels.shape[3] != LEVELS:
        raise ValueError(f"levels must be int16 (R, C, planes, {LEVELS}), not {levels.dtype}")
    if levels.shape[2] not in (1, 3) or 0 in levels.shape:
        raise ValueError(f"a strip has at least one patch of 1 or 3 planes, not {levels.shape}")
    if (
        transform_sizes.dtype != np.uint8
        or transform_sizes.shape != levels.shape[:2]
        or transform_sizes.max() > 1
    ):
        raise ValueError("transform sizes must be uint8 (R, C), 0 or 1")
    if levels.min() < -32767:
        raise ValueError("levels are -32767 to 32767")
    if not 0 <= step < STEPS:
        raise ValueError(f"step indices are 0 to {STEPS - 1}, not {step}")
    return np.ascontiguousarray(levels), np.ascontiguousarray(transform_sizes)
