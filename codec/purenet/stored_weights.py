"""PURENET's weights as they are stored: convolutions in 8 bits, the rest in float16.

Each output channel of a convolution has a scale of its own, the largest weight over 127 (our
choice, because weights are most of what an installation downloads). One convolution stays in
float16: the one that reads the plain inverse at full resolution. Its rounding alone took up to
0.25 dB from a quiet image, ten times as much as that of all others (docs/TRAINING.md). Decoders
that are older hold it in 8 bits, `nqe-t` and `nqe-vgg` float16 throughout.
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
_LARGEST = 127
_IN_FLOAT16 = "fine_in.weight"


def stored_weights(state: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """A network's state for a file.

    Args:
        state: of a `Purenet`, floats.

    Returns:
        int8 (O, I, h, w) and float16 (O,) scales for convolutions but the one named above, float16
        for all else. Restored weights are stored again as they were.
    """
    stored: dict[str, NDArray[Any]] = {}
    for name, value in state.items():
        weights = value.detach().float().cpu().numpy()
        if weights.ndim != 4 or name == _IN_FLOAT16:
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
        elif not name.endswith(SCALE):
            state[name] = torch.from_numpy(value).float()
    return state
