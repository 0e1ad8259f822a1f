"""The models that ship in ``heqcodec.weights``, by name and by the ids that files carry.

``manifest.json`` says what there is; weights are safetensors, checked against the manifest's
SHA-256 before use. Nothing is imported from torch until a model is loaded.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from .backend import FrameDecoder, PatchEncoder
from .errors import HeqError, HeqUnsupportedError

if TYPE_CHECKING:
    from heqcodec.purenet.decoder import Reader

BUDGET_BITS = 2**20
TRANSFORM = "transform"
VGG = "vgg"
RATE = "rate"


@cache
def manifest() -> dict[str, Any]:
    """The parsed manifest.

    Raises:
        HeqError: it is missing or no manifest: the installation is damaged.
    """
    try:
        text = (files("heqcodec.weights") / "manifest.json").read_text(encoding="utf-8")
        parsed: dict[str, Any] = json.loads(text)
        # Reading the two keys is the check that they are there.
        if parsed["default"] in parsed["models"]:
            return parsed
        reason = f"its default {parsed['default']} is not there"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise HeqError(
        f"the manifest of the shipped weights cannot be used ({reason}); install heqcodec again."
    )


def model_names() -> list[str]:
    """Names of the shipped models, the default first."""
    return sorted(manifest()["models"], key=lambda name: (name != default_model(), name))


def default_model() -> str:
    """Name of the model that ``encode`` takes unless told otherwise."""
    return str(manifest()["default"])


def load_encoder(name: str) -> PatchEncoder:
    """The encoder of a model, loaded once.

    Raises:
        HeqUnsupportedError: there is no such model; the message lists those there are.
        HeqError: its weights are damaged.
    """
    if name not in manifest()["models"]:
        raise HeqUnsupportedError(
            f'there is no model "{name}"; the models here are {", ".join(model_names())}.'
        )
    return _encoder(name)


def load_decoder(encoder_id: bytes, coder_id: bytes, device: str = "auto") -> FrameDecoder:
    """The decoder for files of an encoder, loaded once for each device.

    Args:
        encoder_id: 8 bytes of the file's header.
        coder_id: 8 bytes of the file's header.
        device: "auto" (a GPU where torch has one), or a torch device such as "cpu" or "cuda:0".

    Raises:
        HeqUnsupportedError: no model of this version wrote the file; where an earlier version
            reads it, the message names that version. Or the device does not exist.
        HeqError: the weights are damaged.
    """
    name = model_of(encoder_id, coder_id)
    if name is None:
        retired = manifest().get("retired", {}).get(f"{encoder_id.hex()}-{coder_id.hex()}")
        if retired:
            raise HeqUnsupportedError(
                f"the file was written by encoder {encoder_id.hex()}, which this version no longer "
                f"reads; heqcodec {retired} does: pip install heqcodec=={retired}."
            )
        raise HeqUnsupportedError(
            f"no model here reads encoder {encoder_id.hex()} with coder {coder_id.hex()}; the file "
            "comes from a newer heqcodec or from weights of one's own."
        )
    return _decoder(name, device)


def model_of(encoder_id: bytes, coder_id: bytes) -> str | None:
    """Name of the model that wrote a file, or None if it is not here."""
    for name, entry in manifest()["models"].items():
        ids = entry["encoder"]["encoder_id"], entry["encoder"]["coder_id"]
        if ids == (encoder_id.hex(), coder_id.hex()):
            return str(name)
    return None


def describe_models() -> list[dict[str, Any]]:
    """For each model: name, ids, rates, weight bits by part and in all, training, figures.

    The weight bits are counted on the loaded encoder.

    Raises:
        HeqError: an encoder's weights are more than 2^20 bits, or damaged.
    """
    described = []
    for name in model_names():
        entry = manifest()["models"][name]
        parts = weight_bits(name)
        described.append(
            {
                "name": name,
                "default": name == default_model(),
                "about": entry["about"],
                "encoder_id": entry["encoder"]["encoder_id"],
                "coder_id": entry["encoder"]["coder_id"],
                "bpp": [bits / 1024 for bits in load_encoder(name).rates],
                "weight_bits": sum(parts.values()),
                "weight_bits_by_part": parts,
                "weight_bits_budget": BUDGET_BITS,
                "decoder_parameters": entry["decoder"]["parameters"],
                "training": entry["training"],
                "held_out": entry["held_out"],
            }
        )
    return described


def weight_bits(name: str) -> dict[str, int]:
    """Bits of everything that a device must hold for an encoder, by part.

    Raises:
        HeqError: they are more than 2^20.
    """
    encoder: Any = load_encoder(name)
    parts: dict[str, int] = encoder.weight_bits()
    if sum(parts.values()) > BUDGET_BITS:
        raise HeqError(f"{name} holds {sum(parts.values())} bits, more than {BUDGET_BITS}.")
    return parts


def _tensors(entry: dict[str, Any]) -> dict[str, np.ndarray]:
    from safetensors.numpy import load

    file = files("heqcodec.weights") / entry["file"]
    try:
        data = file.read_bytes()
    except OSError as error:
        raise HeqError(
            f"the weights {entry['file']} cannot be read ({error}); install heqcodec again."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != entry["sha256"]:
        raise HeqError(
            f"the weights {entry['file']} are damaged: SHA-256 {found[:16]}..., and the manifest "
            f"says {entry['sha256'][:16]}...; install heqcodec again."
        )
    return dict(load(data))


@cache
def _encoder(name: str) -> PatchEncoder:
    entry = manifest()["models"][name]
    tensors = _tensors(entry["encoder"])
    encoder: PatchEncoder
    if entry["family"] == TRANSFORM:
        from heqcodec.nqe.transform_nqe import TransformNqe

        encoder = TransformNqe(tensors)
    else:
        from heqcodec.nqe.vgg_integer import IntegerVgg

        encoder = IntegerVgg.from_tensors(tensors)
    told = entry["encoder"]["encoder_id"], entry["encoder"]["coder_id"]
    if (encoder.encoder_id.hex(), encoder.coder_id.hex()) != told:
        raise HeqError(f"the weights of {name} do not give the ids of the manifest.")
    return encoder


@cache
def _decoder(name: str, device: str) -> FrameDecoder:
    import torch
    from heqcodec.nqe.transform_nqe import TransformCodeReader, TransformNqe
    from heqcodec.purenet.decoder import BinaryReader, PurenetDecoder, TransformReader
    from heqcodec.purenet.device import find_device
    from heqcodec.purenet.network import Purenet, PurenetConfig

    target = find_device(device)
    entry = manifest()["models"][name]
    encoder = load_encoder(name)
    reader: Reader
    if isinstance(encoder, TransformNqe):
        reader = TransformReader(TransformCodeReader(encoder))
    else:
        reader = BinaryReader()
    network = Purenet(PurenetConfig(**entry["decoder"]["config"]))
    stored = _tensors(entry["decoder"])
    network.load_state_dict({key: torch.from_numpy(value).float() for key, value in stored.items()})
    return PurenetDecoder(reader, network, encoder.rates, target)
