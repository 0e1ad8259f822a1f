"""Classifiers that train in few bits: quantized gradients, a layer of 4 bits, elastic weights."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.networks.quantized_block import ConvGradients
from heqcodec.quantizers.elastic import ElasticQuantizer, Precision
from heqcodec.quantizers.gradient_quantizers import (
    GradientQuantizer,
    PerColumnGradient,
    PerSampleGradient,
    PerTensorGradient,
)
from heqcodec.quantizers.householder import BlockHouseholderGradient
from heqcodec.quantizers.progressive_guidance import elastic_quantizers, guided_losses, sandwich
from heqcodec.quantizers.quantized_linear import QuantizedLinear
from torch import Tensor, nn

from .blocks import weighted_convolutions

GRADIENTS: dict[str, Callable[[int, int], GradientQuantizer]] = {
    "ptq": PerTensorGradient,
    "psq": PerSampleGradient,
    "bhq": BlockHouseholderGradient,
}
"""By name: bits and seed -> quantizer of gradients, of arXiv 2010.14298."""
WEIGHT_GRADIENT_BITS = 8
HEADS = ("full", "int4", "int4-best-block", "int4-all-rows")


def quantize_gradients(
    network: nn.Module, kind: str, bits: int, bifurcated: bool, seed: int
) -> None:
    """Let the convolutions of a network train by quantized gradients.

    Args:
        network: its convolutions are changed in place.
        kind: a key of `GRADIENTS`.
        bits: of the gradient of activations.
        bifurcated: whether the weights get a gradient of their own, of 8 bits, a range a column.
        seed: of the rounding.
    """
    for place, (_, conv) in enumerate(weighted_convolutions(network)):
        of_weights = PerColumnGradient(WEIGHT_GRADIENT_BITS, seed + place) if bifurcated else None
        conv.gradients = ConvGradients(GRADIENTS[kind](bits, seed + place), of_weights)


def linear_head(kind: str, inputs: int, outputs: int) -> nn.Linear:
    """The layer before the logits.

    Args:
        kind: "full" precision; "int4", which trains in 4 bits with a block Hadamard transform, bit
            splitting and leverage score sampling (arXiv 2306.11987); "int4-best-block" of the block
            that suits the first batch best; "int4-all-rows" without the sampling.
        inputs, outputs: features.
    """
    if kind == "full":
        return nn.Linear(inputs, outputs)
    block: Literal["best"] | None = "best" if kind == "int4-best-block" else None
    return QuantizedLinear(inputs, outputs, block=block, sample=kind != "int4-all-rows")


def guided_sum(
    network: nn.Module, forward: Callable[[], Tensor], labels: Tensor, seed: int
) -> tuple[Tensor, Tensor]:
    """EQ-Net's loss of one batch: the largest, a random and the smallest subnet, each guided.

    Args:
        network: whose quantizers are all elastic.
        forward: the network on this batch, giving logits (N, classes).
        labels: int64 (N,).
        seed: of the random subnet.

    Returns:
        The sum of the three losses, and the logits of the largest subnet, detached.
    """
    seen: list[Tensor] = []

    def noted() -> Tensor:
        seen.append(forward())
        return seen[-1]

    losses = guided_losses(noted, labels, sandwich(network, random.Random(seed)))
    return torch.stack(losses).sum(), seen[0].detach()


def set_precision(network: nn.Module, precision: Precision) -> None:
    """Switch all elastic quantizers that have this setting."""
    for quantizer in elastic_quantizers(network):
        if precision in quantizer.space:
            quantizer.set_precision(precision)


def require_elastic(network: nn.Module, name: str) -> None:
    """Check that a network can switch its precision.

    Raises:
        HeqError: a quantizer of its convolutions cannot.
    """
    found = [conv.quantizer for _, conv in weighted_convolutions(network)]
    if not all(q is None or (isinstance(q, ElasticQuantizer) and len(q.space) > 1) for q in found):
        raise HeqError(
            f'{name} has guidance, which needs weights = "eqnet" and elastic = true in options.'
        )
