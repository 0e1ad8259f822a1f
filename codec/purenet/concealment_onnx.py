"""The concealment network as an ONNX graph, and its run by onnxruntime on the CPU.

::

    pixels (1, 3, H, W), RGB / 255, continued     lost (1, 1, H, W), 0 or 1
                  added (1, 3, H, W)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from heqcodec.onnx.graph import Graph
from heqcodec.onnx.session import open_session, run_options
from numpy.typing import NDArray

from .concealment import CELL, DILATIONS, Network
from .stored_weights import SCALE

ROWS, COLUMNS = "rows of pixels", "columns of pixels"


def concealment_model(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """An ONNX model.

    Args:
        tensors: as `heqcodec.purenet.stored_weights` stores them.

    Raises:
        KeyError: one is missing.
    """
    graph = Graph("concealment", "what is added to the smooth continuation of lost patches")

    def convolution(x: str, layer: str, reach: int = 1) -> str:
        name = f"{layer}.weight"
        scale = tensors[name + SCALE][:, None, None, None]
        weights = graph.add(
            "Mul",
            graph.as_float(graph.tensor(name, tensors[name])),
            graph.as_float(graph.tensor(name + SCALE, scale)),
        )
        bias = graph.as_float(graph.tensor(f"{layer}.bias", tensors[f"{layer}.bias"]))
        return graph.add("Conv", x, weights, bias, pads=(reach,) * 4, dilations=(reach,) * 2)

    pixels = graph.input("pixels", "float32", (1, 3, ROWS, COLUMNS))
    lost = graph.input("lost", "float32", (1, 1, ROWS, COLUMNS))
    samples = graph.add("Mul", graph.add("Sub", pixels, graph.scalar(0.5)), graph.scalar(4))
    # SpaceToDepth has the planes innermost.
    order = np.arange(3 * CELL**2).reshape(CELL**2, 3).T.reshape(-1)
    places = graph.tensor("planes_outermost", order.astype(np.int64))
    cells = graph.add("SpaceToDepth", samples, blocksize=CELL)
    cells = graph.add("Gather", cells, places, axis=1)
    mask = graph.add("MaxPool", lost, kernel_shape=(CELL, CELL), strides=(CELL, CELL))
    x = convolution(graph.add("Concat", cells, mask, axis=1), "enter")
    for index, reach in enumerate(DILATIONS):
        y = graph.add("Relu", convolution(x, f"first.{index}", reach))
        x = graph.add("Add", x, convolution(y, f"second.{index}"))
    x = graph.add("DepthToSpace", convolution(x, "leave"), blocksize=CELL, mode="CRD")
    added = graph.add("Mul", x, graph.scalar(0.25))
    graph.output("added", added, "float32", (1, 3, ROWS, COLUMNS))
    return graph.model()


def load_by_onnx(tensors: Mapping[str, NDArray[Any]]) -> Network:
    """The network of stored tensors.

    Raises:
        HeqUnsupportedError: onnxruntime is not installed.
    """
    session = open_session(concealment_model(tensors))

    def run(pixels: NDArray[np.float32], lost: NDArray[np.float32]) -> NDArray[np.float32]:
        given = {"pixels": pixels[None], "lost": lost[None]}
        added: NDArray[np.float32] = session.run(["added"], given, run_options())[0][0]
        return added

    return run
