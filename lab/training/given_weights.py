"""Weights that a run begins with: a transform encoder to keep, a PURENET to start from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_bytes
from heqcodec.models import registry
from heqcodec.models.registry import FAMILIES, TRANSFORM
from heqcodec.purenet.backends import network_tensors
from heqcodec.purenet.dequantizer import PLACES
from heqcodec.purenet.network import Purenet, RateBlock
from heqcodec.purenet.stored_weights import restored_weights
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from torch import Tensor

Tensors = dict[str, NDArray[Any]]
PIXEL_INPUTS = 192
"""Of a network with a base: the samples of a cell. Hints follow."""


def read_encoder(path: Path, family: str = TRANSFORM) -> Tensors:
    """The tensors of an encoder.

    Args:
        path: safetensors.
        family: of the model, "transform", "rate" or "vgg-class".

    Raises:
        HeqError: the file holds no such encoder.
    """
    try:
        tensors = dict(load_file(path))
        encoder_ids(tensors, family)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise HeqError(
            f"{path} cannot be read as an encoder of the family {family} "
            f"({type(error).__name__}: {error})."
        ) from error
    return tensors


def read_tables(path: Path) -> Tensors:
    """The tables of a coder.

    Raises:
        HeqError: the file is no safetensors file.
    """
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise HeqError(
            f"{path} cannot be read ({type(error).__name__}: {error}); remove it, and the tables "
            "are fitted again."
        ) from error


def write_tensors(path: Path, tensors: Tensors) -> None:
    """Write an encoder or tables whole or not at all."""
    write_bytes(path, save({key: np.ascontiguousarray(value) for key, value in tensors.items()}))


def encoder_ids(tensors: Mapping[str, NDArray[Any]], family: str = TRANSFORM) -> str:
    """Encoder id in hexadecimal; of a transform encoder, which has a coder of its own, both ids.

    Args:
        tensors: of an encoder.
        family: of the model, "transform", "rate" or "vgg-class".
    """
    return "-".join(registry.encoder_ids(FAMILIES[family].make_encoder(tensors)).values())


def read_purenet(path: Path, network: Purenet) -> NDArray[np.float32] | None:
    """Put stored weights into a network, which may be larger.

    It decodes as the stored one does until it has learned to use what is new: weights are 0 behind
    blocks at the end of its stages and channels inside its blocks that the stored one has not, and
    for further inputs. One of fewer inputs has other hints: then weights of 0 for all of them.

    Returns:
        The reconstruction points stored with the weights; None if there are none.

    Raises:
        HeqError: the file holds no PURENET of the network's sizes.
    """
    try:
        stored = dict(load_file(path))
        places = stored.get(PLACES)
        state = restored_weights(network_tensors(stored))
        state["enter.weight"] = _widened(state["enter.weight"], network.config.inputs)
        network.load_state_dict(_grown(state, network))
    except (OSError, SafetensorError, RuntimeError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise HeqError(
            f"{path} holds no PURENET of the recipe's sizes ({reason}); choose the weights of a "
            "model with the same [purenet] table."
        ) from error
    return None if places is None else places.astype(np.float32)


def _grown(state: Mapping[str, Tensor], network: Purenet) -> dict[str, Tensor]:
    """Weights of a network that adds blocks, and channels inside blocks, to stored ones."""
    grown = dict(state)
    for name, block in network.named_modules():
        if not isinstance(block, RateBlock):
            continue
        own = {f"{name}.{key}": value for key, value in block.state_dict().items()}
        stored = state.get(f"{name}.second.weight")
        inside = 0 if stored is None else stored.shape[1]
        if inside == block.second.in_channels:
            continue
        second = f"{name}.second.weight", f"{name}.second.bias"
        for key, value in own.items():
            value = torch.zeros_like(value) if key in second else value.clone()
            if key in state:
                # Channels inside are the last dimension of gains and shifts, the inputs of the
                # second convolution, and the first dimension of all else.
                part = state[key]
                value[tuple(slice(length) for length in part.shape)] = part
            grown[key] = value
    return grown


def _widened(weight: Tensor, inputs: int) -> Tensor:
    """A 1x1 kernel (O, I, 1, 1) with zeros for inputs from I on; pixels alone if I is too many."""
    if weight.shape[1] > inputs >= PIXEL_INPUTS:
        weight = weight[:, :PIXEL_INPUTS]
    missing = max(0, inputs - weight.shape[1])
    return torch.cat([weight, weight.new_zeros(weight.shape[0], missing, 1, 1)], dim=1)
