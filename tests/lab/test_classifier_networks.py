"""Networks that classify: shapes, budgets, quantizers by name, weights in files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.classifier import (
    ClassifierRecipe,
    NqeClassifier,
    build_network,
    load_classifier,
    save_classifier,
)
from heqcodec.lab.classifier.blocks import weighted_convolutions
from heqcodec.lab.classifier.nqe_classifier import NQE_LAYERS, weight_bits
from heqcodec.lab.classifier.packed_nqe import pack_nqe
from heqcodec.lab.classifier.recipe import NETWORKS
from heqcodec.lab.classifier.run import weight_figures
from heqcodec.lab.classifier.vgg_small import VggSmall
from heqcodec.lab.classifier.weight_quantizers import weight_quantizer
from heqcodec.lab.networks.quantized_block import QuantizedConv2d, block_diagonal
from heqcodec.quantizers.fixed_step import FixedStepQuantizer
from torch.nn import functional as F

CLASSES = tuple("abc")
RECIPES = [
    path
    for path in sorted((Path(__file__).parents[2] / "weights/recipes/classify").glob("*.toml"))
    if "[[run]]" not in path.read_text(encoding="utf-8")
]


def recipe(network: str, **values: object) -> ClassifierRecipe:
    own = {"weights": "mixed" if network == "nqe" else "heq3"}
    return ClassifierRecipe.of({"name": "x", "network": network, "epochs": 1, **own, **values})


def pixels(count: int = 2, side: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes(name: str) -> None:
    torch.manual_seed(0)
    width = {} if name == "nqe" else {"width": 8}
    network = build_network(recipe(name, **width), 7)
    logits = network(pixels())
    assert logits.shape == (2, 7) and logits.dtype == torch.float32
    logits.sum().backward()
    for _, conv in weighted_convolutions(network):
        assert conv.latent.grad is not None and conv.latent.grad.isfinite().all()


@pytest.mark.parametrize("name", ["ornet-11", "muxornet-11"])
def test_gated_networks_see_larger_images_through_one_more_maximum(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(recipe(name, width=4), 3, side=96).eval()
    assert network(pixels(1, 96)).shape == (1, 3)


def test_other_networks_refuse_larger_images() -> None:
    with pytest.raises(HeqError, match="32x32"):
        build_network(recipe("nqe"), 3, side=96)


def test_mux_gates_need_levels() -> None:
    with pytest.raises(HeqError, match='"mux" needs maps of levels'):
        build_network(recipe("muxornet-11", active="relu", width=8), 3)
    for network in ("ornet-11", "muxornet-11"):
        gates = build_network(recipe(network, active="hwmsb", width=8), 3).gates
        assert [gate.top for gate in gates if hasattr(gate, "top")] == 6 * [3]


def test_a_code_has_the_channels_that_a_recipe_asks_for() -> None:
    network = build_network(recipe("nqe", width=8, code_channels=5), 3)
    assert network.code(pixels()).shape == (2, 5, 4, 4)
    assert network(pixels()).shape == (2, 3)


def test_nqe_holds_a_megabit_and_sends_256() -> None:
    torch.manual_seed(0)
    network = build_network(recipe("nqe"), 10)
    assert isinstance(network, NqeClassifier)
    assert weight_bits() == 1_004_608 <= 2**20
    figures = weight_figures(network)
    assert figures["conv_weight_bits"] == 1_004_608 and figures["conv_weights"] == 706_240
    for layer, (_, conv) in zip(NQE_LAYERS, weighted_convolutions(network), strict=True):
        assert conv.latent.numel() == layer.count
    code = network.code(pixels())
    assert code.shape == (2, 16, 4, 4)
    assert set(code.unique().tolist()) == {-1.0, 1.0}


def test_nqe_of_another_width_and_of_fixed_steps() -> None:
    network = build_network(recipe("nqe", width=8, weights="mixed-max"), 3)
    assert isinstance(network, NqeClassifier)
    assert network.code(pixels()).shape == (2, 16, 4, 4)
    shapes = [tuple(conv.latent.shape) for _, conv in weighted_convolutions(network)]
    assert shapes[0] == (8, 3, 3, 3) and shapes[4:] == [
        *((32, 8, 3, 3), (32, 16, 3, 3), (16, 32, 1, 1))
    ]
    for layer, (_, conv) in zip(NQE_LAYERS, weighted_convolutions(network), strict=True):
        assert conv.quantizer is not None
        assert isinstance(conv.quantizer, FixedStepQuantizer) == (layer.weights != "binary")
        assert conv.quantizer.bits == layer.bits
    with pytest.raises(HeqError, match="even number from 2, but got 7"):
        build_network(recipe("nqe", width=7), 3)
    for norm in network.norms:
        norm.switch_to_bsn()
    with pytest.raises(HeqError, match="only the network of 1 Mb"):
        pack_nqe(network)


def test_bit_shifts_leave_no_factor_of_a_channel() -> None:
    torch.manual_seed(0)
    network = build_network(recipe("nqe"), 10)
    assert isinstance(network, NqeClassifier)
    network.train()(pixels(8))
    with torch.no_grad():
        network.norms[0].bn.weight[3] = -0.5
    before = network.blocks[0].conv.latent[3].clone()
    shifts = network.switch_to_bsn(0.9)
    assert shifts == [norm.shift for norm in network.norms] and len(shifts) == len(NQE_LAYERS)
    assert all(norm.is_shift for norm in network.norms)
    assert torch.equal(network.blocks[0].conv.latent[3], -before)
    x = torch.arange(-64.0, 64.0).view(1, 64, 2, 1)
    assert torch.equal(network.norms[0](x), x * 2.0 ** -shifts[0])
    with pytest.raises(RuntimeError, match="already"):
        network.switch_to_bsn()


def test_groups_are_a_block_diagonal() -> None:
    torch.manual_seed(0)
    conv = QuantizedConv2d(6, 4, 3, groups=2)
    x = torch.randn(1, 6, 5, 5)
    grouped = F.conv2d(x, conv.weight, padding=1, groups=2)
    whole = block_diagonal(conv.weight, 2)
    assert whole.shape == (4, 6, 3, 3)
    assert torch.allclose(F.conv2d(x, whole, padding=1), grouped, atol=1e-5)
    assert torch.allclose(conv(x), grouped, atol=1e-5)


def test_quantizers_by_name() -> None:
    assert weight_quantizer("none") is None
    levels = {"heq3": 3, "heq4": 4, "heq7": 7, "max5": 5, "twn": 3, "binary": 2}
    for name, count in levels.items():
        quantizer = weight_quantizer(name, window="inward")
        assert quantizer is not None and len(quantizer.levels) == count, name
    weights = torch.tensor([-3.0, -1.0, 0.5, 1.5])
    for name, step in {"max3": 2.0, "max5": 1.2, "twn": 1.4 * 1.5}.items():
        quantizer = weight_quantizer(name)
        assert isinstance(quantizer, FixedStepQuantizer)
        quantizer.refresh(weights)
        assert float(quantizer.step) == pytest.approx(step)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nine", {}, "no weight quantizer"),
        ("heq2", {}, "cannot be made"),
        ("heq3", {"colour": 1}, "colour"),
    ],
)
def test_unknown_quantizers(name: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(HeqError, match=message):
        weight_quantizer(name, **options)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_can_be_read(path: Path) -> None:
    assert ClassifierRecipe.load(path).epochs > 0


def test_odd_recipes_name_all_that_is_wrong() -> None:
    with pytest.raises(HeqError, match=r"network must be .*; .*momentum must be"):
        ClassifierRecipe.of({"name": "x", "network": "resnet", "epochs": 1, "momentum": 2})
    with pytest.raises(HeqError, match="unknown keys epoch"):
        ClassifierRecipe.of({"name": "x", "network": "nqe", "epoch": 1})
    with pytest.raises(HeqError, match="lacks network, epochs"):
        ClassifierRecipe.of({"name": "x"})


@pytest.mark.parametrize("name", NETWORKS)
def test_files_hold_levels_that_classify_alike(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    asked = recipe(name, **({} if name == "nqe" else {"width": 8}))
    network = build_network(asked, 3)
    network.train()(pixels(4))
    network.eval()
    for _, conv in weighted_convolutions(network):
        if conv.quantizer is None:  # stored as float16
            conv.latent.data = conv.latent.data.half().float()
    save_classifier(network, asked, CLASSES, 32, tmp_path / "c.safetensors")
    again, classes, side = load_classifier(tmp_path / "c.safetensors")
    assert (classes, side) == (CLASSES, 32)
    assert torch.equal(again(pixels()), network(pixels()))


def test_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(HeqError, match="cannot be read"):
        load_classifier(tmp_path / "none.safetensors")
    (tmp_path / "odd.safetensors").write_bytes(b"no safetensors at all")
    with pytest.raises(HeqError, match="cannot be read"):
        load_classifier(tmp_path / "odd.safetensors")


@pytest.mark.parametrize(("quantile", "shift"), [({}, 1), ({"quantile": 0.5}, 5)])
def test_bit_shifts_stand_for_the_quantile_of_the_scales(quantile: dict, shift: int) -> None:
    network = build_network(recipe("nqe"), 10)
    assert isinstance(network, NqeClassifier)
    for norm in network.norms:
        # 2^-10 .. 1 in eleven equal parts: the 0.9-quantile lies within those of 2^-1.
        exponents = -10 + torch.arange(norm.bn.num_features) * 11 // norm.bn.num_features
        assert norm.bn.running_var is not None
        norm.bn.running_var.fill_(1 - norm.bn.eps)
        with torch.no_grad():
            norm.bn.weight.copy_(2.0**exponents)
    shifts = network.switch_to_bsn(**quantile)
    assert shifts == [shift] * len(NQE_LAYERS)
    assert recipe("nqe").bsn_quantile == 0.9


@pytest.mark.slow
def test_a_head_sees_a_quarter_of_the_code_and_an_eighth_of_the_features() -> None:
    torch.manual_seed(0)
    network = build_network(recipe("nqe"), 3)
    assert isinstance(network, NqeClassifier)
    head = network.head
    code = network.eval().code(pixels()).flatten(1)
    expected = F.linear(code, head.weight / 4, head.bias)
    torch.testing.assert_close(network(pixels()), expected)
    for active, levels in (("relu", 1), ("hwmsb", 3)):
        small = build_network(recipe("vgg-small", width=4, active=active), 3)
        assert isinstance(small, VggSmall)
        small.train()(pixels(8))
        features = small.eval().blocks(small.pixels(pixels())).flatten(1)
        assert features.max() > 0
        expected = F.linear(features, small.head.weight / (8 * levels), small.head.bias)
        torch.testing.assert_close(small(pixels()), expected)
