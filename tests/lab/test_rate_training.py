"""Training a model of variable rate: encoder, coders and decoders, from recipe to decoded file."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
import torch
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.lab.training import fit_rate_coders, packed_priors, packed_tables, run
from heqcodec.lab.training.given_weights import read_purenet, write_tensors
from heqcodec.lab.training.install import main as install_main
from heqcodec.lab.training.loop import TrainingLoop
from heqcodec.lab.training.muon import Muon, orthogonalized
from heqcodec.lab.training.packed_fit import main as fit_packed
from heqcodec.lab.training.packed_networks import Effort
from heqcodec.lab.training.photographs import CropSource, turned
from heqcodec.lab.training.run import train
from heqcodec.models import registry
from heqcodec.models.registry import RATE
from heqcodec.native.loader import native_extension
from heqcodec.purenet.backends import network_tensors
from heqcodec.purenet.dequantizer import PLACES
from heqcodec.purenet.network import Purenet, PurenetConfig
from heqcodec.purenet.rate_decoder import INPUTS, KNOTS
from heqcodec.purenet.stored_weights import restored_weights, stored_weights
from heqcodec.purenet.torch_network import decode_base
from safetensors.numpy import load_file
from small_models import SIZES, photograph, randomised, write_recipe
from training_runs import checkpoint_of

pytestmark = [
    pytest.mark.usefixtures("light_training"),
    pytest.mark.skipif(native_extension() is None, reason="coders are fitted by the C extension"),
]
MID = {**SIZES, "mid_width": 6, "mid_blocks": 1}


@pytest.fixture(autouse=True)
def few_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in (
        (packed_priors, "PRIOR_STRIPS", 4),
        (packed_tables, "MIX_STRIPS", 1),
        (packed_tables, "MIX_TILES", 1),
        (fit_rate_coders, "DEVICE_STEPS", (300, 700)),
        (fit_rate_coders, "DEVICE_TILES", 3),
        (fit_rate_coders, "STRIP_TILES", 1),
        (packed_tables, "Effort", partial(Effort, strips=2)),
    ):
        monkeypatch.setattr(module, name, value)


def recipe(path: Path, **changes: Any) -> Path:
    given = {"coder_iterations": 3, "cost_iterations": 3, "purenet": MID, **changes}
    return write_recipe(path, RATE, name="tiny-r", **given)


def install(exported: Path, weights: Path) -> int:
    return install_main([str(exported), "--weights", str(weights)])


@pytest.mark.slow
def test_from_recipe_to_decoded_file(
    photographs: Path,
    held_out: Path,
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    shared: dict[str, Any] = {"device": "cpu", "held_out_dir": held_out}
    path = recipe(tmp_path / "r.toml", optimizer="muon", learning_rate=1e-3)
    entry = train(path, photographs, out_dir=out, **shared)
    assert install(out / "weights/tiny-r.json", weights) == 0
    image = photograph()[:128, :160]
    data = heqcodec.encode(image, quality=60, model="tiny-r")
    pixels = heqcodec.decode(data, device="cpu")
    assert 10 * np.log10(255**2 / np.mean((pixels - image.astype(float)) ** 2)) > 28
    assert heqcodec.unpack(heqcodec.pack(data)) == data
    assert set(entry["held_out"]) == {f"psnr at step {step}" for step in (425, 553, 681, 830)}

    # Exported again: nothing is fitted or trained anew.
    again = train(path, photographs, out_dir=out, resume=True, minutes=0, **shared)
    assert again["coders"] == entry["coders"] and again["decoder"] == entry["decoder"]

    fast = recipe(tmp_path / "fast.toml", decoder="fast", purenet={**SIZES, "blocks": 0})
    given = weights / entry["encoder"]["file"]
    part = train(fast, photographs, out_dir=tmp_path / "fast", encoder_from=given, **shared)
    with pytest.raises(HeqUnsupportedError, match='no decoder "fast"'):
        heqcodec.decode(data, device="cpu", decoder="fast")
    assert install(tmp_path / "fast/weights/tiny-r-fast.json", weights) == 0
    registry.manifest.cache_clear()
    other = heqcodec.decode(data, device="cpu", decoder="fast")
    assert (other != pixels).any() and np.abs(other.astype(int) - pixels).mean() < 8
    assert registry.manifest()["models"]["tiny-r"]["decoders"]["fast"] == part

    # It stays when the model of its encoder is installed again, and only then.
    assert install(out / "weights/tiny-r.json", weights) == 0
    registry.manifest.cache_clear()
    assert registry.manifest()["models"]["tiny-r"]["decoders"]["fast"] == part

    # A decoder of another encoder is refused.
    third = recipe(tmp_path / "third.toml", decoder="fast", cost_iterations=5, tables_seed=4)
    train(third, photographs, out_dir=tmp_path / "third", **shared)
    assert install(tmp_path / "third/weights/tiny-r-fast.json", weights) == 1
    printed = capsys.readouterr().err
    assert "install its model first" in printed and "is not what heqcodec writes" not in printed
    train(
        recipe(tmp_path / "third.toml", cost_iterations=5, tables_seed=4),
        photographs,
        out_dir=tmp_path / "whole",
        **shared,
    )
    assert install(tmp_path / "whole/weights/tiny-r.json", weights) == 0
    registry.manifest.cache_clear()
    assert "decoders" not in registry.manifest()["models"]["tiny-r"]


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_new_blocks_learn_at_a_rate_of_their_own(
    optimizer: str, photographs: Path, held_out: Path, tmp_path: Path
) -> None:
    shared: dict[str, Any] = {"device": "cpu", "held_out_dir": held_out}
    first = tmp_path / "first"
    train(recipe(tmp_path / "r.toml", steps=1), photographs, out_dir=first, **shared)
    start = first / "weights/tiny-r.purenet.safetensors"
    before = restored_weights(network_tensors(load_file(start)))
    grown = {"optimizer": optimizer, "purenet": {**MID, "mid_blocks": 2}, "decoder": "best"}
    rates = {"learning_rate": 1e-2, "new_blocks": {"mid": 1}, "start_learning_rate": 1e-12}
    paths = [
        recipe(tmp_path / f"{steps}.toml", ema=0.0, steps=steps, **grown, **rates)
        for steps in (2, 4)
    ]
    begun = {**shared, "encoder_from": first / "weights/tiny-r.encoder.safetensors"}
    out = tmp_path / "grown"
    train(paths[0], photographs, out_dir=out, start_from=start, **begun)
    train(paths[1], photographs, out_dir=out, resume=True, **begun)
    after = checkpoint_of(out)
    for name, value in before.items():
        torch.testing.assert_close(after[f"network/purenet/{name}"], value, rtol=0, atol=1e-9)
    assert after["network/purenet/mid.1.second.weight"].abs().max() > 1e-3


def test_an_encoder_of_another_family_is_refused(
    photographs: Path, encoder_file: Path, tmp_path: Path
) -> None:
    path = recipe(tmp_path / "r.toml")
    with pytest.raises(HeqError, match="cannot be read as an encoder of the family rate"):
        train(path, photographs, device="cpu", out_dir=tmp_path / "o", encoder_from=encoder_file)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["muon", "adam"])
def test_interrupted_runs_end_with_the_same_weights(
    photographs: Path, held_out: Path, tmp_path: Path, optimizer: str
) -> None:
    path = recipe(tmp_path / "r.toml", optimizer=optimizer, decoder="fast", steps=4)
    shared: dict[str, Any] = {"device": "cpu", "held_out_dir": held_out}
    train(path, photographs, out_dir=tmp_path / "whole", **shared)
    train(path, photographs, out_dir=tmp_path / "parts", minutes=1e-6, **shared)
    assert float(checkpoint_of(tmp_path / "parts")["optimizer/purenet/0.step"]) < 4
    train(path, photographs, out_dir=tmp_path / "parts", resume=True, **shared)
    whole, parts = (checkpoint_of(tmp_path / name) for name in ("whole", "parts"))
    assert set(whole) == set(parts)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_an_untrained_network_is_the_plain_inverse_and_reaches_as_far_as_it_says() -> None:
    torch.manual_seed(0)
    network = Purenet(PurenetConfig(inputs=INPUTS, has_base=True, rates=KNOTS, **MID)).eval()
    base = torch.rand(1, 3, 256, 320, requires_grad=True)
    hints, steps = torch.zeros(1, network.config.hints, 8, 10), torch.tensor([600])
    assert torch.equal(decode_base(network, base, hints, steps), base)
    with torch.no_grad():
        for last in (network.coarse_out, network.fine_out):
            last.weight.normal_()
    decode_base(network, base, hints, steps)[0, :, 128, 160].sum().backward()
    assert base.grad is not None
    rows, columns = torch.nonzero(base.grad[0].abs().sum(0), as_tuple=True)
    # No patch counts that is further from the patch of that pixel than the radius.
    for found, first in ((rows, 128), (columns, 160)):
        assert found.min() // 32 >= (first - network.radius) // 32
        assert found.max() // 32 <= (first + 31 + network.radius) // 32


def test_half_of_the_crops_can_begin_on_a_grid() -> None:
    places = np.arange(64 * 64).reshape(1, 64, 64, 1).astype(np.uint16)
    tiles = np.concatenate([places // 256, places % 256, places * 0], axis=3).astype(np.uint8)
    crops = CropSource(tiles, torch.device("cpu"))(
        40, 400, torch.Generator().manual_seed(3), grid=8
    )
    corners = crops[:, 0].long() * 256 + crops[:, 1].long()
    first = corners.flatten(1).min(dim=1).values
    aligned = (first // 64 % 8 == 0) & (first % 64 % 8 == 0)
    # The rest lies on the grid by chance, once in 64 / (25 / 4)^2 times.
    assert 180 <= int(aligned.sum()) <= 240


def test_a_network_of_more_inputs_begins_as_the_stored_one(tmp_path: Path) -> None:
    small = randomised(Purenet(PurenetConfig(inputs=193, has_base=True, rates=KNOTS, **MID)))
    wide = Purenet(PurenetConfig(inputs=INPUTS, has_base=True, rates=KNOTS, **MID)).eval()
    places = np.full((2, 8, 8, 3), 0.2, dtype=np.float32)
    stored = {**stored_weights(small.state_dict()), PLACES: places}
    write_tensors(tmp_path / "small.safetensors", stored)
    found = read_purenet(tmp_path / "small.safetensors", wide)
    np.testing.assert_array_equal(found, places)
    small.load_state_dict(restored_weights(stored_weights(small.state_dict())))
    base, hints = torch.rand(1, 3, 64, 96), torch.rand(1, wide.config.hints, 2, 3)
    steps = torch.tensor([500])
    with torch.no_grad():
        before = decode_base(small.eval(), base, hints, steps)
        assert (before - base).abs().max() > 0.01
        torch.testing.assert_close(decode_base(wide, base, hints, steps), before)


def test_a_network_of_more_blocks_and_channels_begins_as_the_stored_one(tmp_path: Path) -> None:
    stages = {"blocks": 1, "local_blocks": 1, "mid_blocks": 1, "fine_blocks": 1}
    sizes = {"inputs": INPUTS, "has_base": True, "rates": KNOTS, **MID, **stages}
    small = randomised(Purenet(PurenetConfig(**sizes, hidden=[5, 5, 6, 4])), scale=0.7)
    write_tensors(tmp_path / "small.safetensors", stored_weights(small.state_dict()))
    small.load_state_dict(restored_weights(stored_weights(small.state_dict())))
    sizes |= {"mid_blocks": 3, "fine_blocks": 2}
    large = Purenet(PurenetConfig(**sizes, hidden=[5, 9, 6, 6, 6, 4, 7]))
    read_purenet(tmp_path / "small.safetensors", large)
    base, hints = torch.rand(1, 3, 64, 96), torch.rand(1, large.config.hints, 2, 3)
    steps = torch.tensor([500])
    with torch.no_grad():
        before = decode_base(small.eval(), base, hints, steps)
        assert (before - base).abs().max() > 0.01
    after = decode_base(large, base, hints, steps)
    torch.testing.assert_close(after.detach(), before)
    (after - torch.rand_like(after)).pow(2).sum().backward()
    # What is new can learn.
    for name, inputs in (
        ("mid.2", slice(0, 6)),
        ("fine.1", slice(0, 7)),
        ("coarse.0", slice(5, 9)),
    ):
        learning = large.get_parameter(f"{name}.second.weight").grad
        assert learning is not None and learning[:, inputs].abs().max() > 0
    shorter = Purenet(PurenetConfig(**{**sizes, "mid_blocks": 0, "fine_blocks": 1}))
    with pytest.raises(HeqError, match="no PURENET of the recipe's sizes"):
        read_purenet(tmp_path / "small.safetensors", shorter)


def test_orthogonalized_matrices_keep_their_directions() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape in ((30, 50), (64, 24)):
        matrix = torch.randn(shape, generator=generator) @ torch.diag(
            torch.logspace(0, -1, shape[1])
        )
        u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
        made = orthogonalized(matrix)
        values = torch.linalg.svdvals(made)
        assert values.min() > 0.3 and values.max() < 1.4
        assert (made * (u @ vh)).sum() / (made.norm() * (u @ vh).norm()) > 0.95
    assert not orthogonalized(torch.zeros(24, 30)).any()


def test_muon_learns_where_gradients_are_of_very_different_size() -> None:
    def loss_after(optimizer_of: Any) -> float:
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(24, 24, 1)
        truth = torch.nn.Conv2d(24, 24, 1)
        scales = torch.logspace(0, -1.5, 24)[None, :, None, None]
        optimizer = optimizer_of(layer.parameters())
        for step in range(150):
            for group in optimizer.param_groups:
                group["lr"] = 2e-2 * (1 - step / 150)
            x = torch.randn(4, 24, 4, 4) * scales
            loss = ((layer(x) - truth(x)) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    assert loss_after(lambda p: Muon(p, lr=2e-2)) < 0.2 * loss_after(
        lambda p: torch.optim.SGD(p, lr=2e-2)
    )


def test_a_schedule_can_end_by_the_clock(
    photographs: Path, held_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A step reads the clock twice, and the schedule begins behind the first step: 0.2 minutes are
    # over then, and 0.4 more behind each step after it: 2 are over behind the sixth, at 2.2.
    ticks = itertools.count(step=12)
    monkeypatch.setattr(run, "TrainingLoop", partial(TrainingLoop, clock=ticks.__next__))
    path = recipe(tmp_path / "r.toml", decoder="fast", steps=100_000)
    entry = run.train(
        path,
        photographs,
        device="cpu",
        out_dir=tmp_path / "o",
        held_out_dir=held_out,
        finish_in=2,
    )
    training = entry["training"]
    assert (training["steps"], training["of_steps"]) == (6, 100_000)
    assert training["minutes"] == 2.2 and training["command"].endswith("--finish-in 2")


@pytest.mark.slow
def test_coders_can_be_kept_and_the_packed_one_fitted_anew(
    photographs: Path, held_out: Path, weights: Path, tmp_path: Path
) -> None:
    path = recipe(tmp_path / "r.toml")
    shared: dict[str, Any] = {"device": "cpu", "held_out_dir": held_out}
    first = train(path, photographs, out_dir=tmp_path / "first", **shared)
    assert install(tmp_path / "first/weights/tiny-r.json", weights) == 0
    given = ["tiny-r", "--weights", str(weights), "--data", str(photographs)]
    fitted = tmp_path / "coders"
    assert fit_packed([*given, "--out", str(fitted), "--iterations", "4", "--strips", "2"]) == 0
    tables = fitted / "tiny-r.packed.safetensors"
    little = ["--iterations", "1", "--strips", "2", "--start", str(tables)]
    slow = ["--out", str(tmp_path / "on"), "--learning-rate", "1e-9"]
    assert fit_packed([*given, *little, *slow]) == 0
    went_on = load_file(tmp_path / "on" / tables.name)
    np.testing.assert_array_equal(went_on["first"], load_file(tables)["first"])
    encoder = weights / first["encoder"]["file"]
    kept = {"encoder_from": encoder, "coders_from": weights, **shared}
    again = train(path, photographs, out_dir=tmp_path / "kept", **kept)
    assert again["coders"] == first["coders"]
    anew = train(path, photographs, out_dir=tmp_path / "anew", **{**kept, "coders_from": fitted})
    assert anew["coders"]["device"] == first["coders"]["device"]
    assert anew["coders"]["packed"]["coder_id"] != first["coders"]["packed"]["coder_id"]
    # Levels of the one are levels of the other: what is packed anew unpacks to the same bytes.
    assert install(tmp_path / "anew/weights/tiny-r.json", weights) == 0
    for cached in (registry.manifest, registry._strip_coder):
        cached.cache_clear()
    data = heqcodec.encode(photograph()[:64, :96], quality=50, model="tiny-r")
    assert heqcodec.unpack(heqcodec.pack(data)) == data


@pytest.mark.slow
def test_a_run_that_is_resumed_keeps_the_places_of_its_start(
    photographs: Path, held_out: Path, tmp_path: Path
) -> None:
    start = Purenet(PurenetConfig(inputs=193, has_base=True, rates=KNOTS, **MID))
    places = np.full((2, 8, 8, 3), 0.25, dtype=np.float32)
    write_tensors(
        tmp_path / "start.safetensors", {**stored_weights(start.state_dict()), PLACES: places}
    )
    path = recipe(tmp_path / "r.toml", decoder="fast", steps=2)
    shared: dict[str, Any] = {"device": "cpu", "held_out_dir": held_out, "out_dir": tmp_path / "o"}
    train(path, photographs, minutes=1e-6, start_from=tmp_path / "start.safetensors", **shared)
    train(path, photographs, resume=True, **shared)
    exported = load_file(tmp_path / "o/weights/tiny-r.purenet-fast.safetensors")
    np.testing.assert_array_equal(exported[PLACES], places)


@pytest.mark.slow
def test_a_decoder_can_learn_decibels(photographs: Path, held_out: Path, tmp_path: Path) -> None:
    path = recipe(tmp_path / "m.toml", decoder="best", loss="psnr", border=0.2, steps=2)
    out = tmp_path / "o"
    train(path, photographs, device="cpu", out_dir=out, held_out_dir=held_out)
    assert (out / "weights/tiny-r.purenet-best.safetensors").exists()


@pytest.mark.slow
def test_a_decoder_can_be_tuned_for_ssimulacra2(
    photographs: Path, held_out: Path, tmp_path: Path
) -> None:
    path = recipe(tmp_path / "m.toml", decoder="ssimulacra2", loss="ssimulacra2", steps=2)
    out = tmp_path / "o"
    train(path, photographs, device="cpu", out_dir=out, held_out_dir=held_out)
    assert (out / "weights/tiny-r.purenet-ssimulacra2.safetensors").exists()


def test_random_crops_are_tiles_flipped_and_turned() -> None:
    tiles = np.random.default_rng(5).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    crops = CropSource(tiles, torch.device("cpu"))(40, 64, torch.Generator().manual_seed(2))
    assert crops.shape == (64, 3, 40, 40) and crops.dtype == torch.uint8
    windows = {
        np.ascontiguousarray(view[row : row + 40, column : column + 40]).tobytes(): (tile, turn)
        for tile in range(3)
        for turn, view in ((turn, turned(tiles[tile][None], turn)[0]) for turn in range(8))
        for row, column in itertools.product(range(25), repeat=2)
    }
    crops = crops.permute(0, 2, 3, 1).contiguous().numpy()
    assert len({windows[crop.tobytes()] for crop in crops}) > 15
