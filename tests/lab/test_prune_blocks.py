"""Channels that add nothing leave a decoder's blocks, and the decoder computes what it did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import heqcodec.weights
import numpy as np
import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.training.prune_blocks import ChannelParts, keep_channels, main
from heqcodec.purenet.config import PurenetConfig
from heqcodec.purenet.network import Purenet, RateBlock
from heqcodec.purenet.stored_weights import restored_weights, stored_weights
from PIL import Image
from small_models import photograph, randomised
from torch.nn import functional as F

SIZES = {"width": 6, "blocks": 2, "mid_width": 5, "mid_blocks": 1, "fine_width": 4}
CONFIG = PurenetConfig(inputs=193, has_base=True, rates=2, **SIZES)
NEVER = -100.0
"""A shift in front of the ReLU under which a channel stays 0."""


def run(network: Purenet) -> torch.Tensor:
    """A frame of 2 x 1 patches at a rate between two."""
    generator = torch.Generator().manual_seed(1)
    cells = torch.randn(1, 193, 8, 4, generator=generator)
    base = torch.rand(1, 3, 64, 32, generator=generator)
    with torch.inference_mode():
        frame: torch.Tensor = network.eval()(cells, base, torch.tensor([[0.25, 0.75]]))
    return frame


def with_dead_channels(dead: dict[str, list[int]]) -> Purenet:
    network = randomised(Purenet(CONFIG), scale=0.7)
    for name, channels in dead.items():
        block = network.get_submodule(name)
        assert isinstance(block, RateBlock)
        with torch.no_grad():
            block.shift[:, channels] = NEVER
            block.gain[:, channels] = 0
    network.load_state_dict(restored_weights(stored_weights(network.state_dict())))
    return network


def test_dead_channels_and_blocks_go_without_a_trace() -> None:
    dead = {"local.0": [0, 4, 5], "coarse.0": list(range(6)), "mid.0": [2], "fine.1": [0, 3]}
    network = with_dead_channels(dead)
    with ChannelParts() as parts:
        expected = run(network)
    for name, part in parts.found.items():
        assert np.flatnonzero(part == 0).tolist() == dead.get(name, [])
    keep = {"local.0": 3, "coarse.0": 0, "mid.0": 4, "fine.1": 2}
    stored = {**stored_weights(network.state_dict()), "trust.first": np.ones(3)}
    tensors, config = keep_channels(stored, CONFIG, parts.found, keep)
    assert config.blocks == 1 and list(config.hidden) == [3, 6, 4, 4, 2, 4]
    assert config.radius == CONFIG.radius - 16  # two convolutions at 1/8 less
    assert tensors.pop("trust.first").sum() == 3
    smaller = Purenet(config)
    smaller.load_state_dict(restored_weights(tensors))
    torch.testing.assert_close(run(smaller), expected, rtol=0, atol=1e-4)  # a bias in float16
    # What was stored in 8 bits is so still: only biases, in float16, were added up.
    assert torch.equal(smaller.coarse[0].first.weight, network.coarse[1].first.weight)  # type: ignore[arg-type]


def test_parts_are_energies_of_what_the_second_convolution_adds() -> None:
    network = randomised(Purenet(CONFIG), scale=0.7).eval()
    block = network.fine[0]
    assert isinstance(block, RateBlock)
    seen = []
    with ChannelParts() as parts, torch.inference_mode():
        handle = block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        run(network)
        handle.remove()
        run(network)  # sums go on
    x = seen[0].clone()  # no longer an inference tensor
    gain, shift = (0.25 * knots[0] + 0.75 * knots[1] for knots in (block.gain, block.shift))
    inside = F.relu(gain[:, None, None] * block.first(x) + shift[:, None, None])
    for channel in range(4):
        reads = block.second.weight[:, channel].square().sum()
        expected = 2 * (inside[:, channel].square().mean() * reads).item()
        assert parts.found["fine.0"][channel] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"coarse.2": 1}, r"coarse\.2 cannot be kept so; the blocks are local\.0=6, coarse\.0=6"),
        ({"mid.0": 6}, r"mid\.0 cannot"),
        ({"mid.0": -1}, r"mid\.0 cannot"),
        ({"fine.0": 0}, r"fine\.0 is the first of its stage"),
    ],
)
def test_what_cannot_be_kept(keep: dict[str, int], message: str) -> None:
    network = Purenet(CONFIG)
    with ChannelParts() as parts:
        run(network)
    with pytest.raises(HeqError, match=message):
        keep_channels(stored_weights(network.state_dict()), CONFIG, parts.found, keep)


def test_hidden_widths_are_those_of_all_blocks() -> None:
    with pytest.raises(ValueError, match="2 hidden widths for 7 blocks"):
        Purenet(PurenetConfig(inputs=193, has_base=True, hidden=[3, 4], **SIZES))


def test_command_stores_a_smaller_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, images = tmp_path / "weights", tmp_path / "images"
    shutil.copytree(Path(heqcodec.weights.__file__).parent, weights)
    images.mkdir()
    Image.fromarray(photograph()[:64, :64]).save(images / "a.png")
    told = ["--weights", str(weights), "--model", "nqe-r", "--images", str(images)]
    before = (weights / "nqe-r.purenet-fast.safetensors").stat().st_size
    assert main([*told, "--decoder", "fast", "--keep", "mid.0=40"]) == 0
    assert "mid.0           48" in capsys.readouterr().out
    part = json.loads((weights / "manifest.json").read_text())["models"]["nqe-r"]
    fast = part["decoders"]["fast"]
    assert fast["config"]["hidden"] == [128, 128, 40, 24, 24]
    # Of two convolutions of 3 x 3 on 48 channels 8 channels go, a byte a weight.
    assert (weights / fast["file"]).stat().st_size == fast["bytes"] < before - 2 * 8 * 48 * 9
    with pytest.raises(SystemExit):
        main([*told, "--keep", "mid.0"])
