"""Models of few weights, made in seconds from photographs that ship with scikit-image."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.lab.networks.nqe_vgg import NqeVgg
from heqcodec.lab.training.export import export_model, install
from heqcodec.lab.training.recipe import RECIPES, TransformRecipe
from heqcodec.lab.training.transform_task import fit_encoder
from heqcodec.models.registry import TRANSFORM, VGG
from heqcodec.nqe_t.encoder import TransformCodeReader
from heqcodec.nqe_vgg.integer import IntegerVgg
from heqcodec.purenet.network import Purenet, PurenetConfig
from PIL import Image

TRANSFORM_NAME, VGG_NAME = "small-t", "small-vgg"
SIZES = {"width": 12, "blocks": 2, "local_blocks": 1, "fine_width": 6, "fine_blocks": 1}
BINARY_INPUTS = 32
TRANSFORM_INPUTS = 192 + TransformCodeReader.hints


@cache
def photograph(name: str = "astronaut") -> np.ndarray:
    """A photograph, uint8 (H, W, 3): "astronaut" (512, 512) or "chelsea" (300, 451)."""
    from skimage import data

    pixels: np.ndarray = getattr(data, name)()
    return pixels


@cache
def transform_tensors() -> dict[str, np.ndarray]:
    """An `nqe-t` encoder whose tables were counted on 96 patches."""
    tiles = photograph()[:256].reshape(256, 2, 256, 3).swapaxes(0, 1)
    recipe = TransformRecipe("small-t", TRANSFORM, "for tests", steps=1, tables_patches=96)
    return fit_encoder(np.ascontiguousarray(tiles), recipe)


def randomised(network: Purenet, seed: int = 0, scale: float = 1.0) -> Purenet:
    """Give all weights, those that start at zero included, values of a size that keeps signals."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith(("gain",)):
                value.copy_(1 + 0.3 * noise)
            elif value.dim() == 4:
                value.copy_(scale * noise / value[0].numel() ** 0.5)
            else:
                value.copy_(0.1 * noise)
    return network


def small_purenet(family: str, **changes: int) -> Purenet:
    """An untrained PURENET of few channels."""
    inputs = TRANSFORM_INPUTS if family == TRANSFORM else BINARY_INPUTS
    sizes = {**SIZES, **changes}
    return Purenet(PurenetConfig(inputs=inputs, has_base=family == TRANSFORM, **sizes))


def write_small_weights(folder: Path) -> None:
    """Install a model of each family in a folder of weights; the transform one is the default."""
    torch.manual_seed(5)
    encoders = {
        TRANSFORM_NAME: transform_tensors(),
        VGG_NAME: IntegerVgg(NqeVgg().eval().integer_layers()).packed(),
    }
    for name, encoder in encoders.items():
        family = TRANSFORM if name == TRANSFORM_NAME else VGG
        exported = folder.parent / f"{name}-exported"
        network = randomised(small_purenet(family), scale=0.3)
        record = {"recipe": f"{name}.toml", "steps": 0}
        export_model(exported, name, family, "for tests", encoder, network, record, {})
        install(exported / f"{name}.json", folder)


def write_recipe(path: Path, family: str, /, **changes: Any) -> Path:
    """A recipe that trains in seconds."""
    common = {
        "name": f"tiny-{family}",
        "family": family,
        "about": "for tests",
        "steps": 6,
        "batch": 2 if family == TRANSFORM else 1,
        "crop": 3,
        "warmup": 2,
        "views": 1,
        "refresh": 2,
        "tables_patches": 64,
    }
    own = {item.name for item in fields(RECIPES[family])}
    values = {**{key: value for key, value in common.items() if key in own}, **changes}
    lines = [f"{key} = {_toml(value)}" for key, value in values.items() if key != "purenet"]
    sizes = values.get("purenet", SIZES)
    lines += ["[purenet]", *(f"{key} = {_toml(value)}" for key, value in sizes.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def write_photographs(folder: Path) -> Path:
    """Three tiles' worth of photographs, and one too small for a tile."""
    folder.mkdir()
    Image.fromarray(photograph()[:256]).save(folder / "a.png")
    Image.fromarray(photograph("chelsea")).save(folder / "b.png")
    Image.fromarray(photograph("chelsea")[:100, :100]).save(folder / "small.png")
    return folder
