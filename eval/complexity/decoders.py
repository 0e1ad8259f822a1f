"""PURENET of a model, counted by running it with fresh weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from heqcodec.base.colour import COLOUR
from heqcodec.models.manifest import stored_tensors
from heqcodec.purenet.network import CELL, CELLS, Purenet, PurenetConfig
from numpy.typing import NDArray
from torch import Tensor

from .networks import multiply_accumulates, peak_activation_bytes
from .work import Stage, Work

PATCH = CELL * CELLS


def inverse_work(side: int) -> Work:
    """The plain inverse transform before PURENET: two products with matrices, then the colours.

    Args:
        side: points of the transform.
    """
    return Work(multiply_accumulates=float(2 * side * len(COLOUR) + COLOUR.size))


def decoder_stage(
    decoder: Mapping[str, Any], frame: NDArray[np.uint8], extra: Work
) -> tuple[Stage, Callable[[], Tensor]]:
    """A decoder as a stage, and what runs its network once on features of the frame's size.

    Args:
        decoder: its entry in the manifest.
        frame: uint8 (H, W, 3), sides multiples of 32.
        extra: work before the network, per pixel.
    """
    config = PurenetConfig(**decoder["config"])
    network = Purenet(config).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows, columns = frame.shape[0] // PATCH, frame.shape[1] // PATCH
    cells = torch.rand(1, config.inputs, CELLS * rows, CELLS * columns)
    cells = cells.contiguous(memory_format=torch.channels_last)
    base = torch.rand(1, 3, *frame.shape[:2]) if config.has_base else None
    features = cells, base, torch.zeros(1, dtype=torch.int64)
    count = multiply_accumulates(network, *features)

    def run() -> Tensor:
        with torch.inference_mode():
            made: Tensor = network(*features)
        return made

    pixels = frame.shape[0] * frame.shape[1]
    stage = Stage(
        "decoder",
        sum(8 * int(tensor.nbytes) for tensor in stored_tensors(decoder).values()),
        Work(multiply_accumulates=count / pixels) + extra,
        peak_activation_bytes(network, *features),
    )
    return stage, run
