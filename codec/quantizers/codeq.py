"""CoDeQ: a quantizer with a learned dead zone and a learned number of bits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import WeightQuantizer
from .straight_through import replace_through, round_through

RANGE_QUANTILE = 0.99
"""Quantile of |w| that is the top level, arXiv 2512.12981."""

FEWEST_BITS = 2


class DeadZoneQuantizer(WeightQuantizer):
    """Zero where |w| < d/2, else d/2 - s/2 + s * {1 .. Q} with the sign of w; d and B are learned.

    CoDeQ (arXiv 2512.12981), formulas of the authors' code. With m the 0.99-quantile of |w|:

    * d = 2 m (1 - |tanh t|), t a parameter that starts at 3
    * B = round((B_max - 2) |tanh r| + 2), r a parameter that starts at 3, or a fixed B
    * Q = 2^(B-1) - 1, s = (m - d/2) / (Q - 1/2) + 1e-8, d0 = d/2 - s/2
    * q = clip(round(sign(w) relu(|w| - d0) / s), -Q, Q), w' = s q + d0 sign(q)

    Round, clip and relu are straight-through, so dw'/dw = 1 everywhere. Weight decay on t widens
    the dead zone (t -> 0 prunes everything), on r it takes bits away: put ``dead_zone_parameters``
    and ``bit_parameters`` in groups of the optimizer of their own.

    m is taken in ``refresh``. (Our choice: the paper's code takes it in every forward pass, which
    sorts the layer; call ``refresh`` every step for that.)

    Args:
        bits: B if fixed, 2 to 16; None to learn it.
        max_bits: B_max of a learned B, 3 to 16.

    Raises:
        ValueError: bits out of range.
    """

    magnitude: Tensor

    def __init__(self, bits: int | None = 4, max_bits: int = 8) -> None:
        super().__init__()
        if bits is not None and not FEWEST_BITS <= bits <= 16:
            raise ValueError(f"CoDeQ takes 2 to 16 bits, but got {bits}.")
        if not FEWEST_BITS < max_bits <= 16:
            raise ValueError(f"a learned number of bits ends at 3 to 16, but got {max_bits}.")
        self.fixed_bits, self.max_bits = bits, max_bits
        self.dead_zone_logit = nn.Parameter(torch.tensor(3.0))
        self.bit_logit = nn.Parameter(torch.tensor(3.0)) if bits is None else None
        self.register_buffer("magnitude", torch.ones(()))

    @property
    def bits(self) -> int:
        """B: bits of a stored weight, as learned so far."""
        return int(self._bits())

    @property
    def levels(self) -> tuple[float, ...]:
        """The codes -Q .. Q, with B as it is now."""
        top = 2 ** (self.bits - 1) - 1
        return tuple(range(-top, top + 1))

    def _bits(self) -> Tensor:
        if self.bit_logit is None:
            assert self.fixed_bits is not None
            return torch.full_like(self.magnitude, self.fixed_bits)
        span = self.max_bits - FEWEST_BITS
        return round_through(span * self.bit_logit.tanh().abs() + FEWEST_BITS)

    def dead_zone(self) -> Tensor:
        """d, the width of the dead zone: scalar tensor, differentiable."""
        return 2 * self.magnitude * (1 - self.dead_zone_logit.tanh().abs())

    def _parts(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes with their gradients, step, offset of the levels."""
        top = 2 ** (self._bits() - 1) - 1
        width = self.dead_zone()
        step = (self.magnitude - width / 2) / (top - 0.5) + 1e-8
        offset = width / 2 - step / 2
        beyond = weight.abs() - offset
        scaled = weight.sign() * replace_through(beyond, torch.relu(beyond)) / step
        clipped = torch.maximum(torch.minimum(torch.round(scaled), top), -top)
        return replace_through(scaled, clipped), step, offset

    def forward(self, weight: Tensor) -> Tensor:
        """Float weights, any shape -> zeros and levels of either sign, same shape and dtype."""
        code, step, offset = self._parts(weight)
        return step * code + offset * code.detach().sign()

    @torch.no_grad()
    def codes(self, weight: Tensor) -> Tensor:
        """Integers of ``levels``, same shape and dtype."""
        return self._parts(weight)[0]

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Set m from the latent weights; weights that are all zero leave it as it was."""
        m = torch.quantile(weight.detach().abs().flatten().float(), RANGE_QUANTILE)
        self.magnitude.copy_(torch.where(m > 0, m.to(self.magnitude.dtype), self.magnitude))

    @torch.no_grad()
    def delta(self) -> float:
        """The step s, in units of the latent weights."""
        return float(self._parts(self.magnitude)[1])

    def extra_repr(self) -> str:
        return f"bits={self.fixed_bits if self.fixed_bits else f'2..{self.max_bits}'}"


def dead_zone_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The dead-zone parameters of all CoDeQ layers, whose weight decay prunes."""
    return [m.dead_zone_logit for m in model.modules() if isinstance(m, DeadZoneQuantizer)]


def bit_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The bit parameters of all CoDeQ layers that learn their bits; decay takes bits away."""
    found = (m.bit_logit for m in model.modules() if isinstance(m, DeadZoneQuantizer))
    return [parameter for parameter in found if parameter is not None]
