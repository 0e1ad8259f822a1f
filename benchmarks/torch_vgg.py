"""`nqe-vgg` by torch: its integer layers as float32 convolutions, which hold them exactly.

A second implementation, to compare speed and bytes with: written from docs/FORMAT.md, "Code of
nqe-vgg".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from heqcodec.nqe_vgg.layer import IntegerLayer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


class TorchVgg:
    """Codes of patches.

    Args:
        layers: of an `heqcodec.nqe_vgg.integer.IntegerVgg`.
        batch: patches at a time.
    """

    def __init__(self, layers: Sequence[IntegerLayer], batch: int = 16) -> None:
        self._layers = layers
        self._batch = batch
        self._weights = [torch.from_numpy(item.levels.astype(np.float32)) for item in layers]

    @torch.no_grad()
    def codes(self, patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (N, 32, 32, 3) to whole codes, uint8 (N, 64)."""
        made = [self._coded(part) for part in torch.from_numpy(patches).split(self._batch)]
        bits = torch.cat(made).numpy().astype(np.uint8)
        return np.packbits(bits.reshape(len(patches), -1), axis=1)

    def _coded(self, patches: Tensor) -> Tensor:
        x = patches.permute(0, 3, 1, 2).float() - 128
        for item, weight in zip(self._layers, self._weights, strict=True):
            layer = item.layer
            # A fast convolution may add fractions, which rounding takes away.
            x = F.conv2d(x, weight, padding=layer.kernel // 2, groups=layer.groups).round_()
            if layer.pool:
                x = F.max_pool2d(x, 2)
            if item.thresholds is not None:
                cuts = torch.from_numpy(item.thresholds).float()
                x = (x[:, :, None] >= cuts[None, :, :, None, None]).sum(dim=2).float()
            elif len(layer.cuts) == 1:
                x = (x >= 0).float()
            else:
                x = torch.floor(x * 2.0**-item.shift).clamp_(0, len(layer.cuts))
        return x
