"""The report of an encoder: bounds that hold, and the weights of the C export."""

from __future__ import annotations

import json

import numpy as np
import pytest
from adversarial import adversarial_patches
from command_runner import run
from heqcodec.eval.complexity.transform_work import stem_work
from heqcodec.eval.complexity.vgg_work import vgg_work
from heqcodec.export.layers import (
    Layer,
    cost_layers,
    layer_operations,
    patch_layers,
    transform_layers,
)
from heqcodec.export.report import encoder_report
from heqcodec.export.vgg_layers import convolution_layers
from heqcodec.models import registry
from heqcodec.nqe_r.cost_layer import CostLayer
from heqcodec.nqe_r.transform import RateStem, dct_layers
from heqcodec.nqe_vgg.bit_planes import pack_vgg
from heqcodec.nqe_vgg.convolution import convolve_integers
from sample_cost_layers import random_cost_layer
from sample_vgg import random_encoder


@pytest.fixture(scope="module", params=["nqe-r", "nqe-t", "nqe-vgg"])
def report(request: pytest.FixtureRequest) -> dict:
    return encoder_report(request.param)


def test_totals_and_tables(report: dict) -> None:
    totals = report["totals"]
    assert totals["weight_bits"] == sum(registry.weight_bits(report["model"]).values()) <= 2**20
    packed = {name: bytes.fromhex(digits) for name, digits in report["tables"].items()}
    assert sum(map(len, packed.values())) == totals["packed_bytes"] <= 2**17
    tensors = registry.encoder_tensors(report["model"])
    for table, name in (("cost_bias", "bias"), ("patch_lps", "lps")):
        if table in packed:
            stored = tensors[name].astype(tensors[name].dtype.newbyteorder("<"))
            assert packed[table] == stored.tobytes()
    for layer in report["layers"]:
        assert layer["lowest_sum"] <= 0 < layer["highest_sum"] < 2 ** (layer["sum_bits"] - 1)
        assert layer["sum_bits"] <= 32
    assert totals["widest_sum_bits"] <= 32
    assert 50 < totals["additions_a_pixel"] < (1000 if report["model"] != "nqe-vgg" else 100_000)


def test_the_cost_layer_is_counted_in_the_size_that_takes_more() -> None:
    for size in (0, 1):
        tensors = random_cost_layer(8)
        tensors["near"][1 - size] = 0
        near, cross, index = cost_layers(tensors)
        magnitudes = np.abs(tensors["near"][size].astype(int))
        inside = np.array([14, 15, 16, 15, 14])
        met = inside[:, None] * inside
        assert near.additions == pytest.approx(((magnitudes > 0) * met).sum() / 1024)
        assert near.shifts == pytest.approx(((magnitudes == 2) * met).sum() / 1024)
        assert cross.additions == np.count_nonzero(tensors["cross"][size]) / 4
        shifted = 2 + np.count_nonzero(tensors["shifts"])
        assert (index.additions, index.shifts) == (12, 3 * shifted)


def test_the_layers_of_nqe_t_are_counted_as_by_eval() -> None:
    tensors = registry.encoder_tensors("nqe-t")
    stem = stem_work(tensors["coarse"], tensors["fine"])
    counted = layer_operations(patch_layers(tensors))
    assert counted == pytest.approx((stem.additions, stem.shifts))


def test_patches_stay_within_the_sums() -> None:
    layers, stem = dct_layers(), RateStem(dct_layers())
    coefficients = stem.forward(adversarial_patches(20), "int64")
    for size, points in enumerate((32, 16)):
        columns = transform_layers(layers, 5, points)[1]
        assert np.abs(coefficients[:, size, :, 4:]).max() << 5 <= columns.highest


def test_indices_stay_within_the_sums() -> None:
    tensors = random_cost_layer(4)
    near, cross, index = cost_layers(tensors)
    layer = CostLayer(tensors)
    assert (near.highest, near.lowest) == (
        max(np.clip(layer.near, 0, None).sum(axis=(3, 4, 5)).ravel()) * 3,
        min(np.clip(layer.near, None, 0).sum(axis=(3, 4, 5)).ravel()) * 3,
    )
    assert cross.highest <= 12 and cross.lowest >= -12
    assert index.lowest < -(near.highest << int(layer.shifts[0])) + 280


def test_width_of_sums() -> None:
    widths = [
        Layer("", 0, 0, 0, 0, lowest, highest, 0).sum_bits
        for lowest, highest in ((-128, 127), (-129, 127), (0, 128), (-1, 0))
    ]
    assert widths == [8, 9, 9, 1]


def test_command() -> None:
    result = run("export", "report", "--model", "nqe-t")
    assert result.exit_code == 0 and "rows, 32 points" in result.stdout
    result = run("export", "report", "--model", "nqe-t", "--json")
    assert set(json.loads(result.stdout)) >= {"layers", "totals", "tables"}
    assert run("export", "report", "--model", "nqe-x").exit_code == 2


@pytest.mark.parametrize("own_cuts", [False, True])
def test_convolutions_are_counted_as_by_eval_and_stay_within_the_sums(own_cuts: bool) -> None:
    layers = random_encoder(6, own_cuts=own_cuts).layers
    described = convolution_layers(layers)
    work = vgg_work(layers)
    assert sum(layer.additions or 0 for layer in described) == pytest.approx(work.additions)
    assert sum(layer.shifts or 0 for layer in described) == pytest.approx(work.shifts)
    x = adversarial_patches(10).transpose(0, 3, 1, 2).astype(np.int64) - 128
    sums = convolve_integers(x, layers[0].levels.astype(np.int64), layers[0].layer)
    assert described[0].lowest <= sums.min() and sums.max() <= described[0].highest
    # All samples at the end that each weight of an output likes is as far as a sum goes.
    liked = np.where(layers[0].levels[0] > 0, 127, -128).astype(np.int64)
    reached = int((liked * layers[0].levels[0]).sum())
    assert abs(reached) <= described[0].highest <= pack_vgg(layers).bounds[0]
