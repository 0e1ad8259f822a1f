"""ProxConnect++: binary weights by pairs of a forward and a backward quantizer."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from .base import WeightQuantizer
from .sign_swish import sign_swish, sign_swish_derivative

Pair = Literal["binary-connect", "bnn", "bnn+", "bnn++"]
PAIRS: tuple[Pair, ...] = ("binary-connect", "bnn", "bnn+", "bnn++")


class _ForwardBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, beta: Tensor, pair: Pair, soft: bool, keep: bool) -> Tensor:
        ctx.save_for_backward(u, beta)
        ctx.pair, ctx.keep = pair, keep
        if soft:
            return sign_swish(u, beta)
        return torch.where(u >= 0, 1.0, -1.0).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        u, beta = ctx.saved_tensors
        if ctx.pair == "binary-connect":
            factor = torch.ones_like(u)
        elif ctx.pair == "bnn":
            factor = (u.abs() <= 1).to(u.dtype)
        else:
            factor = sign_swish_derivative(u, beta)
            if not ctx.keep:
                factor = factor.clamp_(min=0)
        return grad * factor, None, None, None, None


class ProxConnectQuantizer(WeightQuantizer):
    """w = F(u) in the forward pass, B(u) times the gradient in the backward pass.

    ProxConnect++ (arXiv 2402.17710): u <- u - lr * B(u) * dL/dw at w = F(u). With SS for
    sign-Swish of sharpness beta the pairs are

    ================== ============= ==============
    pair               F             B
    ================== ============= ==============
    ``binary-connect`` sign          1
    ``bnn``            sign          1 for |u| <= 1
    ``bnn+``           sign          SS'
    ``bnn++``          SS            SS'
    ================== ============= ==============

    A pair is admissible when the integral of dF / B is monotone, so B must not be negative; SS' is
    beyond 2.39936 / beta, where its descent would climb. There we let no gradient pass. (Our
    choice; ``keep_negative`` leaves it as it is.) In evaluation mode F is the sign for every pair.

    Schedule: ``refresh`` multiplies beta by a constant factor, so that ``final_beta`` is reached
    after ``refreshes`` calls and kept. (Our choice, because the paper's schedule was not available:
    geometric from 5 to 100 for ``bnn++``, whose weights must become signs; constant 5 for
    ``bnn+``.) The sharpness counts in units of the latents, as in the paper.

    Args:
        pair: see above.
        beta: sharpness at first, > 0.
        final_beta: sharpness in the end; None for 100 with ``bnn++`` and for ``beta`` otherwise.
        refreshes: how many calls of ``refresh`` to reach it, >= 1.
        keep_negative: let the negative part of SS' through.

    Raises:
        ValueError: an unknown pair, or a number out of its range.
    """

    is_integer = True
    _levels = (-1, 1)
    beta: Tensor

    def __init__(
        self,
        pair: Pair,
        beta: float = 5.0,
        final_beta: float | None = None,
        refreshes: int = 100,
        keep_negative: bool = False,
    ) -> None:
        super().__init__()
        if pair not in PAIRS:
            raise ValueError(f"the pair is one of {', '.join(PAIRS)}, but got {pair!r}.")
        if final_beta is None:
            final_beta = max(100.0, beta) if pair == "bnn++" else beta
        if not 0 < beta <= final_beta or refreshes < 1:
            raise ValueError(
                "the sharpness must rise from a positive number, by at least one refresh, but got "
                f"beta={beta}, final_beta={final_beta}, refreshes={refreshes}."
            )
        self.pair: Pair = pair
        self.final_beta = final_beta
        self.growth = (final_beta / beta) ** (1 / refreshes)
        self.keep_negative = keep_negative
        self.register_buffer("beta", torch.tensor(float(beta)))

    def forward(self, weight: Tensor) -> Tensor:
        """Latents of any shape -> F(u), same shape and dtype; -1 or +1 but for ``bnn++``.

        While it trains, ``bnn++`` gives values in [-1.2, 1.2].
        """
        soft = self.training and self.pair == "bnn++"
        quantized: Tensor = _ForwardBackward.apply(
            weight, self.beta, self.pair, soft, self.keep_negative
        )
        return quantized

    @torch.no_grad()
    def codes(self, weight: Tensor) -> Tensor:
        """Signs of the latents, whatever the forward function: -1 or +1, same shape and dtype."""
        return torch.where(weight >= 0, 1.0, -1.0).to(weight.dtype)

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Take one step of the sharpness; ``bnn`` also clamps its latents to [-1, 1] in place."""
        if self.pair == "bnn":
            weight.clamp_(-1, 1)
        self.beta.mul_(self.growth).clamp_(max=self.final_beta)

    @torch.no_grad()
    def right_inverse(self, weight: Tensor) -> Tensor:
        """Latents as they are: a layer that is given weights has not trained on them yet."""
        return weight

    @torch.no_grad()
    def set_beta(self, beta: float) -> None:
        """Set the sharpness, for schedules of the caller's own."""
        self.beta.fill_(beta)

    def extra_repr(self) -> str:
        return f"pair={self.pair!r}, final_beta={self.final_beta:g}, growth={self.growth:.4g}"
