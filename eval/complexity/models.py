"""This project's models: encoders counted from their tables, PURENET by running it."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
import torch
from heqcodec import models
from heqcodec.eval.baselines.heq import HeqPatch
from heqcodec.nqe.transform_nqe import TransformNqe
from heqcodec.nqe.vgg_integer import IntegerVgg
from heqcodec.nqe.vgg_layout import PATCH
from heqcodec.patches import split_patches
from heqcodec.purenet.network import CELLS, Purenet, PurenetConfig
from numpy.typing import NDArray
from safetensors.numpy import load
from torch import Tensor

from . import transform_work, vgg_work
from .contender import Contender, Networks
from .networks import multiply_accumulates, peak_activation_bytes
from .work import Cost, Stage, Work

BITS = 256
"""A patch, 0.25 bpp: the source paper's rate."""
COUNTED_PATCHES = 64
"""Decisions are counted on so many patches, spread over the frame."""


def our_contenders(frame: NDArray[np.uint8]) -> list[Contender]:
    """All patch-constant models on a frame, uint8 (H, W, 3), sides multiples of 32."""
    return [_contender(name, frame) for name in models.model_names("patch")]


def _contender(name: str, frame: NDArray[np.uint8]) -> Contender:
    entry = models.manifest()["models"][name]
    encoder: Any = models.load_encoder(name)
    patches = split_patches(frame)
    parts = models.weight_bits(name)
    if isinstance(encoder, TransformNqe):
        tables = _weights(entry["encoder"]["file"])
        stages, detail = _transform_stages(encoder, tables, patches, parts)
        extra = _inverse_work(encoder)
    elif isinstance(encoder, IntegerVgg):
        stages, detail, extra = _vgg_stages(encoder, parts), {}, Work()
    else:
        raise TypeError(f"no one has said how to count the encoder of {name}")
    purenet, features = _purenet(entry, frame)
    count = multiply_accumulates(purenet, *features)
    decoder = Stage(
        "decoder",
        sum(8 * tensor.nbytes for tensor in _weights(entry["decoder"]["file"]).values()),
        Work(multiply_accumulates=count / _pixels(frame)) + extra,
        peak_activation_bytes(purenet, *features),
    )
    cost = Cost(
        name,
        str(entry["about"]),
        f"The encoder takes one 32x32 patch at a time, in integers, and is counted at {BITS} bits "
        "a patch; the decoder's weights are counted as stored, and it runs in float32 on the whole "
        "frame.",
        [*stages, decoder],
        detail,
    )
    networks = Networks(
        encode=lambda: _encode_networks(encoder, patches),
        decode=lambda: _run(purenet, features),
    )
    return Contender(cost, networks, HeqPatch(name), BITS / PATCH**2)


def _pixels(frame: NDArray[np.uint8]) -> int:
    return frame.shape[0] * frame.shape[1]


def _transform_stages(
    encoder: TransformNqe,
    tables: dict[str, NDArray[Any]],
    patches: NDArray[np.uint8],
    parts: dict[str, int],
) -> tuple[list[Stage], dict[str, float]]:
    sample = patches[:: max(1, len(patches) // COUNTED_PATCHES)]
    counts = transform_work.count_decisions(encoder, sample, BITS)
    coder = transform_work.coder_work(counts, len(sample))
    stem_bits = sum(bits for part, bits in parts.items() if part.startswith("transform"))
    coder_bits = sum(parts.values()) - stem_bits
    held = transform_work.coder_activation_bytes()
    detail = {
        f"{kind} decisions a patch": sum(n for (k, _), n in counts.items() if k == kind)
        / len(sample)
        for kind in ("flag", "significance", "sign", "refinement")
    }
    stages = [
        Stage(
            "encoder",
            stem_bits,
            transform_work.stem_work(tables["coarse"], tables["fine"]),
            transform_work.stem_activation_bytes(),
        ),
        Stage("entropy encoder", coder_bits, coder, held),
        # The decoder takes the same decisions in the same contexts.
        Stage("entropy decoder", coder_bits, coder, held),
    ]
    return stages, detail


def _inverse_work(encoder: TransformNqe) -> Work:
    """The plain inverse transform before PURENET: two products of matrices and the colours."""
    side, colours = len(encoder.stem.inverse_matrix), encoder.stem.colour_inverse
    return Work(multiply_accumulates=float(2 * side * len(colours) + colours.size))


def _vgg_stages(encoder: IntegerVgg, parts: dict[str, int]) -> list[Stage]:
    work = vgg_work.vgg_work(encoder.layers)
    held = vgg_work.vgg_activation_bytes(encoder.layers)
    return [Stage("encoder", sum(parts.values()), work, held)]


def _purenet(
    entry: dict[str, Any], frame: NDArray[np.uint8]
) -> tuple[Purenet, tuple[Tensor, Tensor | None, Tensor]]:
    """The decoder's network with fresh weights, and features of the frame's size to run it on."""
    config = PurenetConfig(**entry["decoder"]["config"])
    network = Purenet(config).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows, columns = frame.shape[0] // PATCH, frame.shape[1] // PATCH
    cells = torch.rand(1, config.inputs, CELLS * rows, CELLS * columns)
    base = torch.rand(1, 3, *frame.shape[:2]) if config.has_base else None
    return network, (
        cells.contiguous(memory_format=torch.channels_last),
        base,
        torch.zeros(1, dtype=torch.int64),
    )


def _run(network: Purenet, features: tuple[Tensor, Tensor | None, Tensor]) -> Tensor:
    with torch.inference_mode():
        frame: Tensor = network(*features)
    return frame


def _encode_networks(encoder: TransformNqe | IntegerVgg, patches: NDArray[np.uint8]) -> object:
    if isinstance(encoder, TransformNqe):
        return encoder.stem.forward(patches)
    return encoder.codes(patches)


def _weights(file: str) -> dict[str, NDArray[Any]]:
    """The tensors of a weight file of this package."""
    return dict(load((files("heqcodec.weights") / file).read_bytes()))
