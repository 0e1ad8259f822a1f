"""The interfaces of models of variable rate: protocols between files, coders and networks.

::

    pixels ── patches ──► RateEncoder ──► levels ── StripCoder (device) ──► strips of a .heq file
                                            ▲                                     │  ▲
                                            │   StripCoder (device) ◄── unpack ───┼──┤
                                            │   StripCoder (packed) ◄── pack ─────┘  │
                                            └── StripCoder (either) ◄── container ───┘
    levels ──► RateDecoder ──► pixels

Levels are quantized transform coefficients. Those of a patch are 1,024 numbers a colour plane, in
the order of `heqcodec.nqe_r.layout`: by rising frequency, four of each. Nothing here imports torch.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .arguments import TuneName


@runtime_checkable
class RateEncoder(Protocol):
    """An integer-only patch encoder of variable rate: equal levels on every machine."""

    encoder_id: bytes
    """8 bytes: the beginning of the SHA-256 of the encoder's weights."""

    def coefficients(self, patches: NDArray[np.uint8]) -> NDArray[np.int32]:
        """What does not depend on the step: uint8 (N, 32, 32, C) to int32 (N, ..., C, 1024)."""
        ...

    def levels(
        self, coefficients: NDArray[np.int32], step: int, tune: TuneName = "psnr"
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Quantize: levels int16 (N, C, 1024), transform sizes uint8 (N,), 0 (32x32) or 1 (16x16).

        Args:
            coefficients: from `coefficients`.
            step: index, 0..STEPS - 1, plus WEIGHTED for coefficients weighted by frequency.
            tune: "psnr"; "ssim" or "texture" for lower thresholds in patches of little detail.
        """
        ...


@runtime_checkable
class StripCoder(Protocol):
    """An entropy coder of strips: integers in, bytes out, and back without loss."""

    coder: int
    """The container's number for it, a `Coder`."""
    coder_id: bytes
    """8 bytes: the beginning of the SHA-256 of the coder's tables."""

    def encode(
        self, levels: NDArray[np.int16], transform_sizes: NDArray[np.uint8], step: int
    ) -> bytes:
        """Code a strip.

        Args:
            levels: int16 (R, C, planes, 1024), planes 1 or 3, -32767..32767.
            transform_sizes: uint8 (R, C), 0 or 1.
            step: index, 0..STEPS - 1; the same numbers code differently at another step.
        """
        ...

    def decode(
        self, payload: bytes, rows: int, columns: int, planes: int, step: int
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """Decode a strip that `encode` wrote: levels and transform sizes as there.

        Raises:
            HeqFormatError: the payload is none of this shape. Any bytes give this error or levels,
                in time and memory bounded by the shape and the payload.
        """
        ...


@runtime_checkable
class SlicedCoder(StripCoder, Protocol):
    """A coder whose strips are slices, of which the first few give a coarser image."""

    def decode_prefix(
        self,
        payload: bytes,
        rows: int,
        columns: int,
        planes: int,
        step: int,
        slices: int | None = None,
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8], int]:
        """Levels and transform sizes of the first slices, zeros for the others, and their number.

        Args:
            payload: any bytes: slices are taken until one is cut short or fails its check.
            rows, columns, planes, step: as in `decode`.
            slices: at most so many; None for all that are whole.
        """
        ...


@runtime_checkable
class ProgressiveCoder(StripCoder, Protocol):
    """A coder whose strips can be in two parts, the lowest frequencies and the rest."""

    def encode_parts(
        self, levels: NDArray[np.int16], transform_sizes: NDArray[np.uint8], step: int
    ) -> tuple[bytes, bytes]:
        """Code a strip in two parts; arguments as those of `encode`."""
        ...

    def decode_first(
        self, payload: bytes, rows: int, columns: int, planes: int, step: int
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """`decode` of the first part: levels of the lowest frequencies, 0 for all others."""
        ...

    def decode_rest(
        self,
        payload: bytes,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        step: int,
    ) -> NDArray[np.int16]:
        """All levels, from what `decode_first` gave and the second part.

        Raises:
            HeqFormatError: as `decode`.
        """
        ...


@runtime_checkable
class RateDecoder(Protocol):
    """A decoder of whole frames, whose rows of patches may have different steps. Devices agree
    within 1/255 in each sample."""

    radius: int
    """How far, in pixels, the levels of a patch reach beyond the patch's border."""

    def decode_frame(
        self,
        levels: NDArray[np.int16],
        transform_sizes: NDArray[np.uint8],
        steps: NDArray[np.int64],
        valid: NDArray[np.bool_] | None = None,
        core: tuple[slice, slice] | None = None,
    ) -> NDArray[np.uint8]:
        """Levels (R, C, planes, 1024) and transform sizes (R, C) to uint8 (32 R, 32 C, planes).

        ``steps`` (int64, (R,)) are the step indices of the rows of patches, plus WEIGHTED where
        coefficients are weighted by frequency.
        ``valid`` (bool, (R, C)) is false where a patch was lost; its levels are not looked at.
        ``core`` says which rows and columns of patches are wanted, and what is returned is those
        alone; the others are what they need around them. None for all.
        Memory besides input and output is bounded: large frames are decoded in overlapping tiles.
        """
        ...
