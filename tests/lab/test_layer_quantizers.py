"""Any quantizer in a layer of the codec's encoder, by a line of the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.networks.layer_quantizers import layer_choices
from heqcodec.lab.networks.nqe_vgg import NqeVgg
from heqcodec.lab.training.recipe import Recipe
from heqcodec.lab.training.run import train
from heqcodec.models.registry import TRANSFORM, VGG
from heqcodec.nqe_vgg.integer import IntegerVgg
from heqcodec.quantizers.registry import quantizer_names
from slow_cases import slow
from small_models import write_recipe

FLOATS = ("lsq", "eqnet", "int4-hadamard", "codeq", "q2d2", "tinyllava")


def patches(count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)


class TestChoices:
    def test_the_nearest_key_decides(self) -> None:
        table = {"conv1": "lsq", "early": {"name": "heq", "levels": 7}, "all": "bnn"}
        choices = layer_choices(table)
        assert choices["conv1"] == ("lsq", {}) and choices["conv2"] == ("heq", {"levels": 7})
        assert {choices[name][0] for name in ("conv3", "conv6", "bottleneck")} == {"bnn"}

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ({"conv9": "heq5"}, "quantizers.conv9 is no layer"),
            ({"early": "heq55"}, "quantizers.early must name a quantizer"),
            ({"early": {"levels": 3}}, "quantizers.early must name a quantizer"),
            ({"late": {"name": "lsq", "bits": 1}}, "quantizers.late has options"),
            ({"late": {"name": "bnn", "colour": 1}}, "quantizers.late has options"),
        ],
        ids=str,
    )
    def test_faults_name_the_key(self, table: dict[str, Any], message: str, tmp_path: Path) -> None:
        with pytest.raises(HeqError, match=message):
            layer_choices(table)
        path = write_recipe(tmp_path / "wrong.toml", VGG, quantizers=table)
        with pytest.raises(HeqError, match=message):
            Recipe.load(path)

    def test_of_another_family(self, tmp_path: Path) -> None:
        path = write_recipe(tmp_path / "wrong.toml", TRANSFORM, quantizers={"early": "heq5"})
        with pytest.raises(HeqError, match="quantizers is a key of the family vgg"):
            Recipe.load(path)


class TestEncoder:
    def test_naming_what_is_there_changes_nothing(self) -> None:
        torch.manual_seed(1)
        plain = NqeVgg().eval()
        torch.manual_seed(1)
        named = NqeVgg(quantizers={"early": "heq5", "middle": "heq3", "late": "binary"}).eval()
        twins = [IntegerVgg(network.integer_layers()) for network in (plain, named)]
        assert twins[0].encoder_id == twins[1].encoder_id and "levels" not in twins[1].packed()

    @pytest.mark.parametrize("name", quantizer_names())
    def test_every_quantizer_trains_and_is_evaluated(self, name: str) -> None:
        torch.manual_seed(2)
        network = NqeVgg(quantizers={"conv5": name})
        network.logits(patches()).sum().backward()
        block = list(network.quantized_blocks())[4]
        assert block.latent.grad is not None and float(block.latent.grad.abs().sum()) > 0
        code = network.eval()(patches())
        assert set(code.unique().tolist()) <= {-1.0, 1.0}
        assert (name in FLOATS) == (network.float_layers() == {"conv5": name})

    @pytest.mark.parametrize(
        "table",
        [
            {"early": {"name": "heq", "levels": 8}, "conv3": "twn"},
            slow({"conv1": {"name": "heq", "levels": 4}, "late": "bnn++", "conv4": "binary"}),
        ],
        ids=str,
    )
    def test_integers_are_exported_exactly(self, table: dict[str, Any]) -> None:
        torch.manual_seed(3)
        network = NqeVgg(quantizers=table)
        network(patches())
        network.eval()
        twin = IntegerVgg.from_tensors(IntegerVgg(network.integer_layers()).packed())
        pixels = patches().permute(0, 2, 3, 1).numpy()
        wanted = (network(patches()) > 0).numpy().astype(np.uint8)
        assert np.array_equal(twin.codes(pixels), wanted)
        assert np.array_equal(twin.codes(pixels, "int64"), wanted)
        assert sum(twin.weight_bits().values()) == twin.bits

    def test_floats_are_not_exported(self) -> None:
        network = NqeVgg(quantizers={"conv2": "lsq", "late": "codeq"}).eval()
        with pytest.raises(HeqError, match=r"conv2 \(lsq\), conv5 \(codeq\), conv6 \(codeq\) are"):
            network.integer_layers()

    def test_beyond_the_budget(self) -> None:
        network = NqeVgg(quantizers={"late": "heq5"}).eval()
        with pytest.raises(HeqError, match="more than 1048576; give some layers fewer levels"):
            IntegerVgg(network.integer_layers())


@pytest.mark.usefixtures("light_training")
class TestRuns:
    def test_a_float_run_says_so_in_the_end(
        self, photographs: Path, held_out: Path, tmp_path: Path
    ) -> None:
        table = {"early": {"name": "eqnet", "bits": 3}}
        recipe = write_recipe(tmp_path / "float.toml", VGG, steps=2, quantizers=table)
        with pytest.raises(HeqError, match=r"has been trained \(psnr .* cannot be exported: .*eqn"):
            train(recipe, photographs, device="cpu", out_dir=tmp_path / "o", held_out_dir=held_out)
        assert (tmp_path / "o" / "checkpoint.safetensors").exists()

    def test_an_integer_run_ships(self, photographs: Path, held_out: Path, tmp_path: Path) -> None:
        recipe = write_recipe(tmp_path / "x.toml", VGG, steps=2, quantizers={"early": "uniform"})
        entry = train(
            recipe, photographs, device="cpu", out_dir=tmp_path / "o", held_out_dir=held_out
        )
        assert (tmp_path / "o" / "weights" / entry["encoder"]["file"]).exists()
