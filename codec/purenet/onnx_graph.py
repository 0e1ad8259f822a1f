"""PURENET as an ONNX graph: the network of `heqcodec.purenet.network`, operator by operator.

::

    models with a base (nqe-t, nqe-r)                models without (nqe-vgg)
      base   (1, 3, 32 R, 32 C), RGB / 255             cells  (1, inputs, 4 R, 4 C): -1, 1, 0 unsent
      hints  (1, hints, R, C), 0..1
      rate_weights (R, rates), by row of patches, of sum 1; or (1, rates) for all rows
                            frame (1, 3, 32 R, 32 C), RGB / 255, not limited to 0..1

Weights stay in the graph as they are stored, 8 bits with scales or float16; a Cast and a Mul stand
behind them, which a runtime computes once when it loads the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from heqcodec.onnx.graph import Graph
from heqcodec.purenet.config import CELL, CELLS, PurenetConfig
from heqcodec.purenet.stored_weights import SCALE
from numpy.typing import NDArray

ROWS, COLUMNS = "rows of patches", "columns of patches"
STEP_ROWS = "rows of patches, or 1"


def purenet_model(name: str, config: PurenetConfig, tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """An ONNX model.

    Args:
        name: of the model.
        config: its sizes.
        tensors: as `heqcodec.purenet.stored_weights` stores them.

    Raises:
        KeyError: a tensor is missing.
    """
    return _Builder(name, config, tensors).model()


class _Builder:
    def __init__(
        self, name: str, config: PurenetConfig, tensors: Mapping[str, NDArray[Any]]
    ) -> None:
        self._config, self._tensors = config, tensors
        self._graph = Graph(name, "PURENET of heqcodec: codes of patches to a frame, RGB / 255")
        self._rate_weights = ""

    def model(self) -> bytes:
        config, graph = self._config, self._graph
        if config.has_base:
            base = graph.input("base", "float32", (1, 3, f"32 {ROWS}", f"32 {COLUMNS}"))
            hints = graph.input("hints", "float32", (1, config.hints, ROWS, COLUMNS))
            cells = self._cells(base, hints)
        else:
            shape = (1, config.inputs, f"4 {ROWS}", f"4 {COLUMNS}")
            cells = graph.input("cells", "float32", shape)
            base = self._shuffled(self._convolution(cells, "base"), CELL)
        self._rate_weights = graph.input("rate_weights", "float32", (STEP_ROWS, config.rates))
        frame = self._frame(cells, base)
        graph.output("frame", frame, "float32", (1, 3, f"32 {ROWS}", f"32 {COLUMNS}"))
        return graph.model()

    def _frame(self, cells: str, base: str) -> str:
        """(1, inputs, 4 R, 4 C), (1, 3, 32 R, 32 C) to (1, 3, 32 R, 32 C)."""
        config, graph = self._config, self._graph
        x = self._patches_upsampled(cells)
        x = self._blocks(x, "coarse")
        frame = graph.add("Add", base, self._shuffled(self._convolution(x, "coarse_out"), CELL))
        if config.mid_blocks:
            x = self._finer(x, frame, "to_mid", 2, CELL // 2)
            x = graph.add("Relu", self._convolution(x, "mid_in", padding=1))
            x = self._blocks(x, "mid")
        x = self._finer(x, frame, "to_fine", config.fine_factor, 2)
        x = graph.add("Relu", self._convolution(x, "fine_in", padding=1))
        x = self._blocks(x, "fine")
        x = self._convolution(x, "fine_out", padding=1)
        return graph.add("Add", frame, self._shuffled(x, 2))

    def _cells(self, base: str, hints: str) -> str:
        """See `heqcodec.purenet.network.transform_cells`."""
        graph = self._graph
        pixels = self._unshuffled(graph.add("Sub", base, graph.scalar(0.5)), CELL)
        pixels = graph.add("Mul", pixels, graph.scalar(4))
        sizes = graph.tensor("cells_of_a_patch", np.array([1, 1, CELLS, CELLS], dtype=np.float32))
        spread = graph.add(
            "Resize",
            *(hints, "", sizes),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        spread = graph.add("Mul", spread, graph.scalar(2))
        spread = graph.add("Sub", spread, graph.scalar(1))
        return graph.add("Concat", pixels, spread, axis=1)

    def _patches_upsampled(self, cells: str) -> str:
        """Patch upsampling and aggregation: (1, inputs, 4 R, 4 C) to (1, width, 4 R, 4 C)."""
        graph, width, side = self._graph, self._config.width, self._graph.numbers(CELLS)
        entered = self._convolution(cells, "enter")
        rows, columns = (
            graph.add("Div", graph.add("Shape", entered, start=axis, end=axis + 1), side)
            for axis in (2, 3)
        )
        ahead = graph.numbers(1, width)
        # Patches become the batch, so that the padding of the convolutions ends at their borders.
        grid = graph.add("Concat", ahead, rows, side, columns, side, axis=0)
        x = graph.add("Transpose", graph.add("Reshape", entered, grid), perm=(0, 2, 4, 1, 3, 5))
        x = graph.add("Reshape", x, graph.numbers(-1, width, CELLS, CELLS))
        x = self._blocks(x, "local", patches=True)
        patch = graph.numbers(width, CELLS, CELLS)
        grid = graph.add("Concat", graph.numbers(1), rows, columns, patch, axis=0)
        x = graph.add("Transpose", graph.add("Reshape", x, grid), perm=(0, 3, 1, 4, 2, 5))
        return graph.add("Reshape", x, graph.add("Shape", entered))

    def _blocks(self, x: str, stage: str, patches: bool = False) -> str:
        """``x + conv(relu(gain_rate * conv(x) + shift_rate))``, for each block of a stage.

        Args:
            patches: whether x is a batch of patches, row after row, and not a frame.
        """
        graph = self._graph
        axes = (1, 3) if patches else (0, 3)
        for index, hidden in enumerate(self._config.stages[stage][1]):
            block = f"{stage}.{index}"
            # Each row of weights is that of so many patches, or of so many lines of a frame.
            grid = (
                (self._weight_rows(), graph.numbers(-1, hidden, CELLS * CELLS))
                if patches
                else (graph.numbers(1, hidden), self._weight_rows(), graph.numbers(-1))
            )
            y = self._convolution(x, f"{block}.first", padding=1)
            shape = graph.add("Shape", y)
            y = graph.add("Reshape", y, graph.add("Concat", *grid, axis=0))
            y = graph.add("Mul", y, self._of_rate(f"{block}.gain", not patches, axes))
            y = graph.add("Add", y, self._of_rate(f"{block}.shift", not patches, axes))
            y = graph.add("Relu", graph.add("Reshape", y, shape))
            x = graph.add("Add", x, self._convolution(y, f"{block}.second", padding=1))
        return x

    def _weight_rows(self) -> str:
        return self._graph.add("Shape", self._rate_weights, start=0, end=1)

    def _of_rate(self, name: str, frame: bool, axes: tuple[int, int]) -> str:
        """A tensor (rates, width), interpolated between the rates: (1, width, G, 1) for a frame,
        (G, 1, width, 1) for patches."""
        graph = self._graph
        mixed = graph.add("MatMul", self._rate_weights, self._weights(name))
        if frame:
            mixed = graph.add("Transpose", mixed, perm=(1, 0))
        return graph.add("Unsqueeze", mixed, graph.numbers(*axes))

    def _finer(self, x: str, frame: str, layer: str, factor: int, side: int) -> str:
        """Features at a finer resolution, with the ``side**2`` pixels of a position appended."""
        graph = self._graph
        finer = self._shuffled(self._convolution(x, layer), factor)
        pixels = self._unshuffled(graph.add("Sub", frame, graph.scalar(0.5)), side)
        return graph.add("Concat", finer, pixels, axis=1)

    def _convolution(self, x: str, layer: str, padding: int = 0) -> str:
        weights, bias = self._weights(f"{layer}.weight"), self._weights(f"{layer}.bias")
        side = self._tensors[f"{layer}.weight"].shape[2]
        # onnxruntime-web on WebGPU finds no defaults where weights are computed.
        return self._graph.add(
            "Conv",
            *(x, weights, bias),
            kernel_shape=(side, side),
            strides=(1, 1),
            pads=(padding,) * 4,
            dilations=(1, 1),
            group=1,
        )

    def _shuffled(self, x: str, factor: int) -> str:
        """Pixel shuffle: (1, n factor^2, h, w) to (1, n, factor h, factor w)."""
        return self._graph.add("DepthToSpace", x, blocksize=factor, mode="CRD")

    def _unshuffled(self, frame: str, side: int) -> str:
        """Its inverse, of three planes: (1, 3, side h, side w) to (1, 3 side^2, h, w)."""
        graph = self._graph
        # SpaceToDepth has the planes innermost.
        order = np.arange(3 * side**2).reshape(side**2, 3).T.reshape(-1)
        places = graph.tensor(f"planes_outermost_{side}", order.astype(np.int64))
        return graph.add("Gather", graph.add("SpaceToDepth", frame, blocksize=side), places, axis=1)

    def _weights(self, name: str) -> str:
        """A tensor of the network, as float32."""
        graph, array = self._graph, self._tensors[name]
        value = graph.as_float(graph.tensor(name, array))
        if array.dtype != np.int8:
            return value
        scale = self._tensors[name + SCALE][:, None, None, None]
        return graph.add("Mul", value, graph.as_float(graph.tensor(name + SCALE, scale)))
