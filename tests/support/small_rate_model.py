"""A model of variable rate of few weights, in a registry of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from heqcodec.models import manifest as model_manifest
from heqcodec.models import registry
from heqcodec.nqe_r.device_coder.coder import DeviceCoder
from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
from heqcodec.nqe_r.packed_coder import PackedCoder
from heqcodec.purenet.dequantizer import PLACES, default_places
from heqcodec.purenet.network import Purenet, PurenetConfig
from heqcodec.purenet.stored_weights import stored_weights
from heqcodec.purenet.trust import PREFIX, TENSORS, Trust
from numpy.typing import NDArray
from safetensors.numpy import save
from sample_cost_layers import random_cost_layer
from sample_device_strips import some_tables
from sample_packed_strips import TABLES as PACKED_TABLES

NAME = "r"
STRONG = {"width": 8, "mid_width": 6, "mid_blocks": 2}
FAST = {"width": 8, "mid_width": 6, "mid_blocks": 0}
"""Sizes of its decoders, with a stage at 1/4 and without."""


class SmallRateModel(NamedTuple):
    """Tensors of the encoder and of both coders."""

    encoder: dict[str, NDArray[Any]]
    device: dict[str, NDArray[Any]]
    packed: dict[str, NDArray[Any]]


def _decoder(folder: Path, kind: str, sizes: dict[str, int]) -> dict[str, Any]:
    config = PurenetConfig(
        inputs=193, has_base=True, rates=9, blocks=1, fine_width=4, fine_blocks=1, **sizes
    )
    network = Purenet(config)
    tensors = {**stored_weights(network.state_dict()), PLACES: default_places()}
    count = sum(value.numel() for value in network.parameters())
    part = {"config": config.as_dict(), "parameters": count}
    return {**_stored(folder, f"{kind}.safetensors", tensors), **part}


def _stored(folder: Path, file: str, tensors: dict[str, NDArray[Any]]) -> dict[str, Any]:
    data = save(tensors)
    (folder / file).write_bytes(data)
    return {"file": file, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def write_rate_weights(folder: Path) -> SmallRateModel:
    """Weights and manifest; encoder and device coder share a file, as in a device."""
    torch.manual_seed(0)
    tensors = {**stem_tensors(), **random_cost_layer(1)}
    tables = some_tables()
    shared = {f"stem.{name}": value for name, value in tensors.items()}
    shared |= {f"coder.{name}": value for name, value in tables.items()}
    both = _stored(folder, "shared.safetensors", shared)
    encoder_id, device_id, packed_id = (
        identity.hex()
        for identity in (
            RateNqe(tensors).encoder_id,
            DeviceCoder(tables).coder_id,
            PackedCoder(PACKED_TABLES).coder_id,
        )
    )
    packed = _stored(folder, "packed.safetensors", PACKED_TABLES)
    model = {
        "family": "rate",
        "about": "for tests",
        "default_quality": 45.0,
        "encoder": {**both, "prefix": "stem.", "encoder_id": encoder_id},
        "coders": {
            "device": {**both, "prefix": "coder.", "coder_id": device_id},
            "packed": {**packed, "coder_id": packed_id},
        },
        "decoder": _decoder(folder, "strong", STRONG),
        "decoders": {"fast": _decoder(folder, "fast", FAST)},
        "training": {},
        "held_out": {},
    }
    manifest = {"default": NAME, "models": {NAME: model}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return SmallRateModel(tensors, tables, PACKED_TABLES)


@contextmanager
def only_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The registry has what is in a folder, and nothing else."""
    monkeypatch.setattr(model_manifest, "files", lambda package: folder)
    caches = (
        registry.manifest,
        registry._encoder,
        registry._strip_coder,
        registry._decoder,
        registry.load_concealment,
    )
    for cached in caches:
        cached.cache_clear()
    try:
        yield
    finally:
        for cached in caches:
            cached.cache_clear()


def constant_trust(weight: float) -> Trust:
    """One weight for every patch."""
    tensors = {PREFIX + name: np.zeros(shape, np.float32) for name, shape in TENSORS.items()}
    return Trust({**tensors, PREFIX + "second_bias": np.array(weight, np.float32)})
