"""All images on the device, and batches of them, moved about at random, without a wait.

One gather makes a batch: it takes the images, crops them out of their padding and mirrors them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .images import LabelledImages

TEST_BATCH = 1000
CUT_VALUE = 122
"""What cutout leaves: about the mean of the pixels of photographs."""


class DeviceImages:
    """The images of a data set as uint8 on a device.

    Args:
        images: the data set.
        device: where.
        padding: pixels of mirrored border from which crops are taken.
    """

    def __init__(self, images: LabelledImages, device: torch.device, padding: int = 4) -> None:
        self.side, self.padding, self.device = images.side, padding, device
        self.classes, self.protocol, self.sha256 = images.classes, images.protocol, images.digest()
        border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
        padded = np.pad(images.train, border, mode="reflect")
        self.train = torch.from_numpy(padded).to(device)
        self.train_labels = torch.from_numpy(images.train_labels).to(device).long()
        self.test = torch.from_numpy(np.ascontiguousarray(images.test)).to(device)
        self.test_labels = torch.from_numpy(images.test_labels).to(device).long()

    def __len__(self) -> int:
        return len(self.train)

    def steps(self, batch: int) -> int:
        """Whole batches in an epoch; what is left over is drawn again another time."""
        return max(1, len(self) // batch)

    def epoch(
        self, batch: int, seed: int, flip: bool = True, cutout: int = 0, start: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, in random order.

        Args:
            batch: images a batch.
            seed: of order, crops, flips and cuts; on one kind of device the same for ever.
            flip: whether half of the images are mirrored.
            cutout: side of a square that is cut out of each image (arXiv 1708.04552), 0 for none.
            start: the first batch to yield, of an epoch that was interrupted.

        Yields:
            uint8 (batch, 3, side, side) in channels-last memory, and labels int64 (batch,).
        """
        generator = torch.Generator(self.device).manual_seed(seed)
        count, side = len(self), self.side

        def draw(high: int, *shape: int) -> Tensor:
            return torch.randint(high, shape, generator=generator, device=self.device)

        order = torch.randperm(count, generator=generator, device=self.device)
        line = torch.arange(side, device=self.device)
        shifts, flips = draw(2 * self.padding + 1, 2, count, 1), draw(2, count, 1).bool()
        centres = draw(side, 2, count, 1)
        for step in range(start, self.steps(batch)):
            part = slice(step * batch, (step + 1) * batch)
            index = order[part]
            columns = line.expand(len(index), -1)
            if flip:
                columns = torch.where(flips[part], side - 1 - line, line)
            rows, columns = shifts[0, part] + line, shifts[1, part] + columns
            pixels = self.train[index[:, None, None], rows[:, :, None], columns[:, None, :]]
            if cutout:
                # From -half to half - 1 around the centre.
                inside = [(2 * (line - centre[part]) + 1).abs() < cutout + 1 for centre in centres]
                cut = inside[0][:, :, None] & inside[1][:, None, :]
                pixels = pixels.masked_fill(cut[..., None], CUT_VALUE)
            yield pixels.permute(0, 3, 1, 2), self.train_labels[index]

    def test_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The test images in order, as ``epoch`` yields them."""
        for start in range(0, len(self.test), TEST_BATCH):
            part = slice(start, start + TEST_BATCH)
            yield self.test[part].permute(0, 3, 1, 2), self.test_labels[part]


def smoothed_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Mean cross entropy, float32 (), with label smoothing (arXiv 1512.00567)."""
    return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
