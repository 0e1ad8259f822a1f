"""Weight distribution regularization: skewness and kurtosis drawn to those of a uniform."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

UNIFORM_KURTOSIS = 1.8
SKEW_WEIGHT = 1.0
KURTOSIS_WEIGHT = 0.015


def _standardized(weight: Tensor) -> Tensor:
    weight = weight.float()
    return (weight - weight.mean()) / weight.std().clamp(min=1e-12)


def skewness(weight: Tensor) -> Tensor:
    """mean(((w - mean) / std)^3): float of any shape -> scalar tensor. 0 if symmetric."""
    z = _standardized(weight)
    return (z * z * z).mean()


def kurtosis(weight: Tensor) -> Tensor:
    """mean(((w - mean) / std)^4): float of any shape -> scalar tensor. Uniform 1.8, Gauss 3."""
    return _standardized(weight).square().square().mean()


def skewness_loss(weights: Sequence[Tensor], target: float = 0.0) -> Tensor:
    """Mean over layers of (skewness - target)^2: scalar tensor.

    Raises:
        ValueError: no weights.
    """
    return _mean_square([skewness(weight) - target for weight in weights])


def kurtosis_loss(weights: Sequence[Tensor], target: float = UNIFORM_KURTOSIS) -> Tensor:
    """Mean over layers of (kurtosis - target)^2: scalar tensor.

    Raises:
        ValueError: no weights.
    """
    return _mean_square([kurtosis(weight) - target for weight in weights])


def _mean_square(gaps: Sequence[Tensor]) -> Tensor:
    if not gaps:
        raise ValueError("the distribution losses need the weights of at least one layer.")
    return torch.stack(list(gaps)).square().mean()


def distribution_loss(
    weights: Sequence[Tensor],
    skew_weight: float = SKEW_WEIGHT,
    kurtosis_weight: float = KURTOSIS_WEIGHT,
) -> Tensor:
    """1.0 * skewness loss + 0.015 * kurtosis loss.

    EQ-Net (arXiv 2308.07650), weights as in the authors' configuration. Weights that are uniform
    rather than bell-shaped lose less when the quantizer's precision changes.

    Args:
        weights: latent weights, one tensor a layer, without the first layer's.
        skew_weight, kurtosis_weight: of the two losses.

    Returns:
        Scalar tensor, differentiable.

    Raises:
        ValueError: no weights.
    """
    skew, kurt = skewness_loss(weights), kurtosis_loss(weights)
    return skew_weight * skew + kurtosis_weight * kurt


def latent_weights(modules: Iterable[nn.Module]) -> list[Tensor]:
    """Weights of all linear layers and convolutions, in order: latents where parametrized.

    Args:
        modules: e.g. ``model.modules()``; slice the result with [1:] to leave out the first layer.
    """
    found: list[Tensor] = []
    for module in modules:
        if not isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            continue
        if parametrize.is_parametrized(module, "weight"):
            lists = cast(nn.ModuleDict, module.parametrizations)
            found.append(cast(Tensor, lists["weight"].original))
        else:
            found.append(module.weight)
    return found
