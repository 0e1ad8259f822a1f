"""The teacher of `nqe-vgg`, its stages, and normalization with running statistics."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.training.loop import TrainingLoop
from heqcodec.lab.training.recipe import Recipe
from heqcodec.lab.training.schedule import cosine
from heqcodec.lab.training.teacher import SHARPNESS, Teacher, teacher_loss
from heqcodec.lab.training.vgg_task import VggTask
from heqcodec.models.registry import VGG
from heqcodec.quantizers import RunningBatchNorm2d
from rich.progress import Progress
from small_models import photograph, write_recipe

CPU = torch.device("cpu")


class TestRunningBatchNorm:
    def batches(self, count: int) -> list[torch.Tensor]:
        random = torch.Generator().manual_seed(2)
        return [torch.randn(4, 3, 5, 5, generator=random) * 3 + 7 for _ in range(count)]

    def test_begins_as_batch_normalization(self) -> None:
        ours, usual = RunningBatchNorm2d(3, settle=4), torch.nn.BatchNorm2d(3)
        for batch in self.batches(4):
            assert torch.equal(ours(batch), usual(batch))
        assert torch.equal(ours.running_mean, usual.running_mean)

    def test_then_normalizes_by_what_it_has_seen(self) -> None:
        norm = RunningBatchNorm2d(3, settle=2)
        first, second, third = self.batches(3)
        norm(first)
        norm(second)
        found = norm(third)
        mean, var = norm.running_mean.view(1, 3, 1, 1), norm.running_var.view(1, 3, 1, 1)
        torch.testing.assert_close(found, (third - mean) / (var + norm.eps).sqrt())
        assert found.mean().abs() > 0.01  # of its own statistics it would be zero
        norm.eval()
        torch.testing.assert_close(norm(third), found)

    def test_statistics_come_to_those_of_the_data(self) -> None:
        norm = RunningBatchNorm2d(3, settle=50)
        for batch in self.batches(400):
            norm(batch)
        torch.testing.assert_close(norm.running_mean, torch.full((3,), 7.0), atol=0.3, rtol=0)
        torch.testing.assert_close(norm.running_var, torch.full((3,), 9.0), atol=0.9, rtol=0)

    def test_goes_on_from_its_state(self) -> None:
        one = RunningBatchNorm2d(3, settle=3)
        *some, last = self.batches(6)
        for batch in some:
            one(batch)
        other = RunningBatchNorm2d(3, settle=3)
        other.load_state_dict(one.state_dict())
        assert torch.equal(one(last), other(last))


class TestCosine:
    def test_rises_falls_and_is_silent_elsewhere(self) -> None:
        assert cosine(9, 10, 20, 2) == 0 and cosine(20, 10, 20, 2) == 0
        assert cosine(10, 10, 20, 2) == pytest.approx(0.5)
        assert cosine(15, 10, 20, 2) == pytest.approx(0.5)
        assert cosine(5, 0, 10, 0) == pytest.approx(0.5)
        assert cosine(0, 0, 0, 5) == 0


class TestTeacherLoss:
    def test_wants_the_sign_and_insists_where_the_teacher_is_sure(self) -> None:
        sure = torch.full((2, 32, 4, 4), 2.0)
        right, wrong = teacher_loss(sure, sure), teacher_loss(-sure, sure)
        assert right < 0.01
        # A logit of -8 against a target of 1: 8 nats, weighed 1 in the mean.
        assert wrong.item() == pytest.approx(2 * SHARPNESS, rel=1e-3)
        unsure = torch.zeros(2, 32, 4, 4)
        assert teacher_loss(unsure, unsure).item() == pytest.approx(math.log(2))

    def test_early_channels_weigh_more(self) -> None:
        wanted = torch.ones(1, 32, 4, 4)
        first, last = wanted.clone(), wanted.clone()
        first[:, 0], last[:, -1] = -1, -1
        assert teacher_loss(first, wanted) > 2 * teacher_loss(last, wanted)

    def test_teacher_sees_each_patch_alone(self) -> None:
        teacher = Teacher(width=8).eval()
        patches = torch.from_numpy(photograph()[:64, :64].copy()).permute(2, 0, 1)
        patches = patches.view(3, 2, 32, 2, 32).permute(1, 3, 0, 2, 4).reshape(4, 3, 32, 32)
        whole = teacher(patches)
        assert whole.shape == (4, 32, 4, 4)
        torch.testing.assert_close(whole[1:2], teacher(patches[1:2]), atol=1e-4, rtol=1e-4)


class TestStages:
    def task(self, folder: Path, **changes: Any) -> VggTask:
        tiles = np.stack([photograph()[:256, :256], photograph()[-256:, -256:]])
        recipe = Recipe.load(write_recipe(folder / "task.toml", VGG, **changes))
        return VggTask(recipe, tiles, [tiles[0][:64, :64].copy()], CPU)

    def test_each_teaches_its_own_networks(self, tmp_path: Path) -> None:
        task = self.task(
            tmp_path,
            steps=6,
            teacher_steps=2,
            distil_steps=2,
            teacher_weight=0.1,
            bsn_at=1.0,
            warmup=0,
        )
        facts = {"step": 0, "minutes": 0.0}
        loop = TrainingLoop(task, CPU, tmp_path, facts, Progress(disable=True))
        learned = []
        for _ in range(6):
            before = {
                name: torch.cat([p.detach().flatten().clone() for p in network.parameters()])
                for name, network in task.networks.items()
            }
            loop._one_step()
            learned.append(
                {
                    name
                    for name, network in task.networks.items()
                    if not torch.equal(
                        before[name], torch.cat([p.flatten() for p in network.parameters()])
                    )
                }
            )
        assert learned[:2] == [{"teacher", "purenet"}] * 2
        assert learned[2:4] == [{"encoder"}] * 2
        assert learned[4:] == [{"encoder", "purenet"}] * 2

    @pytest.mark.usefixtures("light_training")
    def test_figures_are_of_the_teacher_first_and_of_the_encoder_when_shipped(
        self, tmp_path: Path
    ) -> None:
        task = self.task(tmp_path, steps=6, teacher_steps=2, distil_steps=2)
        taught = task.held_out(task.networks, None)
        shipped = task.held_out(task.networks, None, ship=True)
        assert taught != shipped
        task.after_step(2)
        assert task.held_out(task.networks, None) == shipped

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"teacher_steps": 3, "distil_steps": 3, "steps": 6}, "must leave steps"),
            ({"distil_steps": 2, "steps": 6}, "distil_steps and teacher_weight need teacher_steps"),
            (
                {"teacher_weight": 0.5, "steps": 6},
                "distil_steps and teacher_weight need teacher_steps",
            ),
        ],
        ids=str,
    )
    def test_stages_that_cannot_be(
        self, tmp_path: Path, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(HeqError, match=message):
            Recipe.load(write_recipe(tmp_path / "wrong.toml", VGG, **changes))
