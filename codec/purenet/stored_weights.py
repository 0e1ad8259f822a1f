"""PURENET's weights as they are stored: convolutions in 8 bits, the rest in float16.

Each output channel of a convolution has a scale of its own, the largest weight over 127. Rounding
to it moves a decoded sample by less than PURENET's training does from one run to the next (our
choice, because weights are most of what an installation downloads; `nqe-t` and `nqe-vgg` are older
and hold float16 throughout).

Some convolutions also compute in integers: their inputs are quantized to 7 bits and their outputs
to 8, by ranges that `heqcodec.lab.training.activation_fit` measures. Seven, since products of 8
bits overflow the 16-bit sums of x86 processors without VNNI, and all machines must give the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

SCALE = ".scale"
"""Added to a tensor's name: float16 (O,), what its 8-bit rows are to be multiplied with."""
ACTIVATIONS = ".activations"
"""Added to a convolution's name: float32 (2, 2), scale and zero point of its input and output."""
INPUT_TOP, OUTPUT_TOP = 127, 255
"""Largest level of what a convolution reads and writes; the smallest is 0."""
_LARGEST = 127


def stored_weights(state: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """A network's state for a file.

    Args:
        state: of a `Purenet`, floats.

    Returns:
        int8 (O, I, h, w) and float16 (O,) scales for convolutions, float16 for all else. Restored
        weights are stored again as they were.
    """
    stored: dict[str, NDArray[Any]] = {}
    for name, value in state.items():
        weights = value.detach().float().cpu().numpy()
        if weights.ndim != 4:
            stored[name] = weights.astype(np.float16)
            continue
        exact = np.abs(weights).max(axis=(1, 2, 3)) / np.float32(_LARGEST)
        scale = np.maximum(exact, 2.0**-24).astype(np.float16)
        # Rounded up: the largest weight becomes 127 steps, and storing again changes nothing.
        scale = np.where(scale < exact, np.nextafter(scale, np.float16(np.inf)), scale)
        rows = np.rint(weights / scale.astype(np.float32)[:, None, None, None])
        stored[name] = np.clip(rows, -_LARGEST, _LARGEST).astype(np.int8)
        stored[name + SCALE] = scale
    return stored


def bias_units(tensors: Mapping[str, NDArray[Any]], layer: str) -> NDArray[np.float32]:
    """What the sums of a convolution of integers count in, by output channel: its input's scale by
    its weights', float32 (O,)."""
    scale = tensors[f"{layer}.weight{SCALE}"].astype(np.float32)
    units: NDArray[np.float32] = scale * tensors[layer + ACTIVATIONS][0, 0]
    return units


def restored_weights(tensors: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """The state of a network from a file's tensors, float32.

    Raises:
        KeyError: a tensor of 8 bits has no scale.
    """
    import torch

    state = {}
    for name, value in tensors.items():
        if value.dtype == np.int8:
            scale = tensors[name + SCALE].astype(np.float32)
            state[name] = torch.from_numpy(value * scale[:, None, None, None])
        elif not name.endswith((SCALE, ACTIVATIONS)):
            state[name] = torch.from_numpy(value).float()
    for name in tensors:
        if name.endswith(ACTIVATIONS):
            layer = name.removesuffix(ACTIVATIONS)
            units = torch.from_numpy(bias_units(tensors, layer))
            state[f"{layer}.bias"] = (state[f"{layer}.bias"] / units).round() * units
    return state
