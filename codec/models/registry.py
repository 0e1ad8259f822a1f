"""The models that ship in ``heqcodec.weights``: their encoders, coders and decoders, loaded once.

What there is, `heqcodec.models.manifest` knows; its names are also found here. No library of
networks is imported until a decoder is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from heqcodec.base.constants import BUDGET_BITS
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.base.patch_protocols import FrameDecoder, PatchEncoder
from heqcodec.container.header import Coder
from heqcodec.nqe_r.coders import OWN, kind_of

from .families import (
    BEST,
    DECODERS,
    FAMILIES,
    FAST,
    PATCH_MODE,
    PLAIN,
    RATE,
    RATE_MODE,
    SSIMULACRA2,
    STRONG,
    TRANSFORM,
    VGG,
    VGG_CLASS,
    VIEWS,
    encoder_ids,
)
from .manifest import (
    check_mode,
    decoder_names,
    decoder_weights,
    decoder_with_weights,
    default_model,
    default_quality,
    encoder_tensors,
    family_of,
    manifest,
    mode_of,
    model_names,
    model_of,
    model_of_file,
    no_such_decoder,
    offered_decoders,
    stored_tensors,
)

if TYPE_CHECKING:
    from heqcodec.base.rate_protocols import RateDecoder, RateEncoder, StripCoder
    from heqcodec.purenet.concealment import Network
    from heqcodec.purenet.dequantizer import Dequantizer


__all__ = [
    "BEST",
    "BUDGET_BITS",
    "DECODERS",
    "FAMILIES",
    "FAST",
    "PATCH_MODE",
    "PLAIN",
    "RATE",
    "RATE_MODE",
    "SSIMULACRA2",
    "STRONG",
    "TRANSFORM",
    "VGG",
    "VGG_CLASS",
    "VIEWS",
    "decoder_names",
    "decoder_weights",
    "decoder_with_weights",
    "default_model",
    "default_quality",
    "describe_models",
    "encoder_ids",
    "encoder_kernel",
    "encoder_tensors",
    "family_of",
    "load_any_encoder",
    "load_concealment",
    "load_decoder",
    "load_dequantizer",
    "load_encoder",
    "load_rate_decoder",
    "load_rate_encoder",
    "load_strip_coder",
    "manifest",
    "mode_of",
    "model_names",
    "model_of",
    "model_of_file",
    "no_such_decoder",
    "offered_decoders",
    "weight_bits",
]


def load_encoder(name: str) -> PatchEncoder:
    """The encoder of a patch-constant model, loaded once.

    Raises:
        HeqUnsupportedError: there is no such model; the message lists those there are.
        HeqError: its weights are damaged.
    """
    check_mode(name, PATCH_MODE)
    return cast(PatchEncoder, _encoder(name))


def load_rate_encoder(name: str) -> RateEncoder:
    """The encoder of a model of variable rate, loaded once; errors as `load_encoder`."""
    check_mode(name, RATE_MODE)
    return cast("RateEncoder", _encoder(name))


def load_any_encoder(name: str) -> PatchEncoder | RateEncoder:
    """The encoder of a model of either mode, loaded once; errors as `load_encoder`."""
    loaders: dict[str, Callable[[str], PatchEncoder | RateEncoder]] = {
        PATCH_MODE: load_encoder,
        RATE_MODE: load_rate_encoder,
    }
    return loaders[mode_of(name)](name)


def encoder_kernel(name: str) -> str:
    """The kernel that encodes: "numpy", or "C" with its instruction set."""
    return str(getattr(load_any_encoder(name), "kernel", "numpy"))


def load_strip_coder(name: str, coder: int) -> StripCoder:
    """A coder of a model of variable rate, loaded once; errors as `load_encoder`.

    Args:
        name: of the model.
        coder: number of one of `heqcodec.nqe_r.coders`.
    """
    check_mode(name, RATE_MODE)
    return _strip_coder(name, Coder(coder))


def load_rate_decoder(
    name: str, device: str = "auto", decoder: str = STRONG, backend: str = "auto"
) -> RateDecoder:
    """A decoder of a model of variable rate, loaded once for each device and backend.

    Args:
        name: of the model.
        device, backend: as in `load_decoder`.
        decoder: one of `DECODERS`.

    Raises:
        HeqUnsupportedError: the model has no such decoder; or as `load_decoder`.
        HeqError: the weights are damaged.
    """
    check_mode(name, RATE_MODE)
    return cast("RateDecoder", _offered_decoder(name, device, decoder, backend))


def load_dequantizer(name: str) -> Dequantizer:
    """The plain inverse of a model of variable rate, loaded once; errors as `load_encoder`."""
    check_mode(name, RATE_MODE)
    return _dequantizer(name)


@cache
def load_concealment(device: str = "auto", backend: str = "auto") -> Network | None:
    """The network that continues lost patches, loaded once for each device and backend.

    Args:
        device, backend: as in `load_decoder`.

    Returns:
        None where no library runs it or it is not here: patches are then continued smoothly.

    Raises:
        HeqError: its weights are damaged.
    """
    from heqcodec.purenet.backends import ONNX, choose_backend

    try:
        chosen = choose_backend(backend, device)
    except HeqUnsupportedError:
        return None
    part = manifest().get("concealment")
    if part is None:
        return None
    tensors = stored_tensors(part)
    if chosen == ONNX:
        from heqcodec.purenet.concealment_onnx import load_by_onnx

        return load_by_onnx(tensors)
    from heqcodec.purenet.concealment_torch import load_by_torch

    return load_by_torch(tensors, device)


def load_decoder(
    encoder_id: bytes,
    coder_id: bytes,
    device: str = "auto",
    backend: str = "auto",
    decoder: str = STRONG,
) -> FrameDecoder:
    """The decoder for files of a patch-constant encoder, loaded once for each device and backend.

    Args:
        encoder_id: 8 bytes of the file's header.
        coder_id: 8 bytes of the file's header.
        device: "auto", "cpu", or another torch device such as "cuda:0".
        backend: "onnx" (the CPU), "torch" ("auto" is a GPU then, where torch has one), or "auto":
            torch if the device is neither "auto" nor "cpu", or where onnxruntime is missing.
        decoder: `STRONG` or `PLAIN`.

    Raises:
        HeqUnsupportedError: no model of this version wrote the file; where an earlier version
            reads it, the message names that version. Or the model has no such decoder, or the
            device or the backend is not here.
        HeqError: the weights are damaged.
    """
    name = model_of_file(encoder_id, coder_id)
    check_mode(name, PATCH_MODE)
    return cast(FrameDecoder, _offered_decoder(name, device, decoder, backend))


def describe_models() -> list[dict[str, Any]]:
    """For each model: name, mode, ids, rates, weight bits by part and in all, decoders, training,
    figures.

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
                "mode": mode_of(name),
                "about": entry["about"],
                "encoder_id": entry["encoder"]["encoder_id"],
                **_rate_facts(name, entry),
                "weight_bits": sum(parts.values()),
                "weight_bits_by_part": parts,
                "weight_bits_budget": BUDGET_BITS,
                "decoders": offered_decoders(name),
                "decoder_parameters": entry["decoder"]["parameters"],
                "training": entry["training"],
                "held_out": entry["held_out"],
            }
        )
    return described


def _rate_facts(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    if "coders" in entry:
        coders = entry["coders"].items()
        return {
            **{f"{kind}_coder_id": part["coder_id"] for kind, part in coders},
            "default_quality": default_quality(name),
        }
    return {
        "coder_id": entry["encoder"]["coder_id"],
        "bpp": [bits / 1024 for bits in load_encoder(name).rates],
    }


def weight_bits(name: str) -> dict[str, int]:
    """Bits of everything that a device must hold, by part: the encoder's, and with a model of
    variable rate the device coder's.

    Raises:
        HeqError: they are more than 2^20.
    """
    holders: list[Any] = [load_any_encoder(name)]
    if "coders" in manifest()["models"][name]:
        holders.append(load_strip_coder(name, OWN.number))
    parts: dict[str, int] = {}
    for holder in holders:
        parts |= holder.weight_bits()
    if sum(parts.values()) > BUDGET_BITS:
        raise HeqError(f"{name} holds {sum(parts.values())} bits, more than {BUDGET_BITS}.")
    return parts


@cache
def _encoder(name: str) -> PatchEncoder | RateEncoder:
    entry = manifest()["models"][name]["encoder"]
    encoder = family_of(name).make_encoder(stored_tensors(entry))
    found = encoder_ids(encoder)
    _check_ids(name, found, {key: entry[key] for key in found})
    return encoder


def _check_ids(name: str, found: object, listed: object) -> None:
    if found != listed:
        raise HeqError(f"the weights of {name} do not give the ids of the manifest.")


@cache
def _strip_coder(name: str, coder: Coder) -> StripCoder:
    kind = kind_of(coder)
    assert kind
    entry = manifest()["models"][name]["coders"][kind.name]
    made = kind.make(stored_tensors(entry))
    _check_ids(name, (made.coder, made.coder_id.hex()), (coder, entry["coder_id"]))
    return made


def _offered_decoder(
    name: str, device: str, decoder: str, backend: str
) -> FrameDecoder | RateDecoder:
    from heqcodec.purenet.backends import choose_backend

    if decoder not in offered_decoders(name):
        raise no_such_decoder(name, decoder)
    return _decoder(
        name, device, decoder, None if decoder == PLAIN else choose_backend(backend, device)
    )


@cache
def _decoder(
    name: str, device: str, decoder: str, backend: str | None
) -> FrameDecoder | RateDecoder:
    tensors, config = decoder_weights(name, decoder_with_weights(name, decoder))
    network = None
    if backend:
        from heqcodec.purenet.backends import load_network, network_tensors

        network = load_network(network_tensors(tensors), config, device, backend)
        if decoder in VIEWS:
            from heqcodec.purenet.self_ensemble import SelfEnsemble

            network = SelfEnsemble(network, VIEWS[decoder])
    return family_of(name).make_decoder(_encoder(name), tensors, network)


@cache
def _dequantizer(name: str) -> Dequantizer:
    from heqcodec.nqe_r.encoder import RateNqe
    from heqcodec.purenet.dequantizer import stored_dequantizer

    tensors, _ = decoder_weights(name, STRONG)
    return stored_dequantizer(cast(RateNqe, _encoder(name)), tensors)
