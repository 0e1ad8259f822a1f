"""Checkpoints as safetensors: networks, EMA, optimizers, random state, counters. No pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from heqcodec.base.errors import HeqError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

FILE = "checkpoint.safetensors"
RENAMED = {"guide": "teacher"}
"""Networks that checkpoints before 29 November 2026 have under another name."""


def _adam_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{key}": value if isinstance(value, Tensor) else torch.tensor(value)
        for index, values in state.items()
        for key, value in values.items()
    }


def _load_adam(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    full = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            # In the parameter's own memory layout, without which a step is several times slower.
            value = torch.empty_like(parameter, device="cpu").copy_(value)
        state.setdefault(int(index), {})[key] = value
    full["state"] = state
    optimizer.load_state_dict(full)


def save_checkpoint(
    folder: Path,
    networks: dict[str, nn.Module],
    ema: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
    generator: torch.Generator,
    facts: dict[str, Any],
) -> None:
    """Write everything that a run needs to go on, complete or not at all.

    Args:
        folder: of the run.
        networks, ema, optimizers: by name; of ema the files say "average".
        generator: whose state decides the batches to come.
        facts: JSON values: step, minutes, recipe, hashes.
    """
    tensors: dict[str, Tensor] = {"random": generator.get_state()}
    for kind, group in (("network", networks), ("average", ema)):
        for name, network in group.items():
            for key, value in network.state_dict().items():
                tensors[f"{kind}/{name}/{key}"] = value
    for name, optimizer in optimizers.items():
        for key, value in _adam_tensors(optimizer).items():
            tensors[f"optimizer/{name}/{key}"] = value
    cpu = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    part = folder / f"{FILE}.part"
    save_file(cpu, part, metadata={"facts": json.dumps(facts)})
    os.replace(part, folder / FILE)


def read_facts(folder: Path) -> dict[str, Any]:
    """The JSON values of a checkpoint.

    Raises:
        HeqError: there is none, or it is damaged.
    """
    path = folder / FILE
    if not path.exists():
        raise HeqError(f"there is no checkpoint {path} to resume from; leave --resume out.")
    try:
        with safe_open(path, framework="pt") as stored:
            facts: dict[str, Any] = json.loads(stored.metadata()["facts"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise HeqError(f"the checkpoint {path} cannot be read: {error}.") from error
    return facts


def load_checkpoint(
    folder: Path,
    networks: dict[str, nn.Module],
    ema: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
    generator: torch.Generator,
) -> None:
    """Put a checkpoint's tensors back; see `save_checkpoint`.

    Raises:
        HeqError: the networks are of other sizes than the checkpoint's.
    """
    path = folder / FILE
    try:
        _put_back(path, networks, ema, optimizers, generator)
    except (SafetensorError, RuntimeError, LookupError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise HeqError(
            f"the checkpoint {path} does not fit the recipe ({reason}); give the recipe that it "
            "was begun with, or another --out."
        ) from error


def _renamed(key: str) -> str:
    """The name of a tensor, with that of its network as it is now."""
    kind, _, rest = key.partition("/")
    network, _, tensor = rest.partition("/")
    return f"{kind}/{RENAMED[network]}/{tensor}" if network in RENAMED else key


def _put_back(
    path: Path,
    networks: dict[str, nn.Module],
    ema: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
    generator: torch.Generator,
) -> None:
    with safe_open(path, framework="pt") as stored:
        tensors = {_renamed(key): stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118

    def below(prefix: str) -> dict[str, Tensor]:
        return {
            key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)
        }

    for kind, group in (("network", networks), ("average", ema)):
        for name, network in group.items():
            network.load_state_dict(below(f"{kind}/{name}/"))
    for name, optimizer in optimizers.items():
        _load_adam(optimizer, below(f"optimizer/{name}/"))
    generator.set_state(tensors["random"])
