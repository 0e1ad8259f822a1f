"""The tables of the packed coder, and how a plane of a patch is cut into slices and segments.

All tables are integers and ship with a model's weights. Those of `fixed_tables` are the
same for every model, and stored all the same, so that whoever codes needs no logarithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from heqcodec.nqe_r.layout import LEVELS, band_frequencies
from numpy.typing import NDArray

PLANES = 3
INPUTS = 92
"""Numbers that a network sees."""
LISTED = 77
"""Those of them that the table ``sources`` lists."""
HIDDEN = 64
SECOND = 32
HEADS = 8
FLAG_NETS = 48
"""Networks for levels; those for flags follow."""
NETS = 54
SIGN_MIX = NETS
MIXES = NETS + 1
MIXED = 7
"""What a mix weighs: the network's logit and up to six corrections."""
SQUASH = 6144
SURE_BOUNDS = (13, 38, 77, 128, 205, 307, 512, 768)
"""Bounds between classes of the magnitude of an expected level, in 1/256 of a level."""
SURE = len(SURE_BOUNDS) + 1
"""Classes of how large an expected level is: how sure its sign."""

SLICE_STARTS = (0, 1, 16, 64, 160, 384, 1024)
"""Levels of a plane at which slices begin, and the end."""
SEGMENT_STARTS = (0, 1, 16, *range(64, 384, 32), *range(384, 1025, 64))
SLICES = len(SLICE_STARTS) - 1
SLICE_SEGMENTS = tuple(SEGMENT_STARTS.index(start) for start in SLICE_STARTS)
"""Segments at which slices begin, and the end."""


class PackedTables(NamedTuple):
    """Integer tables, in the order of the C coder.

    Attributes:
        sources: int8 (LISTED, 6): plane (0 own, 1 and 2 before it in turn), row and column of the
            patch, vertical and horizontal frequency, each as an offset; sub to XOR, 4 for the sum.
        magnitude: uint8 (256,): what the coder keeps of a magnitude, 0..63.
        energy: uint8 (2048,): what it keeps of a sum of these.
        first, first_bias: first layers, int16 (NETS, INPUTS, HIDDEN), int32 (NETS, HIDDEN).
        second, second_bias: int16 (NETS, SECOND, HIDDEN), int32 (NETS, SECOND).
        third, third_bias: int16 (NETS, HEADS, SECOND), int32 (NETS, HEADS).
        mixing: first weights of the mixes in 1/65536, int32 (MIXES, 4, MIXED).
        squash: probability of a 1 in 1/65536 by logit in 1/256, uint16 (SQUASH,).
        size: logit in 1/4096 of transform size 1, by octave of the step and the sum of the sizes
            left and above, int32 (8, 3).
        edge: basis functions at their first sample in 1/1024, by transform size, int16 (2, 32).
        halves: 32 frequencies to twice 16 in 1/4096, int16 (32, 32).
        border: weights of the four sides by plane, size and level, int16 (3, 2, LEVELS, 4).
        sign: logit in 1/4096 that a sign is not the expected one, by plane, how sure that is, and
            magnitude, int32 (3, SURE, 3).
    """

    sources: NDArray[Any]
    magnitude: NDArray[Any]
    energy: NDArray[Any]
    first: NDArray[Any]
    first_bias: NDArray[Any]
    second: NDArray[Any]
    second_bias: NDArray[Any]
    third: NDArray[Any]
    third_bias: NDArray[Any]
    mixing: NDArray[Any]
    squash: NDArray[Any]
    size: NDArray[Any]
    edge: NDArray[Any]
    halves: NDArray[Any]
    border: NDArray[Any]
    sign: NDArray[Any]


KINDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "sources": ("|i1", (LISTED, 6)),
    "magnitude": ("|u1", (256,)),
    "energy": ("|u1", (2048,)),
    "first": ("<i2", (NETS, INPUTS, HIDDEN)),
    "first_bias": ("<i4", (NETS, HIDDEN)),
    "second": ("<i2", (NETS, SECOND, HIDDEN)),
    "second_bias": ("<i4", (NETS, SECOND)),
    "third": ("<i2", (NETS, HEADS, SECOND)),
    "third_bias": ("<i4", (NETS, HEADS)),
    "mixing": ("<i4", (MIXES, 4, MIXED)),
    "squash": ("<u2", (SQUASH,)),
    "size": ("<i4", (8, 3)),
    "edge": ("<i2", (2, 32)),
    "halves": ("<i2", (32, 32)),
    "border": ("<i2", (PLANES, 2, LEVELS, 4)),
    "sign": ("<i4", (PLANES, SURE, 3)),
}
"""Type and shape of each table."""


def checked_tables(tensors: Mapping[str, NDArray[Any]]) -> PackedTables:
    """Check tables by name, and return them contiguous and in native byte order.

    Raises:
        ValueError: a table is missing, of another kind, or out of bounds.
    """
    made = {}
    for name, (kind, shape) in KINDS.items():
        table = tensors.get(name)
        if table is None or table.shape != shape or table.dtype != np.dtype(kind):
            found = "missing" if table is None else f"{table.dtype} {table.shape}"
            raise ValueError(f"table {name} of the packed coder is {found}, not {kind} {shape}")
        made[name] = np.ascontiguousarray(table, dtype=np.dtype(kind).newbyteorder("="))
    tables = PackedTables(**made)
    bounds = ((0, 2), (-1, 1), (-1, 1), (-3, 1), (-3, 1), (0, 4))
    for column, (low, high) in zip(tables.sources.T, bounds, strict=True):
        if column.min() < low or column.max() > high:
            raise ValueError("table sources of the packed coder points outside its map")
    if tables.magnitude.max() > 63 or tables.squash.min() < 1:
        raise ValueError("table magnitude or squash of the packed coder is out of bounds")
    for weights, bias, most in (
        (tables.first.transpose(0, 2, 1), tables.first_bias, 255),
        (tables.second, tables.second_bias, 4095),
        (tables.third, tables.third_bias, 4095),
    ):
        sums = np.abs(weights.astype(np.int64)).sum(axis=2) * most + np.abs(bias.astype(np.int64))
        if sums.max() >= 1 << 31:
            raise ValueError("the networks of the packed coder do not fit in 32 bits")
    if np.abs(tables.edge.astype(np.int64)).max() > 1024:
        raise ValueError("table edge of the packed coder is out of bounds")
    if np.abs(tables.mixing.astype(np.int64)).max() > 1 << 20:
        raise ValueError("table mixing of the packed coder is out of bounds")
    return tables


def _sources() -> NDArray[np.int8]:
    own = [(-1, 0, 0), (0, -1, 0), (0, 0, 1), (0, 0, 2), (-1, -1, 0), (0, 0, 3)]
    own += [(*place, sub) for place in ((-1, 0), (0, -1), (-1, -1)) for sub in (1, 2, 3)]
    own += [(-2, 0, 0), (0, -2, 0), (-1, 1, 0), (1, -1, 0)]
    sums = [(-2, 0), (0, -2), (-1, 1), (1, -1), (-2, -1), (-1, -2), (-2, -2), (-3, 0), (0, -3)]
    own += [(*place, 4) for place in (*sums, (-2, 1), (1, -2))]
    rows = [(0, 0, 0, *place) for place in own]
    for patch in ((0, -1), (-1, 0)):
        rows += [(0, *patch, 0, 0, sub) for sub in range(4)]
    for patch in ((0, -1), (-1, 0), (0, 1), (1, 0)):
        rows += [(0, *patch, 0, -1, 4), (0, *patch, -1, 0, 4)]
    rows += [(0, -1, -1, 0, 0, 4), (0, -1, 1, 0, 0, 4)]
    rows += [(1, 0, 0, 0, 0, sub) for sub in range(4)]
    rows += [(1, 0, 0, 1, 0, 4), (1, 0, 0, 0, 1, 4), (2, 0, 0, 0, 0, 4), (2, 0, 0, 0, 0, 0)]
    rows += [(0, 0, 0, *place, 4) for place in ((-3, -1), (-1, -3), (-3, 1), (1, -3))]
    for patch in ((0, -1), (-1, 0)):
        rows += [(0, *patch, *place, 4) for place in ((1, 0), (0, 1), (-1, -1))]
    rows += [(0, 0, 1, -1, -1, 4), (0, 1, 0, -1, -1, 4)]
    rows += [(1, 0, 0, *place, 4) for place in ((-1, 0), (0, -1), (1, 1))]
    rows += [(1, *patch, 0, 0, 4) for patch in ((0, -1), (-1, 0), (0, 1), (1, 0))]
    rows += [(2, 0, 0, 1, 0, 4), (2, 0, 0, 0, 1, 4)]
    return np.array(rows, dtype=np.int8)


def _cosines(points: int) -> NDArray[np.float64]:
    """The orthonormal cosine transform, rows by frequency."""
    frequency, sample = np.arange(points)[:, None], np.arange(points)[None, :]
    rows = np.cos((2 * sample + 1) * frequency * np.pi / (2 * points)) * (2 / points) ** 0.5
    rows[0] /= 2**0.5
    return rows


def fixed_tables() -> dict[str, NDArray[Any]]:
    """The tables that do not depend on training."""
    edge = np.zeros((2, 32))
    edge[0], edge[1, :16] = _cosines(32)[:, 0], _cosines(16)[:, 0]
    halves = np.kron(np.eye(2), _cosines(16)) @ _cosines(32).T
    logit = (np.arange(SQUASH) - SQUASH / 2 + 0.5) / 256
    return {
        "sources": _sources(),
        "magnitude": np.minimum(63, np.rint(8 * np.log2(1 + np.arange(256)))).astype(np.uint8),
        "energy": np.minimum(255, np.rint(24 * np.log2(1 + np.arange(2048) / 8))).astype(np.uint8),
        "edge": np.rint(edge * 1024).astype(np.int16),
        "halves": np.rint(halves * 4096).astype(np.int16),
        "squash": np.clip(np.rint(65536 / (1 + np.exp(-logit))), 6, 65530).astype(np.uint16),
    }


def angles_and_rings() -> NDArray[np.int64]:
    """Angle 0..3 and ring 0..21 of each band, int64 (BANDS, 2)."""
    u, v = band_frequencies().T
    angle = np.select([v >= 3 * u, v > u, u < 3 * v], [0, 1, 2], 3)
    ring = np.sqrt(u**2 + v**2).astype(np.int64)
    return np.stack([angle, ring], axis=1)
