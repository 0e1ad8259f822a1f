"""`nqe-vgg` as it runs on a device: integers, additions, shifts and comparisons only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from heqcodec.base.constants import BUDGET_BITS, PATCH
from heqcodec.base.errors import HeqError, HeqFormatError
from heqcodec.base.files import write_bytes
from heqcodec.base.numerics import Arithmetic

from .convolution import convolve_floats, convolve_integers
from .layer import IntegerLayer, check_float32_exact, offset_bits
from .layout import MODEL_NAME, PIXEL_CENTRE, VGG_LAYERS, total_bits
from .packing import pack_layers, unpack_layers
from .payload import RATES, check_rate, pack_code
from .skips import SKIPPED, Skip, joined, pooled, skip_bits

__all__ = ["Arithmetic", "IntegerLayer", "IntegerVgg", "check_float32_exact"]

if TYPE_CHECKING:
    from .native_encoder import NativeVgg


BATCH = 8
"""Patches at a time: what their windows take fits a processor's outer cache."""
LEVEL_NAMES = {5: "quinary (3 bits)", 3: "ternary (2 bits)", 2: "binary (1 bit)"}


class IntegerVgg:
    """The integer twin of ``NqeVgg``; a ``PatchEncoder``.

    The same bytes for every batch size, thread count and processor: activations are 0..3, weights
    are small integers, and every partial sum is an integer that float32 holds (checked from the
    weights), in whatever order BLAS adds.

    Args:
        layers: the seven layers, all with thresholds or all with shifts. Their levels may be other
            ones than the paper's, as ``levels_of`` has them. Those of `SKIPPED` may have skips, all
            of one kind.
        native: use the C extension? By default where it is built and has such layers; the bytes
            are the same.

    Raises:
        HeqFormatError: layers missing, of wrong shape or form, or with impossible weights.
        HeqError: more than 2^20 bits.

    Attributes:
        form: ``"thresholds"`` or ``"shift"``.
        skips: ``"none"``, ``"or"`` or ``"mux"``.
        encoder_id: first 8 bytes of SHA-256 over the form and the packed parameters.
        coder, coder_id: no entropy coder, hence 0 and zeros.
        rates: bits per patch on offer.
    """

    coder = 0
    coder_id = bytes(8)
    rates: tuple[int, ...] = RATES

    def __init__(self, layers: Sequence[IntegerLayer], native: bool = True) -> None:
        given = tuple(replace(item.layer, levels=()) for item in layers)
        if given != tuple(replace(layer, levels=()) for layer in VGG_LAYERS):
            raise HeqFormatError(f"{MODEL_NAME}: its {len(VGG_LAYERS)} layers are not all there.")
        with_thresholds = [item.thresholds is not None for item in layers]
        if any(with_thresholds) != all(with_thresholds):
            raise HeqFormatError(f"{MODEL_NAME}: either all layers have thresholds or none.")
        self.layers = tuple(layers)
        self.form = "thresholds" if with_thresholds[0] else "shift"
        kinds: set[Skip] = {item.skip for item in layers if item.layer.name in SKIPPED}
        if len(kinds) > 1:
            raise HeqFormatError(
                f"{MODEL_NAME}: either all skips are of one kind or there are none."
            )
        self.skips = kinds.pop()
        self.bits = total_bits(self.form, [item.layer for item in layers]) + skip_bits(self.skips)
        self.bits += offset_bits(layers)
        if self.bits > BUDGET_BITS:
            raise HeqError(
                f"{MODEL_NAME}: weights and {self.form} take {self.bits} bits, more than "
                f"{BUDGET_BITS}; give some layers fewer levels."
            )
        digest = hashlib.sha256(f"{MODEL_NAME} {self.form}\n".encode())
        for packed in self.packed().values():
            digest.update(packed.tobytes())
        self.encoder_id = digest.digest()[:8]
        self._may_be_native = native

    @cached_property
    def native(self) -> NativeVgg | None:
        """The encoder by the C extension, or None; made when it is first used."""
        from .native_encoder import native_vgg

        return native_vgg(self.layers) if self._may_be_native else None

    @property
    def kernel(self) -> str:
        """The kernel that encodes: "numpy", or "C" with its instruction set."""
        return self.native.kernel if self.native else "numpy"

    def encode_patches(
        self, patches: np.ndarray, bits: int, arithmetic: Arithmetic = "float32"
    ) -> np.ndarray:
        """Pixels -> payload.

        Args:
            patches: uint8 (N, 32, 32, C), C = 1 (taken as gray) or 3 (RGB).
            bits: bits per patch, one of ``rates``.
            arithmetic: for checks, see ``codes``.

        Returns:
            uint8 (N, bits // 8), see ``payload.pack_code``.

        Raises:
            HeqUnsupportedError: ``bits`` is not one of ``rates``.
            ValueError: patches of another shape or dtype.
        """
        check_rate(bits)
        if self.native and arithmetic == "float32":
            return self.native.codes(_checked(patches))[:, : bits // 8]
        return pack_code(self.codes(patches, arithmetic), bits)

    def codes(self, patches: np.ndarray, arithmetic: Arithmetic = "float32") -> np.ndarray:
        """Pixels -> all code bits, by one of three arithmetics that must agree.

        Args:
            patches: as for ``encode_patches``.
            arithmetic: ``"float32"`` (the C extension, else BLAS), ``"float64"`` (BLAS, reference)
                or ``"int64"`` (integers and nothing else, reference, slow).

        Returns:
            uint8 (N, 32, 4, 4) of 0 and 1.
        """
        _checked(patches)
        last = self.layers[-1].layer
        shape = (len(patches), last.outputs, PATCH // 8, PATCH // 8)
        if self.native and arithmetic == "float32":
            return np.unpackbits(self.native.codes(patches), axis=1).reshape(shape)
        if patches.shape[3] == 1:
            patches = np.broadcast_to(patches, (*patches.shape[:3], 3))
        codes = np.empty(shape, dtype=np.uint8)
        for part, sums in self._last_sums(patches, arithmetic):
            if self.layers[-1].thresholds is not None:
                codes[part] = sums >= self.layers[-1].thresholds[:, :, None]
            else:
                codes[part] = sums >= 0
        return codes

    def totals(self, patches: np.ndarray, arithmetic: Arithmetic = "float32") -> np.ndarray:
        """Pixels -> the sums of the last layer, added up over its 16 positions.

        Args:
            patches: as for ``encode_patches``.
            arithmetic: see ``codes``.

        Returns:
            int32 (N, 32), below 2^15 in magnitude.
        """
        _checked(patches)
        if self.native and arithmetic == "float32":
            return self.native.totals(patches)
        totals = np.empty((len(patches), self.layers[-1].layer.outputs), dtype=np.int32)
        for part, sums in self._last_sums(patches, arithmetic):
            totals[part] = sums.sum(axis=(2, 3))
        return totals

    def _last_sums(
        self, patches: np.ndarray, arithmetic: Arithmetic
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Which patches, and their sums of the last layer, (n, 32, 4, 4)."""
        if patches.shape[3] == 1:
            patches = np.broadcast_to(patches, (*patches.shape[:3], 3))
        run = self._run_integers if arithmetic == "int64" else self._run_floats
        for start in range(0, len(patches), BATCH):
            part = slice(start, start + BATCH)
            yield part, run(patches[part], arithmetic)

    def _run_floats(self, patches: np.ndarray, arithmetic: Arithmetic) -> np.ndarray:
        """uint8 (N, 32, 32, 3) to sums (N, 32, 4, 4), integers held in floats."""
        x = patches.astype(arithmetic)
        x -= PIXEL_CENTRE
        *others, last = self.layers
        for item in others:
            total = convolve_floats(x, item.levels, item.layer)
            if item.layer.pool:
                total = pooled(total, (1, 2))
            x = joined(item.skip, item.selects, _activate(item, total), x, (1, 2))
        return convolve_floats(x, last.levels, last.layer).transpose(0, 3, 1, 2)

    def _run_integers(self, patches: np.ndarray, arithmetic: Arithmetic) -> np.ndarray:
        """The same in int64, by another way of summing."""
        x = patches.transpose(0, 3, 1, 2).astype(np.int64) - PIXEL_CENTRE
        *others, last = self.layers
        for item in others:
            total = convolve_integers(x, item.levels.astype(np.int64), item.layer)
            if item.layer.pool:
                n, c, h, w = total.shape
                total = total.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
            if item.thresholds is not None:
                cuts = item.thresholds.astype(np.int64)[None, :, :, None, None]
                level = (total[:, :, None] >= cuts).sum(axis=2)
            else:
                total = total + item.offset
                shifted = total >> item.shift if item.shift >= 0 else total << -item.shift
                level = np.clip(shifted, 0, len(item.layer.cuts))
            x = joined(item.skip, item.selects, level, x, (2, 3))
        return convolve_integers(x, last.levels.astype(np.int64), last.layer)

    def packed(self) -> dict[str, np.ndarray]:
        """The parameters at their real size, see `pack_layers`."""
        return pack_layers(self.layers)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file of at most 2^20 bits, complete or not at all."""
        from safetensors.numpy import save

        write_bytes(path, save(self.packed(), metadata={"model": MODEL_NAME}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> IntegerVgg:
        """Read what ``save`` wrote.

        Raises:
            OSError: the file cannot be read.
            HeqFormatError: it is not such a file; the message names it.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        data = Path(path).read_bytes()
        try:
            return cls.from_tensors(load(data))
        except (SafetensorError, HeqFormatError, KeyError) as error:
            raise HeqFormatError(
                f"{path} does not hold the weights of {MODEL_NAME} ({error}); install them again."
            ) from error

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> IntegerVgg:
        """The encoder of tensors as ``packed`` gives them.

        Raises:
            HeqFormatError: they do not make such an encoder.
            KeyError: one is missing.
        """
        return cls(unpack_layers(tensors))

    def weight_bits(self) -> dict[str, int]:
        """Bits of everything that the encoder must hold, by part."""
        parts: dict[str, int] = {}
        for item in self.layers:
            count, bits = len(item.layer.levels), item.layer.level_bits
            kind = f"{LEVEL_NAMES.get(count, f'{count}-level ({bits} bits)')} weights"
            parts[kind] = parts.get(kind, 0) + item.levels.size * item.layer.level_bits
        if self.skips == "mux":
            parts["opening sums"] = skip_bits(self.skips)
        if offsets := offset_bits(self.layers):
            parts["offsets (16 bits)"] = offsets
        parts["thresholds" if self.form == "thresholds" else "shifts"] = self.bits - sum(
            parts.values()
        )
        return parts


def _checked(patches: np.ndarray) -> np.ndarray:
    if patches.dtype != np.uint8 or patches.ndim != 4 or patches.shape[1:3] != (PATCH, PATCH):
        raise ValueError(
            f"patches must be uint8 (N, {PATCH}, {PATCH}, C), not {patches.dtype} {patches.shape}."
        )
    if patches.shape[3] not in (1, 3):
        raise ValueError(f"patches have 1 or 3 channels, not {patches.shape[3]}.")
    return patches


def _activate(item: IntegerLayer, total: np.ndarray) -> np.ndarray:
    """Accumulators (N, H, W, out) to the layer's output, in the same type."""
    if item.thresholds is not None:
        level = np.zeros_like(total)
        for cuts in item.thresholds.T.astype(total.dtype):
            level += total >= cuts
        return level
    # A power of two scales exactly, so this floor is the arithmetic shift.
    scaled = np.floor((total + item.offset) * total.dtype.type(2.0**-item.shift))
    return np.clip(scaled, 0, len(item.layer.cuts))
