"""Arguments of the public functions: names as types, and numbers of Python, NumPy and torch."""

from __future__ import annotations

from operator import index
from typing import Any, Literal, TypeAlias

import numpy as np

from .errors import HeqError

ModeName: TypeAlias = Literal["auto", "patch", "rate"]
CoderName: TypeAlias = Literal["device", "packed"]
OWN_CODER: CoderName = "device"
"""The coder of the encoder itself."""
TuneName: TypeAlias = Literal["psnr", "ssim", "texture"]
"""What the quantizer is tuned for."""
StripsName: TypeAlias = Literal["none", "patch"] | CoderName
"""What codes the strips of a file, of either mode."""
DecoderName: TypeAlias = Literal[
    "strong", "fast", "best", "best-2", "best-8", "ssimulacra2", "plain"
]
BackendName: TypeAlias = Literal["auto", "onnx", "torch"]

_NO_NUMBERS = (str, bytes, bytearray, bool, np.bool_, complex, np.complexfloating)


def real(value: object) -> float | None:
    """A number as a float; None for anything else, texts, booleans and arrays of several included.

    Scalars of NumPy, arrays without dimensions and torch tensors of one element are numbers too.
    """
    if isinstance(value, _NO_NUMBERS) or getattr(value, "ndim", None):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def whole(value: object) -> int | None:
    """A whole number as an int, 20000.0 and 2e4 included; None for anything else, as `real`."""
    number = real(value)
    try:
        return None if number is None else index(value)  # type: ignore[arg-type]
    except TypeError:
        return int(number) if number is not None and number.is_integer() else None


def shown(value: object) -> str:
    """How a message names an argument: ``40``, not ``np.int64(40)``."""
    number = real(value)
    return repr(value) if number is None else f"{number:.15g}"


def checked_limit(max_pixels: Any) -> int | None:
    """The argument ``max_pixels`` as an int, or None for no limit.

    Raises:
        HeqError: it is neither None nor a whole number from 1.
    """
    if max_pixels is None:
        return None
    limit = whole(max_pixels)
    if limit is None or limit < 1:
        raise HeqError(
            f"max_pixels is {shown(max_pixels)}; give a whole number of pixels from 1, or None for "
            "no limit."
        )
    return limit
