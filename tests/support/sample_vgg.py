"""Encoders of the family of nqe-vgg with weights that nothing can know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from heqcodec.nqe_t.transform import dct_layers
from heqcodec.nqe_vgg.allocation import CELLS, CLASSES, COEFFICIENTS, MOST_BITS
from heqcodec.nqe_vgg.bands import BANDS
from heqcodec.nqe_vgg.encoder import VggNqe
from heqcodec.nqe_vgg.integer import IntegerLayer, IntegerVgg
from heqcodec.nqe_vgg.layout import VGG_LAYERS, levels_of

PAPER = (5, 5, 3, 3, 2, 2, 2)
OTHER = (3, 2, 2, 5, 2, 2, 2)
THIRD = (2, 3, 5, 2, 2, 2, 5)
"""Numbers of levels of the seven layers, each within 2^20 bits."""


def random_encoder(seed: int, counts: Sequence[int] = PAPER, own_cuts: bool = False) -> IntegerVgg:
    """Random weights.

    Args:
        seed: of all of it.
        counts: levels of each layer.
        own_cuts: thresholds of each output, as after batch normalization, some of which no sum
            reaches or every one does; else shifts.
    """
    random = np.random.default_rng(seed)
    layers = []
    for layer, count in zip(VGG_LAYERS, counts, strict=True):
        place = replace(layer, levels=levels_of(count))
        levels = random.choice(place.levels, size=place.shape).astype(np.int8)
        # What sums of centred samples, or of activations, spread by.
        spread = (50.0 if place.top > 3 else 1.5) * np.sqrt((levels[0].astype(float) ** 2).sum())
        cuts = None
        if own_cuts:
            shape = (place.outputs, len(place.cuts))
            drawn = random.normal(0.3 * spread, spread, shape).round().astype(np.int32)
            drawn[0], drawn[1] = -place.bound, place.bound + 1
            cuts = np.sort(np.clip(drawn, -place.bound, place.bound + 1), axis=1)
        shift = int(np.log2(spread / 2)) if len(place.cuts) > 1 else 0
        layers.append(IntegerLayer(place, levels, cuts, shift))
    return IntegerVgg(layers)


def random_class_encoder(
    seed: int, counts: Sequence[int] = PAPER, own_cuts: bool = False
) -> VggNqe:
    """An encoder of `nqe-vgg` with random convolutions, classes and quantizer."""
    random = np.random.default_rng(seed)
    coarse, fine = dct_layers()
    cuts = np.sort(random.integers(1, 1 << 14, CELLS - 1)).astype(np.uint16)
    tensors = {
        **random_encoder(seed, counts, own_cuts).packed(),
        "bands": random.integers(-2, 3, (CLASSES, BANDS)).astype(np.int8),
        "band_shift": np.array([2], np.uint8),
        "bias": random.integers(-900, 900, CLASSES).astype(np.int16),
        "coarse": coarse,
        "fine": fine,
        "scales": random.integers(0, 16, (CLASSES, COEFFICIENTS)).astype(np.uint8),
        "cuts": cuts,
        "gains": -np.sort(random.choice(120, MOST_BITS, replace=False)).astype(np.int8),
    }
    return VggNqe(tensors)
