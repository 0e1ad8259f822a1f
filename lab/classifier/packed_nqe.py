"""NQE with bit-shift normalization as a device keeps it: levels, shifts, and a head in integers."""

from __future__ import annotations

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from heqcodec.nqe_vgg.classifier import LARGEST_WEIGHT, IntegerClassifier
from heqcodec.nqe_vgg.integer import IntegerVgg
from heqcodec.nqe_vgg.layer import IntegerLayer
from heqcodec.nqe_vgg.layout import VGG_LAYERS
from numpy.typing import NDArray
from torch import Tensor

from .blocks import weighted_convolutions
from .nqe_classifier import HEAD_GAIN, NQE_LAYERS, NqeClassifier

STEP_SHIFT = 2
"""The activation steps up at quarters: floor(4 S / 2^k) is S >> (k - 2)."""


@torch.no_grad()
def pack_nqe(network: NqeClassifier, native: bool = True) -> IntegerClassifier:
    """The integer twin of a classifier.

    The encoder computes the same bits. The head's weights are rounded to a 127th of the largest
    (our choice, because with floats encoder and head would take more than 2^20 bits).

    Args:
        network: with bit-shift normalization, faded to the end.
        native: see `IntegerVgg`.

    Raises:
        HeqError: it has another width, there is more than shifts in the normalization, or a weight
            is no level.
    """
    if network.layers != NQE_LAYERS:
        raise HeqError("only the network of 1 Mb can be packed, not one of another width.")
    if not all(norm.is_shift for norm in network.norms):
        raise HeqError("only a network whose normalization is nothing but shifts can be packed.")
    layers = []
    parts = zip(VGG_LAYERS, weighted_convolutions(network), network.norms, strict=True)
    for layer, (_, conv), norm in parts:
        levels = conv.weight.cpu().numpy()
        if len(levels) < layer.outputs:
            levels = np.concatenate([levels, levels])
        known = np.isin(levels, layer.levels)
        if not known.all():
            raise HeqError(f"{layer.name} must hold the levels {list(layer.levels)} alone.")
        shift = norm.shift - STEP_SHIFT if len(layer.cuts) > 1 else 0
        layers.append(IntegerLayer(layer, levels.astype(np.int8), None, shift))
    weight = network.head.weight.double() * HEAD_GAIN
    scale = float(weight.abs().max()) / LARGEST_WEIGHT
    if scale == 0:
        raise HeqError("a head whose weights are all 0 cannot be packed: it tells no classes.")
    return IntegerClassifier(
        IntegerVgg(layers, native),
        _rounded(weight / scale).astype(np.int8),
        _rounded(network.head.bias.double() / scale).astype(np.int32),
        scale,
    )


def _rounded(values: Tensor) -> NDArray[np.float64]:
    rounded: NDArray[np.float64] = values.round().cpu().numpy()
    return rounded
