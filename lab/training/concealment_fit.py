"""Training of the concealment network: what it adds to the smooth continuation of lost patches.

::

    tile ──► levels at a random step ──► plain inverse ──► patches lost at random ──► smooth
    continuation ──► network ──► squared error in the lost patches, against the tile

``python -m heqcodec.lab.training.concealment_fit --data PACK --out concealment.safetensors``; a run
that is stopped goes on from ``OUT.pt``. See `heqcodec.purenet.concealment` for the network.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.base.constants import PATCH
from heqcodec.file.options import step_of_quality
from heqcodec.models import registry
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.purenet.concealment import continued
from heqcodec.purenet.concealment_torch import ConcealmentNet
from heqcodec.purenet.stored_weights import stored_weights
from numpy.typing import NDArray
from torch import Tensor, nn

from .given_weights import write_tensors
from .photographs import load_tiles, turned
from .rate_frames import RateFrames
from .schedule import half_cosine

BATCH = 4
LEARNING_RATE = 1e-3
WARMUP = 100
AVERAGED = 0.998
"""Of the running average of the weights that is stored, a step."""
QUALITIES = (5, 75)
LOSSES = (0.05, 0.35)
"""Part of the patches that is lost."""
ROWS_SHARE = 0.2
"""Part of the tiles that lose whole rows of patches, as files of strips do."""


def lose_patches(shape: tuple[int, int], generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which patches of a frame of so many are known, bool of that shape; one at least is."""
    if generator.random() < ROWS_SHARE:
        known = np.ones(shape, bool)
        known[generator.choice(shape[0], generator.integers(1, 3), replace=False)] = False
        return known
    known = generator.random(shape) >= generator.uniform(*LOSSES)
    known[generator.integers(shape[0]), generator.integers(shape[1])] = True
    return known


def draw_batch(
    tiles: NDArray[np.uint8], codec: RateFrames, generator: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Continued frames, masks of what is lost, and originals: (B, 3 or 1, H, W), RGB / 255."""
    chosen = tiles[np.sort(generator.choice(len(tiles), BATCH, replace=False))]
    frames = np.stack([turned(tile[None], int(generator.integers(8)))[0] for tile in chosen])
    steps = [step_of_quality(generator.uniform(*QUALITIES)) for _ in range(BATCH)]
    originals = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
    plain = codec(originals, torch.tensor(steps))[0].clamp(0, 1).permute(0, 2, 3, 1).numpy()
    shape = (frames.shape[1] // PATCH, frames.shape[2] // PATCH)
    known = np.stack([lose_patches(shape, generator) for _ in range(BATCH)])
    known = known.repeat(PATCH, 1).repeat(PATCH, 2)
    filled = np.stack([continued(*pair) for pair in zip(plain, known, strict=True)])
    lost = torch.from_numpy(~known)[:, None].float()
    return torch.from_numpy(filled).permute(0, 3, 1, 2), lost, originals.float() / 255


def fit(
    tiles: NDArray[np.uint8], checkpoint: Path, steps: int, minutes: float, seed: int
) -> dict[str, NDArray[Any]]:
    """Train for so many steps, or till so many minutes are over; the averaged weights.

    The learning rate falls by whichever of the two is nearer to its end.
    """
    torch.manual_seed(seed)
    encoder = registry.load_rate_encoder("nqe-r")
    assert isinstance(encoder, RateNqe)
    codec = RateFrames(encoder, registry.load_dequantizer("nqe-r").places)
    network = ConcealmentNet().to(memory_format=torch.channels_last)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGED)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    begun, spent, error, weight = 0, 0.0, 0.0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        begun, spent = state["step"], state["minutes"]
    started = time.monotonic()
    for step in range(begun, steps):
        passed = spent + (time.monotonic() - started) / 60
        share = max(step / steps, passed / minutes)
        if share >= 1:
            break
        rate = LEARNING_RATE * half_cosine(share) * min(1.0, (step + 1) / WARMUP)
        for group in optimizer.param_groups:
            group["lr"] = rate
        generator = np.random.default_rng([seed, step])
        filled, lost, originals = draw_batch(tiles, codec, generator)
        with torch.autocast("cpu", torch.bfloat16):
            added = network(filled, lost)
        square = (filled + added - originals).square() * lost
        loss = square.sum() / lost.sum() / 3
        optimizer.zero_grad()
        # Frames differ in difficulty by two orders of magnitude, so the gradient is limited.
        (10 * loss).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        averaged.update_parameters(network)
        before = ((filled - originals).square() * lost).sum() / lost.sum() / 3
        error, weight = error + math.log(loss.item() / before.item()), weight + 1
        if step % 100 == 99:
            gained = -10 / math.log(10) * error / weight
            print(f"step {step + 1}, {passed:.1f} minutes: {gained:.3f} dB", flush=True)
            error, weight = 0.0, 0.0
        if step % 500 == 499:
            torch.save(
                {
                    "network": network.state_dict(),
                    "averaged": averaged.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step + 1,
                    "minutes": passed,
                },
                checkpoint,
            )
    return stored_weights(averaged.module.state_dict())


def main(arguments: list[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m heqcodec.lab.training.concealment_fit")
    parser.add_argument("--data", type=Path, required=True, help="tiles: a pack, or photographs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    tiles, _ = load_tiles(given.data)
    checkpoint = given.out.with_suffix(".pt")
    tensors = fit(tiles, checkpoint, given.steps, given.minutes, given.seed)
    write_tensors(given.out, tensors)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
