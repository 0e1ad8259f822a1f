"""Logic gates: truth tables, and gradients by hand."""

from __future__ import annotations

import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.classifier import ClassifierRecipe, build_network
from heqcodec.lab.networks.logic_gates import (
    MuxOrSkip,
    OrSkip,
    heaviside,
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
