"""mbt2018-mean: a hyperprior tells mean and scale of each latent."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .entropy_bottleneck import EntropyBottleneck
from .gaussian_conditional import GaussianConditional
from .gdn import analysis, conv, deconv, run_sharp_end, synthesis
from .peer import Coded, Peer


class MeanScale(Peer):
    """The mean and scale hyperprior of Minnen, Ballé and Toderici 2018, without the context model.

    ::

        x ── g_a ── y ──────────────── round ── gaussian_conditional ── file
                    └── h_a ── z ── round ── entropy_bottleneck ── file
                               means, scales ── h_s ──┘

    Tensors have CompressAI's names: ``compressai.models.MeanScaleHyperprior(width, latents)`` loads
    the state dict with ``strict=True``.

    Args:
        width: channels of the transforms, N of the paper.
        latents: channels of the code, M of the paper.
    """

    architecture = "mean-scale"
    reduction = 64

    def __init__(self, width: int = 128, latents: int = 192) -> None:
        super().__init__()
        self.width, self.latents = width, latents
        self.entropy_bottleneck = EntropyBottleneck(width)
        self.gaussian_conditional = GaussianConditional()
        self.g_a = analysis(width, latents)
        self.g_s = synthesis(width, latents)
        self.h_a = nn.Sequential(
            conv(latents, width, kernel=3, stride=1),
            nn.LeakyReLU(inplace=True),
            conv(width, width),
            nn.LeakyReLU(inplace=True),
            conv(width, width),
        )
        between = latents * 3 // 2
        self.h_s = nn.Sequential(
            deconv(width, latents),
            nn.LeakyReLU(inplace=True),
            deconv(latents, between),
            nn.LeakyReLU(inplace=True),
            conv(between, latents * 2, kernel=3, stride=1),
        )

    @property
    def sizes(self) -> dict[str, int]:
        """See `Peer`."""
        return {"width": self.width, "latents": self.latents}

    def forward(self, frames: Tensor, generator: torch.Generator | None = None) -> Coded:
        """See `Peer`; H and W multiples of 64."""
        y = run_sharp_end(self.g_a, frames)
        z = run_sharp_end(self.h_a, y)
        z_hat, z_likelihoods = self.entropy_bottleneck(z, generator)
        scales, means = run_sharp_end(self.h_s, z_hat).chunk(2, 1)
        y_hat, y_likelihoods = self.gaussian_conditional(y, scales, means, generator)
        return Coded(run_sharp_end(self.g_s, y_hat), (y_likelihoods, z_likelihoods))
