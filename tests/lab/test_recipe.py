"""Recipes: those that ship, and the messages about wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from heqcodec.base.errors import HeqError
from heqcodec.lab.training.recipe import RECIPES, Recipe
from heqcodec.models import registry
from heqcodec.models.registry import RATE, TRANSFORM, VGG
from small_models import write_recipe

SHIPPED = sorted((Path(__file__).parents[2] / "weights" / "recipes").glob("*.toml"))


class TestRecipe:
    @pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
    def test_of_the_shipped_models(self, path: Path) -> None:
        recipe = Recipe.load(path)
        assert recipe.name in registry.model_names() and path.stem.startswith(recipe.name)
        assert type(recipe) is RECIPES[recipe.family]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"stesp": 3, "colour": 1}, "unknown keys colour, stesp; those known are about, "),
            ({"family": "gan"}, "family must be one of transform, vgg"),
            ({"steps": 0}, "steps must be a whole number from 1"),
            ({"steps": "many"}, "steps must be a whole number from 1"),
            ({"batch": 2.5}, "batch must be a whole number"),
            ({"crop": 2}, "crop must be a whole number from 3 to 8"),
            ({"crop": 9}, "crop must be a whole number from 3 to 8"),
            ({"views": 0}, "views must be a whole number from 1 to 8"),
            ({"learning_rate": 0}, "learning_rate must be a number above 0"),
            ({"rate_weights": [1, 1]}, "rate_weights must be 4 numbers"),
            ({"rate_weights": [0, 0, 0, 0]}, "rate_weights must be 4 numbers"),
            ({"rate_weights": 1}, "rate_weights must be 4 numbers"),
            ({"ema": 1.5}, "ema must be a number from 0 to 1"),
            ({"tables_bits": 100}, "tables_bits must be a multiple of 16"),
            ({"name": "a/b"}, "name must be letters"),
            ({"purenet": {"depth": 3}}, "purenet.depth must be one of width, blocks"),
            ({"purenet": {"inputs": 3}}, "purenet.inputs must be one of width, blocks"),
            ({"purenet": {"width": 0}}, "purenet.width must be"),
            ({"purenet": {"hidden": [0]}}, "purenet.hidden must be a list of whole numbers from 1"),
            ({"purenet": {"hidden": 16}}, "purenet.hidden must be a list of whole numbers from 1"),
            ({"purenet": {"blocks": 1, "hidden": [8]}}, "purenet.hidden does not fit the blocks"),
        ],
        ids=str,
    )
    def test_errors_name_file_and_key(
        self, tmp_path: Path, changes: dict[str, Any], message: str
    ) -> None:
        path = write_recipe(tmp_path / "wrong.toml", TRANSFORM, **changes)
        with pytest.raises(HeqError) as error:
            Recipe.load(path)
        assert str(path) in str(error.value) and message in str(error.value)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"norm_init": "wild"}, "norm_init must be one of balanced, halfwave"),
            ({"rule": "D"}, "rule must be one of A, B, C"),
            ({"refresh": 0}, "refresh must be a whole number from 1"),
        ],
        ids=str,
    )
    def test_keys_of_one_family(
        self, tmp_path: Path, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(HeqError, match=message):
            Recipe.load(write_recipe(tmp_path / "wrong.toml", VGG, **changes))

    @pytest.mark.parametrize(
        ("family", "changes", "message"),
        [
            (VGG, {"cost_iterations": 3}, "cost_iterations is a key of the family rate"),
            (VGG, {"tables_seed": 3}, "tables_seed is a key of the family transform and rate"),
            (RATE, {"views": 3}, "views is a key of the family transform"),
            (TRANSFORM, {"loss": "mse"}, "loss is a key of the family rate"),
            (RATE, {"rate_weights": [1, 1, 1, 1]}, "a key of the family transform and vgg"),
            (RATE, {"new_blocks": {"top": 1}}, "new_blocks must be whole numbers by stage"),
            (RATE, {"new_blocks": {"mid": -1}}, "new_blocks must be whole numbers by stage"),
            (RATE, {"new_blocks": {"mid": 1}}, "new_blocks and start_learning_rate need each"),
            (RATE, {"start_learning_rate": 1e-4}, "new_blocks and start_learning_rate need each"),
        ],
        ids=str,
    )
    def test_keys_of_a_family_and_of_another(
        self, tmp_path: Path, family: str, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(HeqError, match=message):
            Recipe.load(write_recipe(tmp_path / "wrong.toml", family, **changes))

    def test_all_faults_are_told_at_once(self, tmp_path: Path) -> None:
        path = write_recipe(tmp_path / "wrong.toml", VGG, crop=1, bsn_at=-1, views=9)
        with pytest.raises(HeqError, match=r"views is a .*; crop must be .*; bsn_at must be"):
            Recipe.load(path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('name = "x"\nfamily = "vgg"\n', "lacks about, steps"),
            ("name =", "cannot be read as a recipe"),
            ("\x00", "cannot be read as a recipe"),
        ],
    )
    def test_what_is_no_recipe(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "wrong.toml"
        path.write_text(text)
        with pytest.raises(HeqError, match=message):
            Recipe.load(path)

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(HeqError, match="cannot be read as a recipe"):
            Recipe.load(tmp_path / "none.toml")
