"""The codec's task: patches to 256 bits each and back, measured by the PSNR of whole frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from heqcodec.lab.networks.reduced_encoder import ReducedEncoder
from heqcodec.lab.training.photographs import CropSource
from heqcodec.lab.training.tasks import psnr
from heqcodec.lab.training.vgg_task import VARIANCE_FLOOR, patches_of
from numpy.typing import NDArray
from torch import Tensor, nn

from .codec_network import CodecForm, CodecNetwork

CROP = 64
"""Side of a training crop in pixels: two patches, so that the decoder sees borders both ways."""
BATCH = 8
CALIBRATION = 32
MIDDLE = 256
"""Side of the square in the middle of a held-out photograph that is measured."""


def _middle(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most 256 x 256 pixels of a frame (H, W, 3) of whole patches, from its middle; a copy."""
    sides = [min(size, MIDDLE) for size in frame.shape[:2]]
    row, column = ((size - side) // 2 for size, side in zip(frame.shape, sides, strict=False))
    return frame[row : row + sides[0], column : column + sides[1]].copy()


def scaled_error(shown: Tensor, wanted: Tensor) -> Tensor:
    """Squared error of crops (N, 3, S, S) over the root of the wanted ones' variance: a scalar."""
    error = (shown - wanted).pow(2).mean(dim=(1, 2, 3))
    spread = wanted.var(dim=(1, 2, 3)) + VARIANCE_FLOOR
    return (error / spread.sqrt()).mean()


class CodecTask:
    """See ``TimedTask``. The loss is the squared error of crops over the root of their variance.

    Args:
        tiles: photographs to train on, uint8 (N, 256, 256, 3).
        frames: held-out photographs, uint8 (H, W, 3) each, whole patches.
        width: of the encoder.
        device: where.
        seed: of initial weights and of the calibration.
        form: of encoder and decoder.
    """

    name, unit, learning_rate = "codec", "dB", 2e-3

    def __init__(
        self,
        tiles: NDArray[np.uint8],
        frames: list[NDArray[np.uint8]],
        width: int,
        device: torch.device,
        seed: int,
        form: CodecForm | None = None,
    ) -> None:
        self._crops = CropSource(tiles, device)
        self._frames = [_middle(frame) for frame in frames]
        self._width, self._device, self._seed = width, device, seed
        self._form = form

    def build(self) -> nn.Module:
        """A fresh ``CodecNetwork`` on the device."""
        return CodecNetwork(self._width, self._seed, self._form).to(self._device)

    def encoder(self, network: nn.Module) -> ReducedEncoder:
        """The encoder of a ``CodecNetwork``."""
        return cast(CodecNetwork, network).encoder

    def loss(self, network: nn.Module, generator: torch.Generator) -> Tensor:
        """Of a batch of crops, scalar float32."""
        crops = self._crops(CROP, BATCH, generator)
        return scaled_error(network(crops), crops.float() / 255)

    def training_crops(self, side: int, count: int) -> Tensor:
        """The same random training crops at each call: uint8 (count, 3, side, side)."""
        return self._crops(side, count, torch.Generator().manual_seed(self._seed))

    def calibrate(self, network: nn.Module) -> None:
        """Measure the encoder's statistics on training crops."""
        generator = torch.Generator().manual_seed(self._seed)
        crops = (self._crops(CROP, BATCH, generator) for _ in range(CALIBRATION))
        self.encoder(network).calibrate(patches_of(crop) for crop in crops)

    @torch.no_grad()
    def decoded(self, network: nn.Module) -> Iterator[tuple[Tensor, NDArray[np.uint8]]]:
        """Each held-out frame through the network, float32 (3, H, W), RGB / 255; and itself."""
        network.eval()
        for truth in self._frames:
            pixels = torch.from_numpy(truth).permute(2, 0, 1)[None].to(self._device)
            yield network(pixels)[0], truth

    def measure(self, network: nn.Module) -> float:
        """Mean PSNR in dB of the middles of held-out frames, after a calibration."""
        self.calibrate(network)
        return float(np.mean([psnr(frame, truth) for frame, truth in self.decoded(network)]))
