"""The models that ship in ``heqcodec.weights``: their encoders, coders and decoders, loaded once.

What there is, `heqcodec.models.manifest` knows; its names are also found here. No library of
networks is
imported until a decoder is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from heqcodec.base.constants import BUDGET_BITS
from heqcodec.base.errors import HeqError
from heqcodec.base.patch_protocols import FrameDecoder, PatchEncoder
from heqcodec.container.header import Coder

from .manifest import (
    BEST,
    DECODERS,
    FAST,
    MS_SSIM,
    PATCH_MODE,
    PLAIN,
    RATE,
    RATE_MODE,
    STRONG,
    TRANSFORM,
    VGG,
    check_mode,
    decoder_names,
    decoder_weights,
    default_model,
    default_quality,
    encoder_tensors,
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
    from heqcodec.purenet.dequantizer import Dequantizer


__all__ = [
    "BEST",
    "BUDGET_BITS",
    "DECODERS",
    "FAST",
    "MS_SSIM",
    "PATCH_MODE",
    "PLAIN",
    "RATE",
    "RATE_MODE",
    "STRONG",
    "TRANSFORM",
    "VGG",
    "decoder_names",
    "decoder_weights",
    "default_model",
    "default_quality",
    "describe_models",
    "encoder_kernel",
    "encoder_tensors",
    "load_any_encoder",
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
    return _encoder(name)


def load_rate_encoder(name: str) -> RateEncoder:
    """The encoder of a model of variable rate, loaded once; errors as `load_encoder`."""
    check_mode(name, RATE_MODE)
    return _rate_encoder(name)


def load_any_encoder(name: str) -> PatchEncoder | RateEncoder:
    """The encoder of a model of either mode, loaded once; errors as `load_encoder`."""
    loaders: dict[str, Callable[[str], PatchEncoder | RateEncoder]] = {
        PATCH_MODE: load_encoder,
        RATE_MODE: load_rate_encoder,
    }
    return loaders[mode_of(name)](name)


def encoder_kernel(name: str) -> str:
    """What computes when a model encodes: "numpy", or "C" and what of the processor it uses."""
    return str(getattr(load_any_encoder(name), "kernel", "numpy"))


def load_strip_coder(name: str, coder: int) -> StripCoder:
    """A coder of a model of variable rate, loaded once; errors as `load_encoder`.

    Args:
        name: of the model.
        coder: `Coder.DEVICE` or `Coder.PACKED`.
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
    if decoder not in offered_decoders(name):
        raise no_such_decoder(name, decoder)
    return _rate_decoder(name, device, decoder, _chosen(backend, device, decoder))


def _chosen(backend: str, device: str, decoder: str) -> str | None:
    """What runs a decoder's network; None for one that has none."""
    from heqcodec.purenet.backends import choose_backend

    return None if decoder == PLAIN else choose_backend(backend, device)


def load_dequantizer(name: str) -> Dequantizer:
    """The plain inverse of a model of variable rate, loaded once; errors as `load_encoder`."""
    check_mode(name, RATE_MODE)
    return _dequantizer(name)


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
    if decoder not in offered_decoders(name):
        raise no_such_decoder(name, decoder)
    return _decoder(name, device, _chosen(backend, device, decoder))


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
        holders.append(load_strip_coder(name, Coder.DEVICE))
    parts: dict[str, int] = {}
    for holder in holders:
        parts |= holder.weight_bits()
    if sum(parts.values()) > BUDGET_BITS:
        raise HeqError(f"{name} holds {sum(parts.values())} bits, more than {BUDGET_BITS}.")
    return parts


def _transform_encoder(tensors: dict[str, Any]) -> PatchEncoder:
    from heqcodec.nqe_t.encoder import TransformNqe

    return TransformNqe(tensors)


def _vgg_encoder(tensors: dict[str, Any]) -> PatchEncoder:
    from heqcodec.nqe_vgg.integer import IntegerVgg

    return IntegerVgg.from_tensors(tensors)


ENCODERS = {TRANSFORM: _transform_encoder, VGG: _vgg_encoder}
"""What makes a patch-constant encoder of its tensors, by family."""


@cache
def _encoder(name: str) -> PatchEncoder:
    entry = manifest()["models"][name]
    encoder = ENCODERS[entry["family"]](stored_tensors(entry["encoder"]))
    listed = entry["encoder"]["encoder_id"], entry["encoder"]["coder_id"]
    _check_ids(name, (encoder.encoder_id.hex(), encoder.coder_id.hex()), listed)
    return encoder


def _check_ids(name: str, found: object, listed: object) -> None:
    if found != listed:
        raise HeqError(f"the weights of {name} do not give the ids of the manifest.")


@cache
def _rate_encoder(name: str) -> RateEncoder:
    from . import rate_loader as loading

    entry = manifest()["models"][name]["encoder"]
    encoder = loading.make_encoder(stored_tensors(entry))
    _check_ids(name, encoder.encoder_id.hex(), entry["encoder_id"])
    return encoder


@cache
def _strip_coder(name: str, coder: Coder) -> StripCoder:
    from . import rate_loader as loading

    entry = manifest()["models"][name]["coders"][coder.name.lower()]
    made = loading.make_strip_coder(coder, stored_tensors(entry))
    _check_ids(name, (made.coder, made.coder_id.hex()), (coder, entry["coder_id"]))
    return made


@cache
def _rate_decoder(name: str, device: str, decoder: str, backend: str | None) -> RateDecoder:
    from . import rate_loader as loading

    encoder = load_rate_encoder(name)
    own = decoder in decoder_names(name)
    weights = decoder_weights(name, decoder if own else STRONG)
    return loading.make_decoder(
        encoder, *weights, device, backend, self_ensemble=decoder == BEST and not own
    )


@cache
def _dequantizer(name: str) -> Dequantizer:
    from . import rate_loader as loading

    tensors, _ = decoder_weights(name, STRONG)
    return loading.make_dequantizer(load_rate_encoder(name), tensors)


@cache
def _decoder(name: str, device: str, backend: str | None) -> FrameDecoder:
    from . import patch_loader as loading

    encoder = load_encoder(name)
    return loading.make_decoder(encoder, *decoder_weights(name, STRONG), device, backend)
