"""Runs from an encoder and a decoder that exist already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from heqcodec.base.errors import HeqError
from heqcodec.lab.training.run import train
from heqcodec.models.registry import TRANSFORM, VGG
from safetensors.torch import save_file
from small_models import (
    small_purenet,
    write_recipe,
)

pytestmark = pytest.mark.usefixtures("light_training")


class TestContinuing:
    @pytest.mark.slow
    def test_from_an_encoder_and_a_decoder_that_exist(
        self, photographs: Path, held_out: Path, encoder_file: Path, tmp_path: Path
    ) -> None:
        recipe = write_recipe(tmp_path / "tiny.toml", TRANSFORM, learning_rate=5e-3)
        options: dict[str, Any] = {
            "device": "cpu",
            "held_out_dir": held_out,
            "encoder_from": encoder_file,
        }
        first = train(recipe, photographs, out_dir=tmp_path / "a", **options)
        made = tmp_path / "a" / "weights"
        other = write_recipe(tmp_path / "tiny.toml", TRANSFORM, tables_seed=5, seed=8)
        options |= {
            "encoder_from": made / "tiny-transform.encoder.safetensors",
            "start_from": made / "tiny-transform.purenet.safetensors",
        }
        second = train(other, photographs, minutes=0, out_dir=tmp_path / "b", **options)
        assert second["encoder"] == first["encoder"]
        # What is stored already is not rounded a second time.
        assert second["decoder"] == first["decoder"]
        assert second["training"]["command"].endswith(
            "--encoder tiny-transform.encoder.safetensors "
            "--start tiny-transform.purenet.safetensors"
        )

    def test_errors_of_given_weights(
        self, photographs: Path, held_out: Path, tmp_path: Path
    ) -> None:
        recipe = write_recipe(tmp_path / "t.toml", TRANSFORM)
        options: dict[str, Any] = {"minutes": 0, "device": "cpu", "held_out_dir": held_out}
        purenet = tmp_path / "purenet.safetensors"
        save_file(small_purenet(TRANSFORM).state_dict(), purenet)
        for index, wrong in enumerate((recipe, purenet)):
            with pytest.raises(HeqError, match="cannot be read as an encoder"):
                train(
                    recipe,
                    photographs,
                    out_dir=tmp_path / f"b{index}",
                    encoder_from=wrong,
                    **options,
                )
        vgg = write_recipe(tmp_path / "v.toml", VGG)
        with pytest.raises(HeqError, match="trains its own encoder"):
            train(vgg, photographs, out_dir=tmp_path / "c", encoder_from=purenet, **options)
        with pytest.raises(HeqError, match="holds no PURENET of the recipe's sizes"):
            train(vgg, photographs, out_dir=tmp_path / "c", start_from=purenet, **options)
        assert not (tmp_path / "c" / "checkpoint.safetensors").exists()

    @pytest.mark.slow
    def test_resumed_run_keeps_its_encoder(
        self, photographs: Path, held_out: Path, encoder_file: Path, tmp_path: Path
    ) -> None:
        recipe = write_recipe(tmp_path / "t.toml", TRANSFORM)
        options: dict[str, Any] = {"device": "cpu", "held_out_dir": held_out, "out_dir": tmp_path}
        first = train(recipe, photographs, minutes=1e-9, **options)  # fits one
        again = train(recipe, photographs, minutes=0, resume=True, **options)
        assert first["training"]["steps"] == 1 and again == first
        with pytest.raises(HeqError, match="begun with another encoder"):
            train(recipe, photographs, resume=True, encoder_from=encoder_file, **options)
