"""ONNX models as bytes: the few protobuf messages of onnx.proto that our graphs need.

The package onnx would write the same; but it is larger than this codec, and graphs are built anew
whenever a decoder is loaded, so that no second copy of the weights has to be shipped. Numbers of
fields are those of onnx.proto, which never change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

IR_VERSION = 8
OPSET = 17
"""Read by onnxruntime from 1.12 on."""
ELEMENT_TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
}
"""TensorProto.DataType, by names of numpy."""
Attribute = int | float | str | Sequence[int]
Dimension = int | str
"""A length, or the name of one that may vary."""

_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7


def _varint(value: int) -> bytes:
    value &= 2**64 - 1  # negative numbers as two's complement, as protobuf has them
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _field(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | _BYTES) + _varint(len(data)) + data


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, int):
        encoded = _number(3, value) + _number(20, _INT)
    elif isinstance(value, float):
        encoded = _varint(2 << 3 | _FIXED32) + struct.pack("<f", value) + _number(20, _FLOAT)
    elif isinstance(value, str):
        encoded = _field(4, value) + _number(20, _STRING)
    else:
        encoded = b"".join(_number(8, item) for item in value) + _number(20, _INTS)
    return _field(1, name) + encoded


def node(
    operator: str,
    inputs: Iterable[str],
    outputs: Iterable[str],
    name: str,
    attributes: Mapping[str, Attribute],
) -> bytes:
    """A NodeProto of the default domain."""
    return b"".join(
        (
            *(_field(1, item) for item in inputs),
            *(_field(2, item) for item in outputs),
            _field(3, name),
            _field(4, operator),
            *(_field(5, _attribute(key, value)) for key, value in attributes.items()),
        )
    )


def tensor(name: str, array: NDArray[np.generic]) -> bytes:
    """A TensorProto that holds its values.

    Args:
        array: of a type in `ELEMENT_TYPES`.
    """
    data = np.ascontiguousarray(array)
    little = data.astype(data.dtype.newbyteorder("<"), copy=False)
    return b"".join(
        (
            *(_number(1, length) for length in array.shape),
            _number(2, ELEMENT_TYPES[data.dtype.name]),
            _field(8, name),
            _field(9, little.tobytes()),
        )
    )


def value(name: str, element: str, shape: Sequence[Dimension]) -> bytes:
    """A ValueInfoProto: an input or output of a graph."""
    dimensions = (
        _field(1, _number(1, length) if isinstance(length, int) else _field(2, length))
        for length in shape
    )
    kind = _number(1, ELEMENT_TYPES[element]) + _field(2, b"".join(dimensions))
    return _field(1, name) + _field(2, _field(1, kind))


def model(
    name: str,
    nodes: Iterable[bytes],
    initializers: Iterable[bytes],
    inputs: Iterable[bytes],
    outputs: Iterable[bytes],
    about: str,
) -> bytes:
    """A ModelProto: the bytes of an ``.onnx`` file.

    Args:
        name: of the graph.
        nodes, initializers, inputs, outputs: messages of the functions above.
        about: for people who open the file.
    """
    graph = b"".join(
        (
            *(_field(1, item) for item in nodes),
            _field(2, name),
            *(_field(5, item) for item in initializers),
            *(_field(11, item) for item in inputs),
            *(_field(12, item) for item in outputs),
        )
    )
    return b"".join(
        (
            _number(1, IR_VERSION),
            _field(2, "heqcodec"),
            _field(6, about),
            _field(7, graph),
            _field(8, _field(1, "") + _number(2, OPSET)),
        )
    )
