"""What tests of training share: tasks of a few weights, and runs that are stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from heqcodec.lab.training.loop import TrainingLoop
from heqcodec.lab.training.recipe import Recipe
from heqcodec.lab.training.transform_task import TransformTask
from heqcodec.lab.training.vgg_task import VggTask
from heqcodec.models.registry import TRANSFORM, VGG
from rich.progress import Progress
from safetensors.torch import load_file
from small_models import transform_tensors, write_recipe

FAMILIES = (TRANSFORM, VGG)
CPU = torch.device("cpu")


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int, number: int) -> None:
    """Send this process a signal while a step is under way."""
    one_step = TrainingLoop._one_step

    def counted(self: TrainingLoop) -> torch.Tensor:
        if self.step + 1 == step:
            os.kill(os.getpid(), number)
        return one_step(self)

    monkeypatch.setattr(TrainingLoop, "_one_step", counted)


def checkpoint_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoint.safetensors")


def task_of(family: str, tiles: np.ndarray, cache: Path, **changes: Any) -> Any:
    recipe = Recipe.load(write_recipe(cache.parent / "task.toml", family, **changes))
    frames = [tiles[0][:64, :64].copy()]
    if family == VGG:
        return VggTask(recipe, tiles, frames, CPU)
    return TransformTask(
        recipe, tiles, frames, transform_tensors(), CPU, cache, Progress(disable=True)
    )
