"""Training of the concealment network: what it adds to the smooth continuation of lost patches.

::

    tile ──► levels at a random step ──► plain inverse ──► patches lost at random ──► smooth
    continuation ──► network ──► squared error in the lost patches, against the tile

``python -m heqcodec.lab.training.concealment_fit --data PACK --held-out DIR --out DIR`` trains in a
folder, as all runs do, and ``--weights weights/`` puts the network there at the end. See
`heqcodec.purenet.concealment` for the network.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.base.constants import PATCH
from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_json
from heqcodec.file.options import step_of_quality
from heqcodec.models import registry
from heqcodec.nqe_r.encoder import RateNqe
from heqcodec.purenet.concealment import continued
from heqcodec.purenet.concealment_torch import ConcealmentNet
from heqcodec.purenet.stored_weights import stored_weights
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

from .export import store_tensors
from .loop import TrainingLoop
from .photographs import turned
from .rate_frames import RateFrames
from .run_start import begin_training, progress_columns
from .schedule import cosine
from .task import LoopSettings, Task
from .tasks import FIGURES_IMAGES

NAME = "concealment"
BATCH = 4
LEARNING_RATE = 1e-3
WARMUP = 100
CLIP = 1.0
"""Frames differ in difficulty by two orders of magnitude, so the gradient is limited."""
LOSS_WEIGHT = 10.0
EMA = 0.998
QUALITIES = (5, 75)
LOSSES = (0.05, 0.35)
"""Part of the patches that is lost."""
ROWS_SHARE = 0.2
"""Part of the tiles that lose whole rows of patches, as files of strips do."""
HELD_OUT_QUALITY, HELD_OUT_LOSS = 25, 0.2


def lose_patches(shape: tuple[int, int], generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which patches of a frame of so many are known, bool of that shape; one at least is."""
    if generator.random() < ROWS_SHARE:
        known = np.ones(shape, bool)
        known[generator.choice(shape[0], generator.integers(1, 3), replace=False)] = False
        return known
    known = generator.random(shape) >= generator.uniform(*LOSSES)
    known[generator.integers(shape[0]), generator.integers(shape[1])] = True
    return known


class ConcealmentTask(Task):
    """The network, and the photographs that it learns from and is measured on.

    Args:
        tiles: uint8 (N, S, S, 3).
        frames: held-out photographs, uint8 (32 R, 32 C, 3) each.
        steps: of the whole schedule.
        seed: of weights and batches.
    """

    def __init__(
        self, tiles: NDArray[np.uint8], frames: list[NDArray[np.uint8]], steps: int, seed: int
    ) -> None:
        encoder = registry.load_rate_encoder("nqe-r")
        assert isinstance(encoder, RateNqe)
        self._codec = RateFrames(encoder, registry.load_dequantizer("nqe-r").places)
        self._tiles, self._frames = tiles, frames
        torch.manual_seed(seed)
        self.networks: dict[str, nn.Module] = {NAME: ConcealmentNet()}
        self.settings = LoopSettings(steps, seed, CLIP, EMA)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One."""
        parameters = self.networks[NAME].parameters()
        return {NAME: torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=1e-4)}

    def learning_rates(self, step: int) -> dict[str, Sequence[float]]:
        """Warm-up and cosine."""
        return {NAME: (LEARNING_RATE * cosine(step, 0, self.settings.steps, WARMUP),)}

    def loss(self, generator: torch.Generator) -> Tensor:
        """Mean squared error of the lost samples of a batch of tiles in random orientation."""
        random = np.random.default_rng(int(torch.randint(1 << 62, (1,), generator=generator)))
        chosen = self._tiles[np.sort(random.choice(len(self._tiles), BATCH))]
        frames = np.stack([turned(tile[None], int(random.integers(8)))[0] for tile in chosen])
        steps = [step_of_quality(random.uniform(*QUALITIES)) for _ in range(BATCH)]
        shape = (frames.shape[1] // PATCH, frames.shape[2] // PATCH)
        known = np.stack([lose_patches(shape, random) for _ in range(BATCH)])
        filled, lost, originals = self._damaged(frames, steps, known)
        with torch.autocast("cpu", torch.bfloat16):
            added = self.networks[NAME](filled, lost)
        return LOSS_WEIGHT * _error(filled + added, originals, lost)

    def log_row(
        self, networks: dict[str, nn.Module], step: int, minutes: float, loss: float
    ) -> tuple[dict[str, Any], str]:
        """The gain on the first held-out photographs; see `Task`."""
        row, _ = super().log_row(networks, step, minutes, loss)
        gain = self.held_out(networks[NAME], FIGURES_IMAGES)
        return {**row, "gain": round(gain, 4)}, f"step {step}, {minutes:.1f} min: {gain:+.3f} dB"

    @torch.inference_mode()
    def held_out(self, network: nn.Module, images: int | None) -> float:
        """How much higher the PSNR of lost patches is than by the smooth continuation, in dB: the
        mean over the first held-out photographs, or all."""
        gains = []
        for index, frame in enumerate(self._frames[:images]):
            shape = (frame.shape[0] // PATCH, frame.shape[1] // PATCH)
            known = np.random.default_rng(index).random(shape) >= HELD_OUT_LOSS
            known[0, 0], known[-1, -1] = True, False
            step = step_of_quality(HELD_OUT_QUALITY)
            filled, lost, originals = self._damaged(frame[None], [step], known[None])
            errors = [
                float(_error(pixels.clamp(0, 1), originals, lost))
                for pixels in (filled, filled + network(filled, lost))
            ]
            gains.append(10 * np.log10(errors[0] / errors[1]))
        return float(np.mean(gains))

    def _damaged(
        self, frames: NDArray[np.uint8], steps: list[int], known: NDArray[np.bool_]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Continued frames, masks of what is lost, and originals: (B, 3 or 1, H, W), RGB / 255.

        Args:
            frames: uint8 (B, 32 R, 32 C, 3).
            steps: of each.
            known: bool (B, R, C).
        """
        originals = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
        plain = self._codec(originals, torch.tensor(steps))[0].clamp(0, 1)
        known = known.repeat(PATCH, 1).repeat(PATCH, 2)
        pairs = zip(plain.permute(0, 2, 3, 1).numpy(), known, strict=True)
        filled = torch.from_numpy(np.stack([continued(*pair) for pair in pairs]))
        lost = torch.from_numpy(~known)[:, None].float()
        return filled.permute(0, 3, 1, 2), lost, originals.float() / 255


def _error(frames: Tensor, originals: Tensor, lost: Tensor) -> Tensor:
    """Mean squared error of the lost samples."""
    return ((frames - originals).square() * lost).sum() / lost.sum() / frames.shape[1]


def main(arguments: list[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m heqcodec.lab.training.concealment_fit")
    parser.add_argument("--data", type=Path, required=True, help="tiles: a pack, or photographs")
    parser.add_argument("--held-out", type=Path, help="photographs for figures; else some tiles")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--weights", type=Path, help="folder of manifest.json, to ship it there")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--finish-in", type=float, help="minutes after which the schedule ends")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    try:
        facts, tiles, frames, data_hash = begin_training(
            given.out, NAME, given.resume, given.data, given.held_out
        )
        task = ConcealmentTask(tiles, frames, given.steps, given.seed)
        with Progress(*progress_columns(), console=Console(stderr=True)) as progress:
            device = torch.device("cpu")
            loop = TrainingLoop(task, device, given.out, facts, progress, given.finish_in)
            if given.resume:
                loop.load()
            loop.go(None)
        if given.weights:
            network = loop.measured[NAME]
            training = {
                "steps": loop.step,
                "minutes": round(loop.minutes, 1),
                "seed": given.seed,
                "tiles": len(tiles),
                "data_sha256": data_hash,
                "gain_db": round(task.held_out(network, None), 3),
            }
            path = given.weights / "manifest.json"
            manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            tensors = stored_weights(network.state_dict())
            stored = store_tensors(given.weights, f"{NAME}.safetensors", tensors)
            count = sum(value.numel() for value in network.parameters())
            manifest[NAME] = {**stored, "parameters": count, "training": training}
            write_json(path, manifest)
    except (HeqError, OSError) as error:
        print(f"heqcodec: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
