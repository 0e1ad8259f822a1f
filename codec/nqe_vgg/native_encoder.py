"""`nqe-vgg` by the C extension: the kernels that a microcontroller and a computer have, too.

`heqcodec.export` writes the same sources as a program of their own (codec/native/heq_vgg.c,
heq_vgg_fast.c). On x86-64 the extension holds the fast one three times, for vectors of 128, 256 and
512 bits, and takes the widest that the processor has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.base.threads import run_batches, thread_count
from heqcodec.native.loader import native_extension
from numpy.typing import NDArray

from .bit_planes import PackedVgg, pack_vgg
from .layer import IntegerLayer
from .payload import CODE_CHANNELS, RATES

LEAST = 8
"""Patches that are worth a thread of their own."""


class NativeVgg:
    """Codes of patches.

    Args:
        extension: the module ``heqcodec._native``.
        packed: the encoder.
        index: of the kernel, among `kernels`.
    """

    def __init__(self, extension: Any, packed: PackedVgg, index: int = 0) -> None:
        self._extension = extension
        self._packed = packed
        self._index = index

    @property
    def kernels(self) -> tuple[str, ...]:
        """The kernels that this processor can run, the fastest first, in words."""
        return tuple(self._extension.vgg_kernels())

    @property
    def kernel(self) -> str:
        """The kernel that is used, in words."""
        return f"C, {self.kernels[self._index]}"

    def codes(self, patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (N, 32, 32, C), C 1 or 3, to whole codes, uint8 (N, 64).

        By `heqcodec.base.threads.thread_count` threads; the extension lets go of Python's lock.
        """
        return self._by_threads(patches, np.empty((len(patches), RATES[-1] // 8), dtype=np.uint8))

    def totals(self, patches: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Patches as for `codes` to the last layer's sums over its positions, int32 (N, 32)."""
        totals = np.empty((len(patches), CODE_CHANNELS), dtype=np.int16)
        return self._by_threads(patches, totals).astype(np.int32)

    def _by_threads(self, patches: NDArray[np.uint8], codes: NDArray[Any]) -> NDArray[Any]:
        given = np.ascontiguousarray(patches)
        threads = max(1, min(thread_count(), len(given) // LEAST))
        size = max(1, -(-len(given) // threads))
        run_batches(lambda part: self._code(given[part], codes[part]), len(given), size)
        return codes

    def _code(self, patches: NDArray[np.uint8], codes: NDArray[Any]) -> None:
        packed = self._packed
        self._extension.vgg_codes(
            packed.weights,
            packed.planes,
            packed.cuts,
            packed.cut_bits,
            packed.cut_offset,
            packed.own_cuts,
            patches,
            patches.shape[3],
            codes,
            self._index,
            codes.dtype == np.int16,
        )


def native_vgg(layers: Sequence[IntegerLayer]) -> NativeVgg | None:
    """The encoder of layers by C, or None: there is no extension, or it has not such layers."""
    extension = native_extension()
    if extension is None:
        return None
    try:
        return NativeVgg(extension, pack_vgg(layers))
    except HeqError:
        return None
