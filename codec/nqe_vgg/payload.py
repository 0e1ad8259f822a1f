"""The binary code of a patch as bytes: what `nqe-vgg` puts into the payload."""

from __future__ import annotations

import numpy as np
from heqcodec.base.errors import HeqUnsupportedError

POSITIONS = 4
CODE_CHANNELS = 32
RATE_CHANNELS = (4, 8, 16, 32)
RATES = tuple(POSITIONS * POSITIONS * channels for channels in RATE_CHANNELS)


def check_rate(bits: int) -> None:
    """Raise HeqUnsupportedError unless ``bits`` per patch is one of RATES."""
    if bits not in RATES:
        offered = ", ".join(str(rate) for rate in RATES)
        raise HeqUnsupportedError(
            f"nqe-vgg codes a patch in {offered} bits, not in {bits}; choose one."
        )


def pack_code(code: np.ndarray, bits: int) -> np.ndarray:
    """Binary codes -> payload bytes.

    Channel-major, the 16 positions of a channel row by row, first bit in the most significant
    place; so the payload of a lower rate is a prefix of that of a higher one.

    Args:
        code: (N, 32, 4, 4), any real dtype; positive is bit 1, anything else bit 0.
        bits: bits per patch, one of RATES.

    Returns:
        uint8 (N, bits // 8).

    Raises:
        HeqUnsupportedError: ``bits`` is not one of RATES.
    """
    check_rate(bits)
    flat = (np.asarray(code) > 0).reshape(len(code), RATES[-1])
    return np.packbits(flat[:, :bits], axis=1, bitorder="big")


def unpack_code(payload: np.ndarray, bits: int) -> np.ndarray:
    """Payload bytes -> binary codes, the inverse of ``pack_code``.

    Args:
        payload: uint8 (..., bits // 8).
        bits: bits per patch, one of RATES.

    Returns:
        int8 (..., 32, 4, 4): -1 and +1 in the first bits // 16 channels, 0 in the others, which
        were not sent.

    Raises:
        HeqUnsupportedError: ``bits`` is not one of RATES.
    """
    check_rate(bits)
    flat = np.unpackbits(payload, axis=-1, bitorder="big").astype(np.int8) * 2 - 1
    code = np.zeros((*payload.shape[:-1], RATES[-1]), dtype=np.int8)
    code[..., :bits] = flat
    return code.reshape(*payload.shape[:-1], CODE_CHANNELS, POSITIONS, POSITIONS)
