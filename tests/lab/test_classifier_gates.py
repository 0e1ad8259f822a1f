"""Logic gates: truth tables, and gradients by hand."""

from __future__ import annotations

import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.classifier import ClassifierRecipe, build_network
from heqcodec.lab.classifier.gated_resnet import GatedResNet, shortcut
from heqcodec.lab.networks.logic_gates import (
    MuxOrSkip,
    OrSkip,
    heaviside,
    make_skip,
    mux_gate,
    or_gate,
    thresholded_pool,
)

A = torch.tensor([0.0, 0.0, 1.0, 1.0])
B = torch.tensor([0.0, 1.0, 0.0, 1.0])


def test_heaviside_is_zero_at_zero_and_passes_gradients_of_a_box_of_area_one() -> None:
    x = torch.tensor([-1.5, -0.4, 0.0, 0.3, 1.0, 1.2], requires_grad=True)
    y = heaviside(x)
    assert y.tolist() == [0, 0, 0, 1, 1, 1]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0.5, 0.5, 0.5, 0.5, 0]
    narrow = x.detach().clone().requires_grad_()
    heaviside(narrow, 1.0).sum().backward()
    assert narrow.grad is not None
    assert narrow.grad.tolist() == [0, 1, 1, 1, 0, 0]


def test_or_gate() -> None:
    a, b = A.clone().requires_grad_(), B.clone().requires_grad_()
    y = or_gate(a, b)
    assert y.tolist() == [0, 1, 1, 1]
    y.backward(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert a.grad is not None and b.grad is not None
    # Where both are 1, neither decides.
    assert a.grad.tolist() == b.grad.tolist() == [1, 2, 3, 0]
    assert torch.equal(OrSkip()(A, B), torch.maximum(A, B))


@pytest.mark.parametrize(("select", "chosen"), [(1.0, A), (0.0, B)])
def test_mux_gate(select: float, chosen: torch.Tensor) -> None:
    s = torch.full((4,), select, requires_grad=True)
    one, zero = A.clone().requires_grad_(), B.clone().requires_grad_()
    y = mux_gate(s, one, zero)
    assert torch.equal(y, chosen)
    y.sum().backward()
    assert s.grad is not None and one.grad is not None and zero.grad is not None
    assert s.grad.tolist() == (A - B).tolist()
    assert one.grad.tolist() == [select] * 4
    assert zero.grad.tolist() == [1 - select] * 4


def test_thresholded_pool_compares_the_share_of_ones_with_the_threshold() -> None:
    x = torch.zeros(1, 4, 2, 2)
    for channel in range(4):
        x[0, channel].view(-1)[: channel + 1] = 1  # a quarter, a half, three quarters, all
    assert thresholded_pool(x).flatten().tolist() == [0, 0, 1, 1]
    assert thresholded_pool(x, 0.2).flatten().tolist() == [1, 1, 1, 1]
    assert thresholded_pool(x, torch.tensor([0.9]).view(1, 1, 1, 1)).flatten().tolist() == [
        *(0, 0, 0, 1)
    ]
    x.requires_grad_()
    thresholded_pool(x).sum().backward()
    assert x.grad is not None
    # A box of width 1 around one half holds all weights, and the mean spreads over four pixels.
    assert torch.equal(x.grad, torch.full_like(x, 0.25))


def sparse_and_dense() -> tuple[torch.Tensor, torch.Tensor]:
    """A main path (1, 2, 2, 2) of a sparse and a dense channel, and a skip that adds a one."""
    main = torch.zeros(1, 2, 2, 2)
    main[0, 0, 0, 0] = 1  # sparse
    main[0, 1, :, 0] = main[0, 1, 0, 1] = 1  # dense
    skip = torch.zeros(1, 2, 2, 2)
    skip[:, :, 1, 1] = 1
    return main, skip


def test_mux_or_skip_opens_dense_channels_only() -> None:
    main, skip = sparse_and_dense()
    module = MuxOrSkip(2)
    y = module(main, skip)
    assert torch.equal(y[:, 0], main[:, 0])
    assert torch.equal(y[:, 1], torch.maximum(main, skip)[:, 1])
    y.sum().backward()
    grad = module.threshold.grad
    assert grad is not None
    # A lower threshold opens the skip, which adds a one in either channel.
    assert grad.flatten().tolist() == [-1, -1]


def test_mux_or_skip_can_open_sparse_channels_instead() -> None:
    main, skip = sparse_and_dense()
    module = MuxOrSkip(2, opens="sparse")
    y = module(main, skip)
    assert torch.equal(y[:, 0], torch.maximum(main, skip)[:, 0])
    assert torch.equal(y[:, 1], main[:, 1])
    y.sum().backward()
    assert module.threshold.grad is not None
    # A lower threshold makes channels dense, which closes the skip and takes a one away.
    assert module.threshold.grad.flatten().tolist() == [1, 1]


def test_mux_gates_open_as_a_recipe_says() -> None:
    recipe = ClassifierRecipe.of(
        {"name": "m", "network": "muxornet-11", "epochs": 1, "width": 4, "gate_opens": "sparse"}
    )
    gates = [m for m in build_network(recipe, 3).modules() if isinstance(m, MuxOrSkip)]
    assert [gate.opens for gate in gates] == 6 * ["sparse"]
    with pytest.raises(HeqError, match="gate_opens must be one of dense, sparse"):
        ClassifierRecipe.of({"name": "m", "network": "nqe", "epochs": 1, "gate_opens": "both"})


def test_mux_gates_begin_where_a_recipe_says() -> None:
    recipe = ClassifierRecipe.of(
        {"name": "m", "network": "muxornet-11", "epochs": 1, "width": 4, "gate_threshold": 0.2}
    )
    network = build_network(recipe, 3)
    thresholds = [value for name, value in network.named_parameters() if "threshold" in name]
    assert len(thresholds) == 6
    assert all(bool((value == 0.2).all()) for value in thresholds)
    with pytest.raises(HeqError, match="gate_threshold must be a number from 0 to 1"):
        ClassifierRecipe.of({"name": "m", "network": "nqe", "epochs": 1, "gate_threshold": 2})


def test_sums_of_levels_end_at_the_largest() -> None:
    main = torch.tensor([0.0, 1.0, 2.0, 3.0], requires_grad=True)
    skip = torch.tensor([0.0, 2.0, 2.0, 3.0])
    made = make_skip("add", 1, 3)
    assert made is not None
    y = made(main, skip)
    assert y.tolist() == [0, 3, 3, 3]
    y.sum().backward()
    assert main.grad is not None and main.grad.tolist() == [1, 1, 0, 0]
    real = make_skip("add", 1, None)
    assert real is not None and real(main, skip).tolist() == [0, 3, 4, 6]
    # Between binary maps a sum that ends at 1 is an OR.
    binary = make_skip("add", 1, 1)
    assert binary is not None and torch.equal(binary(A, B), OrSkip()(A, B))


def test_the_or_of_real_maps_is_their_maximum() -> None:
    main = torch.tensor([0.5, 1.5], requires_grad=True)
    made = make_skip("or", 1, None)
    assert made is not None
    y = made(main, torch.tensor([0.7, 0.1]))
    assert y.tolist() == pytest.approx([0.7, 1.5])
    y.sum().backward()
    assert main.grad is not None and main.grad.tolist() == [0, 1]
    with pytest.raises(ValueError, match="needs maps of levels"):
        make_skip("mux", 1, None)
    with pytest.raises(ValueError, match="not 'xor'"):
        make_skip("xor", 1)


def residual(skips: str, active: str = "binary", depth: int = 20) -> GatedResNet:
    torch.manual_seed(2)
    return GatedResNet(depth, 3, width=4, skips=skips, active=active)


@pytest.mark.parametrize("active", ["binary", "hwmsb", "relu"])
def test_skips_of_a_residual_network_carry_a_map_around_dead_blocks(active: str) -> None:
    pixels = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    for skips in ("none", "or", "add"):
        network = residual(skips, active).eval()
        for pair in network.pairs:
            pair[1].norm.weight.data.zero_()
            pair[1].norm.bias.data.fill_(-1)
        seen: list[torch.Tensor] = []
        network.head.register_forward_hook(
            lambda module, given, made, seen=seen: seen.append(given[0])
        )
        network(pixels)
        first = network.first(network.pixels(pixels))
        # Dead blocks give 0, so that what arrives is the first map, twice reduced and doubled.
        reduced = torch.nn.functional.max_pool2d(first, 4).mean(dim=(2, 3)).repeat(1, 4)
        expected = reduced if skips != "none" else torch.zeros_like(reduced)
        torch.testing.assert_close(seen[0], expected)


def test_depths_and_shortcuts() -> None:
    convolutions = [m for m in residual("or").modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 19
    assert len(residual("mux", depth=56).pairs) == 27
    with pytest.raises(ValueError, match="not 21"):
        residual("or", depth=21)
    x = torch.arange(32.0).view(1, 2, 4, 4)
    y = shortcut(x, torch.zeros(1, 4, 2, 2))
    assert y[0, 0].tolist() == [[5, 7], [13, 15]] == y[0, 2].tolist()
    assert shortcut(x, torch.zeros(1, 2, 4, 4)) is x
