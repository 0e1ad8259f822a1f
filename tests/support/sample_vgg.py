"""Encoders of the family of nqe-vgg with weights that nothing can know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
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
