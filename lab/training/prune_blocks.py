"""Removes the channels inside a decoder's residual blocks that add next to nothing.

::

    python -m heqcodec.lab.training.prune_blocks --weights weights/ --model nqe-t --images DIR
    python -m heqcodec.lab.training.prune_blocks ... --keep coarse.0=0 --keep local.0=16

The first prints, for each block, how many channels hold 99 %, 99.9 % and 99.99 % of what its
second convolution adds. The second keeps the strongest channels of the blocks that are named and
stores the network. A block of which none is kept goes, and its bias moves to the layer before it.

A channel's part is the mean of its squared values behind the ReLU, times the squared norm of the
weights that read it, over images as they are decoded at every rate of the model. This is pruning
of filters by their activation (Molchanov et al., arXiv 1611.06440) without training after it,
meant for channels that died in training. Measure PSNR before and after (`heqcodec eval run`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import torch
from heqcodec.base.arguments import DecoderName
from heqcodec.base.constants import PATCH
from heqcodec.base.errors import HeqError
from heqcodec.models.registry import RATE_MODE, STRONG, mode_of
from heqcodec.nqe_t.encoder import RATES
from heqcodec.purenet.config import PurenetConfig
from heqcodec.purenet.network import Purenet, RateBlock
from heqcodec.purenet.stored_weights import SCALE
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from .photographs import image_files
from .stored_decoder import StoredDecoder

Tensors = dict[str, NDArray[Any]]
QUALITIES = (20, 45, 65, 85)
SHARES = (0.99, 0.999, 0.9999)
STAGE_SIZES = {
    "local": "local_blocks",
    "coarse": "blocks",
    "mid": "mid_blocks",
    "fine": "fine_blocks",
}


class ChannelParts:
    """Sums what each channel inside the blocks of a `Purenet` adds, while any image is decoded.

    Use as a context manager; `found` then has, by the name of a block, float64 (hidden,).
    """

    def __init__(self) -> None:
        self.found: dict[str, NDArray[np.float64]] = {}
        self._names: dict[nn.Module, str] = {}

    def __enter__(self) -> ChannelParts:
        self._hook = register_module_forward_pre_hook(self._before)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def _before(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, Purenet):
            blocks = module.named_modules()
            self._names = {
                block.second: name for name, block in blocks if isinstance(block, RateBlock)
            }
        elif module in self._names:
            assert isinstance(module, nn.Conv2d)
            squares = inputs[0].double().square().mean((0, 2, 3))
            reads = module.weight.double().square().sum((0, 2, 3))
            name = self._names[module]
            self.found[name] = self.found.get(name, 0) + (squares * reads).numpy(force=True)


def measure_parts(
    model: str, decoder: DecoderName, files: Iterable[Path]
) -> dict[str, NDArray[np.float64]]:
    """The parts of channels of a model that is installed, over images at every rate of it."""
    rates: list[dict[str, Any]] = (
        [{"quality": quality} for quality in QUALITIES]
        if mode_of(model) == RATE_MODE
        else [{"bpp": bits / PATCH**2, "mode": "patch"} for bits in RATES]
    )
    with ChannelParts() as parts:
        for file in files:
            for rate in rates:
                data = heqcodec.encode(file, model=model, **rate)
                heqcodec.decode(data, decoder=decoder, backend="torch")
    return parts.found


def keep_channels(
    tensors: Mapping[str, NDArray[Any]],
    config: PurenetConfig,
    parts: Mapping[str, NDArray[np.float64]],
    keep: Mapping[str, int],
) -> tuple[Tensors, PurenetConfig]:
    """A smaller network.

    Args:
        tensors: as `heqcodec.purenet.stored_weights` stores them; others stay as they are.
        config: its sizes.
        parts: of channels, by the names of blocks.
        keep: how many channels a block keeps, by its name; other blocks stay.

    Raises:
        HeqError: there is no such block, it has fewer channels, or it cannot go because no layer
            before it takes its bias.
    """
    inside = {
        f"{stage}.{index}": hidden
        for stage, (_, each) in config.stages.items()
        for index, hidden in enumerate(each)
    }
    if wrong := sorted(name for name in keep if not 0 <= keep[name] <= inside.get(name, -1)):
        sizes = ", ".join(f"{name}={hidden}" for name, hidden in inside.items())
        raise HeqError(f"{', '.join(wrong)} cannot be kept so; the blocks are {sizes}.")
    prefixes = tuple(f"{name}." for name in inside)
    made: Tensors = {name: part for name, part in tensors.items() if not name.startswith(prefixes)}
    left: dict[str, list[int]] = {stage: [] for stage in STAGE_SIZES}
    before = "enter"  # the layer that adds to the same maps
    for name, hidden in inside.items():
        stage = name.split(".")[0]
        if stage in ("mid", "fine") and not left[stage]:
            before = ""  # a ReLU stands between
        count = keep.get(name, hidden)
        block = {
            part.removeprefix(f"{name}."): value
            for part, value in tensors.items()
            if part.startswith(f"{name}.")
        }
        if count == 0:
            if not before:
                raise HeqError(f"{name} is the first of its stage: keep a channel of it.")
            bias = made[f"{before}.bias"]
            made[f"{before}.bias"] = (bias + block["second.bias"].astype(np.float32)).astype(
                bias.dtype
            )
            continue
        to = f"{stage}.{len(left[stage])}"
        strongest = np.sort(np.argsort(-parts[name])[:count]) if count < hidden else slice(None)
        for part, value in block.items():
            if part in ("first.weight", "first.weight" + SCALE, "first.bias"):
                value = value[strongest]
            elif part in ("second.weight", "gain", "shift"):
                value = value[:, strongest]
            made[f"{to}.{part}"] = value
        left[stage].append(count)
        before = f"{to}.second"
    counts: dict[str, Any] = {STAGE_SIZES[stage]: len(each) for stage, each in left.items()}
    widths = [hidden for each in left.values() for hidden in each]
    return made, replace(config, **counts, hidden=widths)


def _table(parts: Mapping[str, NDArray[np.float64]]) -> str:
    """How many channels of each block hold the `SHARES` of its parts."""
    lines = ["block     channels  " + "  ".join(f"{100 * share:g} %" for share in SHARES)]
    for name, each in parts.items():
        sums = np.cumsum(np.sort(each)[::-1])
        counts = [int(np.searchsorted(sums, share * sums[-1])) + 1 for share in SHARES]
        lines.append(f"{name:<9} {len(each):8d}  " + "  ".join(f"{n:4d}" for n in counts))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m heqcodec.lab.training.prune_blocks")
    parser.add_argument("--weights", type=Path, required=True, help="folder of manifest.json")
    parser.add_argument("--model", required=True)
    parser.add_argument("--decoder", default=STRONG)
    parser.add_argument("--images", type=Path, required=True, help="folder to measure on")
    parser.add_argument("--keep", action="append", default=[], metavar="BLOCK=N")
    given = parser.parse_args(arguments)
    try:
        keep = {name: int(count) for name, count in (item.split("=") for item in given.keep)}
    except ValueError:
        parser.error("--keep takes BLOCK=N, such as coarse.0=16")
    try:
        stored = StoredDecoder(given.weights, given.model, given.decoder)
        parts = measure_parts(given.model, given.decoder, image_files(given.images))
        print(_table(parts))
        if keep:
            config = PurenetConfig(**stored.entry["config"])
            kept, config = keep_channels(stored.tensors, config, parts, keep)
            stored.entry["config"] = config.as_dict()
            stored.entry["parameters"] = sum(v.numel() for v in Purenet(config).parameters())
            stored.store(kept)
    except (HeqError, OSError) as error:
        print(f"heqcodec: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
