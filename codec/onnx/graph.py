"""A graph under construction: operators in order, values by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import protobuf
from .protobuf import Attribute, Dimension


class Graph:
    """An ONNX graph under construction.

    Args:
        name: of the model.
        about: what it is, for people who open the file.
    """

    def __init__(self, name: str, about: str) -> None:
        self._name, self._about = name, about
        self._nodes: list[bytes] = []
        self._tensors: dict[str, bytes] = {}
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []

    def input(self, name: str, element: str, shape: Sequence[Dimension]) -> str:
        """Declare an input; its name."""
        self._inputs.append(protobuf.value(name, element, shape))
        return name

    def output(self, name: str, source: str, element: str, shape: Sequence[Dimension]) -> None:
        """Declare that a value leaves the graph under a name."""
        self._nodes.append(protobuf.node("Identity", [source], [name], name, {}))
        self._outputs.append(protobuf.value(name, element, shape))

    def tensor(self, name: str, array: NDArray[np.generic]) -> str:
        """Add a constant; its name."""
        self._tensors[name] = protobuf.tensor(name, array)
        return name

    def numbers(self, *values: int) -> str:
        """A constant int64 vector, as shapes and axes are given."""
        name = "numbers_" + "_".join(str(item) for item in values)
        return self.tensor(name, np.array(values, dtype=np.int64))

    def scalar(self, number: float) -> str:
        """A constant float32 scalar."""
        return self.tensor(f"scalar_{number!r}", np.array(number, dtype=np.float32))

    def add(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """Add an operator of one output; the output's name."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(protobuf.node(operator, inputs, [name], name, attributes))
        return name

    def cast(self, source: str, element: str) -> str:
        """A value as another type of `protobuf.ELEMENT_TYPES`."""
        return self.add("Cast", source, to=protobuf.ELEMENT_TYPES[element])

    def as_float(self, source: str) -> str:
        """A value as float32."""
        return self.cast(source, "float32")

    def model(self) -> bytes:
        """The finished model."""
        return protobuf.model(
            self._name,
            self._nodes,
            self._tensors.values(),
            self._inputs,
            self._outputs,
            self._about,
        )
