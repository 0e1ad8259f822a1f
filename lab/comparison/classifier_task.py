"""The classifier's task: CIFAR-10 by the encoder's convolutions and a linear layer."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.classifier.images import LabelledImages
from heqcodec.lab.networks.reduced import ReducedNqe
from torch import Tensor, nn
from torch.nn import functional as F

BATCH = 64
CALIBRATION = 8
TESTED_AT_ONCE = 500
PADDING = 4
HEAD_GAIN = 1 / 16
"""Of the features, which are sums of hundreds of integers in the logits otherwise."""


class ClassifierNetwork(nn.Module):
    """The six convolutions of a reduced NQE and a full-precision linear layer.

    Args:
        width: of the first convolution.
        classes: how many.
        seed: of all initial weights.
    """

    def __init__(self, width: int, classes: int, seed: int) -> None:
        super().__init__()
        self.encoder = ReducedNqe(width, code=False, seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = nn.Linear(4 * width * 16, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 (N, 3, 32, 32) -> logits, float32 (N, classes)."""
        return cast(Tensor, self.head(self.encoder(pixels).flatten(1) * HEAD_GAIN))


class ClassifierTask:
    """See ``TimedTask``. Cross entropy of images mirrored and moved by up to 4 pixels.

    Args:
        data: images and labels.
        width: of the first convolution.
        device: where.
        seed: of initial weights and of the calibration.

    Raises:
        HeqError: the images are of another size.
    """

    name, unit, learning_rate = "classifier", "%", 2e-3

    def __init__(self, data: LabelledImages, width: int, device: torch.device, seed: int) -> None:
        if data.side != 32:
            raise HeqError(
                f"the classifier takes images of 32 x 32 pixels, not of {data.side} x {data.side}."
            )
        self._width, self._device, self._seed = width, device, seed
        edge = ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0))
        padded = np.pad(data.train, edge, mode="reflect").transpose(0, 3, 1, 2)
        self._train = torch.from_numpy(np.ascontiguousarray(padded)).to(device)
        self._labels = torch.from_numpy(data.train_labels).to(device).long()
        test = np.ascontiguousarray(data.test.transpose(0, 3, 1, 2))
        self._test = torch.from_numpy(test).to(device)
        self._test_labels = torch.from_numpy(data.test_labels).to(device).long()
        self._classes = len(data.classes)

    def build(self) -> nn.Module:
        """A fresh ``ClassifierNetwork`` on the device."""
        return ClassifierNetwork(self._width, self._classes, self._seed).to(self._device)

    def encoder(self, network: nn.Module) -> ReducedNqe:
        """The convolutions of a ``ClassifierNetwork``."""
        return cast(ClassifierNetwork, network).encoder

    def _batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random images, moved about: uint8 (64, 3, 32, 32), and their labels."""
        which = torch.randint(len(self._train), (BATCH,), generator=generator)
        corners = torch.randint(2 * PADDING + 1, (2, BATCH, 1), generator=generator)
        mirrored = torch.randint(2, (BATCH, 1), generator=generator).bool()
        along = torch.arange(32).expand(BATCH, 32)
        rows = corners[0] + along
        columns = corners[1] + torch.where(mirrored, 31 - along, along)
        index = which[:, None, None].to(self._device)
        rows, columns = rows[:, :, None].to(self._device), columns[:, None, :].to(self._device)
        pixels = self._train.permute(0, 2, 3, 1)[index, rows, columns]
        return pixels.permute(0, 3, 1, 2), self._labels[index.flatten()]

    def loss(self, network: nn.Module, generator: torch.Generator) -> Tensor:
        """Of a batch of 64 images, scalar float32."""
        pixels, labels = self._batch(generator)
        return F.cross_entropy(network(pixels), labels)

    def calibrate(self, network: nn.Module) -> None:
        """Measure the encoder's statistics on training images."""
        generator = torch.Generator().manual_seed(self._seed)
        batches = (self._batch(generator)[0] for _ in range(CALIBRATION))
        self.encoder(network).calibrate(batches)

    @torch.no_grad()
    def measure(self, network: nn.Module) -> float:
        """Per cent of the test images that are recognized, after a calibration."""
        self.calibrate(network)
        network.eval()
        parts = zip(
            self._test.split(TESTED_AT_ONCE), self._test_labels.split(TESTED_AT_ONCE), strict=True
        )
        right = sum(int((network(p).argmax(1) == labels).sum()) for p, labels in parts)
        return 100 * right / len(self._test)
