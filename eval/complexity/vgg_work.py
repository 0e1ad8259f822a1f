"""Counting `nqe-vgg` from its integer layers."""

from __future__ import annotations

from collections.abc import Sequence

from heqcodec.base.constants import PATCH
from heqcodec.export.vgg_layers import operations, straight_operations
from heqcodec.nqe_vgg.encoder import VggNqe
from heqcodec.nqe_vgg.layer import IntegerLayer

from .work import Work

PIXELS = PATCH * PATCH


def layer_work(item: IntegerLayer, side: int) -> Work:
    """One layer on a plane of one patch: sums, 2x2 maximum, activation, skip, of a patch."""
    additions, shifts = operations(item, side)
    return Work(additions=additions, shifts=shifts)


def vgg_work(layers: Sequence[IntegerLayer]) -> Work:
    """The encoder, per pixel; the 3 subtractions that centre a pixel are in it."""
    total, side = Work(additions=3 * PIXELS), PATCH
    for item in layers:
        total = total + layer_work(item, side)
        if item.layer.pool:
            side //= 2
    return total.times(1 / PIXELS)


def class_work(encoder: VggNqe) -> Work:
    """The encoder of `nqe-vgg`, per pixel: convolutions, class, transform and quantizer."""
    straight = straight_operations(encoder)
    return vgg_work(encoder.network.layers) + Work(
        additions=straight.additions, shifts=straight.shifts
    )


def vgg_activation_bytes(layers: Sequence[IntegerLayer]) -> int:
    """The most that is alive at once for a patch, layer by layer: its input and its output.

    Pixels take 8 bits, activations 2 and code bits 1, without gaps; the accumulator of the place in
    work, and the four of a 2x2 maximum, are not counted.
    """
    side, bits_in, peak = PATCH, 8, 0
    for item in layers:
        layer = item.layer
        bits_out = len(layer.cuts).bit_length()
        side_out = side // 2 if layer.pool else side
        held = layer.inputs * side**2 * bits_in + layer.outputs * side_out**2 * bits_out
        peak = max(peak, held // 8)
        side, bits_in = side_out, bits_out
    return peak
