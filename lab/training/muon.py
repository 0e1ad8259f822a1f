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
"""Adam's learning rate, relative to Muon's."""
BETAS = (0.9, 0.99)
EPSILON = 1e-8
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_ADAM_SIZE = 0.2
"""Root mean square of a usual Adam update, in learning rates."""


def orthogonalized(matrices: Tensor) -> Tensor:
    """Matrices with singular values of about 0.7 to 1.2 and nearly the same singular vectors.

    Args:
        matrices: (..., m, n), none all zeros (zeros stay zeros).

    Returns:
        float32 (..., m, n).
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if tall else matrices).bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    a, b, c = _POLYNOMIAL
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Muon for kernels of at least `LEAST_SIDE` inputs and outputs, Adam for the rest.

    Parameters are stepped together, kernels of one shape as one batch: a GPU would spend most of a
    step on starting thousands of small products.

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
            alike: dict[tuple[int, ...], list[Tensor]] = {}
            rest = []
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter.ndim == 4 and min(parameter.shape[:2]) >= LEAST_SIDE:
                    alike.setdefault(tuple(parameter.shape), []).append(parameter)
                else:
                    rest.append(parameter)
            for kernels in alike.values():
                self._step_kernels(kernels, group["lr"])
            if rest:
                self._step_adam(rest, ADAM_SHARE * group["lr"])

    def _state(self, parameters: list[Tensor], name: str) -> list[Tensor]:
        for parameter in parameters:
            if name not in self.state[parameter]:
                self.state[parameter][name] = torch.zeros_like(parameter)
        return [self.state[parameter][name] for parameter in parameters]

    def _step_kernels(self, kernels: list[Tensor], learning_rate: float) -> None:
        gradients = _gradients(kernels)
        momenta = self._state(kernels, "momentum")
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        pairs = zip(gradients, momenta, strict=True)
        ahead = torch.stack([grad.lerp(momentum, MOMENTUM).flatten(1) for grad, momentum in pairs])
        size = _ADAM_SIZE * max(ahead.shape[1:]) ** 0.5
        updates = orthogonalized(ahead).view(len(kernels), *kernels[0].shape).unbind()
        torch._foreach_add_(kernels, updates, alpha=-learning_rate * size)

    def _step_adam(self, parameters: list[Tensor], learning_rate: float) -> None:
        gradients = _gradients(parameters)
        first, second = self._state(parameters, "exp_avg"), self._state(parameters, "exp_avg_sq")
        for parameter in parameters:
            count = self.state[parameter].setdefault("step", torch.zeros(()))
            count += 1
        # They are as old as each other, unless one had no gradient for a while.
        counts = [float(self.state[parameter]["step"]) for parameter in parameters]
        torch._foreach_lerp_(first, gradients, 1 - BETAS[0])
        torch._foreach_lerp_(second, torch._foreach_mul(gradients, gradients), 1 - BETAS[1])
        spreads = torch._foreach_div(second, [1 - BETAS[1] ** count for count in counts])
        torch._foreach_sqrt_(spreads)
        torch._foreach_add_(spreads, EPSILON)
        scales = [-learning_rate / (1 - BETAS[0] ** count) for count in counts]
        torch._foreach_addcdiv_(parameters, first, spreads, scales)


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
