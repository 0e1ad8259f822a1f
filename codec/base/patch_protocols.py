"""The interfaces of patch-constant models: protocols between files and networks.

::

    pixels ── patches ──► PatchEncoder ──► codes ── container ──► .heq
    .heq ── container ──► codes ──► FrameDecoder ──► pixels

The container, the command line and the evaluation know models only through these two; onnxruntime
and torch are ways to implement them, and nothing here imports either.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

CODER_NONE = 0
"""The payload of a patch is the encoder's binary code as it is."""

CODER_PATCH = 1
"""The payload of a patch is an embedded bit-plane code, arithmetic-coded, one stream a patch."""


@runtime_checkable
class PatchEncoder(Protocol):
    """An integer-only patch encoder. Equal input gives equal bytes on every machine."""

    encoder_id: bytes
    """8 bytes: the beginning of the SHA-256 of the encoder's weights."""
    coder_id: bytes
    """8 bytes: the beginning of the SHA-256 of the coder's tables; zeros for `CODER_NONE`."""
    coder: int
    """`CODER_NONE` or `CODER_PATCH`."""
    rates: tuple[int, ...]
    """Bits a patch that the encoder can spend, each a multiple of 8, ascending."""

    def encode_patches(self, patches: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
        """Encode patches of shape ``(N, 32, 32, C)``, C 1 or 3, to codes ``(N, bits // 8)``.

        A patch's code depends on that patch alone: batching changes no byte. A code of fewer bits
        is the beginning of the code of more bits.
        """
        ...


@runtime_checkable
class FrameDecoder(Protocol):
    """A decoder of whole frames. Devices agree within 1/255 in each sample."""

    radius: int
    """How far, in pixels, the code of a patch reaches beyond the patch's border."""

    def decode_frame(
        self,
        codes: NDArray[np.uint8],
        bits: int,
        channels: int,
        valid: NDArray[np.bool_] | None = None,
        core: tuple[slice, slice] | None = None,
    ) -> NDArray[np.uint8]:
        """Decode codes ``(R, C, bits // 8)`` to pixels ``(32 R, 32 C, channels)``.

        ``valid`` (bool, ``(R, C)``) is false where a patch was lost; its code is not looked at.
        ``core`` says which rows and columns of patches are wanted, and what is returned is those
        alone; the others are what they need around them. None for all.
        Memory besides input and output is bounded: large frames are decoded in overlapping tiles.
        """
        ...
