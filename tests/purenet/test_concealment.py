"""Lost patches: the smooth continuation, the network by both libraries, and what they gain."""

from __future__ import annotations

import json
from pathlib import Path

import heqcodec
import numpy as np
import onnx
import pytest
import torch
from heqcodec.lab.training import concealment_fit
from heqcodec.lab.training.checkpoint import read_facts
from heqcodec.models import registry
from heqcodec.purenet.concealment import WINDOW, Network, conceal, continued
from heqcodec.purenet.concealment_onnx import concealment_model, load_by_onnx
from heqcodec.purenet.concealment_torch import ConcealmentNet, load_by_torch
from heqcodec.purenet.stored_weights import stored_weights
from safetensors.numpy import load_file
from small_models import photograph
from small_rate_model import write_rate_weights


def spread_losses(rows: int, columns: int) -> np.ndarray:
    """One patch in nine is lost, none of them neighbours."""
    valid = np.ones((rows, columns), bool)
    valid[1::3, 1::3] = False
    return valid


def nothing_added(pixels: np.ndarray, lost: np.ndarray) -> np.ndarray:
    return np.zeros_like(pixels)


def test_a_plane_is_continued_into_a_hole() -> None:
    y, x = np.mgrid[:96, :96].astype(np.float32)
    plane = (x + 2 * y)[..., None]
    known = np.ones((96, 96), bool)
    known[40:44, 40:44] = False
    assert np.abs(continued(plane, known) - plane).max() < 0.5


@pytest.mark.parametrize("channels", [1, 3])
def test_known_patches_stay_and_lost_ones_do_not_matter(channels: int) -> None:
    pixels = photograph()[:192, :256, :channels].copy()
    valid = spread_losses(6, 8)
    lost = ~valid.repeat(32, 0).repeat(32, 1)
    network = registry.load_concealment()
    filled = conceal(pixels, valid, network)
    assert filled.shape == pixels.shape and filled.dtype == np.uint8
    assert np.array_equal(filled[~lost], pixels[~lost])
    pixels[lost] = 255 - pixels[lost]
    assert np.array_equal(conceal(pixels, valid, network), filled)


def test_the_network_knows_more_than_the_continuation() -> None:
    """Half of the squared error in the lost patches of a photograph coded at quality 30."""
    image = photograph()[:384, :512]
    decoded = heqcodec.decode(heqcodec.encode(image, quality=30), decoder="plain")
    valid = spread_losses(12, 16)
    lost = ~valid.repeat(32, 0).repeat(32, 1)
    errors = [
        np.square(conceal(decoded, valid, network)[lost].astype(float) - image[lost]).mean()
        for network in (registry.load_concealment(), nothing_added)
    ]
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.slow
def test_windows_give_what_one_window_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.tile(photograph()[:256, :256], (2, 3, 1))
    valid = spread_losses(16, 24)
    assert WINDOW < 24
    network = registry.load_concealment()
    whole = conceal(image, valid, network)
    monkeypatch.setattr("heqcodec.purenet.concealment.WINDOW", 5)
    assert np.abs(conceal(image, valid, network).astype(int) - whole).max() <= 1


def test_both_libraries_add_the_same() -> None:
    torch.manual_seed(1)
    trained = ConcealmentNet()
    torch.nn.init.normal_(trained.leave.weight, std=0.1)
    tensors = stored_weights(trained.state_dict())
    onnx.checker.check_model(onnx.load_from_string(concealment_model(tensors)), full_check=True)
    rng = np.random.default_rng(4)
    pixels = rng.random((3, 96, 64), dtype=np.float32)
    lost = rng.integers(0, 2, (1, 3, 2)).repeat(32, 1).repeat(32, 2).astype(np.float32)
    networks: list[Network] = [load_by_onnx(tensors), load_by_torch(tensors, "cpu")]
    one, other = (network(pixels, lost) for network in networks)
    assert one.std() > 0.05
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_training_goes_on_and_ships(tmp_path: Path) -> None:
    np.save(tmp_path / "tiles.npy", np.stack([photograph()[:256, :256]] * 51))
    write_rate_weights(tmp_path)
    common = ["--data", str(tmp_path / "tiles.npy"), "--steps", "3", "--weights", str(tmp_path)]
    shipped = []
    for name in ("one", "two"):
        assert concealment_fit.main([*common, "--out", str(tmp_path / name)]) == 0
        shipped.append(load_file(tmp_path / "concealment.safetensors"))
    one, two = shipped
    assert set(one) == set(two) and all(np.array_equal(one[key], two[key]) for key in one)
    untrained = stored_weights(ConcealmentNet().state_dict())
    assert set(one) == set(untrained) and one["leave.weight"].any()
    entry = json.loads((tmp_path / "manifest.json").read_text())["concealment"]
    assert entry["bytes"] == (tmp_path / "concealment.safetensors").stat().st_size
    assert entry["training"]["steps"] == 3 and entry["training"]["tiles"] == 49
    # A run that is there is not overwritten; it goes on.
    assert concealment_fit.main([*common, "--out", str(tmp_path / "one")]) == 1
    assert concealment_fit.main([*common, "--out", str(tmp_path / "one"), "--resume"]) == 0
    assert read_facts(tmp_path / "one")["step"] == 3


def test_losses_are_of_the_share_that_is_learned() -> None:
    generator = np.random.default_rng(1)
    shares = [1 - concealment_fit.lose_patches((8, 8), generator).mean() for _ in range(200)]
    assert min(shares) > 0 and max(shares) < 0.6
