"""Learning rates over the two phases of a run."""

from __future__ import annotations

from dataclasses import dataclass

from heqcodec.lab.training.schedule import half_cosine

from .recipe import ClassifierRecipe


@dataclass(frozen=True)
class Phase:
    """Epochs of one batch size. first: the epoch that it begins with.  fine: the second phase."""

    first: int
    epochs: int
    batch: int
    fine: bool


def phase_of(recipe: ClassifierRecipe, epoch: int) -> Phase:
    """The phase that an epoch (from 0) belongs to."""
    if epoch < recipe.epochs:
        return Phase(0, recipe.epochs, recipe.batch, False)
    return Phase(recipe.epochs, recipe.fine_epochs, recipe.fine_batch, True)


def learning_rate(recipe: ClassifierRecipe, phase: Phase, passed: float) -> float:
    """The learning rate after so many epochs (fractions too) of a phase.

    A linear rise and the half wave of a cosine (arXiv 1608.03983, without restarts); without the
    rise in the second phase.
    """
    peak = recipe.fine_learning_rate if phase.fine else recipe.learning_rate
    warmup = 0.0 if phase.fine else min(recipe.warmup, phase.epochs / 2)
    if passed < warmup:
        return peak * (passed + 1e-3) / (warmup + 1e-3)
    share = (passed - warmup) / max(phase.epochs - warmup, 1e-9)
    return peak * half_cosine(share)
