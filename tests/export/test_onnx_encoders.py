"""The encoders as ONNX graphs: exact by onnxruntime, and what `heqcodec export onnx` writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from adversarial import adversarial_patches
from command_runner import run
from heqcodec.export.onnx import exporting
from heqcodec.export.onnx.encoders import Encoder, encoder_model
from heqcodec.export.onnx.exporting import exact_run, probes
from heqcodec.image.patches import split_patches
from heqcodec.lab.networks.nqe_vgg import NqeVgg
from heqcodec.models import registry
from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
from heqcodec.nqe_t.encoder import TransformNqe
from heqcodec.nqe_vgg.integer import IntegerVgg
from heqcodec.onnx.session import open_session
from sample_cost_layers import random_cost_layer
from slow_cases import slow
from small_models import photograph, transform_tensors

KINDS = ("rate", "transform", slow("vgg-thresholds"), slow("vgg-shift"))


def vgg(form: str) -> IntegerVgg:
    torch.manual_seed(8)
    graph = NqeVgg().eval()
    if form == "shift":
        graph.recalibrate([torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)])
        graph.switch_to_bsn()
    twin = IntegerVgg(graph.eval().integer_layers())
    assert twin.form == form
    return twin


@pytest.fixture(scope="module", params=KINDS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == "rate":
        return RateNqe(stem_tensors())
    if request.param == "transform":
        return TransformNqe(transform_tensors())
    return vgg(request.param.removeprefix("vgg-"))


def test_is_exact(encoder: Encoder) -> None:
    data = encoder_model("small", encoder)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    session = open_session(data)
    photographs = split_patches(photograph()[:64, 128:224])
    batches = [*probes(encoder), photographs[:1]]
    if not isinstance(encoder, IntegerVgg):  # whose integers are slow
        batches += [adversarial_patches(), photographs]
    for patches in batches:
        for step in (1, 555) if isinstance(encoder, RateNqe) else (0,):
            inputs, expected = exact_run(encoder, patches, step)
            names = list(expected)
            assert names == [item.name for item in session.get_outputs()]
            for name, found in zip(names, session.run(names, inputs), strict=True):
                assert found.dtype == expected[name].dtype
                assert np.array_equal(found, expected[name]), name
            assert len(np.unique(expected[names[0]])) > 1


def test_levels_of_every_kind() -> None:
    encoder = RateNqe({**stem_tensors(), **random_cost_layer(3)})
    session = open_session(encoder_model("small", encoder))
    patches = split_patches(photograph()[:256])
    for step in (0, 400, 700, 1023):
        inputs, expected = exact_run(encoder, patches, step)
        names = ["levels", "transform_sizes"]
        for name, found in zip(names, session.run(names, inputs), strict=True):
            assert np.array_equal(found, expected[name]), (name, step)
        if step == 400:
            assert set(np.unique(expected["transform_sizes"])) == {0, 1}
            assert set(range(-4, 5)) <= set(np.unique(expected["levels"]))


def test_gray_is_three_equal_channels() -> None:
    encoder = RateNqe(stem_tensors())
    gray = split_patches(photograph()[:32, :64, 1:2])
    inputs = {"patches": np.repeat(gray, 3, axis=3), "step": np.array([500])}
    names = ["coefficients", "levels", "transform_sizes"]
    field, levels, transform_sizes = open_session(encoder_model("small", encoder)).run(
        names, inputs
    )
    assert np.array_equal(field[:, :, :1], encoder.coefficients(gray))
    expected = encoder.levels(encoder.coefficients(gray), 500)
    assert np.array_equal(levels[:, :1], expected[0]) and np.array_equal(
        transform_sizes, expected[1]
    )
    assert not field[:, :, 1:].any() and not levels[:, 1:].any()


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.model_names())
def test_command_writes_what_runs_by_itself(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("export", "onnx", "--model", name, "--out", out, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert sorted(report) == sorted(path.name for path in out.iterdir())
    assert len(report) == 1 + len(registry.decoder_names(name))
    for file, figures in report.items():
        path = out / file
        assert figures["bytes"] == path.stat().st_size < 8e6
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = {item.name for item in session.get_inputs()}
        encodes = file == f"{name}.encoder.onnx"
        assert encodes == ("patches" in names) and ("rate_weights" in names) != encodes


def test_a_graph_that_differs_is_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = TransformNqe({**transform_tensors(), "fine": np.zeros((32, 32), np.int8)})
    monkeypatch.setattr(
        exporting, "encoder_model", lambda name, encoder: encoder_model(name, other)
    )
    result = run("export", "onnx", "--model", "nqe-t", "--out", tmp_path / "out")
    assert result.exit_code == 1 and "is not exact" in result.stderr
    assert not (tmp_path / "out").exists()


def test_refusals(tmp_path: Path) -> None:
    result = run("export", "onnx", "--model", "absent", "--out", tmp_path / "out")
    assert result.exit_code == 2 and "'absent' is not one of" in result.stderr
    result = run("export", "onnx", "--out", tmp_path / "absent" / "out")
    assert result.exit_code == 1 and "cannot be written" in result.stderr
