"""From trained networks to files that ship: safetensors, and an entry for the manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.errors import HeqError
from heqcodec.files import write_bytes
from heqcodec.models import TRANSFORM
from heqcodec.nqe.transform_nqe import TransformNqe
from heqcodec.nqe.vgg_integer import IntegerVgg
from heqcodec.purenet.network import Purenet
from numpy.typing import NDArray
from safetensors.numpy import save


def _stored(folder: Path, file: str, tensors: dict[str, NDArray[Any]]) -> dict[str, Any]:
    data = save({key: np.ascontiguousarray(value) for key, value in tensors.items()})
    write_bytes(folder / file, data)
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
    write_bytes(folder / f"{name}.json", _json({name: entry}))
    return entry


def install(exported: Path, weights: Path, default: bool = False, retire: str | None = None) -> str:
    """Copy an exported model into a ``weights`` folder and enter it in the manifest.

    Args:
        exported: ``NAME.json`` of `export_model`, beside its files.
        weights: a folder with (or to get) ``manifest.json``.
        default: whether it becomes the default model; the first one does anyway.
        retire: the release of heqcodec that still reads files of the model that is replaced, if
            that one was ever shipped. Its ids are then kept, for an error that names the release.

    Returns:
        The model's name.

    Raises:
        HeqError: it is no exported model, or its files are not those it was exported with.
        OSError: a file cannot be read or written.
    """
    path = weights / "manifest.json"
    try:
        ((name, entry),) = json.loads(exported.read_text(encoding="utf-8")).items()
        parts = [entry[part] for part in ("encoder", "decoder")]
        files = {part["file"]: part["sha256"] for part in parts}
        manifest: dict[str, Any] = {"default": name, "models": {}, "retired": {}}
        if path.exists():
            manifest = json.loads(path.read_text(encoding="utf-8"))
        replaced = manifest["models"].get(name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HeqError(
            f"{exported} or {path} is not what heqcodec writes ({type(error).__name__}: {error})."
        ) from error
    weights.mkdir(parents=True, exist_ok=True)
    contents = {file: (exported.parent / file).read_bytes() for file in files}
    for file, data in contents.items():
        if hashlib.sha256(data).hexdigest() != files[file]:
            raise HeqError(f"{exported.parent / file} is not the file that {exported} tells of.")
    for file, data in contents.items():
        write_bytes(weights / file, data)
    if replaced and retire and _ids(replaced) != _ids(entry):
        manifest.setdefault("retired", {})[_ids(replaced)] = retire
    manifest["models"][name] = entry
    if default:
        manifest["default"] = name
    write_bytes(path, _json(manifest))
    return str(name)


def _ids(entry: dict[str, Any]) -> str:
    return f"{entry['encoder']['encoder_id']}-{entry['encoder']['coder_id']}"


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
