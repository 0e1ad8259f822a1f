"""`nqe-t`: the transform stem and the patch coder together, as an encoder and its inverse."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from heqcodec.base.ids import tensors_id
from heqcodec.base.numerics import Arithmetic
from heqcodec.base.patch_protocols import CODER_PATCH
from heqcodec.base.threads import run_batches
from heqcodec.native.loader import native_extension
from numpy.typing import NDArray

from . import zones as geometry
from .code_bounds import CodeBounds
from .contexts import PLANES
from .native_decoder import native_decode_coefficients, native_patch_intervals
from .native_encoder import native_patch_encoder
from .patch_code import Coefficients, PatchCoderTables
from .patch_decoder import decode_coefficients
from .patch_encoder import encode_coefficients
from .transform import CHANNEL_GAIN, TransformStem

RATES = (64, 128, 256, 512)
"""Bits a patch: 0.0625, 0.125, 0.25 and 0.5 bpp."""
LONGEST = RATES[-1]
CENTROID = 0.42
"""Where in its interval a coefficient is put: its mean over the validation photographs."""
_BATCH = 1024
_SMALL_BATCH = 64
"""Patches of which all that pixels take on the way stays in a processor's cache."""


STEM_TENSORS = ("coarse", "fine")
CODER_TENSORS = PatchCoderTables._fields


class TransformNqe:
    """The `nqe-t` encoder (a `PatchEncoder`), from its tensors.

    Args:
        tensors: ``coarse`` and ``fine`` (int8 (32, 32), quinary levels) and the coder's tables
            (`PatchCoderTables`).
        native: use the C extension? By default where it is built; the codes are the same.

    Raises:
        RuntimeError: ``native`` is required, and not built or of no form for this transform.
    """

    coder = CODER_PATCH
    rates: tuple[int, ...] = RATES

    def __init__(
        self, tensors: Mapping[str, NDArray[np.generic]], native: bool | None = None
    ) -> None:
        layers = np.stack([tensors["coarse"], tensors["fine"]]).astype(np.int8)
        self.stem = TransformStem(*layers)
        self.tables = PatchCoderTables(**{name: tensors[name] for name in CODER_TENSORS})  # type: ignore[arg-type]
        self.encoder_id = tensors_id(tensors, STEM_TENSORS)
        self.coder_id = tensors_id(tensors, CODER_TENSORS)
        extension = None if native is False else native_extension()
        self._native = native_patch_encoder(extension, layers, self.tables)
        if native and self._native is None:
            raise RuntimeError("the C extension of heqcodec is not there for this encoder")

    @property
    def kernel(self) -> str:
        """The kernel that encodes, C or numpy."""
        return "C" if self._native else "numpy"

    def encode_patches(
        self, patches: NDArray[np.uint8], bits: int, arithmetic: Arithmetic = "float32"
    ) -> NDArray[np.uint8]:
        """uint8 (N, 32, 32, C) to codes uint8 (N, bits // 8); see `PatchEncoder`.

        ``arithmetic`` is for checks: see `TransformStem.forward`.

        Raises:
            ValueError: ``bits`` is not a multiple of 8 up to 512, or patches of another kind.
        """
        side = geometry.SIZE
        if patches.dtype != np.uint8 or patches.ndim != 4 or patches.shape[1:3] != (side, side):
            raise ValueError(
                f"patches must be uint8 (N, {side}, {side}, C), not {patches.dtype} {patches.shape}"
            )
        if bits % 8 or not 0 < bits <= LONGEST:
            raise ValueError(f"bits a patch must be a multiple of 8 up to {LONGEST}, not {bits}")
        if self._native and arithmetic == "float32" and patches.shape[3] in (1, 3):
            return self._native.codes(patches, bits // 8)
        codes = np.empty((len(patches), bits // 8), dtype=np.uint8)
        for start in range(0, len(patches), _BATCH):
            part = self.stem.forward(patches[start : start + _BATCH], arithmetic)
            coded = encode_coefficients(part, self.tables, LONGEST)
            codes[start : start + _BATCH] = coded[:, : bits // 8]
        return codes

    def weight_bits(self) -> dict[str, int]:
        """Bits of everything that the encoder must hold, by part."""
        tables = self.tables
        states = tables.significance.size + tables.flag.size + tables.refinement.size
        return {
            "transform, quinary (3 bits)": 3 * 2 * geometry.SIZE**2,
            "context states (7 bits)": 7 * states,
            "interval widths (16 bits)": 16 * tables.lps.size,
            "zone order (8 bits)": 8 * tables.order.size,
        }


@cache
def luma_beside_chroma() -> tuple[list[int], list[int]]:
    """Zones of the colour differences, and for each the luminance zone first among those near."""
    zones = geometry.zones()
    chroma = [index for index, zone in enumerate(zones) if zone.channel]
    luma = [next(i for i in zones[index].near if zones[i].channel == 0) for index in chroma]
    return chroma, luma


class TransformCodeReader:
    """What a code of `nqe-t` says, in the form that PURENET takes.

    Args:
        encoder: the encoder whose codes are read.
        native: use the C extension where it is built? What comes out is the same.
    """

    hints = len(geometry.zones())
    """Numbers a patch in addition to the pixels: how far each zone was coded."""

    def __init__(self, encoder: TransformNqe, native: bool = True) -> None:
        self._encoder = encoder
        self._intervals = native_patch_intervals() if native else None

    def coefficients(self, codes: NDArray[np.uint8], channels: int) -> Coefficients:
        """What codes, uint8 (N, bytes), tell of the coefficients; channels 1 or 3."""
        tables = self._encoder.tables
        if self._intervals:
            return native_decode_coefficients(self._intervals, codes, channels, tables)
        parts = [
            decode_coefficients(codes[start : start + _BATCH], channels, tables)
            for start in range(0, len(codes), _BATCH)
        ]
        return Coefficients(
            *(np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
        )

    def read(
        self, codes: NDArray[np.uint8], channels: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Decode codes to pixels and hints.

        Args:
            codes: uint8 (N, bytes).
            channels: 1 or 3.

        Returns:
            See `pixels` and `hints_of`.
        """
        coefficients = self.coefficients(codes, channels)
        return self.pixels(coefficients), self.hints_of(coefficients, channels)

    def bounds(self, coefficients: Coefficients, channels: int) -> CodeBounds:
        """Which coefficients the codes can come from."""
        return CodeBounds(self._encoder.stem, coefficients, channels)

    def hints_of(self, coefficients: Coefficients, channels: int) -> NDArray[np.float32]:
        """The share of bit planes known, float32 (N, zones), 0..1.

        Of grey the colour differences are known to be 0; their zones have the hint of the luminance
        beside them, as in a colour patch coded as far, which is what PURENET learned from.
        """
        hints: NDArray[np.float32] = coefficients.reached.T.astype(np.float32) / np.float32(PLANES)
        if channels == 1:
            chroma, luma = luma_beside_chroma()
            hints[:, chroma] = hints[:, luma]
        return hints

    def pixels(self, coefficients: Coefficients) -> NDArray[np.float32]:
        """The plain inverse transform of the middles of the intervals.

        Returns:
            RGB samples float32 (N, 3, 32, 32), around 0..255 but not limited to it.
        """
        parts = coefficients.low, coefficients.width, coefficients.negative
        low, width, negative = (geometry.by_patch(part) for part in parts)
        made = np.empty(low.shape, dtype=np.float32)

        def run(part: slice) -> None:
            planes = width[part].astype(np.float32)
            planes *= np.float32(CENTROID)
            planes += low[part].astype(np.float32)
            np.negative(planes, out=planes, where=negative[part])
            made[part] = self._inverse(planes)

        run_batches(run, len(made), _SMALL_BATCH)
        return made

    def _inverse(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Coefficients (N, 3, 32, 32), which are overwritten, to samples of the same shape."""
        stem = self._encoder.stem
        planes /= np.asarray(CHANNEL_GAIN, dtype=np.float32)[:, None, None]
        colours: NDArray[np.float32] = np.matmul(
            stem.inverse_matrix @ planes, stem.inverse_matrix.T, dtype=np.float32
        )
        colours[:, 0] += 384
        samples: NDArray[np.float32] = stem.colour_inverse @ colours.reshape(len(planes), 3, -1)
        return samples.reshape(planes.shape)
