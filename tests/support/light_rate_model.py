"""A light model of the variable-rate mode for tests: small, honest, no torch and no weights.

The encoder takes a Hadamard transform of each patch, or of each of its quarters where that costs
less, and quantizes it. The device coder writes zlib of the levels, the packed one slices of rising
frequency, each with its length and checksum. The decoder inverts and smooths across the borders of
patches with a known reach.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqFormatError, HeqUnsupportedError
from heqcodec.container.header import Coder
from heqcodec.nqe_r.layout import LEVELS, QUARTERS
from light_model import LightDecoder, LightEncoder, box_sum, cropped

PATCH = 32
SLICES = (4, 16, 64, 256, 1024)
"""Ends of the slices of a packed strip, in levels of a plane."""


@cache
def hadamard(points: int) -> np.ndarray:
    """Rows by rising number of sign changes, (points, points); sums of them are exact."""
    rows = np.ones((1, 1))
    while len(rows) < points:
        rows = np.block([[rows, rows], [rows, -rows]])
    return rows[np.argsort((np.diff(rows) != 0).sum(axis=1))]


@cache
def order(points: int) -> np.ndarray:
    """Places of a field of frequencies, row by row, from the lowest."""
    u, v = np.divmod(np.arange(points**2), points)
    return np.lexsort((v, u, u + v))


def step_of(step: int) -> int:
    """Step in units of the coefficients."""
    return max(1, round(32 * 2 ** (step / 128)))


def _forward(fields: np.ndarray) -> np.ndarray:
    """(..., n, n) to (..., n^2), lowest first, of a scale that does not depend on n."""
    points = fields.shape[-1]
    rows = hadamard(points)
    both = (rows @ fields @ rows.T) * (PATCH // points)
    return both.reshape(*both.shape[:-2], -1)[..., order(points)]


def _inverse(coefficients: np.ndarray, points: int) -> np.ndarray:
    fields = np.empty_like(coefficients)
    fields[..., order(points)] = coefficients
    rows = hadamard(points)
    fields = fields.reshape(*fields.shape[:-1], points, points)
    return (rows.T @ fields @ rows) / (points * PATCH)


def _quarters(planes: np.ndarray) -> np.ndarray:
    """(..., 32, 32) to (..., 4, 16, 16)."""
    split = planes.reshape(*planes.shape[:-2], 2, 16, 2, 16).swapaxes(-3, -2)
    return split.reshape(*planes.shape[:-2], 4, 16, 16)


class LightRateEncoder:
    """A ``RateEncoder``."""

    encoder_id = b"lightrat"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def coefficients(self, patches: np.ndarray) -> np.ndarray:
        assert patches.dtype == np.uint8 and patches.shape[1:3] == (PATCH, PATCH)
        self.batches.append(len(patches))
        planes = np.moveaxis(patches.astype(np.float64), 3, 1) - 128
        large = _forward(planes)
        small = np.moveaxis(_forward(_quarters(planes)), -2, -1).reshape(large.shape)
        return np.stack([large, small], axis=1).astype(np.int32)

    def levels(
        self, coefficients: np.ndarray, step: int, tune: str = "psnr"
    ) -> tuple[np.ndarray, np.ndarray]:
        assert 0 <= step < 1024 and coefficients.dtype == np.int32
        values = np.abs(coefficients) // step_of(step) * np.sign(coefficients)
        costs = np.log2(1 + np.abs(values)).sum(axis=(2, 3))
        transform_sizes = (costs[:, QUARTERS] < costs[:, 1 - QUARTERS]).astype(np.uint8)
        chosen = values[np.arange(len(values)), transform_sizes]
        return np.clip(chosen, -32767, 32767).astype(np.int16), transform_sizes

    def weight_bits(self) -> dict[str, int]:
        return {"transform": 1024}


def _deflated(levels: np.ndarray, transform_sizes: np.ndarray | None) -> bytes:
    data = levels.astype("<i2").tobytes()
    return zlib.compress((b"" if transform_sizes is None else transform_sizes.tobytes()) + data, 6)


def _inflated(data: bytes, length: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, length)
        if stream.decompress(stream.unconsumed_tail, 1):
            raise HeqFormatError("more levels than the strip has.")
    except zlib.error as error:
        raise HeqFormatError(f"no zlib stream ({error}).") from error
    if len(found) != length or not stream.eof or stream.unused_data:
        raise HeqFormatError(f"{len(found)} of {length} bytes of levels.")
    return found


class LightDeviceCoder:
    """A ``StripCoder``: zlib over all."""

    coder = Coder.DEVICE
    coder_id = b"lightdev"

    def encode(self, levels: np.ndarray, transform_sizes: np.ndarray, step: int) -> bytes:
        assert levels.dtype == np.int16 and levels.shape[:2] == transform_sizes.shape
        assert levels.shape[3] == LEVELS and transform_sizes.dtype == np.uint8 and 0 <= step < 1024
        return step.to_bytes(2, "little") + _deflated(levels, transform_sizes)

    def decode(
        self, payload: bytes, rows: int, columns: int, planes: int, step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        if payload[:2] != step.to_bytes(2, "little"):
            raise HeqFormatError("coded at another step.")
        patches = rows * columns
        data = _inflated(payload[2:], patches * (1 + 2 * planes * LEVELS))
        transform_sizes = np.frombuffer(data[:patches], np.uint8).reshape(rows, columns)
        levels = np.frombuffer(data[patches:], "<i2").reshape(rows, columns, planes, LEVELS)
        return levels.astype(np.int16), transform_sizes.copy()

    def weight_bits(self) -> dict[str, int]:
        return {"tables": 64}


class LightPackedCoder:
    """A ``StripCoder`` of slices: length and CRC-32 before each, transform sizes in the first."""

    coder = Coder.PACKED
    coder_id = b"lightpak"

    def encode(self, levels: np.ndarray, transform_sizes: np.ndarray, step: int) -> bytes:
        payload, begin = b"", 0
        for end in SLICES:
            data = _deflated(levels[..., begin:end], transform_sizes if begin == 0 else None)
            payload += len(data).to_bytes(4, "little") + zlib.crc32(data).to_bytes(4, "little")
            payload, begin = payload + data, end
        return payload

    def decode(
        self, payload: bytes, rows: int, columns: int, planes: int, step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        levels, transform_sizes, found = self.decode_prefix(payload, rows, columns, planes, step)
        if found != len(SLICES):
            raise HeqFormatError(f"only {found} of {len(SLICES)} slices are whole.")
        return levels, transform_sizes

    def decode_prefix(
        self,
        payload: bytes,
        rows: int,
        columns: int,
        planes: int,
        step: int,
        slices: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray, int]:
        levels = np.zeros((rows, columns, planes, LEVELS), np.int16)
        transform_sizes = np.zeros((rows, columns), np.uint8)
        begin = place = found = 0
        for end in SLICES[:slices]:
            length = int.from_bytes(payload[place : place + 4], "little")
            check = int.from_bytes(payload[place + 4 : place + 8], "little")
            data = payload[place + 8 : place + 8 + length]
            if len(data) != length or not length or zlib.crc32(data) != check:
                break
            ahead = 0 if begin else transform_sizes.size
            inflated = _inflated(data, ahead + 2 * rows * columns * planes * (end - begin))
            if ahead:
                transform_sizes = (
                    np.frombuffer(inflated[:ahead], np.uint8).reshape(rows, columns).copy()
                )
            part = np.frombuffer(inflated[ahead:], "<i2")
            levels[..., begin:end] = part.reshape(rows, columns, planes, -1)
            begin, place, found = end, place + 8 + length, found + 1
        return levels, transform_sizes, found


class LightRateDecoder:
    """A ``RateDecoder`` with a reach of ``radius`` pixels; lost patches count as absent."""

    radius = LightDecoder.radius

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def decode_frame(
        self,
        levels: np.ndarray,
        transform_sizes: np.ndarray,
        steps: np.ndarray,
        valid: np.ndarray | None = None,
        core: tuple[slice, slice] | None = None,
    ) -> np.ndarray:
        rows, columns, planes = levels.shape[:3]
        assert transform_sizes.shape == (rows, columns) and levels.dtype == np.int16
        self.shapes.append((rows, columns))
        assert steps.shape == (rows,)
        units = np.array([step_of(step) for step in steps.tolist()])[:, None, None, None]
        values = (levels + 0.5 * np.sign(levels)) * units
        large = _inverse(values, PATCH)
        split = np.moveaxis(values.reshape(rows, columns, planes, 256, 4), -1, -2)
        quarters = _inverse(split, 16).reshape(rows, columns, planes, 2, 2, 16, 16)
        small = quarters.swapaxes(-3, -2).reshape(large.shape)
        patches = np.where(transform_sizes[..., None, None, None] == QUARTERS, small, large) + 128
        frame = patches.transpose(0, 3, 1, 4, 2).reshape(rows * PATCH, columns * PATCH, planes)
        frame = np.clip(np.rint(frame), 0, 255).astype(np.int64)
        present = np.ones((rows, columns), bool) if valid is None else valid
        weight = np.repeat(np.repeat(present, PATCH, 0), PATCH, 1)[..., None].astype(np.int64)
        mean = frame * weight
        total = weight
        for axis in (0, 1):
            mean, total = box_sum(mean, axis), box_sum(total, axis)
        # A little of the mean around: enough to show in tests how far a patch reaches.
        frame = (7 * frame + mean // np.maximum(total, 1)) // 8
        return cropped(np.where(weight > 0, frame, 255).astype(np.uint8), core)


@dataclass
class LightRateModels:
    """A registry of the light models, that of variable rate being the default.

    Attributes:
        decoders_loaded: how often a decoder was loaded.
        coded: strips that a coder coded, by its class.
    """

    encoder: LightRateEncoder = field(default_factory=LightRateEncoder)
    decoder: LightRateDecoder = field(default_factory=LightRateDecoder)
    patch_encoder: LightEncoder = field(default_factory=LightEncoder)
    decoders_loaded: int = 0
    replaced = (
        "model_names",
        "mode_of",
        "default_model",
        "default_quality",
        "load_encoder",
        "load_decoder",
        "load_rate_encoder",
        "load_strip_coder",
        "load_rate_decoder",
        "model_of_file",
    )

    def model_names(self, mode: str | None = None) -> list[str]:
        return {"patch": ["light"], "rate": ["light-rate"]}.get(mode or "", ["light-rate", "light"])

    def mode_of(self, name: str) -> str:
        if name not in self.model_names():
            raise HeqUnsupportedError(f"There is no model {name}; choose light-rate or light.")
        return "patch" if name == "light" else "rate"

    def default_model(self, mode: str = "auto") -> str:
        return "light" if mode == "patch" else "light-rate"

    def default_quality(self, name: str) -> float:
        return 50

    def load_encoder(self, name: str) -> LightEncoder:
        assert name == "light"
        return self.patch_encoder

    def load_decoder(
        self,
        encoder_id: bytes,
        coder_id: bytes,
        device: str = "auto",
        backend: str = "auto",
        decoder: str = "strong",
    ) -> Any:
        assert decoder == "strong"
        self.decoders_loaded += 1
        return LightDecoder()

    def load_rate_encoder(self, name: str) -> LightRateEncoder:
        assert name == "light-rate"
        return self.encoder

    def load_strip_coder(self, name: str, coder: int) -> Any:
        assert name == "light-rate"
        return LightDeviceCoder() if coder == Coder.DEVICE else LightPackedCoder()

    def load_rate_decoder(
        self, name: str, device: str = "auto", decoder: str = "strong", backend: str = "auto"
    ) -> LightRateDecoder:
        assert name == "light-rate" and decoder == "strong"
        self.decoders_loaded += 1
        return self.decoder

    def model_of_file(self, encoder_id: bytes, coder_id: bytes) -> str:
        if encoder_id != self.encoder.encoder_id or coder_id not in (b"lightdev", b"lightpak"):
            raise HeqUnsupportedError(f"No model here has the id {encoder_id.hex()}.")
        return "light-rate"
