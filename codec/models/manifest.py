"""The manifest of the weights that ship in ``heqcodec.weights``: names, ids, files.

``manifest.json`` says what there is; weights are safetensors, checked against the manifest's
SHA-256 before use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.nqe_r.coders import OWN

from .families import BEST, FAMILIES, STRONG, VIEWS, Family

if TYPE_CHECKING:
    # importlib.abc until Python 3.10; type checkers know this place from 3.11 on.
    from importlib.resources.abc import Traversable


def read_list(path: Traversable, key: str, what: str) -> dict[str, Any]:
    """A list of what ships, with its default.

    Args:
        path: of the JSON file: ``default``, and under ``key`` entries by name.
        key: see above.
        what: what it is, for the message.

    Raises:
        HeqError: it is missing or no such list: the installation is damaged.
    """
    try:
        parsed: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        # Reading the two keys is the check that they are there.
        if parsed["default"] in parsed[key]:
            return parsed
        reason = f"its default {parsed['default']} is not there"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise HeqError(f"{what} cannot be used ({reason}); install heqcodec again.")


@cache
def manifest() -> dict[str, Any]:
    """The parsed manifest; raises as `read_list`."""
    path = files("heqcodec.weights") / "manifest.json"
    return read_list(path, "models", "the manifest of the shipped weights")


def model_names(mode: str | None = None) -> list[str]:
    """Names of the shipped models, the default first.

    Args:
        mode: `PATCH_MODE` or `RATE_MODE` for the models of that mode alone.
    """
    names = sorted(manifest()["models"], key=lambda name: (name != default_model(), name))
    return [name for name in names if mode is None or mode_of(name) == mode]


def mode_of(name: str) -> str:
    """`PATCH_MODE` or `RATE_MODE`.

    Raises:
        HeqUnsupportedError: there is no such model; the message lists those there are.
    """
    if name not in manifest()["models"]:
        raise HeqUnsupportedError(
            f'there is no model "{name}"; the models here are {", ".join(model_names())}.'
        )
    return family_of(name).mode


def family_of(name: str) -> Family:
    """The family of a model that is here."""
    return FAMILIES[manifest()["models"][name]["family"]]


def default_model(mode: str = "auto") -> str:
    """Name of the model that ``encode`` takes by default.

    Args:
        mode: "auto" for the default of all; `PATCH_MODE` or `RATE_MODE` for that of a mode: the
            same if it is of that mode, else the one that the manifest names under ``defaults``,
            else the first by name.

    Raises:
        HeqUnsupportedError: there is no model of that mode.
    """
    name = str(manifest()["default"])
    if mode in ("auto", mode_of(name)):
        return name
    names = sorted(other for other in manifest()["models"] if mode_of(other) == mode)
    if not names:
        raise HeqUnsupportedError(f"there is no model of mode {mode} here.")
    wanted = str(manifest().get("defaults", {}).get(mode))
    return wanted if wanted in names else names[0]


def default_quality(name: str) -> float:
    """The quality that ``encode`` takes with a model of variable rate by default."""
    return float(manifest()["models"][name]["default_quality"])


def no_such_decoder(name: str, decoder: str) -> HeqUnsupportedError:
    """The error for a decoder that a model has not."""
    has = ", ".join(offered_decoders(name))
    return HeqUnsupportedError(
        f'the model "{name}" has no decoder "{decoder}"; choose one of {has}, or leave it out.'
    )


def model_of_file(encoder_id: bytes, coder_id: bytes) -> str:
    """Name of the model that wrote a file.

    Args:
        encoder_id: 8 bytes of the file's header.
        coder_id: 8 bytes of the file's header.

    Raises:
        HeqUnsupportedError: it is not here; where an earlier version reads the file, the message
            names that version.
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
    return name


def model_of(encoder_id: bytes, coder_id: bytes) -> str | None:
    """Name of the model that wrote a file, or None if it is not here."""
    for name, entry in manifest()["models"].items():
        coders = entry["coders"].values() if "coders" in entry else [entry["encoder"]]
        known = [(entry["encoder"]["encoder_id"], coder["coder_id"]) for coder in coders]
        if (encoder_id.hex(), coder_id.hex()) in known:
            return str(name)
    return None


def check_mode(name: str, mode: str) -> None:
    """Refuse a model that is not of a mode.

    Raises:
        HeqUnsupportedError: there is no such model, or it is of the other mode.
    """
    if mode_of(name) != mode:
        raise HeqUnsupportedError(
            f'the model "{name}" is of mode {mode_of(name)}, not of mode {mode}; those of that '
            f"mode are {', '.join(model_names(mode)) or 'none'}."
        )


def decoder_names(name: str) -> list[str]:
    """Decoders of a model with weights of their own, the strong one first; errors as `mode_of`."""
    mode_of(name)
    return [STRONG, *manifest()["models"][name].get("decoders", {})]


def offered_decoders(name: str) -> list[str]:
    """The decoders that can be chosen; errors as `mode_of`."""
    names = decoder_names(name)
    return [*names, *(d for d in family_of(name).derived_decoders if d not in names)]


def decoder_with_weights(name: str, decoder: str) -> str:
    """The decoder whose weights one of `offered_decoders` runs: of views those of best, or of
    strong where best has none of its own; errors as `mode_of`."""
    wanted: str = BEST if decoder in VIEWS else decoder
    return wanted if wanted in decoder_names(name) else STRONG


def decoder_entry(model: dict[str, Any], decoder: str) -> dict[str, Any]:
    """What a model's entry says of one of its decoders with weights of their own.

    Raises:
        KeyError: it has no such decoder.
    """
    entry: dict[str, Any] = model["decoder"] if decoder == STRONG else model["decoders"][decoder]
    return entry


def decoder_weights(name: str, decoder: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Stored tensors of a decoder of `decoder_names`, and the sizes of its network.

    Raises:
        HeqError: the weights are damaged.
    """
    entry = decoder_entry(manifest()["models"][name], decoder)
    return stored_tensors(entry), entry["config"]


def encoder_tensors(name: str) -> dict[str, np.ndarray]:
    """All that a device must hold: tensors of the encoder, and with a model of variable rate those
    of the device coder; errors as `load_encoder`."""
    mode_of(name)
    entry = manifest()["models"][name]
    parts = [entry["encoder"]]
    if "coders" in entry:
        parts.append(entry["coders"][OWN.name])
    return {key: tensor for part in parts for key, tensor in stored_tensors(part).items()}


def checked_bytes(folder: Traversable, entry: Mapping[str, Any], teller: str) -> bytes:
    """A file of weights.

    Args:
        folder: of the file.
        entry: its ``file`` and ``sha256``.
        teller: who gave the entry, for the message.

    Raises:
        HeqError: the file is missing or damaged.
    """
    name, wanted = entry["file"], entry["sha256"]
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise HeqError(
            f"the weights {name} cannot be read ({error}); install heqcodec again."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != wanted:
        raise HeqError(
            f"the weights {name} are damaged: SHA-256 {found[:16]}..., and {teller} says "
            f"{wanted[:16]}...; install heqcodec again."
        )
    return data


def stored_tensors(entry: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Tensors of a part of the manifest.

    Raises:
        HeqError: its file is missing or damaged.
    """
    from safetensors.numpy import load

    data = checked_bytes(files("heqcodec.weights"), entry, "the manifest")
    # Parts may share a file; each then has the tensors under its prefix.
    prefix = str(entry.get("prefix", ""))
    return {
        key.removeprefix(prefix): value
        for key, value in load(data).items()
        if key.startswith(prefix)
    }
