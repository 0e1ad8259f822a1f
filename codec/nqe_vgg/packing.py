"""The parameters of `nqe-vgg` at their real size, as tensors of a weights file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from heqcodec.base.errors import HeqFormatError

from .bit_fields import pack_fields, unpack_fields
from .layer import MOST_LEVELS, IntegerLayer
from .layout import SHIFT_BITS, VGG_LAYERS, VggLayer, levels_of
from .skips import SKIPPED, SKIPS, Skip, select_bits


def pack_layers(layers: Sequence[IntegerLayer]) -> dict[str, np.ndarray]:
    """uint8 tensors by name, in the order they are hashed.

    The weights of a layer as fields of 3, 2 or 1 bits holding the index of the level, and
    ``thresholds`` (all layers, each threshold plus ``bound`` in ``threshold_bits`` bits) or
    ``shifts`` (int8, two's complement), with ``offsets`` (int16) where one is not 0. With other
    levels than the paper's, ``levels`` says how many each layer has. With skips, ``skips`` is their
    place in `SKIPS`, and ``selects`` the sums from which the channels of MUX skips open, in
    `select_bits` bits each.

    Args:
        layers: of `IntegerVgg`.
    """
    tensors = {}
    if tuple(item.layer for item in layers) != VGG_LAYERS:
        counts = [len(item.layer.levels) for item in layers]
        tensors["levels"] = np.asarray(counts, dtype=np.uint8)
    kinds = [item.skip for item in layers if item.skip != "none"]
    if kinds:
        tensors["skips"] = np.asarray([SKIPS.index(kinds[0])], dtype=np.uint8)
    for item in layers:
        index = np.searchsorted(np.asarray(item.layer.levels), item.levels.ravel())
        tensors[item.layer.name] = pack_fields([(index, item.layer.level_bits)])
    if layers[0].thresholds is not None:
        tensors["thresholds"] = pack_fields(
            [
                (item.thresholds.ravel() + item.layer.bound, item.layer.threshold_bits)
                for item in layers
                if item.thresholds is not None
            ]
        )
    else:
        shifts = [item.shift % 2**SHIFT_BITS for item in layers[:-1]]
        tensors["shifts"] = np.asarray(shifts, dtype=np.uint8)
        if any(item.offset for item in layers):
            tensors["offsets"] = np.asarray([it.offset for it in layers[:-1]], dtype=np.int16)
    if "mux" in kinds:
        selects = [(it.selects, select_bits(it.layer)) for it in layers if it.selects is not None]
        tensors["selects"] = pack_fields(selects)
    return tensors


def unpack_layers(tensors: Mapping[str, np.ndarray]) -> list[IntegerLayer]:
    """The inverse of `pack_layers`.

    Raises:
        HeqFormatError: a tensor has another size, or holds what cannot be.
        KeyError: one is missing.
    """
    thresholds: list[np.ndarray | None] = [None] * len(VGG_LAYERS)
    shifts, offsets = [0] * len(VGG_LAYERS), [0] * len(VGG_LAYERS)
    places: tuple[VggLayer, ...] = VGG_LAYERS
    if "levels" in tensors:
        counts = tensors["levels"]
        right = counts.shape == (len(VGG_LAYERS),) and counts.dtype == np.uint8
        if not right or counts.min() < 2 or counts.max() > MOST_LEVELS:
            raise HeqFormatError("its numbers of levels are not one byte for each layer")
        pairs = zip(VGG_LAYERS, counts.tolist(), strict=True)
        places = tuple(replace(layer, levels=levels_of(count)) for layer, count in pairs)
    if "thresholds" in tensors:
        layout = [(la.outputs * len(la.cuts), la.threshold_bits) for la in places]
        for index, field in enumerate(unpack_fields(tensors["thresholds"], layout)):
            layer = places[index]
            shape = (layer.outputs, len(layer.cuts))
            thresholds[index] = (field - layer.bound).astype(np.int32).reshape(shape)
    else:
        stored = tensors["shifts"]
        if stored.shape != (len(VGG_LAYERS) - 1,) or stored.dtype != np.uint8:
            raise HeqFormatError("its shifts are not one byte for each layer")
        shifts[:-1] = stored.view(np.int8).tolist()
    if "offsets" in tensors:
        added = tensors["offsets"]
        if added.shape != (len(VGG_LAYERS) - 1,) or added.dtype != np.int16:
            raise HeqFormatError("its offsets are not one int16 for each layer")
        offsets[:-1] = added.tolist()
    skip, selects = _unpack_skips(tensors)
    layers = []
    for layer, cuts, shift, offset in zip(places, thresholds, shifts, offsets, strict=True):
        (indices,) = unpack_fields(tensors[layer.name], [(layer.weights, layer.level_bits)])
        if indices.max() >= len(layer.levels):
            raise HeqFormatError(f"{layer.name} holds a weight that is no level")
        levels = np.asarray(layer.levels, dtype=np.int8)[indices].reshape(layer.shape)
        own: Skip = skip if layer.name in SKIPPED else "none"
        skipped = own, selects.get(layer.name)
        layers.append(IntegerLayer(layer, levels, cuts, shift, *skipped, offset))
    return layers


def _unpack_skips(tensors: Mapping[str, np.ndarray]) -> tuple[Skip, dict[str, np.ndarray]]:
    """The kind of the skips, and the opening sums of MUX skips by layer."""
    if "skips" not in tensors:
        return "none", {}
    stored = tensors["skips"]
    if stored.shape != (1,) or stored.dtype != np.uint8 or not 0 < stored[0] < len(SKIPS):
        raise HeqFormatError("its skips are of no kind that there is")
    skip = SKIPS[stored[0]]
    if skip != "mux":
        return skip, {}
    places = [layer for layer in VGG_LAYERS if layer.name in SKIPPED]
    layout = [(layer.outputs, select_bits(layer)) for layer in places]
    fields = unpack_fields(tensors["selects"], layout)
    named = zip(places, fields, strict=True)
    return skip, {layer.name: field.astype(np.int32) for layer, field in named}
