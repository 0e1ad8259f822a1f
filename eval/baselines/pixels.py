"""The pixels and settings that codecs are given, checked in one place."""

from __future__ import annotations

import numpy as np
from heqcodec.base.errors import HeqError
from PIL import Image


def rgb_image(pixels: np.ndarray) -> Image.Image:
    """Return uint8 (H, W, 3) as a Pillow image without any metadata.

    Raises:
        HeqError: it is an array of another kind.
    """
    array = np.asarray(pixels)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise HeqError(
            f"Codecs take uint8 pixels of shape (height, width, 3), not {array.dtype} of shape "
            f"{array.shape}."
        )
    return Image.fromarray(np.ascontiguousarray(array))


def whole_setting(codec: str, kind: str, setting: float, low: int, high: int) -> int:
    """Return a setting as the whole number that it must be.

    Raises:
        HeqError: it is not whole, or outside ``low`` to ``high``.
    """
    if not (low <= setting <= high and float(setting).is_integer()):
        raise HeqError(f"{codec} takes a whole {kind} from {low} to {high}, and not {setting:g}.")
    return int(setting)


def number_setting(codec: str, kind: str, setting: float, above: float, high: float) -> float:
    """Return a setting that must be a number above ``above``, up to ``high``.

    Raises:
        HeqError: it is not in that range.
    """
    if not above < setting <= high:
        raise HeqError(f"{codec} takes a {kind} above {above:g}, up to {high:g}, not {setting:g}.")
    return float(setting)
