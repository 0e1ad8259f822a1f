"""Latents of MCUCoder's class as bytes: 8 bits each by range, two dropped, Huffman by channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from heqcodec.base.errors import HeqFormatError
from numpy.typing import NDArray
from torch import Tensor

from .huffman import HuffmanCode, code_lengths
from .mcucoder import CHANNELS, McuCoder

TOP = 255
DROPPED_BITS = 2
SYMBOLS = 256 >> DROPPED_BITS
"""64 of the 256 levels are stored, as in the paper's public code."""
MIDDLE = (2**DROPPED_BITS - 1) / 2
CALIBRATION_TILES = 256
CALIBRATION_BATCH = 16


class LatentCode:
    """Ranges and code lengths of the twelve channels, fitted on training photographs.

    Args:
        low, high: float32 (12,), the levels 0 and 255 of each channel.
        lengths: uint8 (12, 64), bits of each symbol.

    Raises:
        HeqFormatError: shapes, ranges or lengths that cannot be.
    """

    def __init__(self, low: Tensor, high: Tensor, lengths: Tensor) -> None:
        shapes = low.shape, high.shape, lengths.shape
        if shapes != ((CHANNELS,), (CHANNELS,), (CHANNELS, SYMBOLS)) or not bool(
            (low < high).all()
        ):
            raise HeqFormatError("ranges and code lengths of the latents do not fit mcucoder.")
        self.low, self.high, self.lengths = low.float(), high.float(), lengths
        self._codes = [HuffmanCode(row) for row in lengths.numpy().astype(np.uint8)]

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> LatentCode:
        """The code of tensors as `tensors` gives them.

        Raises:
            HeqFormatError: one is missing or does not fit.
        """
        try:
            return cls(tensors["low"], tensors["high"], tensors["lengths"])
        except KeyError as error:
            raise HeqFormatError(f"the code of the latents lacks {error}.") from error

    def tensors(self) -> dict[str, Tensor]:
        """What a file keeps of it."""
        return {"low": self.low, "high": self.high, "lengths": self.lengths}

    @classmethod
    @torch.no_grad()
    def fit(cls, network: McuCoder, tiles: NDArray[np.uint8]) -> LatentCode:
        """Ranges and counts over training tiles, uint8 (N, S, S, 3), at most 256 of them."""
        chosen = tiles[:: max(1, len(tiles) // CALIBRATION_TILES)]
        latents = torch.cat(list(_latents(network, chosen)))
        low, high = latents.amin((0, 2, 3)), latents.amax((0, 2, 3))
        # A channel that never changes still needs a range.
        high = torch.maximum(high, low + 1e-6)
        symbols = _symbols(latents, low, high).numpy()
        lengths = [
            code_lengths(np.bincount(symbols[:, channel].ravel(), minlength=SYMBOLS))
            for channel in range(CHANNELS)
        ]
        return cls(low, high, torch.from_numpy(np.stack(lengths)))

    def encode(self, latents: Tensor, kept: int) -> tuple[bytes, ...]:
        """One string for each of the first ``kept`` channels of latents (1, 12, h, w)."""
        symbols = _symbols(latents, self.low, self.high)[0, :kept].numpy()
        pairs = zip(self._codes, symbols, strict=False)
        return tuple(np.packbits(code.encode(plane.ravel())).tobytes() for code, plane in pairs)

    def decode(self, strings: Sequence[bytes], height: int, width: int) -> Tensor:
        """Latents (1, 12, height, width), zero where no string is.

        Raises:
            HeqFormatError: there are too many strings, or one is too short or too long.
        """
        if len(strings) > CHANNELS:
            raise HeqFormatError(f"there are {len(strings)} strings for {CHANNELS} channels.")
        latents = torch.zeros(1, CHANNELS, height, width)
        for channel, string in enumerate(strings):
            bits = np.unpackbits(np.frombuffer(string, dtype=np.uint8))
            symbols, used = self._codes[channel].decode(bits, height * width)
            if len(bits) - used >= 8:
                raise HeqFormatError("something follows the last latent of a channel.")
            levels = torch.from_numpy(symbols).view(height, width) * 2**DROPPED_BITS + MIDDLE
            low, high = self.low[channel], self.high[channel]
            latents[0, channel] = low + levels / TOP * (high - low)
        return latents


def _latents(network: McuCoder, tiles: NDArray[np.uint8]) -> Iterator[Tensor]:
    for start in range(0, len(tiles), CALIBRATION_BATCH):
        pixels = torch.from_numpy(tiles[start : start + CALIBRATION_BATCH]).permute(0, 3, 1, 2)
        yield network.encoder(pixels.float() / 255)


def _symbols(latents: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Symbols 0..63 of latents (B, 12, h, w), int64; out of range saturates."""
    low, high = low[:, None, None], high[:, None, None]
    levels = ((latents - low) / (high - low) * TOP).round().clamp(0, TOP).long()
    return levels >> DROPPED_BITS
