"""Sign-Swish, a smooth stand-in for the sign, and its derivative."""

from __future__ import annotations

import torch
from torch import Tensor

SIGN_SWISH_ROOT = 2.3993572805154
"""Where the derivative of sign-Swish crosses zero, in units of 1 / beta: x tanh(x/2) = 2."""


def sign_swish(x: Tensor, beta: float | Tensor) -> Tensor:
    """SS(x) = 2 s (1 + b x (1 - s)) - 1 with s = sigmoid(b x).

    The forward function of BNN++ (arXiv 2402.17710); BNN+ introduced it for the backward pass. It
    overshoots to 1.19968 at |b x| = 2.39936 before it settles at 1.

    Args:
        x: float tensor of any shape.
        beta: b, the sharpness, > 0.

    Returns:
        Same shape; differentiable by autograd.
    """
    z = beta * x
    gate = torch.sigmoid(z)
    return 2 * gate * (1 + z * (1 - gate)) - 1


def sign_swish_derivative(x: Tensor, beta: float | Tensor) -> Tensor:
    """SS'(x) = b (2 - b x tanh(b x / 2)) / (1 + cosh(b x)), the backward function of BNN+.

    Equals b at 0 and is negative beyond |b x| = 2.39936 (``SIGN_SWISH_ROOT``).

    Args:
        x: float tensor of any shape.
        beta: b, the sharpness, > 0.

    Returns:
        Same shape, finite for every finite x.
    """
    z = beta * x
    # 1 / (1 + cosh z) = 2 s (1 - s) with s = sigmoid z, which does not overflow.
    gate = torch.sigmoid(z)
    return beta * (2 - z * torch.tanh(z / 2)) * 2 * gate * torch.sigmoid(-z)
