"""bmshj2018-factorized: convolutions, GDN, and one learned density for each latent channel."""

from __future__ import annotations

import torch
from torch import Tensor

from .entropy_bottleneck import EntropyBottleneck
from .gdn import analysis, run_sharp_end, synthesis
from .peer import Coded, Peer


class Factorized(Peer):
    """The factorized-prior model of Ballé, Minnen, Singh, Hwang and Johnston 2018.

    ::

        x ── g_a ── y ── round ── entropy_bottleneck ── file
        x_hat ── g_s ── y_hat ─────────┘

    Tensors have CompressAI's names: ``compressai.models.FactorizedPrior(width, latents)`` loads the
    state dict with ``strict=True``, and its ``update()`` makes the tables for real files.

    Args:
        width: channels of the transforms, N of the paper.
        latents: channels of the code, M of the paper.
    """

    architecture = "factorized"
    reduction = 16

    def __init__(self, width: int = 128, latents: int = 192) -> None:
        super().__init__()
        self.width, self.latents = width, latents
        self.entropy_bottleneck = EntropyBottleneck(latents)
        self.g_a = analysis(width, latents)
        self.g_s = synthesis(width, latents)

    @property
    def sizes(self) -> dict[str, int]:
        """See `Peer`."""
        return {"width": self.width, "latents": self.latents}

    def forward(self, frames: Tensor, generator: torch.Generator | None = None) -> Coded:
        """See `Peer`; H and W multiples of 16."""
        y = run_sharp_end(self.g_a, frames)
        y_hat, likelihoods = self.entropy_bottleneck(y, generator)
        return Coded(run_sharp_end(self.g_s, y_hat), (likelihoods,))
