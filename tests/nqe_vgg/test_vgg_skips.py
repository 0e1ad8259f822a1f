"""OR and MUX skips of `nqe-vgg`: gates of levels, the integer twin, files, a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from adversarial import adversarial_patches
from heqcodec.base.constants import BUDGET_BITS
from heqcodec.base.errors import HeqError, HeqFormatError
from heqcodec.eval.complexity.vgg_work import vgg_work
from heqcodec.export.onnx.encoders import encoder_model
from heqcodec.lab.networks.logic_gates import make_skip, opening_sums, or_gate, thresholded_pool
from heqcodec.lab.networks.nqe_vgg import NqeVgg
from heqcodec.lab.networks.reduced import ReducedNqe
from heqcodec.lab.training.recipe import Recipe
from heqcodec.lab.training.run import train
from heqcodec.models import registry
from heqcodec.models.registry import TRANSFORM, VGG
from heqcodec.nqe_vgg.bit_planes import pack_vgg
from heqcodec.nqe_vgg.encoder import VggNqe
from heqcodec.nqe_vgg.integer import IntegerVgg
from heqcodec.nqe_vgg.skips import SKIPPED, joined, pooled, skip_bits
from heqcodec.onnx.session import open_session
from safetensors.numpy import load_file
from slow_cases import quick_first
from small_models import write_recipe

LEVELS = torch.arange(4.0)
KINDS = ("or", "mux")


def patches() -> np.ndarray:
    """Noise over gradients, and extremes: uint8 (N, 32, 32, 3)."""
    rng = np.random.default_rng(3)
    slope = np.linspace(30, 220, 32)[:, None, None] * rng.random((6, 1, 1, 3))
    noisy = np.clip(slope + rng.normal(0, 12, (6, 32, 32, 3)), 0, 255).astype(np.uint8)
    return np.concatenate([noisy, adversarial_patches()[:6]])


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def trained(kind: Any, form: str = "thresholds") -> NqeVgg:
    """A graph after a step of training, its channels open for some patches and not for others."""
    torch.manual_seed(6)
    graph = NqeVgg(skips=kind, norm_init="halfwave")
    pixels = as_tensor(patches())
    graph.logits(pixels).square().sum().backward()
    torch.optim.Adam(graph.parameters(), lr=1e-3).step()
    with torch.no_grad():
        for name, value in graph.named_parameters():
            if name.endswith("threshold"):
                value.copy_(torch.linspace(-0.1, 1.1, value.numel()).view_as(value))
    graph.refresh()
    graph.recalibrate([pixels])
    if form == "shift":
        graph.switch_to_bsn()
    return graph.eval()


class TestGatesOfLevels:
    def test_or_is_that_of_each_binary_map(self) -> None:
        first, second = torch.cartesian_prod(LEVELS, LEVELS).T.clone()
        first.requires_grad_()
        second.requires_grad_()
        y = or_gate(first, second, 3)
        maps = [((first >= k) | (second >= k)).float() for k in (1, 2, 3)]
        assert torch.equal(y, torch.stack(maps).sum(0))
        y.sum().backward()
        # The share of binary maps in which not both are 1.
        free = [1 - ((first >= k) & (second >= k)).float() for k in (1, 2, 3)]
        wanted = torch.stack(free).mean(0)
        assert first.grad is not None and second.grad is not None
        torch.testing.assert_close(first.grad, wanted)
        torch.testing.assert_close(second.grad, wanted)

    def test_opening_sums_repeat_the_pool_at_every_sum(self) -> None:
        sums = torch.arange(49.0)
        maps = torch.zeros(49, 1, 4, 4)
        for index, total in enumerate(sums):
            cells = maps[index].view(-1)
            whole = int(total) // 3
            cells[:whole] = 3
            if whole < 16:
                cells[whole] = float(total) - 3 * whole
        assert torch.equal(maps.sum(dim=(1, 2, 3)), sums)
        for threshold in (-0.2, 0.0, 1 / 3, 0.5, 23.7 / 48, 1.0, 1.4):
            theta = torch.tensor([threshold])
            opened = thresholded_pool(maps, theta.view(1, 1, 1, 1), 3).flatten()
            assert torch.equal(opened, (sums >= opening_sums(theta, 16, 3)).float())
        assert opening_sums(torch.tensor([-9.0, 0.5, 9.0]), 16, 3).tolist() == [0, 25, 49]

    def test_kinds(self) -> None:
        assert make_skip("none", 4) is None
        with pytest.raises(ValueError, match="xor"):
            make_skip("xor", 4)

    def test_gate_before_or_behind_the_maximum(self) -> None:
        rng = np.random.default_rng(2)
        main, x = rng.integers(0, 4, (2, 2, 3, 8, 8))
        behind = joined("or", None, pooled(main, (2, 3)), x, (2, 3))
        assert np.array_equal(behind, pooled(np.maximum(main, x), (2, 3)))
        last = [plane.transpose(0, 2, 3, 1) for plane in (pooled(main, (2, 3)), x)]
        selects = np.array([0, 24, 49], np.int32)
        mux = joined("mux", selects, last[0], last[1], (1, 2)).transpose(0, 3, 1, 2)
        assert np.array_equal(mux[:, 0], behind[:, 0])
        assert np.array_equal(mux[:, 2], pooled(main, (2, 3))[:, 2])


class TestTwin:
    @pytest.mark.slow
    @pytest.mark.parametrize("form", quick_first(["thresholds", "shift"]))
    @pytest.mark.parametrize("kind", quick_first(KINDS))
    def test_is_exact_in_every_arithmetic(self, kind: str, form: str) -> None:
        graph, pixels = trained(kind, form), patches()
        twin = IntegerVgg.from_tensors(IntegerVgg(graph.integer_layers()).packed())
        assert (twin.skips, twin.form) == (kind, form)
        wanted = (graph(as_tensor(pixels)) > 0).numpy()
        for arithmetic in ("float32", "float64", "int64"):
            assert np.array_equal(twin.codes(pixels, arithmetic), wanted), arithmetic
        found = open_session(encoder_model("small", twin)).run(None, {"patches": pixels})[0]
        assert np.array_equal(found, wanted)
        plain = IntegerVgg(
            [replace(item, skip="none", selects=None) for item in graph.integer_layers()]
        )
        assert (plain.codes(pixels) != wanted).any()
        assert plain.encoder_id != twin.encoder_id and "skips" not in plain.packed()

    def test_channels_open_by_their_patch(self) -> None:
        graph = trained("mux")
        graph.skips["conv4"].register_forward_hook(lambda *call: seen.append((call[1], call[2])))
        seen: list[Any] = []
        graph(as_tensor(patches()))
        ((main, skip), y) = seen[0]
        changed = (y != main).flatten(2).any(2)
        free = (skip > main).flatten(2).any(2)
        assert changed.any() and (free & ~changed).any()
        assert (changed.any(0) & (free & ~changed).any(0)).any()

    def test_gradients_reach_the_thresholds(self) -> None:
        torch.manual_seed(1)
        graph = NqeVgg(skips="mux")
        graph.logits(as_tensor(patches())).square().sum().backward()
        for name in SKIPPED:
            grad = graph.skips[name].threshold.grad
            assert grad is not None and (grad != 0).any()

    def test_bits(self) -> None:
        plain, mux = (IntegerVgg(NqeVgg(skips=k).eval().integer_layers()) for k in ("none", "mux"))
        # Sums to 3 * 256, 3 * 64 and 3 * 16: 10, 8 and 6 bits.
        assert mux.bits - plain.bits == skip_bits("mux") == 64 * 10 + 128 * 8 + 256 * 6
        assert sum(mux.weight_bits().values()) == mux.bits <= BUDGET_BITS
        assert mux.packed()["selects"].nbytes * 8 == skip_bits("mux")

    @pytest.mark.slow
    def test_work(self) -> None:
        works = [vgg_work(trained(kind).integer_layers()) for kind in ("none", *KINDS)]
        places = sum(
            channels * SKIPPED[name] ** 2
            for name, channels in (("conv2", 64), ("conv4", 128), ("conv6", 256))
        )
        layers = trained("mux").integer_layers()
        bare = vgg_work([replace(item, skip="none", selects=None) for item in layers])
        more = vgg_work(layers).additions - bare.additions
        assert more == pytest.approx(5 * places / 1024)
        assert works[1].additions > 0

    def test_what_cannot_be(self) -> None:
        layers = NqeVgg(skips="mux").eval().integer_layers()
        tensors = IntegerVgg(layers).packed()
        kinds = {"kind": np.array([3], np.uint8), "shape": np.array([1, 1], np.uint8)}
        for wrong in kinds.values():
            with pytest.raises(HeqFormatError, match="skips are of no kind"):
                IntegerVgg.from_tensors({**tensors, "skips": wrong})
        with pytest.raises(KeyError, match="selects"):
            IntegerVgg.from_tensors({k: v for k, v in tensors.items() if k != "selects"})
        with pytest.raises(HeqFormatError, match="packed uint8 of shape"):
            IntegerVgg.from_tensors({**tensors, "selects": tensors["selects"][:-1]})
        with pytest.raises(HeqFormatError, match=r"must lie in 0\.\.769"):
            replace(layers[1], selects=np.full(64, 770, np.int32))
        with pytest.raises(HeqFormatError, match="must be int32"):
            replace(layers[1], selects=np.zeros(63, np.int32))
        with pytest.raises(HeqFormatError, match="belong to a MUX"):
            replace(layers[1], skip="or")
        with pytest.raises(HeqFormatError, match="conv1 can have no skip"):
            replace(layers[0], skip="or")
        with pytest.raises(HeqFormatError, match="of one kind"):
            IntegerVgg([layers[0], replace(layers[1], skip="or", selects=None), *layers[2:]])

    def test_shipped_weights_read_as_before(self) -> None:
        encoder = registry.load_encoder("nqe-vgg")
        assert isinstance(encoder, VggNqe) and encoder.network.skips == "none"


def test_reduced_encoders_have_them_too() -> None:
    pixels = as_tensor(patches())
    codes = []
    for kind in ("none", *KINDS):
        network = ReducedNqe(8, seed=4, skips=kind)
        assert list(network.skips) == ([] if kind == "none" else list(SKIPPED))
        codes.append(network(pixels))
    assert not torch.equal(codes[0], codes[1]) and not torch.equal(codes[1], codes[2])


class TestRuns:
    @pytest.mark.usefixtures("light_training")
    @pytest.mark.parametrize("kind", quick_first(KINDS))
    def test_a_run_ships(
        self, kind: str, photographs: Path, held_out: Path, tmp_path: Path
    ) -> None:
        recipe = write_recipe(tmp_path / "x.toml", VGG, steps=3, skips=kind)
        out = tmp_path / "o"
        entry = train(recipe, photographs, device="cpu", out_dir=out, held_out_dir=held_out)
        path = out / "weights" / entry["encoder"]["file"]
        encoder = IntegerVgg.load(path)
        assert encoder.skips == kind
        assert encoder.encoder_id.hex() == entry["encoder"]["encoder_id"]
        assert ("selects" in load_file(path)) == (kind == "mux")
        assert len(np.unique(encoder.encode_patches(patches(), 64), axis=0)) > 1

    def test_faults(self, tmp_path: Path) -> None:
        with pytest.raises(HeqError, match="skips must be one of none, or, mux"):
            Recipe.load(write_recipe(tmp_path / "a.toml", VGG, skips="xor"))
        with pytest.raises(HeqError, match="skips is a key of the family vgg"):
            Recipe.load(write_recipe(tmp_path / "b.toml", TRANSFORM, skips="or"))


def test_c_has_no_skips() -> None:
    layers = trained("or").integer_layers()
    with pytest.raises(HeqError, match=r"conv2 has a skip of kind or; .* cannot be exported as C"):
        pack_vgg(layers)
    encoder = IntegerVgg(layers)
    assert encoder.native is None and encoder.kernel == "numpy"
