"""NQE with bit-shift normalization as a device keeps it: 1,004,608 bits of levels and 7 shifts.

level -> its place among the layer's levels -> 3 (quinary), 2 (ternary) or 1 bit (binary), the
highest first -> bytes, layer by layer; the last byte of a layer is filled with zeros. The head,
which sees the 256-bit code, stays float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from heqcodec.errors import HeqError
from numpy.typing import NDArray

from .blocks import weighted_convolutions
from .nqe_classifier import NQE_LAYERS, NqeClassifier

LEVELS = {1: (-1, 1), 2: (-1, 0, 1), 3: (-2, -1, 0, 1, 2)}
"""Levels of a layer by the bits of one weight."""


def pack_levels(levels: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Levels as bits.

    Args:
        levels: whole numbers of `LEVELS`, any shape.
        bits: of one level, 1 to 3.

    Returns:
        uint8 (ceil(size * bits / 8),).

    Raises:
        HeqError: a number is no level.
    """
    known = np.array(LEVELS[bits])
    flat = levels.ravel()
    codes = np.searchsorted(known, flat).clip(0, len(known) - 1)
    if not np.array_equal(known[codes], flat):
        raise HeqError(f"a layer of {bits} bits must hold the levels {known.tolist()} alone.")
    planes = codes[:, None] >> np.arange(bits)[::-1] & 1
    return np.packbits(planes.astype(np.uint8).ravel())


def unpack_levels(packed: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.int8]:
    """The inverse of `pack_levels`.

    Args:
        packed: uint8 (ceil(count * bits / 8),).
        bits: of one level, 1 to 3.
        count: of levels.

    Returns:
        int8 (count,).

    Raises:
        HeqError: too few or too many bytes, or a code that stands for no level.
    """
    if packed.dtype != np.uint8 or packed.shape != (-(-count * bits // 8),):
        raise HeqError(f"{count} levels of {bits} bits are not {packed.shape} {packed.dtype}.")
    planes = np.unpackbits(packed, count=count * bits).reshape(count, bits)
    codes = planes @ (1 << np.arange(bits)[::-1])
    if codes.max(initial=0) >= len(LEVELS[bits]):
        raise HeqError(f"a code of {bits} bits stands for no level.")
    return np.array(LEVELS[bits], np.int8)[codes]


@torch.no_grad()
def pack_nqe(network: NqeClassifier) -> dict[str, NDArray[Any]]:
    """All that the classifier is.

    Args:
        network: with bit-shift normalization, faded to the end.

    Returns:
        ``blocks.N.levels`` uint8, see `pack_levels`; ``shifts`` int8 (7,), k of y = x * 2^-k;
        ``head.weight`` float32 (classes, 256) and ``head.bias`` float32 (classes,).

    Raises:
        HeqError: it has another width, there is more than shifts in the normalization, or a weight
            is no level.
    """
    if network.layers != NQE_LAYERS:
        raise HeqError("only the network of 1 Mb can be packed, not one of another width.")
    if not all(norm.is_shift for norm in network.norms):
        raise HeqError("only a network whose normalization is nothing but shifts can be packed.")
    packed: dict[str, NDArray[Any]] = {}
    layers = zip(NQE_LAYERS, weighted_convolutions(network), strict=True)
    for index, (layer, (_, conv)) in enumerate(layers):
        packed[f"blocks.{index}.levels"] = pack_levels(conv.weight.cpu().numpy(), layer.bits)
    packed["shifts"] = np.array([norm.shift for norm in network.norms], np.int8)
    packed["head.weight"] = network.head.weight.cpu().numpy().copy()
    packed["head.bias"] = network.head.bias.cpu().numpy().copy()
    return packed


@torch.no_grad()
def unpack_nqe(tensors: Mapping[str, NDArray[Any]]) -> NqeClassifier:
    """The classifier that `pack_nqe` packed, in evaluation mode.

    Raises:
        HeqError: tensors are missing or of another size, or a code stands for no level.
    """
    try:
        head, shifts = tensors["head.weight"], tensors["shifts"]
        network = NqeClassifier(len(head), weights="none")
        state = {
            "head.weight": torch.from_numpy(head),
            "head.bias": torch.from_numpy(tensors["head.bias"]),
        }
        for index, layer in enumerate(NQE_LAYERS):
            levels = unpack_levels(tensors[f"blocks.{index}.levels"], layer.bits, layer.count)
            shape = layer.outputs, layer.inputs // layer.groups, layer.kernel, layer.kernel
            state[f"blocks.{index}.conv.weight"] = torch.from_numpy(levels.reshape(shape)).float()
            state[f"blocks.{index}.norm.exponent"] = torch.tensor(int(shifts[index]))
            state[f"blocks.{index}.norm.switched"] = torch.tensor(True)
        network.load_state_dict(state, strict=False)
    except (KeyError, IndexError, RuntimeError) as error:
        raise HeqError(f"the tensors are no packed classifier: {error}.") from error
    return network.eval()
