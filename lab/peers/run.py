"""A peer's training run from recipe and photographs to exported weights."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any, cast

import torch
from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_bytes, write_json
from heqcodec.eval.peers.latent_code import LatentCode
from heqcodec.eval.peers.load import EXTRA, load_peer
from heqcodec.eval.peers.mcucoder import McuCoder
from heqcodec.eval.peers.peer import Peer
from heqcodec.lab.training.loop import TrainingLoop
from heqcodec.lab.training.run_start import (
    begin_training,
    progress_columns,
    run_origin,
    training_record,
)
from heqcodec.purenet.device import find_device
from rich.console import Console
from rich.progress import Progress
from safetensors.torch import save

from .recipe import PeerRecipe
from .training import NETWORK, PeerTask

WEIGHTS = "weights"


def train_peer(
    recipe_path: Path,
    data_dir: Path,
    out_dir: Path,
    held_out_dir: Path | None = None,
    minutes: float | None = None,
    device: str = "auto",
    resume: bool = False,
    start_from: Path | None = None,
) -> dict[str, Any]:
    """Train a peer; export ``NAME.safetensors`` and ``NAME.json`` into ``out_dir / "weights"``.

    Args:
        recipe_path: a TOML file, see `PeerRecipe`.
        data_dir: photographs to train on, cut into tiles as for our own models.
        out_dir: for ``checkpoint.safetensors`` (every five minutes), ``log.csv`` and the export.
        held_out_dir: photographs for the held-out figures; some training tiles if None.
        minutes: stop (and export) after so long; the schedule itself goes by the recipe's steps.
            0 exports what there is.
        device: "auto", "cpu", "cuda" or "cuda:1".
        resume: go on from the checkpoint in ``out_dir``; a finished run is exported again.
        start_from: safetensors of a peer of the same architecture and sizes to start from; without
            effect on a run that is resumed.

    Returns:
        The record that ``NAME.json`` holds.

    Raises:
        HeqError: recipe, images, weights or checkpoint cannot be used or do not belong together,
            there is a checkpoint and ``resume`` is false, or the training diverged.
        KeyboardInterrupt: after SIGINT; a checkpoint has been written.
    """
    recipe = PeerRecipe.load(recipe_path)
    where = find_device(device)
    begun = begin_training(out_dir, recipe.name, resume, data_dir, held_out_dir)
    facts, tiles, frames, data_hash = begun
    task = PeerTask(recipe, tiles, frames, where)
    if start_from and not resume:
        _start(task.network, start_from)
    given = {"--data": data_dir, "--held-out": held_out_dir, "--start": start_from}
    origin = run_origin("heqcodec eval train-peer", recipe_path, given, where)
    facts.setdefault("origin", {**origin, "threads": torch.get_num_threads()})
    with Progress(*progress_columns(), console=Console(stderr=True)) as progress:
        loop = TrainingLoop(task, where, out_dir, facts, progress)
        if resume:
            loop.load()
        loop.go(minutes)
    network = copy.deepcopy(cast(Peer, loop.measured[NETWORK])).eval()
    figures = task.held_out(network, None)
    network.settle_quantiles()
    network = network.cpu()
    reached = loop.step, recipe.steps, loop.minutes
    photographs = len(tiles), len(frames), data_hash
    record = {
        "name": recipe.name,
        "architecture": recipe.architecture,
        "sizes": network.sizes,
        "about": recipe.about,
        "parameters": sum(value.numel() for value in network.parameters()),
        "training": {
            "lmbda": recipe.lmbda,
            "batch": recipe.batch,
            "crop": recipe.crop,
            **training_record(recipe_path, reached, recipe.seed, photographs, facts["origin"]),
        },
        "held_out": _told(figures._asdict(), network),
    }
    code = LatentCode.fit(network, tiles).tensors() if isinstance(network, McuCoder) else {}
    return save_peer(out_dir / WEIGHTS, network, code, record)


def _start(network: Peer, path: Path) -> None:
    given, _ = load_peer(path)
    if (given.architecture, given.sizes) != (network.architecture, network.sizes):
        raise HeqError(
            f"{path} holds a {given.architecture} of {given.sizes}, and the recipe is for a "
            f"{network.architecture} of {network.sizes}; give weights of the same kind."
        )
    network.load_state_dict(given.state_dict())


def _told(figures: dict[str, float], network: Peer) -> dict[str, float]:
    """Held-out figures by names that say what they are."""
    described = {"psnr": round(figures["psnr"], 3)}
    if network.bottlenecks():
        described["bpp by likelihoods"] = round(figures["bpp"], 4)
    return described


def save_peer(
    folder: Path, network: Peer, code: dict[str, torch.Tensor], record: dict[str, Any]
) -> dict[str, Any]:
    """Write ``NAME.safetensors`` and ``NAME.json``.

    Args:
        folder: made if it is not there.
        network: on the CPU.
        code: tensors of the coder, as of `LatentCode`; empty where CompressAI makes them.
        record: "name" and what else the JSON should hold.

    Returns:
        The record with file name, SHA-256 and bytes.
    """
    tensors = {key: value.contiguous().clone() for key, value in network.state_dict().items()}
    tensors |= {f"{EXTRA}{key}": value.contiguous() for key, value in code.items()}
    described = {
        "name": record["name"],
        "architecture": network.architecture,
        "sizes": json.dumps(network.sizes),
    }
    data = save(tensors, metadata=described)
    file = f"{record['name']}.safetensors"
    stored = {"file": file, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    record = {**record, **stored}
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / file, data)
    write_json(folder / f"{record['name']}.json", record)
    return record
