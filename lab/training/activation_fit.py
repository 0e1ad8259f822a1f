"""Measures the ranges in which a decoder's convolutions compute in integers, and stores them.

::

    python -m heqcodec.lab.training.activation_fit --data tiles.npy --weights weights/ --model nqe-r

Tiles are coded at random rates and decoded in floats; of the inputs and outputs of each convolution
of `STAGES` a range is kept that leaves out one value in `LEFT_OUT` at each end. The blocks at 1/2
resolution stay in floats: in integers they lose 0.02 to 0.1 dB, all the others together 0.006 (see
docs/TRAINING.md).
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from heqcodec.base.constants import PATCH
from heqcodec.base.files import write_json
from heqcodec.file.options import step_of_quality
from heqcodec.image.patches import split_patches
from heqcodec.models import registry
from heqcodec.models.manifest import decoder_entry
from heqcodec.models.registry import FAMILIES, RATE_MODE, STRONG
from heqcodec.purenet.backends import network_tensors
from heqcodec.purenet.config import PurenetConfig
from heqcodec.purenet.network import RateBlock
from heqcodec.purenet.stored_weights import (
    ACTIVATIONS,
    INPUT_TOP,
    OUTPUT_TOP,
    SCALE,
)
from heqcodec.purenet.torch_network import load_torch_network
from numpy.typing import NDArray
from safetensors.numpy import load_file
from torch import Tensor, nn

from .export import store_tensors
from .photographs import load_tiles

STAGES = ("local", "coarse", "mid")
LEFT_OUT = 10_000
LARGEST_BIAS = 2.0**30
QUALITIES = (5, 95)
SAMPLES = 20_000
"""Values kept of each tile and place."""


def levels_of(values: NDArray[np.float32], top: int) -> tuple[float, float]:
    """Scale and zero point of levels 0 to ``top`` for values, of which 0 is one exactly."""
    low, high = np.quantile(values, (1 / LEFT_OUT, 1 - 1 / LEFT_OUT))
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    scale = max(high - low, 1e-6) / top
    return scale, float(round(-low / scale))


def make_room_for_bias(tensors: dict[str, NDArray[Any]], layer: str) -> None:
    """Coarser weights for the channels whose bias would overflow 32 bits of `bias_units`: they have
    next to no weights."""
    name = f"{layer}.weight"
    weights, scale = tensors[name], tensors[name + SCALE].astype(np.float32)
    bias = np.abs(tensors[f"{layer}.bias"].astype(np.float32))
    least = bias / (LARGEST_BIAS * tensors[layer + ACTIVATIONS][0, 0])
    coarser = np.nextafter(np.maximum(scale, least).astype(np.float16), np.float16(np.inf))
    coarser = np.where(least > scale, coarser, tensors[name + SCALE]).astype(np.float16)
    ratio = (scale / coarser.astype(np.float32))[:, None, None, None]
    tensors[name], tensors[name + SCALE] = np.rint(weights * ratio).astype(np.int8), coarser


def fit_activations(
    network: nn.Module, decode_all: Any, seed: int
) -> dict[str, NDArray[np.float32]]:
    """Ranges by the names of stored tensors.

    Args:
        network: a `Purenet`.
        decode_all: runs it on what the ranges are to hold for.
        seed: of the choice of values.
    """
    generator = np.random.default_rng(seed)
    seen: dict[str, tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))

    def keep(name: str, module: nn.Module, given: tuple[Tensor], made: Tensor) -> None:
        for values, kept in zip((given[0], made), seen[name], strict=True):
            flat = values.detach().float().permute(0, 2, 3, 1).reshape(-1).numpy()
            kept.append(flat[generator.integers(flat.size, size=SAMPLES)])

    hooks = [
        getattr(block, conv).register_forward_hook(partial(keep, f"{stage}.{index}.{conv}"))
        for stage in STAGES
        for index, block in enumerate(getattr(network, stage))
        for conv in ("first", "second")
        if isinstance(block, RateBlock)
    ]
    decode_all()
    for hook in hooks:
        hook.remove()
    return {
        name + ACTIVATIONS: np.array(
            [
                levels_of(np.concatenate(given), INPUT_TOP),
                levels_of(np.concatenate(made), OUTPUT_TOP),
            ],
            np.float32,
        )
        for name, (given, made) in seen.items()
    }


def main(arguments: list[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m heqcodec.lab.training.activation_fit")
    parser.add_argument("--data", type=Path, required=True, help="tiles: a pack, or photographs")
    parser.add_argument("--weights", type=Path, required=True, help="folder of manifest.json")
    parser.add_argument("--model", default="nqe-r")
    parser.add_argument("--decoder", default=STRONG)
    parser.add_argument("--tiles", type=int, default=48)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    tiles, data_hash = load_tiles(given.data)
    path = given.weights / "manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    model = manifest["models"][given.model]
    part = decoder_entry(model, given.decoder)
    stored = load_file(given.weights / part["file"])
    tensors = {name: value for name, value in stored.items() if not name.endswith(ACTIVATIONS)}
    generator = np.random.default_rng(given.seed)
    chosen = np.sort(generator.choice(len(tiles), given.tiles, replace=False))
    encoder: Any = registry.load_any_encoder(given.model)
    family = FAMILIES[model["family"]]
    network = load_torch_network(network_tensors(tensors), PurenetConfig(**part["config"]), "cpu")
    decoder: Any = family.make_decoder(encoder, tensors, network)

    def decode_all() -> None:
        for tile in tiles[chosen]:
            patches = split_patches(tile)
            grid = (tile.shape[0] // PATCH, tile.shape[1] // PATCH)
            if family.mode == RATE_MODE:
                step = step_of_quality(generator.uniform(*QUALITIES))
                levels, sizes = encoder.levels(encoder.coefficients(patches), step)
                steps = np.full(grid[0], step)
                decoder.decode_frame(
                    levels.reshape(*grid, *levels.shape[1:]), sizes.reshape(grid), steps
                )
            else:
                bits = int(generator.choice(encoder.rates))
                codes = encoder.encode_patches(patches, bits)
                decoder.decode_frame(codes.reshape(*grid, -1), bits, 3)

    ranges = fit_activations(network.module, decode_all, given.seed)
    tensors |= ranges
    for name in ranges:
        make_room_for_bias(tensors, name.removesuffix(ACTIVATIONS))
    part |= store_tensors(given.weights, part["file"], tensors)
    part["activations"] = {"tiles": given.tiles, "seed": given.seed, "data_sha256": data_hash}
    write_json(path, manifest)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
