"""Fits how far a decoder follows its network, and stores that with the network's weights.

::

    python -m heqcodec.lab.training.trust_fit --data tiles.npy --weights weights/ --model nqe-r

Crops of the tiles are coded at random steps and decoded. For each patch three sums are kept: the
squared error of the plain inverse, that of the network's correction, and their product; they give
the error for any weight of the correction. A network of one hidden layer then learns weights that
make the mean of the errors, each over the plain inverse's, least.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from heqcodec.base.constants import PATCH
from heqcodec.base.errors import HeqError
from heqcodec.models.families import STRONG, VIEWS
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.nqe_r.quantizer import step_size
from heqcodec.purenet.config import PurenetConfig
from heqcodec.purenet.features import BaseFeatures, FrameNetwork
from heqcodec.purenet.network import Purenet
from heqcodec.purenet.rate_decoder import step_weights
from heqcodec.purenet.self_ensemble import SelfEnsemble
from heqcodec.purenet.torch_network import TorchNetwork
from heqcodec.purenet.trust import (
    CHROMA_ENDS,
    HIDDEN,
    LEAST,
    MOST,
    PREFIX,
    TENSORS,
    TRUST_INPUTS,
    Trust,
    trust_inputs,
    with_neighbours,
)
from numpy.typing import NDArray
from torch import Tensor, nn

from .given_weights import read_purenet
from .photographs import CropSource, load_tiles
from .rate_frames import RateFrames
from .rate_task import JPEG_BLOCK
from .stored_decoder import StoredDecoder

CROP = 192
QUANTIZER_STEPS = (112, 904)
GRAY_PLACE = 0.2
"""Patches of steps below 55 are gray where no level of chroma around them is other than 0."""
FLOOR = 1.0
"""Added to a patch's error, in squared steps, before it divides: half a millistep a sample."""


class Schedule(NamedTuple):
    """Of the fit: iterations, patches in each, and the peak learning rate, which falls to 0."""

    iterations: int = 4000
    batch: int = 2048
    learning_rate: float = 3e-3


SCHEDULE = Schedule()


class Corrections(NamedTuple):
    """Of patches.

    inputs: float32 (N, TRUST_INPUTS).
    plain, cross, energy: sums over the samples of the squared error of the plain inverse, of its
        product with the network's correction, and of the squared correction, in squared steps,
        float32 (N,).
    """

    inputs: NDArray[np.float32]
    plain: NDArray[np.float32]
    cross: NDArray[np.float32]
    energy: NDArray[np.float32]


@torch.inference_mode()
def measure_corrections(
    network: Purenet,
    codec: RateFrames,
    tiles: NDArray[np.uint8],
    count: int,
    seed: int,
    views: int = 1,
) -> Corrections:
    """Code and decode ``count`` random crops of tiles uint8 (N, S, S, 3), each at a random step.

    With ``views`` by the mean of so many, as the decoder will: its corrections are surer.
    """
    alone: FrameNetwork = TorchNetwork(network, torch.device("cpu"))
    runs = SelfEnsemble(alone, views) if views > 1 else alone
    generator = torch.Generator().manual_seed(seed)
    crops = CropSource(tiles, torch.device("cpu"))
    parts = []
    for _ in range(count):
        pixels = crops(CROP, 1, generator, JPEG_BLOCK).contiguous()
        step = torch.randint(QUANTIZER_STEPS[0], QUANTIZER_STEPS[1] + 1, (1,), generator=generator)
        base, hints = codec(pixels, step)
        features = BaseFeatures(base[0].numpy(), hints[0, : runs.hints].numpy())
        made = runs.frame(features, step_weights(step.numpy()))
        frame = torch.from_numpy(made).permute(2, 0, 1)[None]
        unit = step_size(int(step)) / 255
        plain = base.clamp(0, 1)
        wrong, change = (pixels / 255 - plain) / unit, (frame.clamp(0, 1) - plain) / unit
        sums = [_by_patch(a * b) for a, b in ((wrong, wrong), (wrong, change), (change, change))]
        mean = sums[2] / np.float32(3 * PATCH**2)
        around = with_neighbours(hints[0].numpy())
        inputs = trust_inputs(around.reshape(len(around), -1).T, int(step), mean)
        parts.append((inputs, *sums))
    return Corrections(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _by_patch(samples: Tensor) -> NDArray[np.float32]:
    """Sums of (1, 3, 32 R, 32 C) over patches, (R C,)."""
    summed = nn.functional.avg_pool2d(samples.sum(1, keepdim=True), PATCH) * PATCH**2
    found: NDArray[np.float32] = summed.flatten().numpy()
    return found


def fit_trust(
    found: Corrections,
    seed: int = 0,
    loss_weight: float = 0.0,
    schedule: Schedule = SCHEDULE,
    gray_loss_weight: float | None = None,
    start: Mapping[str, NDArray[Any]] | None = None,
) -> dict[str, NDArray[np.float16]]:
    """Tensors of a `heqcodec.purenet.trust.Trust`; it begins with a weight of 1 everywhere.

    Args:
        found: patches to fit to.
        seed: of the network's first weights and of the batches.
        loss_weight: how much more it counts what a patch loses than what one gains.
        schedule: of the fit.
        gray_loss_weight: the same of patches without colour, see `GRAY_PLACE`; None for no other.
            Infrared images of night cameras are gray, and few: what they lose hardly counts else.
        start: tensors of a `Trust` to go on from.
    """
    torch.manual_seed(seed)
    first, last = nn.Linear(TRUST_INPUTS, HIDDEN), nn.Linear(HIDDEN, 1)
    network = nn.Sequential(first, nn.ReLU(), last)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, 1.0)
    named = {
        "first": first.weight,
        "first_bias": first.bias,
        "second": last.weight,
        "second_bias": last.bias,
    }
    if start is not None:
        with torch.no_grad():
            for name, value in Trust(start).tensors.items():
                named[name].copy_(torch.from_numpy(value).view_as(named[name]))
    inputs, plain, cross, energy = (torch.from_numpy(array) for array in found)
    weight = 1 / (plain + FLOOR)
    losses = torch.full_like(weight, loss_weight)
    if gray_loss_weight is not None:
        losses[_are_gray(inputs)] = gray_loss_weight
    optimizer = torch.optim.AdamW(network.parameters(), lr=schedule.learning_rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule.iterations)
    for _ in range(schedule.iterations):
        drawn = torch.randint(len(inputs), (schedule.batch,))
        free = network(inputs[drawn])[:, 0]
        # A weight at a limit still feels where it would go.
        share = free.clamp(0, MOST) + 0.01 * (free - free.detach())
        change = (share * energy[drawn] - 2 * cross[drawn]) * share * weight[drawn]
        optimizer.zero_grad()
        change = change.clamp(max=20)
        (change + losses[drawn] * change.clamp(min=0)).mean().backward()
        optimizer.step()
        falling.step()
    return {
        PREFIX + name: named[name].detach().numpy().astype(np.float16).reshape(shape)
        for name, shape in TENSORS.items()
    }


def _are_gray(inputs: Tensor) -> Tensor:
    """Of `Corrections.inputs`, bool (N,)."""
    # Before the energy stand the means of the chroma hints over 3 x 3 patches; -1 is none.
    chroma = inputs[:, -1 - 2 * len(CHROMA_ENDS) : -1]
    return (chroma <= -1).all(1) & (inputs[:, 0] < GRAY_PLACE)


def main(arguments: list[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m heqcodec.lab.training.trust_fit")
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        required=True,
        help="tiles: a pack, or photographs; may be repeated",
    )
    parser.add_argument("--weights", type=Path, required=True, help="folder of manifest.json")
    parser.add_argument("--model", default="nqe-r")
    parser.add_argument("--decoder", default=STRONG)
    parser.add_argument(
        "--crops", type=int, action="append", help="for each --data (1500); may be repeated"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--loss-weight", type=float, default=0.0, help="what a loss counts more than a gain"
    )
    parser.add_argument(
        "--gray-loss-weight", type=float, help="the same of patches without colour, at fine steps"
    )
    parser.add_argument(
        "--go-on",
        nargs="?",
        const="",
        metavar="DECODER",
        help="begin with the weights that are stored there, or with those of another decoder",
    )
    parser.add_argument(
        "--least",
        type=float,
        nargs=2,
        metavar=("LEVELS", "STEPS"),
        help="drop corrections of less than so many grey levels and steps (root mean squares)",
    )
    for name, value in SCHEDULE._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = parser.parse_args(arguments)
    counts = given.crops or [1500] * len(given.data)
    if len(counts) != len(given.data):
        parser.error("give --crops for each --data, in the same order, or for none")
    schedule = Schedule(given.iterations, given.batch, given.learning_rate)
    try:
        stored = StoredDecoder(given.weights, given.model, given.decoder)
        network = Purenet(PurenetConfig(**stored.entry["config"]))
        places = read_purenet(stored.file, network)
        assert places is not None
        codec = RateFrames(RateNqe(stored.encoder_tensors()), places)
        parts, hashes, views = [], [], VIEWS.get(given.decoder, 1)
        for data, count in zip(given.data, counts, strict=True):
            tiles, data_hash = load_tiles(data)
            parts.append(measure_corrections(network, codec, tiles, count, given.seed, views))
            hashes.append(data_hash)
        found = Corrections(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
        losses = given.loss_weight, schedule, given.gray_loss_weight
        origin = StoredDecoder(given.weights, given.model, given.go_on or given.decoder)
        goes_on = given.go_on is not None
        start = origin.tensors if goes_on else None
        fitted = fit_trust(found, given.seed, *losses, start)
        if given.least:
            fitted[LEAST] = np.array(given.least, dtype=np.float32)
        stored.entry["trust"] = {
            "crops": counts,
            "seed": given.seed,
            "loss_weight": given.loss_weight,
            "went_on_from": origin.entry.get("trust") if goes_on else None,
            "gray_loss_weight": given.gray_loss_weight,
            "least": given.least,
            "views": views,
            **schedule._asdict(),
            "data_sha256": hashes,
        }
        stored.store({**stored.tensors, **fitted})
    except (HeqError, OSError) as error:
        print(f"heqcodec: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
