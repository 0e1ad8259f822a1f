"""Learning: losses, that they fall, and what happens when a run diverges or is interrupted."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.training.border_loss import STEP_FLOOR, border_loss
from heqcodec.lab.training.loop import TrainingLoop
from heqcodec.lab.training.run import train
from heqcodec.lab.training.vgg_task import VggTask
from heqcodec.models.registry import TRANSFORM, VGG
from rich.progress import Progress
from small_models import write_recipe
from training_runs import CPU, checkpoint_of, stop_after, task_of

pytestmark = pytest.mark.usefixtures("light_training")


class TestBorderLoss:
    def test_is_the_square_of_the_log_of_the_excess(self) -> None:
        ramp = torch.arange(96, dtype=torch.float64)
        target = (ramp[None] + ramp[:, None]).expand(1, 3, 96, 96)
        # Steps of 1 everywhere; across the borders of patches steps of 3.
        rough = ramp + 2 * torch.div(ramp, 32, rounding_mode="floor")
        frame = (rough[None] + rough[:, None]).expand(1, 3, 96, 96)
        floor = STEP_FLOOR
        expected = math.log((3 + floor) / (1 + floor)) ** 2
        assert border_loss(frame, target).item() == pytest.approx(expected)
        assert border_loss(target, target).item() == 0
        assert border_loss(target, frame).item() == pytest.approx(expected)


class TestLearning:
    @pytest.mark.slow
    @pytest.mark.parametrize(("family", "steps"), [(TRANSFORM, 110), (VGG, 24)])
    def test_steps_lower_the_loss(
        self, family: str, steps: int, tiles: np.ndarray, tmp_path: Path
    ) -> None:
        sizes = {"width": 32, "blocks": 2, "fine_width": 16, "fine_blocks": 1}
        task = task_of(
            family,
            tiles,
            tmp_path / "coded",
            steps=steps,
            learning_rate=2e-3,
            warmup=4,
            purenet=sizes,
        )
        facts = {"step": 0, "minutes": 0.0}
        loop = TrainingLoop(task, CPU, tmp_path, facts, Progress(disable=True))
        task.prepare(0)

        def loss() -> float:
            generator = torch.Generator().manual_seed(99)
            with torch.no_grad():
                return float(np.mean([float(task.loss(generator)) for _ in range(4)]))

        before = loss()
        for _ in range(steps):
            loop._one_step()
        assert loss() < (0.98 if family == TRANSFORM else 0.7) * before
        assert loop.step == steps

    @pytest.mark.parametrize("float_steps", [0, 2])
    def test_figures_change_nothing(
        self, float_steps: int, tiles: np.ndarray, tmp_path: Path
    ) -> None:
        task = task_of(VGG, tiles, tmp_path / "coded", float_steps=float_steps)
        with torch.no_grad():
            for block in task.networks["encoder"].quantized_blocks():
                block.latent.mul_(3)  # some beyond 1, where a refresh clamps
        before = {k: v.clone() for k, v in task.networks["encoder"].state_dict().items()}
        figures = task.held_out(task.networks, None)
        assert list(figures) == [64, 128, 256, 512]
        assert all(math.isfinite(value) for value in figures.values())
        shipped = task.held_out(task.networks, None, ship=True)
        assert (shipped != figures) == (float_steps > 0)
        assert task.networks["encoder"].training
        for key, value in task.networks["encoder"].state_dict().items():
            assert torch.equal(value, before[key]), key

    @pytest.mark.slow
    def test_diverged_run_keeps_its_last_checkpoint(
        self, photographs: Path, held_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recipe = write_recipe(tmp_path / "tiny.toml", VGG, steps=4, bsn_at=1.0)
        options = {"device": "cpu", "out_dir": tmp_path / "out", "held_out_dir": held_out}
        with monkeypatch.context() as patch:
            stop_after(patch, 1, signal.SIGTERM)
            train(recipe, photographs, **options)
        before = checkpoint_of(tmp_path / "out")
        loss = VggTask.loss
        monkeypatch.setattr(VggTask, "loss", lambda self, random: loss(self, random) * math.nan)
        with pytest.raises(HeqError, match="no number any more at step 4; lower learning_rate"):
            train(recipe, photographs, resume=True, **options)
        write_recipe(recipe, VGG, steps=4, bsn_at=0.5)
        with pytest.raises(HeqError, match=r"at step 2 the .* bit-shift normalization needs"):
            train(recipe, photographs, resume=True, **options)
        after = checkpoint_of(tmp_path / "out")
        assert all(torch.equal(value, after[key]) for key, value in before.items())

    def test_two_interrupts_do_not_wait(
        self, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def impatient(self: TrainingLoop) -> torch.Tensor:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("went on")

        monkeypatch.setattr(TrainingLoop, "_one_step", impatient)
        recipe = write_recipe(tmp_path / "tiny.toml", VGG)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, photographs, device="cpu", out_dir=tmp_path / "out")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
