"""The search of the encoder's precision: costs, quantizer, recipe, command."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from command_runner import names, run
from heqcodec.lab.comparison.codec_task import BATCH, CROP, scaled_error
from heqcodec.lab.networks.layer_quantizers import layer_choices
from heqcodec.lab.networks.nqe_vgg import NqeVgg
from heqcodec.lab.precision.exploration import rank_correlation
from heqcodec.lab.precision.results import recipe_text
from heqcodec.lab.precision.space import NqePrecision, NqeSpace, layer_costs
from heqcodec.lab.precision.supernet import ElasticCodec, ElasticLosses, random_precision
from heqcodec.lab.precision.switched_quantizer import SwitchedQuantizer
from heqcodec.lab.training.recipe import Recipe
from heqcodec.nqe_vgg.layout import VGG_LAYERS, weight_bits
from heqcodec.quantizers.distribution_losses import distribution_loss
from heqcodec.quantizers.elastic import ElasticQuantizer
from torch import nn

MIXED = (3, 3, 2, 2, 1, 1, 1)


def genes(bits: tuple[int, ...], granularity: int = 0, offset: int = 0) -> tuple[int, ...]:
    return (*(count - 1 for count in bits), granularity, offset)


class TestSpace:
    def test_costs_of_the_paper_s_precision(self) -> None:
        bits, operations = NqeSpace().costs(genes(MIXED))
        assert bits == weight_bits() + 4 * 16
        macs = [cost.operations for cost in layer_costs()]
        assert operations == sum(b * m for b, m in zip(MIXED, macs, strict=True))
        assert macs[0] == 64 * 3 * 9 * 32 * 32 and macs[-1] == 256 * 32 * 16

    def test_steps_and_offsets_are_paid_for(self) -> None:
        space, channels = NqeSpace(), sum(layer.outputs for layer in VGG_LAYERS[:4])
        plain = space.costs(genes(MIXED))[0] - 4 * 16
        assert space.costs(genes(MIXED, 1))[0] == plain + 16 * channels
        assert space.costs(genes(MIXED, 1, 1))[0] == plain + 32 * channels

    def test_vectors_tell_choices_apart(self) -> None:
        space = NqeSpace()
        seen = {
            tuple(space.precision(genes((bits,) * 7, granularity, offset)).vector().tolist())
            for bits in range(1, 9)
            for granularity in (0, 1)
            for offset in (0, 1)
        }
        assert len(seen) == 32


class TestQuantizer:
    def test_binary_has_the_least_squares_scale(self) -> None:
        weight = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(1))
        quantizer = SwitchedQuantizer()
        quantizer.refresh(weight)
        quantizer.set_precision(1, "channel", True)
        rows = quantizer(weight).flatten(1)
        assert torch.allclose(rows.abs().amax(1), weight.abs().flatten(1).mean(1))
        assert torch.equal(rows.sign(), weight.flatten(1).sign()) and quantizer.bits == 1

    def test_more_bits_are_closer_and_as_the_elastic_quantizer_has_it(self) -> None:
        weight = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(2))
        quantizer, errors = SwitchedQuantizer(), []
        quantizer.refresh(weight)
        for bits in range(1, 9):
            quantizer.set_precision(bits, "tensor", True)
            errors.append(float((quantizer(weight) - weight).detach().square().mean()))
        assert errors == sorted(errors, reverse=True)
        alone = ElasticQuantizer(3)
        alone.refresh(weight)
        quantizer.set_precision(3, "tensor", True)
        assert torch.allclose(alone(weight), quantizer(weight))


def test_rank_correlation_counts_pairs() -> None:
    assert rank_correlation([1, 2, 3], [10, 20, 30]) == 1
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == -1
    # Of six pairs five agree.
    assert rank_correlation([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(4 / 6)


def elastic(losses: ElasticLosses) -> tuple[ElasticCodec, nn.Module]:
    """A small elastic network before its first step, its task, always the same."""
    tiles = np.random.default_rng(1).integers(0, 256, (4, 256, 256, 3), dtype=np.uint8)
    task = ElasticCodec(tiles, [tiles[0]], 4, torch.device("cpu"), 1, losses)
    network = task.build()
    task.elastic(network)
    task.encoder(network).refresh()
    network.train()
    return task, network


def first_loss(losses: ElasticLosses) -> float:
    task, network = elastic(losses)
    return float(task.loss(network, torch.Generator().manual_seed(1)).detach())


class TestLosses:
    @pytest.mark.slow
    def test_distribution_is_added_over_all_layers_but_the_first(self) -> None:
        task, network = elastic(ElasticLosses())
        latents = [block.latent for _, block in task.encoder(network).reduced_blocks()]
        expected = first_loss(ElasticLosses()) + 3 * float(distribution_loss(latents[1:]))
        assert first_loss(ElasticLosses(distribution=3.0)) == pytest.approx(expected, rel=1e-5)

    @pytest.mark.slow
    @torch.no_grad()
    def test_guidance_halves_the_error_to_the_picture_of_the_subnet_before(self) -> None:
        task, network = elastic(ElasticLosses(guidance=True))
        crops = task._crops(CROP, BATCH, torch.Generator().manual_seed(1))
        target = crops.float() / 255
        drawn = random_precision(random.Random(1))
        shown = []
        for bits in ((8,) * 7, drawn.bits, (1,) * 7):
            task.switch(network, drawn._replace(bits=bits))
            shown.append(network(crops))
        large, middle, small = shown
        expected = scaled_error(large, target)
        expected += (scaled_error(middle, target) + scaled_error(middle, large)) / 2
        expected += (scaled_error(small, target) + scaled_error(small, middle)) / 2
        got = first_loss(ElasticLosses(guidance=True))
        assert got == pytest.approx(float(expected), rel=1e-5)


class TestRecipe:
    @pytest.mark.parametrize("bits", [MIXED, (1,) * 7])
    def test_training_takes_it(self, bits: tuple[int, ...], tmp_path: Path) -> None:
        precision = NqePrecision(bits, "channel", False)
        path = tmp_path / "searched.toml"
        path.write_text(recipe_text(precision, "heqcodec search"))
        recipe = Recipe.load(path)
        assert layer_choices(recipe.quantizers) == layer_choices(precision.table())
        network = NqeVgg(quantizers=recipe.quantizers)
        blocks = network.quantized_blocks()
        assert tuple(block.quantizer.bits for block in blocks) == bits
        assert len(network.float_layers()) == sum(count > 1 for count in bits)


@pytest.mark.usefixtures("light_training")
class TestCommand:
    @pytest.mark.slow
    def test_what_it_writes(self, photographs: Path, held_out: Path, tmp_path: Path) -> None:
        given = ("--data", photographs, "--held-out", held_out, "--out", tmp_path / "out")
        small = ("--minutes", "0.001", "--width", "4", "--samples", "5")
        losses = ("--distribution-loss", "1", "--guidance")
        result = run("search", *given, *small, *losses, "--budget-bits", "1200000")
        assert result.exit_code == 0, result.stderr
        assert names(tmp_path / "out") == ["front.png", "search.json", "searched.toml"]
        found = json.loads((tmp_path / "out" / "search.json").read_text())
        assert found["settings"]["distribution"] == 1 and found["settings"]["guidance"] is True
        assert found["front"] and all(r["bits_of_weights"] <= 1200000 for r in found["measured"])
        best = max(found["measured"], key=lambda row: row["psnr"])
        assert found["front"][0] == best
        assert -1 <= found["predictor_kendall"] <= 1
        assert [len(row) for row in found["forms"]] == [5] * len(found["forms"]) != []
        Recipe.load(tmp_path / "out" / "searched.toml")
        assert str(tmp_path) not in json.dumps(found)

    def test_a_budget_that_nothing_fits(self, photographs: Path, tmp_path: Path) -> None:
        given = ("--data", photographs, "--out", tmp_path / "out", "--width", "4")
        result = run("search", *given, "--budget-bits", "1000", "--minutes", "0.001")
        assert result.exit_code == 1 and "more than the budget" in result.stderr
