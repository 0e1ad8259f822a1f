"""Sizes and levels of the variable-rate encoder as part of its ONNX graph.

::

    coefficients (N, 2, 3, 1024) ──┬─► transform sizes: sums of weights by magnitude, the lower one
    step, an index 0..1023         │
      └─► steps (1, 2, 3, 1) ──────┼─► magnitudes up to 3 ─► cost layer, one convolution ─► indices
                                   └─► levels, by thresholds that the indices choose

The same integers as `heqcodec.nqe_r.quantizer`, held in float32. A quotient of integers below 2^24,
rounded to float32, is no whole number that the exact one is below; so its floor is exact.
"""

from __future__ import annotations

import numpy as np
from heqcodec.base.constants import STEPS
from heqcodec.nqe_r.cost_layer import BIAS_SHIFT, INDEX_SHIFT, INDICES, PLANES, REACH, SPAN, TOP
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.layout import LEVELS, QUARTERS, SUBS, level_maps
from heqcodec.nqe_r.quantizer import LARGEST, WEIGHTS
from heqcodec.nqe_r.transform import QUARTER, TRANSFORM_SIZES
from heqcodec.onnx.graph import Graph
from numpy.typing import NDArray

MAPS = PLANES * SUBS
"""Maps of frequencies of a patch in one transform size."""


def add_levels(graph: Graph, coefficients: str, encoder: RateNqe) -> None:
    """Add input ``step``, int64 (1,), and outputs ``levels``, int16 (N, 3, 1024), and
    ``transform_sizes``, uint8 (N,): what `RateNqe.levels` gives.

    Args:
        graph: of the encoder.
        coefficients: name of a float32 value (N, 2, 3, 1024).
        encoder: whose steps and cost layer decide.
    """
    step = _steps(graph, encoder)
    magnitude = graph.add("Abs", coefficients)
    smaller = _quarters_cost_less(graph, magnitude, step)

    seen = _quotient(graph, magnitude, step, "+", 2)
    index = _indices(graph, graph.add("Min", seen, graph.scalar(TOP)), encoder)
    eighths = graph.add("Add", index, graph.scalar(INDICES // 2))
    threshold = _shifted(graph, graph.add("Mul", eighths, step), 4)
    one = graph.as_float(graph.add("GreaterOrEqual", magnitude, threshold))
    many = _quotient(graph, magnitude, step, "-", 1)
    limited = graph.add("Min", many, graph.scalar(LARGEST))
    several = graph.add("GreaterOrEqual", many, graph.scalar(2))
    level = graph.add("Where", several, limited, one)
    level = graph.add("Mul", level, graph.add("Sign", coefficients))

    by_size = [
        graph.add("Gather", level, graph.tensor(f"size_{size}", np.array(size)), axis=1)
        for size in range(TRANSFORM_SIZES)
    ]
    chosen = graph.add("Unsqueeze", smaller, graph.numbers(1, 2))
    level = graph.add("Where", chosen, by_size[QUARTERS], by_size[1 - QUARTERS])
    graph.output("levels", graph.cast(level, "int16"), "int16", ("patches", PLANES, LEVELS))
    graph.output("transform_sizes", graph.cast(smaller, "uint8"), "uint8", ("patches",))


def _steps(graph: Graph, encoder: RateNqe) -> str:
    """The input's steps, float32 (1, TRANSFORM_SIZES, 3, 1)."""
    table = np.stack([encoder.integer_steps(index) for index in range(STEPS)])
    steps = graph.tensor("steps", table.astype(np.float32)[..., None])
    return graph.add("Gather", steps, graph.input("step", "int64", (1,)), axis=0)


def _shifted(graph: Graph, value: str, shift: int) -> str:
    return graph.add("Floor", graph.add("Mul", value, graph.scalar(2.0**-shift)))


def _quotient(graph: Graph, magnitude: str, step: str, sign: str, shift: int) -> str:
    """``(magnitude + (step >> shift) ± (step >> 4)) // step``."""
    sixteenth = _shifted(graph, step, 4)
    share = graph.add({"+": "Add", "-": "Sub"}[sign], _shifted(graph, step, shift), sixteenth)
    return graph.add("Floor", graph.add("Div", graph.add("Add", magnitude, share), step))


def _quarters_cost_less(graph: Graph, magnitude: str, step: str) -> str:
    """bool (N,); see `heqcodec.nqe_r.quantizer.transform_costs`."""
    quarter, half = _shifted(graph, step, 2), _shifted(graph, step, 1)
    bounds = [quarter, half, graph.add("Add", half, quarter), graph.add("Add", step, half)]
    bounds += [graph.add("Mul", bounds[-1], graph.scalar(1 << shift)) for shift in range(1, 5)]
    passed = [
        graph.add(
            "Mul", graph.as_float(graph.add("Greater", magnitude, bound)), graph.scalar(weight)
        )
        for bound, weight in zip(bounds, WEIGHTS, strict=True)
    ]
    costs = graph.add("Sum", *passed)
    costs = graph.add("ReduceSum", costs, graph.numbers(2, 3), keepdims=0)
    whole, apart = (
        graph.add("Gather", costs, graph.tensor(f"size_{size}", np.array(size)), axis=1)
        for size in range(TRANSFORM_SIZES)
    )
    return graph.add("Less", apart, whole)


def _indices(graph: Graph, seen: str, encoder: RateNqe) -> str:
    """Indices of thresholds, 0..15, (N, TRANSFORM_SIZES, 3, 1024), see `CostLayer`."""
    order = level_maps(np.arange(LEVELS)).reshape(-1)
    maps = graph.add("Gather", seen, graph.tensor("order_of_maps", order), axis=3)
    maps = graph.add("Reshape", maps, graph.numbers(-1, TRANSFORM_SIZES * MAPS, QUARTER, QUARTER))
    kernels = graph.tensor("cost_kernels", _kernels(encoder))
    sums = graph.add("Conv", maps, kernels, pads=(REACH,) * 4, group=TRANSFORM_SIZES)
    # Sums are exact; this removes what a fast algorithm of convolution could add to them.
    sums = graph.add("Round", sums)
    bias = level_maps(encoder.costs.bias).astype(np.float32) * (1 << BIAS_SHIFT)
    bias = bias.reshape(TRANSFORM_SIZES * MAPS, QUARTER, QUARTER)
    total = graph.add("Sub", graph.tensor("cost_biases", bias), sums)
    index = graph.add(
        "Clip", _shifted(graph, total, INDEX_SHIFT), graph.scalar(0), graph.scalar(INDICES - 1)
    )
    index = graph.add("Reshape", index, graph.numbers(-1, TRANSFORM_SIZES, PLANES, LEVELS))
    return graph.add("Gather", index, graph.tensor("order_of_levels", np.argsort(order)), axis=3)


def _kernels(encoder: RateNqe) -> NDArray[np.float32]:
    """Both kinds of weights, shifted, for one convolution: (TRANSFORM_SIZES * MAPS, MAPS, 5, 5)."""
    layer = encoder.costs
    near, cross = (1 << int(shift) for shift in layer.shifts)
    kernels = np.zeros((TRANSFORM_SIZES, PLANES, SUBS, PLANES, SUBS, SPAN, SPAN), dtype=np.float32)
    for plane in range(PLANES):
        kernels[:, plane, :, plane] = layer.near[:, plane].astype(np.float32) * near
        for which in range(PLANES - 1):
            other = (plane + 1 + which) % PLANES
            for sub in range(SUBS):
                weight = layer.cross[:, plane, sub, which].astype(np.float32)
                kernels[:, plane, sub, other, sub, REACH, REACH] = weight * cross
    return kernels.reshape(TRANSFORM_SIZES * MAPS, MAPS, SPAN, SPAN)
