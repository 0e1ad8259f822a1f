"""MCUCoder's class: an encoder that fits a microcontroller, and a strong decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .gdn import deconv, run_sharp_end
from .peer import Coded, Peer

CHANNELS = 12
"""Latents a position of 8 x 8 pixels, the most important first."""


def _bottleneck(width: int) -> list[nn.Module]:
    half = width // 2
    return [
        nn.Conv2d(width, half, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(half, half, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(half, width, 1),
    ]


class ResidualUnit(nn.Module):
    """``relu(x + f(x))`` with f of 1x1, 3x3 and 1x1 convolutions (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(*_bottleneck(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same shape."""
        return F.relu(x + self.conv(x))


class ResidualBottleneck(nn.Module):
    """``x + f(x)`` with the same f."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, _, self.conv2, _, self.conv3 = _bottleneck(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same shape."""
        between = F.relu(self.conv2(F.relu(self.conv1(x))))
        result: Tensor = x + self.conv3(between)
        return result


class Attention(nn.Module):
    """``x + a(x) sigmoid(b(x))``, the simplified attention of Cheng, Sun, Takeuchi and Katto 2020.

    Without its non-local part, as CompressAI's ``AttentionBlock`` has it.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_a = nn.Sequential(*(ResidualUnit(width) for _ in range(3)))
        self.conv_b = nn.Sequential(
            *(ResidualUnit(width) for _ in range(3)), nn.Conv2d(width, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) to the same shape."""
        result: Tensor = x + self.conv_a(x) * torch.sigmoid(self.conv_b(x))
        return result


class Encoder(nn.Module):
    """Three convolutions, 10,524 parameters, 715 multiply-accumulates a pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 7, stride=2, padding=3)
        self.conv2 = nn.Conv2d(16, 16, 5, stride=4, padding=1)
        self.conv3 = nn.Conv2d(16, CHANNELS, 3, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        """RGB / 255 (B, 3, H, W) to latents (B, 12, H / 8, W / 8)."""
        latents: Tensor = self.conv3(F.relu(self.conv2(F.relu(self.conv1(frames)))))
        return latents


class Decoder(nn.Module):
    """Attention and residual blocks between three transposed convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [Attention(CHANNELS), deconv(CHANNELS, width)]
        for stage in range(2):
            for last in (False, False, True):
                layers += [ResidualBottleneck(width) for _ in range(3)]
                if not last:
                    layers.append(Attention(width))
            if stage == 0:
                layers += [deconv(width, width), Attention(width)]
        layers.append(deconv(width, 3))
        self.dec = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (B, 12, h, w), zero where not sent, to RGB / 255 (B, 3, 8 h, 8 w)."""
        return torch.sigmoid(run_sharp_end(self.dec, latents))


def truncate(latents: Tensor, kept: Tensor) -> Tensor:
    """Set all but the first ``kept`` (B,) channels of each image to 0."""
    channel = torch.arange(latents.shape[1], device=latents.device)
    there = channel[None] < kept.to(latents.device)[:, None]
    return latents * there[:, :, None, None]


class McuCoder(Peer):
    """MCUCoder of Hojjat, Haberer and Landsiedel 2024, layer by layer as in its public code.

    ::

        x ── encoder ── 12 latents ── the first k ── 8 bits each, Huffman ── file
        x_hat ── decoder ── zeros for the rest ─────────────┘

    The order of importance comes from a stochastic bottleneck: while training, a random number of
    channels arrives. We draw it for each image and not for each batch (our choice, because the
    gradient is less noisy). The published models were trained for MS-SSIM on 300,000 photographs;
    ours are trained for squared error, as everything else here. Bits are not part of the loss, as
    there.

    Args:
        width: channels of the decoder; 196 in the paper.
    """

    architecture = "mcucoder"
    reduction = 8

    def __init__(self, width: int = 196) -> None:
        super().__init__()
        self.width = width
        self.encoder = Encoder()
        self.decoder = Decoder(width)

    @property
    def sizes(self) -> dict[str, int]:
        """See `Peer`."""
        return {"width": self.width}

    def forward(self, frames: Tensor, generator: torch.Generator | None = None) -> Coded:
        """See `Peer`; H and W multiples of 8. Without a generator all channels arrive."""
        latents = self.encoder(frames)
        if generator is not None:
            kept = torch.randint(1, CHANNELS + 1, (len(frames),), generator=generator)
            latents = truncate(latents, kept)
        return Coded(self.decoder(latents), ())
