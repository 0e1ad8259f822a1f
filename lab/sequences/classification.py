"""Classes of short sequences by the code of the shipped classifier: one frame, mean, gated unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from heqcodec.base.constants import BUDGET_BITS
from heqcodec.lab.classifier.images import LabelledImages
from heqcodec.models.classifiers import load_shipped
from heqcodec.nqe_vgg.classifier import CODE_BITS
from numpy.typing import NDArray
from torch import Tensor, nn

from .gated_unit import GatedUnit, train_unit
from .scenes import DIRECTIONS, moving_images

FRAMES = 8
STATES = 30
"""Of the unit: with its head it takes the place of the classifier's head within the budget."""
BATCH = 500
Codes = NDArray[np.uint8]


def codes_of(images: NDArray[np.uint8], seed: int) -> tuple[Codes, NDArray[np.int64]]:
    """Codes of `moving_images`, uint8 (N, FRAMES, 256) of 0 and 1, and the directions."""
    network = load_shipped().network
    codes, ways = [], []
    for start in range(0, len(images), BATCH):
        frames, own = moving_images(images[start : start + BATCH], FRAMES, seed + start)
        flat = network.codes(frames.reshape(-1, *frames.shape[2:]))
        codes.append(flat.reshape(len(frames), FRAMES, CODE_BITS))
        ways.append(own)
    return np.concatenate(codes), np.concatenate(ways)


class MeanHead(nn.Module):
    """A linear layer on the mean of the codes of some frames.

    Args:
        classes: of the logits.
        frames: which of the sequence.
    """

    def __init__(self, classes: int, frames: slice) -> None:
        super().__init__()
        self.layer, self._frames = nn.Linear(CODE_BITS, classes), frames

    def forward(self, codes: Tensor) -> Tensor:
        """Codes (N, T, 256) of -1 and 1 -> logits (N, classes)."""
        logits: Tensor = self.layer(codes[:, self._frames].mean(dim=1))
        return logits


class JoinedHead(nn.Module):
    """A linear layer on the codes of all frames, one after the other: it knows their order.

    Args:
        classes: of the logits.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(FRAMES * CODE_BITS, classes)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes (N, T, 256) of -1 and 1 -> logits (N, classes)."""
        logits: Tensor = self.layer(codes.flatten(1))
        return logits


def contestants(classes: int) -> dict[str, Callable[[], nn.Module]]:
    """By name, in the order of the table."""
    return {
        "the last frame": lambda: MeanHead(classes, slice(-1, None)),
        "mean of 8 codes": lambda: MeanHead(classes, slice(None)),
        "8 codes, joined": lambda: JoinedHead(classes),
        "gated unit, full precision": lambda: GatedUnit(STATES, CODE_BITS, classes, False),
        "gated unit, ternary": lambda: GatedUnit(STATES, CODE_BITS, classes),
    }


def room_for_unit() -> int:
    """Bits that are left of 2^20 beside the shipped encoder without its head."""
    network = load_shipped().network
    return BUDGET_BITS - network.encoder.bits


def classify_sequences(
    images: LabelledImages,
    train_images: int,
    test_images: int,
    epochs: int,
    seeds: int,
    report: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Train and test all contestants on two questions: which object, and where does it go.

    Args:
        images: of CIFAR-10; the first of each set are taken.
        train_images, test_images: how many.
        epochs: of each training.
        seeds: how many, from 1 on: of initial weights and order. Sequences are the same for all.
        report: gets a line a training.

    Returns:
        Rows: ``question``, ``kind``, ``seed``, ``accuracy`` in percent; and of the ternary unit, in
        integers, ``bits`` and ``agreeing``, the share of sequences on which its class is that of
        the network that was trained.
    """
    given, given_ways = codes_of(images.train[:train_images], 0)
    tested, tested_ways = codes_of(images.test[:test_images], 1 << 20)
    labels = images.train_labels[:train_images], images.test_labels[:test_images]
    questions = {
        "object": (*labels, len(images.classes)),
        "direction": (given_ways, tested_ways, len(DIRECTIONS)),
    }
    train_signs, test_signs = (_signs(codes) for codes in (given, tested))
    rows: list[dict[str, Any]] = []
    for question, (known, wanted, classes) in questions.items():
        known_labels = torch.from_numpy(np.asarray(known, dtype=np.int64))
        for seed in range(1, seeds + 1):
            for kind, make in contestants(classes).items():
                torch.manual_seed(seed)
                unit = make()
                train_unit(unit, train_signs, known_labels, epochs, seed)
                with torch.no_grad():
                    found = unit(test_signs).argmax(1).numpy()
                row: dict[str, Any] = {"question": question, "kind": kind, "seed": seed}
                if isinstance(unit, GatedUnit) and unit.quantized:
                    integers = unit.integers()
                    whole = integers.scores(tested).argmax(1)
                    row |= {"bits": integers.bits, "agreeing": float((whole == found).mean())}
                    found = whole
                row["accuracy"] = 100 * float((found == wanted).mean())
                rows.append(row)
                report(f"{question}, {kind}, seed {seed}: {row['accuracy']:.2f} %.")
    return rows


def _signs(codes: Codes) -> Tensor:
    return 2 * torch.from_numpy(codes).float() - 1


__all__ = ["classify_sequences", "codes_of", "contestants", "room_for_unit"]
