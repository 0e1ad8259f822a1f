"""Counting a model of variable rate on a frame, strip by strip as a device goes through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from heqcodec.base.constants import PATCH
from heqcodec.export.layers import layer_operations, rate_layers
from heqcodec.file.target_search import finest_fitting_step
from heqcodec.image.patches import split_patches
from heqcodec.nqe_r.coders import OWN, PACKED
from heqcodec.nqe_r.device_coder.tables import check_tables
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.levels import ImageLevels
from heqcodec.nqe_r.transform import TRANSFORM_SIZES
from numpy.typing import NDArray

from . import device_work, packed_work, rate_work
from .work import Work

SIZE_CHOICE, QUANTIZER = "choice of sizes", "quantization"


@dataclass
class FrameWork:
    """What a frame takes, in all.

    Attributes:
        pixels: of the frame.
        layers: of the encoder, the count of `heqcodec export report`.
        choices: of the encoder, by kind: they depend on the image.
        quarters: patches of transform size 1.
        sparse: additions of weights of the cost layer if zeros are skipped.
        doubtful: additions of the cost layer if it is asked only where it decides.
        device, device_bytes: the device coder, and its payloads.
        decisions: of the device coder, by kind.
        packed: the packed coder.
    """

    pixels: int
    layers: Work
    choices: dict[str, Work] = field(default_factory=dict)
    quarters: int = 0
    sparse: float = 0.0
    doubtful: float = 0.0
    device: Work = field(default_factory=Work)
    device_bytes: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    packed: Work = field(default_factory=Work)

    def add(self, kind: str, work: Work) -> None:
        """Count choices of the encoder."""
        self.choices[kind] = self.choices.get(kind, Work()) + work

    def all_choices(self) -> Work:
        """Those of all kinds."""
        return sum(self.choices.values(), Work())


@dataclass(frozen=True)
class RateParts:
    """What a model of variable rate is made of.

    tensors: of the encoder.
    device, packed: tensors of the coders.
    """

    encoder: RateNqe
    tensors: Mapping[str, NDArray[Any]]
    device: Mapping[str, NDArray[Any]]
    packed: Mapping[str, NDArray[Any]]


def fitting_step(parts: RateParts, frame: NDArray[np.uint8], bpp: float) -> int:
    """The finest step at which the payloads of the device coder take at most ``bpp``.

    Raises:
        HeqError: none does.
    """
    coder, image = OWN.make(parts.device), ImageLevels(frame, parts.encoder, keep=True)
    rows = OWN.strip_rows
    return finest_fitting_step(
        lambda step: sum(len(coder.encode(*strip)) for strip in image.strips(step, rows)),
        int(bpp * frame.shape[0] * frame.shape[1] / 8),
    )


def count_frame(parts: RateParts, frame: NDArray[np.uint8], step: int) -> FrameWork:
    """Count a frame, strip by strip of the device.

    Args:
        parts: of the model.
        frame: uint8 (H, W, 3), sides multiples of 32.
        step: index.
    """
    encoder, tables = parts.encoder, check_tables(parts.device)
    coder = OWN.make(parts.device)
    pixels = frame.shape[0] * frame.shape[1]
    layers = layer_operations(rate_layers({**parts.tensors, **parts.device}))
    work = FrameWork(pixels, rate_work.work_of(layers).times(pixels))
    steps, columns, kept = encoder.integer_steps(step), frame.shape[1] // PATCH, []
    height = OWN.strip_rows * PATCH
    for top in range(0, frame.shape[0], height):
        coefficients = encoder.coefficients(split_patches(frame[top : top + height]))
        levels, transform_sizes = encoder.levels(coefficients, step)
        work.add(SIZE_CHOICE, rate_work.transform_choice_work(coefficients, steps))
        for size in range(TRANSFORM_SIZES):
            own = transform_sizes == size
            given = coefficients[own, size], levels[own], steps[size]
            work.add(QUANTIZER, rate_work.quantizer_work(*given))
            asked = encoder.costs, size, coefficients[own, size], steps[size]
            work.sparse += rate_work.sparse_cost_additions(*asked)
            work.doubtful += rate_work.doubtful_cost_additions(*asked)
        work.quarters += int(transform_sizes.sum())
        strip = levels.reshape(-1, columns, 3, LEVELS), transform_sizes.reshape(-1, columns)
        trace = device_work.trace_strip(tables, *strip, step)
        work.device = work.device + device_work.strip_work(trace, strip[0])
        work.device_bytes += len(coder.encode(*strip, step))
        for kind in device_work.KINDS:
            work.decisions[kind] += len(device_work.decisions_of(trace, kind).sets)
        kept.append(strip[0])
    whole = np.concatenate(kept)
    for row in range(0, len(whole), PACKED.strip_rows):
        strip_counts = packed_work.count_packed(whole[row : row + PACKED.strip_rows])
        work.packed = work.packed + packed_work.packed_work(strip_counts)
    return work
