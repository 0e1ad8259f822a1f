"""The encoders as ONNX graphs: integers held in float32, which holds them exactly.

::

    patches (N, 32, 32, 3), uint8; gray ones with three equal channels
      nqe-r    coefficients (N, 2, 3, 1024), int32: by transform size, see `heqcodec.nqe_r.layout`;
               with step (1,), int64: levels (N, 3, 1024), int16, and transform_sizes (N,), uint8
      nqe-t    coefficients (N, 3, 32, 32), int32: vertical frequency first
      nqe-vgg  classes (N,), int64, and coefficients as of nqe-t
      (the convolutions alone: bits (N, 32, 4, 4), uint8, 0 or 1)

What follows on a device is branches and no graph: entropy coding, and for nqe-t and nqe-vgg the
choice of what fits into a code.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
from heqcodec.base.colour import COLOUR, PIXEL_OFFSET
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.layout import BANDS, LEVELS, SUBS, band_frequencies, cell_places
from heqcodec.nqe_r.quantizer import choose_levels
from heqcodec.nqe_r.transform import QUARTER, SIZE
from heqcodec.nqe_r.transform import STAGE_SHIFT as RATE_SHIFT
from heqcodec.nqe_t.encoder import TransformNqe
from heqcodec.nqe_t.transform import STAGE_SHIFT as PATCH_SHIFT
from heqcodec.nqe_vgg.allocation import PLACES
from heqcodec.nqe_vgg.bands import BAND_OF, BAND_SHIFTS
from heqcodec.nqe_vgg.encoder import VggNqe
from heqcodec.nqe_vgg.integer import IntegerLayer, IntegerVgg
from heqcodec.nqe_vgg.layout import PIXEL_CENTRE
from heqcodec.onnx.graph import Graph
from numpy.typing import NDArray

from .rate_levels import add_levels

MEANS = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
"""Rows: what the quarters' means a, b, c, d become: all, left - right, top - bottom, cross."""

Encoder = RateNqe | TransformNqe | VggNqe | IntegerVgg
Values = dict[str, NDArray[Any]]
"""Of a graph, by name."""


def encoder_model(name: str, encoder: object) -> bytes:
    """The ONNX model of an encoder; inputs and outputs are those in this file's head."""
    graph = Graph(name, "encoder of heqcodec: patches to exact integers")
    pixels = graph.as_float(graph.input("patches", "uint8", ("patches", SIZE, SIZE, 3)))
    add_encoder(encoder, graph, pixels)
    return graph.model()


@singledispatch
def add_encoder(encoder: object, graph: Graph, pixels: str) -> None:
    """Add an encoder to a graph, with its outputs.

    Args:
        encoder: of a type that is registered here.
        graph: that is made.
        pixels: name of the float32 value (N, 32, 32, 3) of samples.
    """
    raise TypeError(f"{type(encoder).__name__} has no ONNX graph")


@singledispatch
def exact_run(encoder: object, patches: NDArray[np.uint8], step: int) -> tuple[Values, Values]:
    """Inputs of the graph of an encoder, and what it is to give, computed in int64 alone.

    Args:
        encoder: of the graph.
        patches: uint8 (N, 32, 32, 3).
        step: index, 0..1023; read where the encoder has steps.
    """
    raise TypeError(f"{type(encoder).__name__} has no ONNX graph")


@singledispatch
def transform_matrix(encoder: object) -> NDArray[np.int32] | None:
    """The matrix of an encoder's transform, int32 (32, 32), rows by frequency; None without one."""
    return None


@transform_matrix.register(RateNqe)
@transform_matrix.register(TransformNqe)
@transform_matrix.register(VggNqe)
def _(encoder: RateNqe | TransformNqe | VggNqe) -> NDArray[np.int32]:
    return encoder.stem.matrices[0]


@exact_run.register
def _(encoder: RateNqe, patches: NDArray[np.uint8], step: int) -> tuple[Values, Values]:
    coefficients = encoder.coefficients(patches, "int64")
    levels, transform_sizes = choose_levels(
        coefficients, encoder.integer_steps(step), encoder.costs
    )
    expected: Values = {
        "coefficients": coefficients,
        "levels": levels,
        "transform_sizes": transform_sizes,
    }
    return {"patches": patches, "step": np.array([step])}, expected


@exact_run.register
def _(encoder: TransformNqe, patches: NDArray[np.uint8], step: int) -> tuple[Values, Values]:
    return {"patches": patches}, {"coefficients": encoder.stem.forward(patches, "int64")}


@exact_run.register
def _(encoder: VggNqe, patches: NDArray[np.uint8], step: int) -> tuple[Values, Values]:
    coefficients = encoder.stem.forward(patches, "int64")
    return {"patches": patches}, {
        "classes": encoder.classes(patches, "int64"),
        "coefficients": coefficients,
    }


@exact_run.register
def _(encoder: IntegerVgg, patches: NDArray[np.uint8], step: int) -> tuple[Values, Values]:
    return {"patches": patches}, {"bits": encoder.codes(patches, "int64")}


def _matrix(graph: Graph, name: str, values: NDArray[Any]) -> str:
    return graph.tensor(name, values.astype(np.float32))


def _colour_planes(graph: Graph, pixels: str) -> str:
    """(N, 32, 32, 3) to (N, 3, 32, 32)."""
    planes = graph.add("MatMul", pixels, _matrix(graph, "colour", COLOUR.T))
    planes = graph.add("Add", planes, _matrix(graph, "offset", PIXEL_OFFSET))
    return graph.add("Transpose", planes, perm=(0, 3, 1, 2))


def _halved(graph: Graph, value: str, shift: int, rounded: bool = True) -> str:
    """``value >> shift`` as the floor of an exact quotient; rounded, with half a unit added."""
    if rounded:
        value = graph.add("Add", value, graph.scalar(2.0 ** (shift - 1)))
    return graph.add("Floor", graph.add("Mul", value, graph.scalar(2.0**-shift)))


def _separable_transform(
    graph: Graph, field: str, name: str, matrix: NDArray[Any], shift: int
) -> str:
    """Rows, then columns of (..., n, n) by a matrix, each rounded."""
    across = _matrix(graph, f"{name}_transposed", matrix.T)
    rows = _halved(graph, graph.add("MatMul", field, across), shift)
    return _halved(graph, graph.add("MatMul", _matrix(graph, name, matrix), rows), shift)


@add_encoder.register
def _(encoder: RateNqe, graph: Graph, pixels: str) -> None:
    planes = _colour_planes(graph, pixels)
    large, small = encoder.stem.matrices
    field = _separable_transform(graph, planes, "large", large, RATE_SHIFT)
    field = graph.add("Reshape", field, graph.numbers(-1, 3, LEVELS))
    whole = graph.add("Gather", field, graph.tensor("cell_places", cell_places()), axis=2)

    quarters = graph.add("Reshape", planes, graph.numbers(-1, 3, 2, QUARTER, 2, QUARTER))
    quarters = graph.add("Transpose", quarters, perm=(0, 1, 2, 4, 3, 5))
    fields = _separable_transform(graph, quarters, "small", small, RATE_SHIFT)
    fields = graph.add("Reshape", fields, graph.numbers(-1, 3, SUBS, BANDS))
    u, v = band_frequencies().T
    places = graph.tensor("band_places", QUARTER * u + v)
    bands = graph.add("Transpose", graph.add("Gather", fields, places, axis=3), perm=(0, 1, 3, 2))
    second, axis = graph.numbers(1), graph.numbers(2)
    means = graph.add("Slice", bands, graph.numbers(0), second, axis)
    means = _halved(graph, graph.add("MatMul", means, _matrix(graph, "means", MEANS.T)), 1)
    rest = graph.add("Slice", bands, second, graph.numbers(BANDS), axis)
    apart = graph.add("Concat", means, rest, axis=2)
    apart = graph.add("Reshape", apart, graph.numbers(-1, 3, LEVELS))

    both = graph.add(
        "Concat", *(graph.add("Unsqueeze", size, second) for size in (whole, apart)), axis=1
    )
    _integers(graph, "coefficients", both, "int32", ("patches", 2, 3, LEVELS))
    add_levels(graph, both, encoder)


@add_encoder.register
def _(encoder: TransformNqe, graph: Graph, pixels: str) -> None:
    _transform(graph, pixels, encoder)


@add_encoder.register
def _(encoder: VggNqe, graph: Graph, pixels: str) -> None:
    totals = graph.add(
        "ReduceSum", _convolved(graph, pixels, encoder.network), graph.numbers(2, 3), keepdims=0
    )
    straight = _straight(graph, _transform(graph, pixels, encoder), encoder)
    scores = graph.add("Sum", totals, straight, _matrix(graph, "bias", encoder.bias))
    classes = graph.add("ArgMax", scores, axis=1, keepdims=0)
    graph.output("classes", classes, "int64", ("patches",))


def _transform(graph: Graph, pixels: str, encoder: TransformNqe | VggNqe) -> str:
    """(N, 32, 32, 3) to coefficients (N, 3, 32, 32), which are given out."""
    planes = _colour_planes(graph, pixels)
    field = _separable_transform(graph, planes, "eighths", encoder.stem.matrices[0], PATCH_SHIFT)
    ends, axis = [graph.numbers(index) for index in range(4)], graph.numbers(1)
    y, first, second = (
        graph.add("Slice", field, ends[index], ends[index + 1], axis) for index in range(3)
    )
    # Gains 5/4 and 3/4, by shifts.
    first = graph.add("Add", first, _halved(graph, first, 2, rounded=False))
    second = graph.add("Add", *(_halved(graph, second, shift, rounded=False) for shift in (1, 2)))
    scaled = graph.add("Concat", y, first, second, axis=1)
    _integers(graph, "coefficients", scaled, "int32", ("patches", 3, SIZE, SIZE))
    return scaled


def _straight(graph: Graph, coefficients: str, encoder: VggNqe) -> str:
    """(N, 3, 32, 32) to what the levels of bands add to the scores of classes, (N, 32)."""
    shape = graph.numbers(-1, 3 * SIZE**2)
    magnitudes = graph.add("Reshape", graph.add("Abs", coefficients), shape)
    members = np.zeros((3 * SIZE**2, len(BAND_SHIFTS)))
    members[PLACES[BAND_OF >= 0], BAND_OF[BAND_OF >= 0]] = 1
    # Sums stay below 31 * 2^18, which float32 holds.
    sums = graph.add("MatMul", magnitudes, _matrix(graph, "bands_of_coefficients", members))
    means = graph.add("Mul", sums, _matrix(graph, "band_shifts", 2.0**-BAND_SHIFTS))
    means = graph.add("Unsqueeze", graph.add("Floor", means), graph.numbers(2))
    # A level rises by 1 at powers of 2 and halfway between them, at 1 and 2 by 2.
    powers = 2.0 ** np.arange(1, 24)
    rises = _matrix(graph, "band_levels", np.concatenate([[1, 1, 2], powers, 1.5 * powers]))
    reached = graph.as_float(graph.add("GreaterOrEqual", means, rises))
    levels = graph.add("ReduceSum", reached, graph.numbers(2), keepdims=0)
    worth = encoder.bands.T.astype(np.float64) * 2.0 ** int(encoder.band_shift[0])
    return graph.add("MatMul", levels, _matrix(graph, "bands", worth))


@add_encoder.register
def _(encoder: IntegerVgg, graph: Graph, pixels: str) -> None:
    x = _convolved(graph, pixels, encoder)
    side, outputs = SIZE // 8, encoder.layers[-1].layer.outputs
    bits = _activated(graph, encoder.layers[-1], x)
    _integers(graph, "bits", bits, "uint8", ("patches", outputs, side, side))


def _convolved(graph: Graph, pixels: str, encoder: IntegerVgg) -> str:
    """(N, 32, 32, 3) to the sums of the last layer, (N, 32, 4, 4)."""
    x = graph.add("Sub", pixels, graph.scalar(PIXEL_CENTRE))
    x = graph.add("Transpose", x, perm=(0, 3, 1, 2))
    for item in encoder.layers:
        layer, given = item.layer, x
        weights = graph.as_float(graph.tensor(layer.name, item.levels))
        pads = (layer.kernel // 2,) * 4
        x = graph.add("Conv", x, weights, pads=pads, group=layer.groups)
        # Sums are exact; this removes what a fast algorithm of convolution could add to them.
        x = graph.add("Round", x)
        if layer.pool:
            x = graph.add("MaxPool", x, kernel_shape=(2, 2), strides=(2, 2))
        if item is not encoder.layers[-1]:
            x = _skipped(graph, item, _activated(graph, item, x), given)
    return x


def _activated(graph: Graph, item: IntegerLayer, total: str) -> str:
    """Accumulators to the layer's output; see `heqcodec.nqe_vgg.integer`."""
    layer = item.layer
    if item.thresholds is not None:
        reached = [
            graph.as_float(
                graph.add(
                    "GreaterOrEqual",
                    total,
                    _matrix(graph, f"{layer.name}_cut_{index}", cuts[:, None, None]),
                )
            )
            for index, cuts in enumerate(item.thresholds.T)
        ]
        return graph.add("Sum", *reached)
    if len(layer.cuts) == 1:
        return graph.as_float(graph.add("GreaterOrEqual", total, graph.scalar(0)))
    if item.offset:
        total = graph.add("Add", total, graph.scalar(item.offset))
    shifted = graph.add("Floor", graph.add("Mul", total, graph.scalar(2.0**-item.shift)))
    return graph.add("Clip", shifted, graph.scalar(0), graph.scalar(len(layer.cuts)))


def _skipped(graph: Graph, item: IntegerLayer, main: str, given: str) -> str:
    """A layer's output with its skip; see `heqcodec.nqe_vgg.skips`."""
    if item.skip == "none":
        return main
    rest = graph.add("MaxPool", given, kernel_shape=(2, 2), strides=(2, 2))
    either = graph.add("Max", main, rest)
    if item.selects is None:
        return either
    sums = graph.add("ReduceSum", main, graph.numbers(2, 3), keepdims=1)
    least = _matrix(graph, f"{item.layer.name}_opens", item.selects[:, None, None])
    return graph.add("Where", graph.add("GreaterOrEqual", sums, least), either, main)


def _integers(
    graph: Graph, name: str, value: str, element: str, shape: tuple[str | int, ...]
) -> None:
    graph.output(name, graph.cast(value, element), element, shape)
