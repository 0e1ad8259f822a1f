"""Latents as Gaussians whose mean and scale another network tells (Minnen et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from .bounds import LowerBound
from .entropy_bottleneck import EntropyModel, noisy

SCALE_BOUND = 0.11


class GaussianConditional(EntropyModel):
    """Likelihoods of latents under Gaussians, integrated over the unit interval.

    Minnen, Ballé and Toderici 2018, as CompressAI has it; scales are at least 0.11.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lower_bound_scale = LowerBound(SCALE_BOUND)
        self.register_buffer("scale_table", torch.zeros(0))
        self.register_buffer("scale_bound", torch.tensor([SCALE_BOUND]))

    def likelihood(self, values: Tensor, scales: Tensor, means: Tensor) -> Tensor:
        """Probability of the unit interval around each value; all of one shape; not bounded."""
        scales = self.lower_bound_scale(scales)
        distance = (values - means).abs()
        # The complementary error function keeps its digits in the tail.
        upper = torch.erfc(-(0.5 - distance) / scales * 0.5**0.5)
        lower = torch.erfc(-(-0.5 - distance) / scales * 0.5**0.5)
        return 0.5 * (upper - lower)

    def forward(
        self,
        latents: Tensor,
        scales: Tensor,
        means: Tensor,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Quantize latents and say how likely each one is.

        Args:
            latents, scales, means: of one shape.
            generator: of the noise that stands for rounding; None rounds around the means.

        Returns:
            Latents and likelihoods (at least 1e-9), float32, of that shape.
        """
        with torch.autocast(latents.device.type, enabled=False):
            latents, scales, means = latents.float(), scales.float(), means.float()
            if generator is None:
                values = torch.round(latents - means) + means
            else:
                values = noisy(latents, generator)
            likelihood = self.likelihood_lower_bound(self.likelihood(values, scales, means))
        return values, likelihood
