"""What every training run begins with: its folder, its photographs, and how it was begun."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from heqcodec.base.version import __version__
from numpy.typing import NDArray
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from .checkpoint import FILE, read_facts
from .photographs import load_frames, load_tiles

HELD_OUT_EVERY = 50
"""Without held-out images of their own, one tile in fifty is not trained on."""


def begin_run(out_dir: Path, name: str, resume: bool) -> dict[str, Any]:
    """The facts of a run: "step", "minutes", "recipe", and what its checkpoint remembers.

    Args:
        out_dir: of the run.
        name: of its recipe.
        resume: go on from the checkpoint in ``out_dir``.

    Raises:
        HeqError: there is a checkpoint and ``resume`` is false, or none and it is true, or it is
            of another recipe.
    """
    if not resume and (out_dir / FILE).exists():
        raise HeqError(
            f"{out_dir} holds a training run already; go on with --resume, or give another --out."
        )
    facts: dict[str, Any] = {"step": 0, "minutes": 0.0, "recipe": name}
    if resume:
        facts = read_facts(out_dir)
    if facts["recipe"] != name:
        raise HeqError(
            f"the run in {out_dir} was begun with the recipe of {facts['recipe']}, not of "
            f"{name}; give that recipe, or another --out."
        )
    return facts


def claim_source(out_dir: Path, facts: dict[str, Any], source: dict[str, Any]) -> None:
    """Note in the facts which photographs a run learns from.

    Raises:
        HeqError: it was begun with others.
    """
    if facts.setdefault("source", source) != source:
        raise HeqError(
            f"the run in {out_dir} was begun with other photographs; give the same --data, and "
            "--held-out if there was one, or another --out."
        )


class Beginning(NamedTuple):
    """What a run begins or goes on with.

    facts: see `begin_run`.  tiles, frames, data_hash: see `run_photographs`.
    """

    facts: dict[str, Any]
    tiles: NDArray[np.uint8]
    frames: list[NDArray[np.uint8]]
    data_hash: str

    @property
    def source(self) -> dict[str, Any]:
        """What names the photographs to train on."""
        return {"data": self.data_hash, "tiles": len(self.tiles)}


def begin_training(
    out_dir: Path, name: str, resume: bool, data_dir: Path, held_out_dir: Path | None
) -> Beginning:
    """Begin a run in its folder, or go on with it, on the same photographs.

    Raises:
        HeqError: as `begin_run`, `run_photographs` and `claim_source`.
    """
    begun = Beginning(begin_run(out_dir, name, resume), *run_photographs(data_dir, held_out_dir))
    claim_source(out_dir, begun.facts, begun.source)
    out_dir.mkdir(parents=True, exist_ok=True)
    return begun


def run_photographs(
    data_dir: Path, held_out_dir: Path | None
) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]], str]:
    """Training tiles, uint8 (N, S, S, 3), held-out frames, and the hash of the former's files.

    Args:
        data_dir: see `load_tiles`.
        held_out_dir: of frames; if None, one tile in `HELD_OUT_EVERY` is a frame.

    Raises:
        HeqError: a folder cannot be used, or nothing is left to train on.
    """
    tiles, data_hash = load_tiles(data_dir)
    if held_out_dir:
        return tiles, load_frames(held_out_dir), data_hash
    frames = list(tiles[::HELD_OUT_EVERY].copy())
    tiles = np.delete(tiles, np.s_[::HELD_OUT_EVERY], axis=0)
    if not len(tiles):
        raise HeqError(f"{data_dir} holds too few photographs to train on.")
    return tiles, frames, data_hash


def run_origin(
    command: str,
    recipe: Path,
    given: Mapping[str, Path | None],
    device: torch.device,
    numbers: Sequence[str] = (),
) -> dict[str, Any]:
    """Provenance of a run: its command line, versions and device.

    Files are named without their folders, for the record is published.

    Args:
        command: its words, such as "heqcodec train".
        recipe: file of it.
        given: files and folders by option.
        device: where it runs.
        numbers: further options as they were written.
    """
    options = [f"{option} {path.resolve().name}" for option, path in given.items() if path]
    return {
        "command": " ".join([command, recipe.name, *options, *numbers]),
        "heqcodec": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def progress_columns() -> tuple[ProgressColumn, ...]:
    """How the progress of a run is shown."""
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )


def training_record(
    recipe: Path,
    reached: tuple[int, int, float],
    seed: int,
    photographs: tuple[int, int, str],
    origin: Mapping[str, Any],
) -> dict[str, Any]:
    """What is published of how a model was trained.

    Args:
        recipe: file of it.
        reached: steps, steps of the whole schedule, and minutes.
        seed: of the recipe.
        photographs: numbers of tiles and of held-out images, and the hash of all.
        origin: of `run_origin`.
    """
    (steps, of_steps, minutes), (tiles, held_out, data_hash) = reached, photographs
    return {
        "recipe": recipe.name,
        "recipe_sha256": hashlib.sha256(recipe.read_bytes()).hexdigest(),
        "steps": steps,
        "of_steps": of_steps,
        "minutes": round(minutes, 1),
        "seed": seed,
        "data_sha256": data_hash,
        "held_out_images": held_out,
        "tiles": tiles,
        **origin,
    }
