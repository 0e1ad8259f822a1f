"""Checkpoints: what is written comes back, to the bit and in its memory layout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.training.checkpoint import load_checkpoint, read_facts, save_checkpoint
from heqcodec.models.registry import VGG
from small_models import (
    randomised,
    small_purenet,
)

pytestmark = pytest.mark.usefixtures("light_training")


class TestCheckpoint:
    def test_round_trip(self, tmp_path: Path) -> None:
        def networks(seed: int) -> dict[str, torch.nn.Module]:
            network = randomised(small_purenet(VGG), seed=seed)
            return {"purenet": network.to(memory_format=torch.channels_last)}  # type: ignore[call-overload]

        def adam(group: dict[str, torch.nn.Module]) -> dict[str, torch.optim.Optimizer]:
            return {key: torch.optim.Adam(net.parameters()) for key, net in group.items()}

        trained, average, generator = networks(1), networks(2), torch.Generator().manual_seed(3)
        optimizers = adam(trained)
        cells = torch.randn(1, 32, 4, 4, generator=generator)
        trained["purenet"](cells, None, torch.tensor([1])).square().mean().backward()
        optimizers["purenet"].step()
        facts = {"step": 1, "minutes": 0.5, "recipe": "x"}
        save_checkpoint(tmp_path, trained, average, optimizers, generator, facts)
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]
        assert read_facts(tmp_path) == facts

        other, other_average, other_generator = networks(4), networks(5), torch.Generator()
        restored = adam(other)
        load_checkpoint(tmp_path, other, other_average, restored, other_generator)
        for mine, theirs in ((trained, other), (average, other_average)):
            for key, value in mine["purenet"].state_dict().items():
                assert torch.equal(value, theirs["purenet"].state_dict()[key])
        assert torch.equal(generator.get_state(), other_generator.get_state())
        before, after = (group["purenet"].state_dict()["state"] for group in (optimizers, restored))
        assert before.keys() == after.keys()
        for index, state in before.items():
            assert state.keys() == after[index].keys() == {"step", "exp_avg", "exp_avg_sq"}
            for key, value in state.items():
                assert torch.equal(value, after[index][key])
                assert value.stride() == after[index][key].stride()
        # One more step, each on its own, ends at the same place.
        for group, optimizer in ((trained, optimizers), (other, restored)):
            optimizer["purenet"].zero_grad()
            group["purenet"](cells, None, torch.tensor([1])).square().mean().backward()
            optimizer["purenet"].step()
        for key, value in trained["purenet"].state_dict().items():
            assert torch.equal(value, other["purenet"].state_dict()[key])

    def test_teachers_that_were_guides_go_on(self, tmp_path: Path) -> None:
        """The name of that network in checkpoints until 29 November 2026."""
        begun, goes_on = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
        old = {"guide": begun}, {"guide": begun}, {"guide": torch.optim.Adam(begun.parameters())}
        begun(torch.ones(2)).sum().backward()
        old[2]["guide"].step()
        save_checkpoint(tmp_path, *old, torch.Generator(), {"step": 1})
        adam = torch.optim.Adam(goes_on.parameters())
        new = {"teacher": goes_on}, {"teacher": torch.nn.Linear(2, 3)}, {"teacher": adam}
        load_checkpoint(tmp_path, *new, torch.Generator())
        assert torch.equal(goes_on.weight, begun.weight)
        assert torch.equal(new[1]["teacher"].bias, begun.bias)
        assert float(adam.state[goes_on.weight]["step"]) == 1

    def test_missing_and_damaged(self, tmp_path: Path) -> None:
        with pytest.raises(HeqError, match=r"no checkpoint .* leave --resume out"):
            read_facts(tmp_path)
        (tmp_path / "checkpoint.safetensors").write_bytes(b"\x80\x04K\x01.")  # a pickle
        with pytest.raises(HeqError, match="cannot be read"):
            read_facts(tmp_path)
