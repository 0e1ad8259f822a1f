"""Counting operations, weights and memory of networks and encoders."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.eval.complexity import transform_work
from heqcodec.eval.complexity.candidate import Candidate
from heqcodec.eval.complexity.frame import noise_frame, photograph_frame
from heqcodec.eval.complexity.models import our_candidates
from heqcodec.eval.complexity.networks import (
    multiply_accumulates,
    peak_activation_bytes,
    stage_inputs,
    weight_bits,
)
from heqcodec.eval.complexity.peers import network_candidate, peer_candidates
from heqcodec.eval.complexity.tables import (
    REFERENCE,
)
from heqcodec.eval.complexity.vgg_work import layer_work, vgg_activation_bytes, vgg_work
from heqcodec.eval.complexity.work import Stage, Work
from heqcodec.eval.peers.factorized import Factorized
from heqcodec.eval.peers.gdn import Gdn
from heqcodec.eval.peers.load import build
from heqcodec.eval.peers.mcucoder import McuCoder
from heqcodec.image.patches import split_patches
from heqcodec.lab.networks.nqe_vgg import NqeVgg
from heqcodec.lab.peers.run import save_peer
from heqcodec.models import registry
from heqcodec.nqe_t.arithmetic import ArithmeticDecoder
from heqcodec.nqe_t.patch_decoder import decode_coefficients
from heqcodec.nqe_t.transform import dct_layers
from heqcodec.nqe_vgg.convolution import meetings
from heqcodec.nqe_vgg.integer import IntegerLayer, IntegerVgg
from heqcodec.nqe_vgg.layout import BINARY, QUINARY, SIGN_CUTS, VGG_LAYERS, VggLayer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

pytestmark = pytest.mark.usefixtures("one_thread")

FRAME = noise_frame(128, 64)


def stage_of(candidate: Candidate, name: str) -> Stage:
    stage = candidate.cost.stage(name)
    assert stage is not None
    return stage


def work_of(candidate: Candidate, name: str) -> Work:
    work = stage_of(candidate, name).work
    assert work is not None
    return work


class TestNetworks:
    @settings(deadline=None)
    @given(
        st.integers(1, 3),
        st.integers(1, 3),
        st.sampled_from([1, 3, 5]),
        st.integers(1, 3),
        st.integers(1, 2),
    )
    def test_convolutions(
        self, inputs: int, outputs: int, kernel: int, stride: int, groups: int
    ) -> None:
        layer = nn.Conv2d(
            inputs * groups, outputs * groups, kernel, stride, kernel // 2, groups=groups
        )
        x = torch.zeros(2, inputs * groups, 9, 11)
        places = layer(x).shape[2] * layer(x).shape[3]
        expected = 2 * places * outputs * groups * inputs * kernel**2
        assert multiply_accumulates(layer, x) == expected
        assert weight_bits(layer) == 32 * (outputs * groups * (inputs * kernel**2 + 1))

    def test_transposed_convolution(self) -> None:
        layer = nn.ConvTranspose2d(4, 6, 5, 2, 2, 1)
        # Each input sample meets each weight of its channel once.
        assert multiply_accumulates(layer, torch.zeros(1, 4, 8, 8)) == 64 * 4 * 6 * 25

    def test_normalization_is_a_matrix_product(self) -> None:
        assert multiply_accumulates(Gdn(8), torch.zeros(1, 8, 4, 5)) == 20 * 64

    def test_peak_of_a_chain(self) -> None:
        chain = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))
        x = torch.zeros(1, 3, 16, 16)
        # The caller holds the input; the convolution's and the ReLU's output are alive together.
        assert peak_activation_bytes(chain, x) == 4 * 256 * (3 + 8 + 8)

    def test_peak_of_a_shortcut_holds_it(self) -> None:
        class Shortcut(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return x + (x * 2).exp_().sin()

        x = torch.zeros(1000)
        assert peak_activation_bytes(Shortcut(), x) == 4 * 1000 * 3

    def test_views_cost_nothing(self) -> None:
        x = torch.zeros(6, 4)
        assert peak_activation_bytes(nn.Flatten(0), x) == x.nbytes

    def test_half_precision_weights(self) -> None:
        assert weight_bits(nn.Linear(3, 5).half()) == 16 * 20

    def test_stage_inputs_are_those_of_the_call(self) -> None:
        network = nn.Sequential(
            nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU()), nn.Conv2d(2, 3, 3, padding=1)
        )
        x = torch.rand(1, 1, 4, 4)
        seen = stage_inputs(network, ["0", "1"], x)
        assert torch.equal(seen["0"][0], x)
        assert torch.equal(seen["1"][0], network[0](x))


class TestPeers:
    def test_factorized_by_hand(self) -> None:
        """5x5 convolutions at strides of 2, and GDN, whose products are by pairs of channels."""
        candidate = network_candidate(
            "f", "", Factorized(8, 12).eval(), FRAME, codec=None, setting=0
        )
        conv = 25 * (3 * 8 / 4 + 8 * 8 / 16 + 8 * 8 / 64 + 8 * 12 / 256)
        gdn = 64 * (1 / 4 + 1 / 16 + 1 / 64)
        assert work_of(candidate, "encoder") == Work(multiply_accumulates=conv + gdn)
        assert work_of(candidate, "decoder") == Work(multiply_accumulates=conv + gdn)
        assert work_of(candidate, "entropy encoder") == Work(symbols=12 / 256)
        sizes = [(3 * 8, 8), (8 * 8, 8), (8 * 8, 8), (8 * 12, 12)]
        normalizations = 3 * (8 * 8 + 8)
        weights = sum(25 * a + b for a, b in sizes) + normalizations
        assert stage_of(candidate, "encoder").weight_bits == 32 * weights

    @pytest.mark.slow
    def test_shipped_sizes(self) -> None:
        """Of the architectures as they are: figures that CompressAI's users know."""
        found = {c.cost.name: c for c in peer_candidates(FRAME, [])}
        assert set(found) == {REFERENCE, "mbt2018-mean", "mcucoder"}
        factorized = work_of(found[REFERENCE], "encoder").multiply_accumulates
        assert factorized == pytest.approx(
            25 * (3 * 128 / 4 + 128**2 * (1 / 16 + 1 / 64) + 128 * 192 / 256)
            + 128**2 * (1 / 4 + 1 / 16 + 1 / 64)
        )
        small = found["mcucoder"]
        assert stage_of(small, "encoder").weight_bits == 32 * 10_524
        assert work_of(small, "encoder").multiply_accumulates == 588 + 100 + 27
        assert work_of(small, "entropy encoder").symbols == 12 / 64
        # As `LatentCode.tensors` has them: two ranges in float32, 64 lengths in bytes.
        assert stage_of(small, "entropy encoder").weight_bits == 12 * (64 + 8 * 64)
        hyper = found["mbt2018-mean"]
        assert work_of(hyper, "encoder") == work_of(found[REFERENCE], "encoder")
        assert work_of(hyper, "entropy encoder").symbols == 192 / 256 + 128 / 4096
        encode = work_of(hyper, "entropy encoder").multiply_accumulates
        decode = work_of(hyper, "entropy decoder").multiply_accumulates
        assert encode > decode > 0
        for candidate in found.values():
            assert candidate.codec is None and candidate.networks is not None
            candidate.networks.encode()
            candidate.networks.decode()

    def test_counts_do_not_depend_on_the_frame(self) -> None:
        network = McuCoder(8).eval()
        one = network_candidate("m", "", network, FRAME, None, 0)
        other = network_candidate("m", "", network, noise_frame(192, 128), None, 0)
        for name in ("encoder", "decoder"):
            assert work_of(one, name) == work_of(other, name)

    def test_refuses_two_files_of_one_architecture(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            save_peer(tmp_path, build("factorized", {"width": 4, "latents": 6}), {}, {"name": name})
        with pytest.raises(HeqError, match=r"both hold a factorized network"):
            peer_candidates(FRAME, sorted(tmp_path.glob("*.safetensors")))


class TestCompressAI:
    def test_other_architectures(self) -> None:
        pytest.importorskip("compressai.models", exc_type=ImportError)
        from compressai.models import FactorizedPrior
        from heqcodec.eval.complexity.peers import zoo_candidates

        found = {c.cost.name: c for c in zoo_candidates(FRAME)}
        assert {"bmshj2018-hyperprior", "mbt2018", "cheng2020-anchor"} <= set(found)
        theirs = network_candidate("f", "", FactorizedPrior(8, 12).eval(), FRAME, None, 0)
        ours = network_candidate("f", "", Factorized(8, 12).eval(), FRAME, None, 0)
        for name in ("encoder", "entropy encoder", "entropy decoder", "decoder"):
            assert work_of(theirs, name) == work_of(ours, name)
            assert stage_of(theirs, name) == stage_of(ours, name)
        context = work_of(found["mbt2018"], "entropy decoder").multiply_accumulates
        plain = work_of(found["bmshj2018-hyperprior"], "entropy decoder").multiply_accumulates
        assert context > plain > 0


class TestVgg:
    @settings(deadline=None)
    @given(st.integers(0, 2), st.integers(1, 12), st.integers(0, 5))
    def test_meetings_are_a_convolution_of_ones(self, half: int, side: int, seed: int) -> None:
        kernel = 2 * half + 1
        taps = np.random.default_rng(seed).integers(0, 4, (kernel, kernel))
        frame = torch.ones(1, 1, side, side)
        weight = torch.from_numpy(taps)[None, None].float()
        total = torch.nn.functional.conv2d(frame, weight, padding=half).sum()
        assert meetings(taps, side) == int(total)

    def test_one_layer_by_hand(self) -> None:
        layer = VggLayer("x", 2, 3, 1, 1, QUINARY, True, 3)
        levels = np.array([[2, 0], [-1, 1], [0, 0]], dtype=np.int8).reshape(3, 2, 1, 1)
        shifted = IntegerLayer(layer, levels, shift=2)
        # 3 weights at 16 places; 3 comparisons for each of 4 maxima of 3 channels, and 2 limits.
        assert layer_work(shifted, 4) == Work(
            additions=3 * 16 + 3 * 12 + 2 * 12, shifts=1 * 16 + 12
        )
        thresholds = np.zeros((3, 3), dtype=np.int32)
        cut = IntegerLayer(layer, levels, thresholds)
        assert layer_work(cut, 4) == Work(additions=3 * 16 + 3 * 12 + 3 * 12, shifts=16)

    def test_code_layer_compares_once(self) -> None:
        layer = VggLayer("x", 1, 1, 1, 1, BINARY, False, 3, SIGN_CUTS)
        item = IntegerLayer(layer, np.ones((1, 1, 1, 1), dtype=np.int8))
        assert layer_work(item, 4) == Work(additions=16 + 16)

    def test_encoder_is_the_sum_of_its_layers(self) -> None:
        torch.manual_seed(1)
        encoder = IntegerVgg(NqeVgg().eval().integer_layers())
        work = vgg_work(encoder.layers)
        # At most a product of each weight with each place, at least without the borders.
        sides = [32, 32, 16, 16, 8, 8, 4]
        most = sum(la.weights * side**2 for la, side in zip(VGG_LAYERS, sides, strict=True))
        least = sum(
            np.count_nonzero(item.levels) * (side - 2) ** 2
            for item, side in zip(encoder.layers, sides, strict=True)
        )
        assert least < 1024 * work.additions < 1.02 * most
        assert work.multiply_accumulates == work.multiplications == 0

    def test_memory_is_the_largest_pair(self) -> None:
        torch.manual_seed(1)
        layers = NqeVgg().eval().integer_layers()
        # conv2: 64 channels of 32x32 in, of 16x16 out, 2 bits each.
        assert vgg_activation_bytes(layers) == 64 * (1024 + 256) // 4


class TestTransform:
    def test_stem_by_hand(self) -> None:
        coarse, fine = np.zeros((2, 32, 32), dtype=np.int8)
        coarse[:, 0], fine[0, 1] = 2, -1
        work = transform_work.stem_work(coarse, fine)
        # Colours: 8 weights in 3 rows and an offset; one weight of magnitude 2. Each of the 6
        # passes: 32 weights of A with a shift, one of B, for 32 coefficients; combining and
        # rounding. Gains: 5/4 = 1 + 1/4, 3/4 = 1/2 + 1/4.
        assert work.additions == pytest.approx(6 + 6 * (33 / 32 + 2) + 2)
        assert work.shifts == pytest.approx(1 + 6 * (32 / 32 + 2) + 3)

    def test_decisions_fill_the_code(self) -> None:
        """Signs cost a bit each, so that a code of n bits holds fewer than n of them; more of
        everything fits into a longer code, and what fits costs about its bits."""
        encoder: Any = registry.load_encoder("nqe-t")
        patches = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
        counts = {n: transform_work.count_decisions(encoder, patches, n) for n in (64, 128, 256)}
        totals = {n: sum(found.values()) / 6 for n, found in counts.items()}
        assert totals[64] < totals[128] < totals[256]
        for n, found in counts.items():
            signs = sum(count for (kind, _), count in found.items() if kind == "sign") / 6
            assert 0.05 * n < signs < n

    def test_counts_are_those_of_the_decoder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The decoder stops where the bits no longer decide: some symbols before, at most."""
        encoder: Any = registry.load_encoder("nqe-t")
        patches = split_patches(noise_frame(128, 64))
        decoded = 0
        decode = ArithmeticDecoder.decode

        def counting(self: ArithmeticDecoder, states: Any, asked: Any) -> Any:
            nonlocal decoded
            decided, ones = decode(self, states, asked)
            decoded += int(decided.sum())
            return decided, ones

        monkeypatch.setattr(ArithmeticDecoder, "decode", counting)
        decode_coefficients(encoder.encode_patches(patches, 256), 3, encoder.tables)
        counted = sum(transform_work.count_decisions(encoder, patches, 256).values())
        assert decoded <= counted <= decoded + 24 * len(patches)

    def test_work_of_counted_decisions(self) -> None:
        from collections import Counter

        counts = Counter({("sign", 3): 1024, ("refinement", 0): 2048})
        work = transform_work.coder_work(counts, patches=2)
        assert work.symbols == 1.5
        # A sign is its coded symbol alone.
        assert work.additions == 6 + 0.5 * 3 + 1.0 * (2 + 3)
        assert work.shifts == 0.5 * 2 + 1.0 * (1 + 2)

    def test_flags_depend_on_their_neighbours(self) -> None:
        from heqcodec.nqe_t import zones as geometry

        for zone, place in enumerate(geometry.zones()):
            reported = transform_work.decision_work("flag", zone).additions
            assert reported == max(len(place.near) - 1, 0) + 2 + 3

    def test_dct_layers_cost_what_they_hold(self) -> None:
        coarse, fine = dct_layers()
        work = transform_work.stem_work(coarse, fine)
        # By butterflies a third of the weights is left; rows of 32 points, two digits, six passes.
        dense = 2 * 3 * 2 * 32
        assert 0.25 * dense < work.additions < 0.4 * dense


def patch_candidates() -> list[Candidate]:
    """Those of variable rate have tests of their own, in test_rate_complexity.py."""
    names = registry.model_names("patch")
    return [found for found in our_candidates(FRAME) if found.cost.name in names]


class TestModels:
    @pytest.mark.slow
    def test_every_model_of_the_registry(self) -> None:
        found = patch_candidates()
        assert [candidate.cost.name for candidate in found] == registry.model_names("patch")
        reported = [entry for entry in registry.describe_models() if entry["mode"] == "patch"]
        for candidate, described in zip(found, reported, strict=True):
            bits = [stage_of(candidate, "encoder").weight_bits]
            coder = candidate.cost.stage("entropy encoder")
            bits += [coder.weight_bits] if coder else []
            assert sum(value or 0 for value in bits) == described["weight_bits"]
            decoder = stage_of(candidate, "decoder")
            stored = registry.manifest()["models"][described["name"]]["decoder"]["bytes"]
            # The rest of the file is its head.
            assert decoder.weight_bits == pytest.approx(8 * stored, rel=0.01)
            encoder = work_of(candidate, "encoder")
            assert encoder.multiply_accumulates == encoder.multiplications == 0
            assert encoder.additions > 100 and encoder.shifts > 10
            assert candidate.codec is not None and candidate.codec.missing() is None
            assert candidate.networks is not None
            candidate.networks.encode()
            candidate.networks.decode()

    def test_decoder_by_hand(self) -> None:
        """PURENET's convolutions, from its sizes, and the inverse transform before it."""
        for candidate in patch_candidates():
            entry = registry.manifest()["models"][candidate.cost.name]
            sizes = entry["decoder"]["config"]
            width, fine = sizes["width"], sizes["fine_width"]
            cell = sizes["inputs"] * width
            mid = sizes["mid_width"] if sizes["mid_blocks"] else 0
            counts = [sizes["local_blocks"] + sizes["blocks"], sizes["mid_blocks"]]
            hidden = iter(sizes["hidden"])
            at_cells, at_mid = (sum(islice(hidden, count)) for count in counts)
            cell += 18 * width * at_cells
            cell += width * 192 + (width * mid * 4 if mid else width * fine * 16)
            cell += 0 if sizes["has_base"] else sizes["inputs"] * 192
            middle = 9 * (mid + 48) * mid + 18 * mid * at_mid + mid * fine * 4 if mid else 0
            quarter = 9 * (fine + 12) * fine + 18 * fine * sum(hidden) + 9 * fine * 12
            inverse = 2 * 32 * 3 + 9 if sizes["has_base"] else 0
            expected = cell / 64 + middle / 16 + quarter / 4 + inverse
            assert work_of(candidate, "decoder").multiply_accumulates == pytest.approx(expected)


class TestFrame:
    def test_is_always_the_same_and_like_a_photograph(self) -> None:
        frame = noise_frame()
        assert frame.shape == (512, 768, 3) and frame.dtype == np.uint8
        assert np.array_equal(frame, noise_frame())
        luma = frame.mean(axis=2)
        near = np.corrcoef(luma[:, :-1].ravel(), luma[:, 1:].ravel())[0, 1]
        assert near > 0.9 and 30 < luma.std() < 60

    def test_of_a_photograph(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (70, 200), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a.png")
        frame = photograph_frame(tmp_path / "a.png")
        assert np.array_equal(frame, np.repeat(pixels[:64, :192, None], 3, axis=2))
        Image.fromarray(pixels[:63]).save(tmp_path / "b.png")
        with pytest.raises(HeqError, match="smaller than 64x64"):
            photograph_frame(tmp_path / "b.png")
