"""From trained networks to files that ship: safetensors, and an entry for the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_bytes, write_json
from heqcodec.models.registry import FAMILIES, encoder_ids
from heqcodec.nqe_r.coders import CODERS, OWN
from heqcodec.nqe_vgg.code_reader import POINTS
from heqcodec.purenet.dequantizer import PLACES
from heqcodec.purenet.network import Purenet
from heqcodec.purenet.stored_weights import stored_weights
from numpy.typing import NDArray
from safetensors.numpy import save

from .fit_rate_coders import Coders


class RateParts(NamedTuple):
    """What a model of variable rate has in addition to encoder and network.

    places: reconstruction points, see `heqcodec.purenet.dequantizer`.
    coders: tables of the coders, by name.
    default_quality: of ``encode``.
    """

    places: NDArray[np.float32]
    coders: Coders
    default_quality: float


def store_tensors(folder: Path, file: str, tensors: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Write a file of weights; what an entry of the manifest says of it."""
    # safetensors would write the memory of an array as it lies; of no dimensions it stays so.
    data = save({key: np.asarray(value, order="C") for key, value in tensors.items()})
    write_bytes(folder / file, data)
    return {"file": file, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _coders_with_ids(coders: Coders) -> Coders:
    """The packed coder names the device coder, to whose bytes its files are unpacked."""
    own = OWN.make(coders[OWN.name])
    named = np.frombuffer(own.coder_id, dtype=np.uint8)
    return {
        kind: tables if CODERS[kind].unpacks_to is None else {**tables, "device_id": named}
        for kind, tables in coders.items()
    }


def export_model(
    folder: Path,
    name: str,
    family: str,
    about: str,
    encoder: dict[str, NDArray[Any]],
    purenet: Purenet,
    training: dict[str, Any],
    held_out: dict[str, float],
    rate_parts: RateParts | None = None,
    points: NDArray[np.float32] | None = None,
) -> dict[str, Any]:
    """Write ``NAME.encoder.safetensors``, ``NAME.purenet.safetensors`` and ``NAME.json``.

    A model of variable rate (``rate_parts``) has ``NAME.device.safetensors`` and
    ``NAME.packed.safetensors`` beside them.

    ``points`` are stored with the decoder, see `heqcodec.nqe_vgg.code_reader.ClassCodeReader`.
    The decoder is stored as `heqcodec.purenet.stored_weights` says.

    Returns:
        The entry of the manifest, which is also what ``NAME.json`` holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = stored_weights(purenet.state_dict())
    parameters = sum(value.numel() for value in purenet.state_dict().values())
    more: dict[str, Any] = {}
    ids = encoder_ids(FAMILIES[family].make_encoder(encoder))
    if points is not None:
        weights[POINTS] = points
    if rate_parts:
        weights[PLACES] = rate_parts.places
        more = {"coders": {}, "default_quality": rate_parts.default_quality}
        for kind, tables in _coders_with_ids(rate_parts.coders).items():
            coder = CODERS[kind].make(tables)
            stored = store_tensors(folder, f"{name}.{kind}.safetensors", tables)
            more["coders"][kind] = {**stored, "coder_id": coder.coder_id.hex()}
    entry = {
        "family": family,
        "about": about,
        "encoder": {**store_tensors(folder, f"{name}.encoder.safetensors", encoder), **ids},
        **more,
        "decoder": {
            **store_tensors(folder, f"{name}.purenet.safetensors", weights),
            "config": purenet.config.as_dict(),
            "parameters": parameters,
        },
        "training": training,
        "held_out": held_out,
    }
    write_json(folder / f"{name}.json", {name: entry})
    return entry


def export_decoder(
    folder: Path,
    name: str,
    decoder: str,
    encoder_id: bytes,
    purenet: Purenet,
    places: NDArray[np.float32],
    training: dict[str, Any],
    held_out: dict[str, float],
) -> dict[str, Any]:
    """Write another decoder of a model of variable rate: ``NAME.purenet-DECODER.safetensors``.

    Args:
        decoder: its name, such as "fast".
        encoder_id: of the encoder whose levels it was trained on.
        places: see `RateParts`.

    Returns:
        What stands under its name in the manifest, which is also what the JSON file holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {**stored_weights(purenet.state_dict()), PLACES: places}
    part = {
        **store_tensors(folder, f"{name}.purenet-{decoder}.safetensors", weights),
        "config": purenet.config.as_dict(),
        "parameters": sum(value.numel() for value in purenet.state_dict().values()),
        "training": training,
        "held_out": held_out,
    }
    record = {"encoder_id": encoder_id.hex(), "decoders": {decoder: part}}
    write_json(folder / f"{name}-{decoder}.json", {name: record})
    return part


def install(exported: Path, weights: Path, default: bool = False, retire: str | None = None) -> str:
    """Copy an exported model, or decoder, into a ``weights`` folder and enter it in the manifest.

    Args:
        exported: ``NAME.json`` of `export_model`, beside its files.
        weights: a folder with (or to get) ``manifest.json``.
        default: whether it becomes the default model; the first one does anyway.
        retire: the release of heqcodec that still reads files of the model that is replaced, if
            that one was ever shipped. Its ids are then kept, for an error that names the release.

    Returns:
        The model's name.

    Raises:
        HeqError: it is no exported model, its files are not those it was exported with, or it is a
            decoder of another model.
        OSError: a file cannot be read or written.
    """
    path = weights / "manifest.json"
    try:
        ((name, entry),) = json.loads(exported.read_text(encoding="utf-8")).items()
        parts = list(entry.get("decoders", {}).values())
        if "family" in entry:
            parts += [entry["encoder"], entry["decoder"], *entry.get("coders", {}).values()]
        files = {part["file"]: part["sha256"] for part in parts}
        manifest: dict[str, Any] = {"default": name, "models": {}, "retired": {}}
        if path.exists():
            manifest = json.loads(path.read_text(encoding="utf-8"))
        replaced = manifest["models"].get(name)
        whole = "family" in entry
        reads = entry["encoder"]["encoder_id"] if whole else entry["encoder_id"]
        same = replaced is not None and replaced["encoder"]["encoder_id"] == reads
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HeqError(
            f"{exported} or {path} is not what heqcodec writes ({type(error).__name__}: {error})."
        ) from error
    if not (whole or same):
        raise HeqError(
            f"the decoder was trained for encoder {entry['encoder_id']}, and {name} has another or "
            "is not there; install its model first."
        )
    if same and (decoders := {**replaced.get("decoders", {}), **entry.get("decoders", {})}):
        # Further decoders stay with their encoder, whichever of both is new.
        entry = {**(entry if whole else replaced), "decoders": decoders}
    weights.mkdir(parents=True, exist_ok=True)
    contents = {file: (exported.parent / file).read_bytes() for file in files}
    for file, data in contents.items():
        if hashlib.sha256(data).hexdigest() != files[file]:
            raise HeqError(f"{exported.parent / file} is not the file that {exported} tells of.")
    for file, data in contents.items():
        write_bytes(weights / file, data)
    if replaced and retire:
        for ids in set(_ids(replaced)) - set(_ids(entry)):
            manifest.setdefault("retired", {})[ids] = retire
    manifest["models"][name] = entry
    if default:
        manifest["default"] = name
    write_json(path, manifest)
    return str(name)


def _ids(entry: dict[str, Any]) -> list[str]:
    """Encoder and coder of the files that a model reads."""
    coders = entry["coders"].values() if "coders" in entry else [entry["encoder"]]
    return [f"{entry['encoder']['encoder_id']}-{coder['coder_id']}" for coder in coders]
