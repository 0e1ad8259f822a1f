"""PURENET's weights in files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from heqcodec.models import registry
from heqcodec.models.manifest import stored_tensors
from heqcodec.purenet.network import Purenet, PurenetConfig
from heqcodec.purenet.stored_weights import SCALE, restored_weights, stored_weights


def test_are_within_half_a_step_of_each_channel() -> None:
    torch.manual_seed(0)
    state = {"a.weight": torch.randn(5, 3, 3, 3) * torch.logspace(-5, 1, 5)[:, None, None, None]}
    state["a.bias"] = torch.randn(5)
    stored = stored_weights(state)
    assert stored["a.weight"].dtype == np.int8 and stored["a.bias"].dtype == np.float16
    back = restored_weights(stored)
    assert back.keys() == state.keys()
    error = (back["a.weight"] - state["a.weight"]).abs().amax(dim=(1, 2, 3))
    steps = torch.from_numpy(stored["a.weight" + SCALE].astype(np.float32))
    assert (error <= 0.501 * steps).all()
    largest = state["a.weight"].abs().amax(dim=(1, 2, 3))
    assert (error[2:] < largest[2:] / 250).all()
    again = stored_weights(back)
    assert all((again[name] == value).all() for name, value in stored.items())


def test_the_convolution_on_the_plain_inverse_is_stored_in_float16() -> None:
    torch.manual_seed(0)
    network = Purenet(PurenetConfig(inputs=4, has_base=True, width=8, fine_width=4))
    stored = stored_weights(network.state_dict())
    assert stored["fine_in.weight"].dtype == np.float16 and "fine_in.weight" + SCALE not in stored
    assert {stored[name].dtype for name in ("enter.weight", "fine_out.weight")} == {np.dtype("i1")}
    again = stored_weights(restored_weights(stored))
    assert all((again[name] == value).all() for name, value in stored.items())


def test_zeros_stay_zeros() -> None:
    back = restored_weights(stored_weights({"last.weight": torch.zeros(2, 4, 1, 1)}))
    assert not back["last.weight"].any()


def test_older_files_hold_float16() -> None:
    state = {"a.weight": np.ones((1, 1, 1, 1), dtype=np.float16)}
    assert restored_weights(state)["a.weight"].dtype == torch.float32


def test_scale_must_be_there() -> None:
    with pytest.raises(KeyError, match="scale"):
        restored_weights({"a.weight": np.ones((1, 1, 1, 1), dtype=np.int8)})


def test_shipped_decoder_hardly_notices() -> None:
    entry = registry.manifest()["models"]["nqe-t"]["decoder"]
    network = Purenet(PurenetConfig(**entry["config"])).eval()
    given = stored_tensors(entry)
    network.load_state_dict(restored_weights(given))
    torch.manual_seed(1)
    base = torch.rand(1, 3, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3)
    cells = torch.randn(1, entry["config"]["inputs"], 8, 8)
    with torch.inference_mode():
        before = network(cells, base, torch.tensor([2]))
        network.load_state_dict(restored_weights(stored_weights(network.state_dict())))
        after = network(cells, base, torch.tensor([2]))
    correction = (before - base).pow(2).mean().sqrt()
    assert (after - before).pow(2).mean().sqrt() < 0.03 * correction
