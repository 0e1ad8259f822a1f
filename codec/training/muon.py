"""Muon: momentum whose matrices are made orthogonal before each step.

A kernel's update is its momentum with all singular values brought near 1, so that directions that
rarely get a gradient learn as fast as the dominant ones. Five steps of a polynomial iteration do
that in matrix products (Jordan et al., "Muon: an optimizer for hidden layers in neural networks",
2024). The size of the update follows "Muon is scalable for LLM training" (arXiv 2502.16982): that
of an Adam update, so that learning rates are of the same order.

torch.optim.Muon takes matrices alone; here kernels of convolutions are read as matrices, outputs
by inputs, and everything else (biases, gains, narrow kernels) learns by Adam (our choice).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

LEAST_SIDE = 24
"""Kernels of fewer inputs or outputs learn by Adam: they are maps to and from pixels."""
MOMENTUM = 0.95
ADAM_SHARE = 0.4
"""Adam's learning rate beside Muon's."""
BETAS = (0.9, 0.99)
EPSILON = 1e-8
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_ADAM_SIZE = 0.2
"""Root mean square of a usual Adam update, in learning rates."""


def orthogonalized(matrix: Tensor) -> Tensor:
    """A matrix with singular values of about 0.7 to 1.2 and nearly the same singular vectors.

    Args:
        matrix: (m, n), not all zeros (zeros stay zeros).

    Returns:
        float32 (m, n).
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).bfloat16()
    x = x / (x.norm() + 1e-7)
    a, b, c = _POLYNOMIAL
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Muon for kernels of at least `LEAST_SIDE` inputs and outputs, Adam for the rest.

    Args:
        parameters: of a network.
        lr: learning rate of the kernels; the rest has `ADAM_SHARE` of it.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(list(parameters), {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; parameters without a gradient stay as they are."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter.ndim == 4 and min(parameter.shape[:2]) >= LEAST_SIDE:
                    self._step_kernel(parameter, group["lr"])
                else:
                    self._step_adam(parameter, ADAM_SHARE * group["lr"])

    def _step_kernel(self, kernel: Tensor, rate: float) -> None:
        state = self.state[kernel]
        if not state:
            state["momentum"] = torch.zeros_like(kernel)
        momentum, gradient = state["momentum"], kernel.grad
        assert gradient is not None
        momentum.lerp_(gradient, 1 - MOMENTUM)
        ahead = gradient.lerp(momentum, MOMENTUM).flatten(1)
        size = _ADAM_SIZE * max(ahead.shape) ** 0.5
        kernel.add_(orthogonalized(ahead).view(kernel.shape), alpha=-rate * size)

    def _step_adam(self, parameter: Tensor, rate: float) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        gradient = parameter.grad
        assert gradient is not None
        state["step"] += 1
        count = float(state["step"])
        state["exp_avg"].lerp_(gradient, 1 - BETAS[0])
        state["exp_avg_sq"].lerp_(gradient.square(), 1 - BETAS[1])
        spread = (state["exp_avg_sq"] / (1 - BETAS[1] ** count)).sqrt_().add_(EPSILON)
        parameter.addcdiv_(state["exp_avg"], spread, value=-rate / (1 - BETAS[0] ** count))
