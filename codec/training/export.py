"""From trained networks to files that ship: safetensors, and an entry for the manifest."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.models import TRANSFORM
from heqcodec.nqe.transform_nqe import TransformNqe
from heqcodec.nqe.vgg_integer import IntegerVgg
from heqcodec.purenet.network import Purenet
from numpy.typing import NDArray
from safetensors.numpy import save


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)


def _stored(folder: Path, file: str, tensors: dict[str, NDArray[Any]]) -> dict[str, Any]:
    data = save({key: np.ascontiguousarray(value) for key, value in tensors.items()})
    _write(folder / file, data)
    return {"file": file, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def export_model(
    folder: Path,
    name: str,
    family: str,
    about: str,
    encoder: dict[str, NDArray[Any]],
    purenet: Purenet,
    training: dict[str, Any],
    held_out: dict[str, float],
) -> dict[str, Any]:
    """Write ``NAME.encoder.safetensors``, ``NAME.purenet.safetensors`` and ``NAME.json``.

    The decoder is stored in float16: half the size, and its rounding moves no figure by more than
    a few thousandths of a decibel.

    Returns:
        The entry of the manifest, which is also what ``NAME.json`` holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = TransformNqe(encoder) if family == TRANSFORM else IntegerVgg.from_tensors(encoder)
    weights = {
        key: value.detach().to(torch.float16).cpu().numpy()
        for key, value in purenet.state_dict().items()
    }
    entry = {
        "family": family,
        "about": about,
        "encoder": {
            **_stored(folder, f"{name}.encoder.safetensors", encoder),
            "encoder_id": made.encoder_id.hex(),
            "coder_id": made.coder_id.hex(),
        },
        "decoder": {
            **_stored(folder, f"{name}.purenet.safetensors", weights),
            "config": purenet.config.as_dict(),
            "parameters": sum(value.size for value in weights.values()),
        },
        "training": training,
        "held_out": held_out,
    }
    _write(folder / f"{name}.json", (json.dumps({name: entry}, indent=1) + "\n").encode())
    return entry


def install(exported: Path, weights: Path, default: bool = False) -> None:
    """Copy an exported model into a ``weights`` folder and enter it in the manifest.

    Args:
        exported: ``NAME.json`` of `export_model`, beside its files.
        weights: a folder with (or to get) ``manifest.json``.
        default: whether it becomes the default model.
    """
    (name, entry), *_ = json.loads(exported.read_text(encoding="utf-8")).items()
    for part in ("encoder", "decoder"):
        _write(weights / entry[part]["file"], (exported.parent / entry[part]["file"]).read_bytes())
    path = weights / "manifest.json"
    manifest: dict[str, Any] = {"default": name, "models": {}, "retired": {}}
    if path.exists():
        manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["models"][name] = entry
    if default:
        manifest["default"] = name
    _write(path, (json.dumps(manifest, indent=1) + "\n").encode())
