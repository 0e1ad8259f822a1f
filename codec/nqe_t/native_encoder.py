"""The encoder of patches of one size by the C extension: the kernels a microcontroller has, too.

`heqcodec.export` writes the same sources as a program of their own (codec/native/heq_transform.c,
heq_patch_code.c); codes are those of `heqcodec.nqe_t.transform` and `heqcodec.nqe_t.patch_encoder`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.native.transform_packing import pack_transform
from numpy.typing import NDArray

from .patch_code import PatchCoderTables
from .transform import STAGE_SHIFT


class NativePatchEncoder:
    """Patches to codes.

    Args:
        extension: the module ``heqcodec._native``.
        layers: of the transform, int8 (L, 32, 32).
        tables: of the patch coder.

    Raises:
        HeqError: C has no form of this transform.
    """

    def __init__(self, extension: Any, layers: NDArray[np.int8], tables: PatchCoderTables) -> None:
        self._extension = extension
        self._transform = pack_transform(layers, STAGE_SHIFT)
        self._tables = [np.ascontiguousarray(table) for table in tables]

    def codes(self, patches: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
        """uint8 (N, 32, 32, C), C 1 or 3, to codes uint8 (N, length), 1 to 64 bytes.

        Raises:
            ValueError: patches or tables are of another kind.
        """
        packed = self._transform
        made = np.empty((len(patches), length), dtype=np.uint8)
        self._extension.patch_codes(
            packed.large,
            packed.small,
            packed.layers,
            packed.shift,
            *self._tables,
            np.ascontiguousarray(patches),
            patches.shape[3],
            length,
            made,
        )
        return made


def native_patch_encoder(
    extension: Any, layers: NDArray[np.int8], tables: PatchCoderTables
) -> NativePatchEncoder | None:
    """One, or None: there is no extension, or C has no form of this transform."""
    if extension is None:
        return None
    try:
        return NativePatchEncoder(extension, layers, tables)
    except HeqError:
        return None
