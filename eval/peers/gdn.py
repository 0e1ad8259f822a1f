"""Generalized divisive normalization and the strided convolutions around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .bounds import NonNegative

BETA_MIN = 1e-6
GAMMA_START = 0.1


class Gdn(nn.Module):
    """``y_i = x_i / sqrt(beta_i + sum_j gamma_ij x_j^2)``, or times the root when inverse.

    Ballé, Laparra and Simoncelli 2016. The norm is taken in float32 also under autocast: a root of
    a sum of squares loses too much in bfloat16.

    Args:
        channels: in and out.
        inverse: multiply by the norm, for synthesis.
    """

    def __init__(self, channels: int, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta_reparam = NonNegative(minimum=BETA_MIN)
        self.beta = nn.Parameter(self.beta_reparam.stored(torch.ones(channels)))
        self.gamma_reparam = NonNegative()
        self.gamma = nn.Parameter(self.gamma_reparam.stored(GAMMA_START * torch.eye(channels)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to the same shape, float32."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            gamma, beta = self.gamma_reparam(self.gamma), self.beta_reparam(self.beta)
            # A 1x1 convolution as a matrix product: with channels last in memory, as in training,
            # that is several times faster on a CPU.
            norm = F.linear((x * x).permute(0, 2, 3, 1), gamma, beta).permute(0, 3, 1, 2)
            norm = norm.sqrt() if self.inverse else norm.rsqrt()
            return x * norm


def conv(inputs: int, outputs: int, kernel: int = 5, stride: int = 2) -> nn.Conv2d:
    """A convolution that divides the sides by its stride."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


def deconv(inputs: int, outputs: int, kernel: int = 5, stride: int = 2) -> nn.ConvTranspose2d:
    """A transposed convolution that multiplies the sides by its stride."""
    return nn.ConvTranspose2d(inputs, outputs, kernel, stride, kernel // 2, stride - 1)


def analysis(width: int, latents: int) -> nn.Sequential:
    """RGB (B, 3, H, W) to latents (B, latents, H / 16, W / 16): ``g_a`` of Ballé et al. 2018."""
    return nn.Sequential(
        conv(3, width),
        Gdn(width),
        conv(width, width),
        Gdn(width),
        conv(width, width),
        Gdn(width),
        conv(width, latents),
    )


def synthesis(width: int, latents: int) -> nn.Sequential:
    """Latents (B, latents, h, w) to RGB (B, 3, 16 h, 16 w): ``g_s`` of Ballé et al. 2018."""
    return nn.Sequential(
        deconv(latents, width),
        Gdn(width, inverse=True),
        deconv(width, width),
        Gdn(width, inverse=True),
        deconv(width, width),
        Gdn(width, inverse=True),
        deconv(width, 3),
    )


def run_sharp_end(layers: nn.Sequential, x: Tensor) -> Tensor:
    """Run layers, the last one in float32 also under autocast.

    What is rounded to whole numbers next, latents or pixels, must not have been rounded to the 8
    bits of bfloat16 before.
    """
    *body, last = layers.children()
    for layer in body:
        x = layer(x)
    with torch.autocast(x.device.type, enabled=False):
        end: Tensor = last(x.float())
    return end
