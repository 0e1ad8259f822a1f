"""The patches of an image in the order of sending, from a device file; and the file again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING

import numpy as np
from heqcodec.base.errors import HeqUnsupportedError
from heqcodec.container.header import Header
from heqcodec.container.reader import ContainerReader
from heqcodec.container.strips import NOT_SENT, Strip, strip_patch_rows
from heqcodec.file.encoding import joined_file
from heqcodec.file.progressive import decoded_strips
from heqcodec.nqe_r.coders import OWN
from heqcodec.nqe_r.layout import LEVELS
from numpy.typing import NDArray

from .layout import Start, model_tag

if TYPE_CHECKING:
    from heqcodec.base.rate_protocols import StripCoder


@dataclass
class Patches:
    """The levels of an image, patch by patch, row by row.

    Attributes:
        levels: int16 (N, planes, 1024).
        transform_sizes: uint8 (N,).
        steps: int64 (N,), step index of each.
        known: bool (N,), false where nothing was sent or received.
    """

    levels: NDArray[np.int16]
    transform_sizes: NDArray[np.uint8]
    steps: NDArray[np.int64]
    known: NDArray[np.bool_]

    @classmethod
    def none(cls, start: Start) -> Patches:
        """All patches unknown: levels of zero at the step of the start packet."""
        count = start.patches
        return cls(
            np.zeros((count, start.planes, LEVELS), np.int16),
            np.zeros(count, np.uint8),
            np.full(count, start.step, np.int64),
            np.zeros(count, bool),
        )


RUNS = (4, 5, 3, 2, 1)
"""Patches of a row that stay together when neighbours are sent far apart, the first of these that
divides their number: the coder predicts a patch from the one to the left."""


def interleaved_order(patches: int) -> tuple[int, int]:
    """Stride and run that send neighbours far apart: a stride near the golden section of all runs,
    and prime to their number, so that lost packets leave the neighbours of what they take."""
    run = next(run for run in RUNS if patches % run == 0)
    runs = patches // run
    middle = runs * 633 >> 10
    by_distance = sorted(range(1, runs), key=lambda stride: abs(stride - middle))
    return next((stride for stride in by_distance if gcd(stride, runs) == 1), 1), run


def read_patches(reader: ContainerReader) -> tuple[Patches, StripCoder]:
    """The patches of a device file, and the coder of its strips.

    Raises:
        HeqUnsupportedError: it is a packed file, or a progressive one.
        HeqError: it is damaged.
    """
    from heqcodec.models import registry

    header = reader.header
    if header.coder != OWN.number:
        raise HeqUnsupportedError(
            "packets are made of files that a device could write; unpack a packed file first."
        )
    if header.parts > 1:
        raise HeqUnsupportedError(
            "packets are made of files whose strips come once; encode without progressive."
        )
    strips = reader.read_strips(range(header.strip_count))
    name = registry.model_of_file(header.encoder_id, header.coder_id)
    coder = registry.load_strip_coder(name, OWN.number)
    patches = Patches.none(start_of(header, 1, 1, 0))
    at = 0
    for levels, transform_sizes, step in decoded_strips(header, strips, coder):
        part = slice(at, at + transform_sizes.size)
        if step != NOT_SENT:
            patches.levels[part] = levels.reshape(patches.levels[part].shape)
            patches.transform_sizes[part] = transform_sizes.reshape(-1)
            patches.steps[part], patches.known[part] = step, True
        at = part.stop
    return patches, coder


def start_of(header: Header, stride: int, run: int, packets: int) -> Start:
    """The start packet of a file: what its packets share."""
    return Start(
        width=header.width,
        height=header.height,
        channels=header.channels_byte,
        strip_rows=header.strip_rows,
        step=header.rate,
        stride=stride,
        run=run,
        packets=packets,
        model=model_tag(header.encoder_id, header.coder_id),
    )


def write_file(header: Header, patches: Patches, coder: StripCoder) -> bytes:
    """The device file of an image of which all patches are known, without metadata."""

    def strips() -> Iterator[Strip]:
        columns, at = header.patch_columns, 0
        for index in range(header.strip_count):
            rows = strip_patch_rows(header, index)
            part = slice(at, at + rows * columns)
            levels = patches.levels[part].reshape(rows, columns, header.channels, LEVELS)
            transform_sizes = patches.transform_sizes[part].reshape(rows, columns)
            step = int(patches.steps[at])
            yield Strip(step, coder.encode(levels, transform_sizes, step))
            at += rows * columns

    return joined_file(header, strips(), [])
