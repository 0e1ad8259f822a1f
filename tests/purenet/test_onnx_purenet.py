"""PURENET as an ONNX graph: valid, and what torch computes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from heqcodec.models import registry
from heqcodec.models.manifest import stored_tensors
from heqcodec.onnx.session import run_options
from heqcodec.purenet.backends import network_tensors
from heqcodec.purenet.config import PurenetConfig
from heqcodec.purenet.features import BaseFeatures, CellFeatures, Features
from heqcodec.purenet.network import Purenet
from heqcodec.purenet.onnx_graph import purenet_model
from heqcodec.purenet.onnx_network import OnnxNetwork
from heqcodec.purenet.rate_decoder import step_weights
from heqcodec.purenet.stored_weights import restored_weights, stored_weights
from heqcodec.purenet.torch_network import TorchNetwork
from small_models import randomised

SIZES = {"width": 10, "blocks": 1, "fine_width": 6, "fine_blocks": 2, "mid_width": 7}
CONFIGS = {
    "cells": PurenetConfig(inputs=32, has_base=False, **SIZES),
    "cells-mid": PurenetConfig(inputs=5, has_base=False, mid_blocks=1, local_blocks=2, **SIZES),
    "base": PurenetConfig(inputs=192 + 42, has_base=True, **SIZES),
    "base-mid": PurenetConfig(inputs=193, has_base=True, rates=9, mid_blocks=2, **SIZES),
    "nothing-local": PurenetConfig(inputs=193, has_base=True, local_blocks=0, **SIZES),
    "hidden": PurenetConfig(
        inputs=193, has_base=True, mid_blocks=1, hidden=[3, 11, 1, 5, 9], **SIZES
    ),
}
CPU = torch.device("cpu")
SHAPES = [(1, 2), (1, 2), (2, 1), (1, 2), (1, 2)]
"""Of frames in a row, in patches."""
SHRINKAGE = "memory.enable_memory_arena_shrinkage"


def some_features(config: PurenetConfig, rows: int, columns: int) -> Features:
    rng = np.random.default_rng(rows * 100 + columns)
    if not config.has_base:
        cells = rng.integers(-1, 2, (config.inputs, 4 * rows, 4 * columns))
        return CellFeatures(cells.astype(np.float32))
    base = rng.random((3, 32 * rows, 32 * columns), dtype=np.float32)
    return BaseFeatures(base, rng.random((config.hints, rows, columns), dtype=np.float32))


def some_rate_weights(rates: int, rows: int = 1) -> np.ndarray:
    rate_weights = np.zeros((rows, rates), dtype=np.float32)
    rate_weights[:, 1] = np.linspace(0.3, 0.9, rows)
    rate_weights[:, 2] = 1 - rate_weights[:, 1]
    return rate_weights


@pytest.mark.parametrize("half", [False, True], ids=["stored", "float16"])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_computes_what_torch_computes(config: PurenetConfig, half: bool) -> None:
    network = randomised(Purenet(config), scale=0.7)
    tensors = stored_weights(network.state_dict())
    if half:
        tensors = {key: value.half().numpy() for key, value in network.state_dict().items()}
    network.load_state_dict(restored_weights(tensors))
    reference, by_onnx = TorchNetwork(network, CPU), OnnxNetwork(tensors, config)
    assert by_onnx.radius == network.radius
    # One session for frames of any shape, also of one patch.
    for rows, columns in ((1, 1), (2, 3), (4, 1)):
        features = some_features(config, rows, columns)
        for weights in (some_rate_weights(config.rates), some_rate_weights(config.rates, rows)):
            expected = reference.frame(features, weights)
            found = by_onnx.frame(features, weights)
            assert found.shape == (32 * rows, 32 * columns, 3) and found.dtype == np.float32
            assert expected.std() > 0.05  # a frame, and not nothing
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_rows_of_patches_have_their_own_rates(config: PurenetConfig) -> None:
    """Equal rows are one; and far from where the rate changes, all is as with either."""
    network = randomised(Purenet(config), scale=0.7).float().eval()
    by_torch = TorchNetwork(network, CPU)
    rows = 2 * (2 + -(-by_torch.radius // 32))
    features = some_features(config, rows, 1)
    one, other = np.eye(config.rates, dtype=np.float32)[[[1], [2]]]
    mixed = np.concatenate([one.repeat(rows // 2, 0), other.repeat(rows // 2, 0)])
    frames = [by_torch.frame(features, weights) for weights in (one, other, mixed)]
    assert np.abs(frames[0] - frames[1]).max() > 0.01
    again = by_torch.frame(features, one.repeat(rows, 0))
    np.testing.assert_allclose(again, frames[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(frames[2][:64], frames[0][:64], rtol=0, atol=1e-5)
    np.testing.assert_allclose(frames[2][-64:], frames[1][-64:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_graph_is_valid_and_says_what_it_takes(config: PurenetConfig) -> None:
    tensors = stored_weights(Purenet(config).state_dict())
    data = purenet_model("small", config, tensors)
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    if config.has_base:
        grid = ["rows of patches", "columns of patches"]
        assert shapes["hints"] == [1, config.hints, *grid]
        assert shapes["base"] == shapes["frame"]
    else:
        assert shapes["cells"][:2] == [1, config.inputs]
    assert shapes["rate_weights"] == ["rows of patches, or 1", config.rates]
    # The weights are in it once, as they are stored.
    held = sum(value.nbytes for value in tensors.values())
    assert held < len(data) < held + 25_000
    stored = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    for name in ("enter.weight", "fine.0.gain"):
        assert stored[name].dtype == tensors[name].dtype
        assert np.array_equal(stored[name], tensors[name])


def test_missing_tensor_is_told() -> None:
    config = CONFIGS["base"]
    tensors = stored_weights(Purenet(config).state_dict())
    del tensors["fine_out.bias"]
    with pytest.raises(KeyError, match=r"fine_out\.bias"):
        purenet_model("small", config, tensors)


@pytest.mark.parametrize("name", registry.model_names())
def test_of_shipped_decoders(name: str) -> None:
    model = registry.manifest()["models"][name]
    for entry in (model["decoder"], *model.get("decoders", {}).values()):
        tensors = network_tensors(stored_tensors(entry))
        config = PurenetConfig(**entry["config"])
        onnx.checker.check_model(
            onnx.load_from_string(purenet_model(name, config, tensors)), full_check=True
        )
        network = Purenet(config)
        network.load_state_dict(restored_weights(tensors))
        features, rate_weights = some_features(config, 2, 3), some_rate_weights(config.rates)
        expected = TorchNetwork(network, CPU).frame(features, rate_weights)
        found = OnnxNetwork(tensors, config).frame(features, rate_weights)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_step_weights_lie_between_knots() -> None:
    rate_weights = step_weights(np.array([0, 64, 128, 1000, 1023]))
    assert rate_weights.shape == (5, 9) and rate_weights.dtype == np.float32
    np.testing.assert_allclose(rate_weights.sum(axis=1), 1, rtol=1e-6)
    assert rate_weights[0].tolist() == [1] + [0] * 8
    assert rate_weights[1].tolist() == [0.5, 0.5] + [0] * 7
    np.testing.assert_allclose(rate_weights @ np.arange(9), [0, 0.5, 1, 1000 / 128, 1023 / 128])


def test_memory_is_kept_between_frames_of_one_shape_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    config = CONFIGS["base"]
    network = OnnxNetwork(stored_weights(randomised(Purenet(config)).state_dict()), config)
    kept: list[bool] = []

    def noted(keep_memory: bool) -> object:
        kept.append(keep_memory)
        return run_options(keep_memory)

    monkeypatch.setattr("heqcodec.purenet.onnx_network.run_options", noted)
    frames = [network.frame(some_features(config, *size), some_rate_weights(4)) for size in SHAPES]
    assert kept == [False, True, False, False, True]
    assert np.array_equal(frames[0], frames[1]) and np.array_equal(frames[0], frames[3])
    with pytest.raises(RuntimeError):
        run_options(keep_memory=True).get_run_config_entry(SHRINKAGE)
    assert run_options().get_run_config_entry(SHRINKAGE) == "cpu:0"
