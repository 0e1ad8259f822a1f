"""An image between its source and the encoder, and arrays and tensors as such images."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard

import numpy as np
from heqcodec.base.errors import HeqLimitError, HeqUnsupportedError
from numpy.typing import NDArray

_CHANNELS = range(1, 5)


@dataclass
class LoadedImage:
    """An image ready for the encoder.

    Attributes:
        pixels: uint8 (H, W, C), C is 1 (gray) or 3 (RGB), contiguous.
        alpha: uint8 (H, W), 255 is opaque; None if the image has no transparency.
        icc: ICC profile that matches ``pixels``, or None.
        exif: EXIF as a bare TIFF structure without an orientation tag, or None.
        xmp: XMP packet, or None.
        notes: what was changed on the way in, one sentence each.
        geo: georeferencing tags, see `heqcodec.image.tiff_tags`, or None.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: list[str] = field(default_factory=list)
    geo: bytes | None = None


def check_size(width: int, height: int, max_pixels: int | None, name: str) -> None:
    """Raise HeqLimitError if an image has more than ``max_pixels`` pixels; None is no limit."""
    if max_pixels is not None and width * height > max_pixels:
        raise HeqLimitError(
            f"{name} is {width}x{height}, {width * height:,} pixels, and the limit is "
            f"{max_pixels:,}; raise max_pixels if you trust it."
        )


class SupportsArray(Protocol):
    """A NumPy array, a torch tensor, or another that NumPy can read."""

    def __array__(self) -> NDArray[Any]: ...


def is_array(source: object) -> TypeGuard[SupportsArray]:
    """Whether it is a NumPy array, a torch tensor, or offers NumPy's ``__array__``."""
    return isinstance(source, np.ndarray) or hasattr(source, "__array__")


def to_array(source: SupportsArray) -> NDArray[Any]:
    """An array of the shape (H, W, C) with 1 to 4 channels, of any dtype.

    Args:
        source: as `is_array`; (H, W) or (H, W, C). A torch tensor may also be (C, H, W), which is
            how torch lays out images, and may lie on any device.

    Raises:
        HeqUnsupportedError: another shape, or a tensor that reads either way.
    """
    torch = sys.modules.get("torch")  # whoever has a tensor has imported it
    if torch is not None and isinstance(source, torch.Tensor):
        array = _from_tensor(source)
    else:
        array = np.asarray(source)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in _CHANNELS or 0 in array.shape:
        raise HeqUnsupportedError(
            f"The array has the shape {_shape(array)} and heqcodec takes HxW, HxWx1 (gray), HxWx2 "
            "(gray and alpha), HxWx3 (RGB) or HxWx4 (RGB and alpha), at least 1x1; give one image, "
            "and x.transpose(1, 2, 0) if its channels come first."
        )
    return array


def _from_tensor(tensor: Any) -> NDArray[Any]:
    tensor = tensor.detach().cpu()
    # NumPy has no bfloat16.
    array: NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    if array.ndim != 3 or array.shape[0] not in _CHANNELS:
        return array
    if array.shape[2] in _CHANNELS:
        raise HeqUnsupportedError(
            f"The tensor has the shape {_shape(array)}, whose channels may come first or last; "
            "give a NumPy array HxWxC: x.permute(1, 2, 0).numpy() if they come first."
        )
    return array.transpose(1, 2, 0)


def _shape(array: NDArray[Any]) -> str:
    return "x".join(map(str, array.shape)) or "()"


def to_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Samples as uint8, where their dtype says what they mean.

    uint8 is taken as it is, bool as 0 and 255, and floats from 0 to 1 as 0 to 255, rounded. The
    range of other integers is the caller's to know: 16 bits may hold a camera's 12.

    Raises:
        HeqUnsupportedError: another dtype, or floats outside 0 to 1 or not finite. The message
            says how to convert them.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(array.dtype, np.floating):
        raise HeqUnsupportedError(
            f"The array holds {array.dtype} samples, and nothing says how much is white; convert "
            "it: np.round(x / white * 255).astype('uint8'), where white is 65535 for 16 bits, 4095 "
            "for 12, 255 for 8."
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):
        raise HeqUnsupportedError(
            f"The array holds {array.dtype} samples from {low:g} to {high:g}, and heqcodec reads "
            "floats as 0 to 1; convert it first: np.clip(x, 0, 1), or x / 255 where 255 is white."
        )
    # A half has too few digits for the product.
    wide = array.astype(np.float32) if array.dtype == np.float16 else array
    return np.rint(wide * wide.dtype.type(255)).astype(np.uint8)


def load_array(source: SupportsArray, max_pixels: int | None) -> LoadedImage:
    """An array as an image; see `heqcodec.image.images.load_image`."""
    array = to_array(source)
    check_size(array.shape[1], array.shape[0], max_pixels, "the array")
    array = to_uint8(array)
    colours = 1 if array.shape[2] < 3 else 3
    alpha = array[..., colours] if array.shape[2] > colours else None
    return LoadedImage(
        pixels=np.ascontiguousarray(array[..., :colours]),
        alpha=None if alpha is None else np.ascontiguousarray(alpha),
    )
