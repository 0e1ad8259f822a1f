"""Convolutions of integers: ranges, what they cost, and the same samples by both backends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from heqcodec.lab.training.activation_fit import (
    fit_activations,
    levels_of,
    main,
    make_room_for_bias,
)
from heqcodec.purenet.backends import network_tensors
from heqcodec.purenet.config import PurenetConfig
from heqcodec.purenet.features import BaseFeatures
from heqcodec.purenet.network import Purenet
from heqcodec.purenet.onnx_graph import purenet_model
from heqcodec.purenet.onnx_network import OnnxNetwork
from heqcodec.purenet.stored_weights import (
    ACTIVATIONS,
    INPUT_TOP,
    OUTPUT_TOP,
    SCALE,
    bias_units,
    restored_weights,
    stored_weights,
)
from heqcodec.purenet.torch_network import TorchNetwork, load_torch_network
from safetensors.numpy import load
from small_models import randomised
from small_rate_model import only_weights, write_rate_weights

CONFIG = PurenetConfig(
    193, True, rates=9, width=16, blocks=2, mid_width=8, mid_blocks=1, fine_width=6, fine_blocks=1
)
WEIGHTS = np.eye(9, dtype=np.float32)[[4]]


def some_frame(seed: int) -> BaseFeatures:
    rng = np.random.default_rng(seed)
    rough = rng.random((3, 24, 32), dtype=np.float32).repeat(4, 1).repeat(4, 2)
    return BaseFeatures(rough, rng.random((1, 3, 4), dtype=np.float32))


@pytest.fixture(scope="module")
def tensors() -> dict[str, Any]:
    stored = stored_weights(randomised(Purenet(CONFIG), scale=0.7).state_dict())
    network = Purenet(CONFIG)
    network.load_state_dict(restored_weights(stored))
    by_torch = TorchNetwork(network, torch.device("cpu"))

    def decode_all() -> None:
        for seed in range(4):
            by_torch.frame(some_frame(seed), WEIGHTS)

    return {**stored, **fit_activations(network, decode_all, seed=1)}


def test_levels_cover_the_values_and_hold_zero() -> None:
    values = np.linspace(-3, 1, 100_001, dtype=np.float32)
    scale, zero = levels_of(values, 127)
    assert scale == pytest.approx(4 / 127, rel=1e-3)
    assert zero == 95  # 3 of 4 parts of 127 lie below 0
    # Positive values alone begin at level 0; an outlier in so many does not widen the range.
    values = np.append(np.linspace(0.5, 2, 100_000), 1e6).astype(np.float32)
    scale, zero = levels_of(values, 255)
    assert (scale, zero) == (pytest.approx(2 / 255, rel=1e-3), 0)


def test_both_backends_compute_the_same_integers(tensors: dict[str, Any]) -> None:
    by_torch = load_torch_network(tensors, CONFIG, "cpu")
    by_onnx = OnnxNetwork(tensors, CONFIG)
    floats = {name: value for name, value in tensors.items() if not name.endswith(ACTIVATIONS)}
    in_floats = OnnxNetwork(floats, CONFIG)
    for seed in (7, 8):
        frame = some_frame(seed)
        found, expected = by_onnx.frame(frame, WEIGHTS), by_torch.frame(frame, WEIGHTS)
        assert np.abs(found - expected).max() < 1 / 255
        apart = np.abs(found - in_floats.frame(frame, WEIGHTS))
        # Integers differ from floats, by more than the backends do, and by little.
        assert np.abs(found - expected).mean() < apart.mean() / 10
        assert 0 < apart.mean() < 0.02 * found.std()


def test_graph_has_pairs_around_the_blocks_before_the_finest(tensors: dict[str, Any]) -> None:
    layers = {name.removesuffix(ACTIVATIONS) for name in tensors if name.endswith(ACTIVATIONS)}
    blocks = [f"local.{i}" for i in range(1)] + [f"coarse.{i}" for i in range(2)] + ["mid.0"]
    assert layers == {f"{block}.{conv}" for block in blocks for conv in ("first", "second")}
    model = onnx.load_from_string(purenet_model("small", CONFIG, tensors))
    onnx.checker.check_model(model, full_check=True)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") == 2 * len(layers)
    # Inputs, outputs, weights, biases.
    assert kinds.count("DequantizeLinear") == 4 * len(layers)


def test_inputs_keep_to_seven_bits(tensors: dict[str, Any]) -> None:
    """Two products fit 16 bits: what x86 without VNNI adds up in one instruction."""
    assert 2 * INPUT_TOP * 127 < 2**15
    for name, ranges in tensors.items():
        if name.endswith(ACTIVATIONS):
            assert ranges.dtype == np.float32 and (ranges[:, 0] > 0).all()
            assert (ranges[:, 1] == ranges[:, 1].round()).all()
            assert (ranges[:, 1] >= 0).all() and (ranges[:, 1] <= (INPUT_TOP, OUTPUT_TOP)).all()
    wide = {name: value.copy() for name, value in tensors.items()}
    for name in wide:
        if name.endswith(ACTIVATIONS):
            wide[name][0, 0] /= 8  # Values far outside the range: both stop at the same level.
    frame = some_frame(3)
    found = OnnxNetwork(wide, CONFIG).frame(frame, WEIGHTS)
    expected = load_torch_network(wide, CONFIG, "cpu").frame(frame, WEIGHTS)
    assert np.abs(found - expected).max() < 1 / 255


def test_a_bias_has_room_in_32_bits() -> None:
    layer = "mid.0.first"
    tensors: dict[str, Any] = {
        f"{layer}.weight": np.full((2, 3, 3, 3), 100, np.int8),
        f"{layer}.weight{SCALE}": np.array([2.0**-24, 0.01], np.float16),
        f"{layer}.bias": np.array([3.0, 3.0], np.float16),
        layer + ACTIVATIONS: np.array([[1e-3, 0], [1, 0]], np.float32),
    }
    before = tensors[f"{layer}.weight"][1].copy()
    make_room_for_bias(tensors, layer)
    assert (np.abs(tensors[f"{layer}.bias"] / bias_units(tensors, layer)) < 2**30).all()
    # 100 units of 2**-24 are 2 of the least unit, 3 / (2**30 * 1e-3).
    assert (tensors[f"{layer}.weight"][0] == 2).all()
    assert np.array_equal(tensors[f"{layer}.weight"][1], before)


def test_command_stores_ranges_beside_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rate_weights(tmp_path)
    rng = np.random.default_rng(2)
    tiles = rng.integers(0, 256, (2, 8, 8, 3), np.uint8).repeat(32, 1).repeat(32, 2)
    np.save(tmp_path / "tiles.npy", tiles)
    options = ["--data", str(tmp_path / "tiles.npy"), "--weights", str(tmp_path), "--tiles", "2"]
    with only_weights(tmp_path, monkeypatch):
        assert main([*options, "--model", "r"]) == 0
        entry = json.loads((tmp_path / "manifest.json").read_text())["models"]["r"]["decoder"]
        data = (tmp_path / entry["file"]).read_bytes()
        assert entry["bytes"] == len(data) and entry["activations"]["tiles"] == 2
        assert any(name.endswith(ACTIVATIONS) for name in network_tensors(load(data)))
        # Ranges that are there already do not change what is measured.
        assert main([*options, "--model", "r"]) == 0
        assert (tmp_path / entry["file"]).read_bytes() == data
