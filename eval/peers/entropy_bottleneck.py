"""The factorized density of Ballé et al. 2018, and the bits that latents cost under it."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .bounds import LowerBound

LIKELIHOOD_BOUND = 1e-9
TAIL_MASS = 1e-9
START_SCALE = 10.0
FILTERS = (3, 3, 3, 3)
SEARCH_RADIUS = 1e5
HALVINGS = 60


def noisy(values: Tensor, generator: torch.Generator) -> Tensor:
    """Add uniform noise of -1/2 to 1/2, which stands for rounding while training.

    Args:
        values: any shape, on any device.
        generator: on the CPU; its state is what a checkpoint keeps.
    """
    noise = torch.rand(values.shape, generator=generator).sub_(0.5)
    return values + noise.to(values.device)


class EntropyModel(nn.Module):
    """What all entropy models hold: a bound of likelihoods, and CompressAI's tables, empty here.

    CompressAI's ``update()`` fills the tables before it codes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.likelihood_lower_bound = LowerBound(LIKELIHOOD_BOUND)
        for name in ("_offset", "_quantized_cdf", "_cdf_length"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.int32))


class EntropyBottleneck(EntropyModel):
    """A density for each channel, learned without a prior shape.

    The cumulative is a small monotone network of one input and one output for each channel
    (Ballé, Minnen, Singh, Hwang and Johnston 2018, appendix 6.1): matrices kept positive by
    softplus, and ``x + tanh(a) tanh(x)`` in between. In float32 also under autocast.

    Args:
        channels: of the latents.
    """

    target: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        sizes = (1, *FILTERS, 1)
        scale = START_SCALE ** (1 / (len(FILTERS) + 1))
        self.matrices, self.biases, self.factors = (nn.ParameterList() for _ in range(3))
        for inputs, outputs in pairwise(sizes):
            start = math.log(math.expm1(1 / scale / outputs))
            self.matrices.append(nn.Parameter(torch.full((channels, outputs, inputs), start)))
            self.biases.append(nn.Parameter(torch.rand(channels, outputs, 1) - 0.5))
        for outputs in FILTERS:
            self.factors.append(nn.Parameter(torch.zeros(channels, outputs, 1)))
        start_quantiles = torch.tensor([-START_SCALE, 0.0, START_SCALE])
        self.quantiles = nn.Parameter(start_quantiles.repeat(channels, 1, 1))
        tail = math.log(2 / TAIL_MASS - 1)
        self.register_buffer("target", torch.tensor([-tail, 0.0, tail]))

    @property
    def medians(self) -> Tensor:
        """Centres of the rounding, (channels, 1, 1); constants for the rate."""
        return self.quantiles[:, :, 1:2].detach()

    def logits(self, x: Tensor, fixed: bool = False) -> Tensor:
        """Logits of the cumulative at ``x`` (channels, 1, n); ``fixed`` leaves the density out of
        the gradient."""
        for index, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            if fixed:
                matrix, bias = matrix.detach(), bias.detach()
            x = F.softplus(matrix.to(x.dtype)) @ x + bias.to(x.dtype)
            if index < len(self.factors):
                factor = self.factors[index].detach() if fixed else self.factors[index]
                x = x + torch.tanh(factor.to(x.dtype)) * torch.tanh(x)
        return x

    def likelihood(self, values: Tensor) -> Tensor:
        """Probability of the unit interval around each value, (channels, 1, n), not bounded."""
        lower, upper = self.logits(values - 0.5), self.logits(values + 0.5)
        # Both logits on the side where sigmoids are small, or their difference would be all
        # rounding (Ballé's own implementation). Never 0, which a value at the median would give.
        side = torch.where(lower + upper > 0, -1.0, 1.0).to(values.dtype)
        return (torch.sigmoid(side * upper) - torch.sigmoid(side * lower)).abs()

    def forward(
        self, latents: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Quantize latents and say how likely each one is.

        Args:
            latents: (B, channels, h, w).
            generator: of the noise that stands for rounding; None rounds around the medians.

        Returns:
            Latents and likelihoods (at least 1e-9), both float32 (B, channels, h, w).
        """
        with torch.autocast(latents.device.type, enabled=False):
            swapped = latents.float().transpose(0, 1)
            values = swapped.reshape(len(swapped), 1, -1)
            if generator is None:
                values = torch.round(values - self.medians) + self.medians
            else:
                values = noisy(values, generator)
            likelihood = self.likelihood_lower_bound(self.likelihood(values))
        shape = swapped.shape
        return (
            values.reshape(shape).transpose(0, 1).contiguous(),
            likelihood.reshape(shape).transpose(0, 1).contiguous(),
        )

    def loss(self) -> Tensor:
        """How far the quantiles are from the tails and the median; depends on them alone."""
        return (self.logits(self.quantiles, fixed=True) - self.target).abs().sum()

    @torch.no_grad()
    def settle_quantiles(self) -> None:
        """Set the quantiles to where the density has them, by bisection.

        Training moves them by its learning rate a step, which is slower than the density at first.
        """
        shape = (len(self.quantiles), 1, len(self.target))
        low = torch.full(shape, -SEARCH_RADIUS, dtype=torch.float64, device=self.target.device)
        high = -low
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = self.logits(middle, fixed=True) < self.target
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        self.quantiles.copy_(((low + high) / 2).float())


def bits(likelihoods: Tensor) -> Tensor:
    """Sum of ``-log2`` of likelihoods, a scalar."""
    return -torch.log2(likelihoods).sum()
