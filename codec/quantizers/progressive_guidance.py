"""Group progressive guidance: each subnet learns from the next more precise one."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from .elastic import FEWEST_BITS, GRANULARITIES, MOST_BITS, ElasticQuantizer, Precision

TEACHER_SHARE = 0.5


def guided_loss(logits: Tensor, labels: Tensor, teacher: Tensor | None) -> Tensor:
    """CE(logits, labels), or 0.5 KL(teacher | logits) + 0.5 CE with a teacher, temperature 1.

    EQ-Net (arXiv 2308.07650), as in the authors' code.

    Args:
        logits: float (N, classes).
        labels: int64 (N,).
        teacher: logits of the more precise subnet (N, classes), taken as they are; None for the
            most precise one.

    Returns:
        Scalar tensor.
    """
    hard = F.cross_entropy(logits, labels)
    if teacher is None:
        return hard
    log_p = F.log_softmax(logits, dim=1)
    soft = F.kl_div(log_p, F.softmax(teacher.detach(), dim=1), reduction="batchmean")
    return TEACHER_SHARE * soft + (1 - TEACHER_SHARE) * hard


def guided_losses(
    forward: Callable[[], Tensor], labels: Tensor, subnets: Sequence[Callable[[], object]]
) -> list[Tensor]:
    """Losses of a group of subnets, each guided by the one before it, to be summed.

    The paper clips the values of the sum's gradient at 1.

    Args:
        forward: the network on this batch, giving logits (N, classes).
        labels: int64 (N,).
        subnets: called one after the other before each forward pass to switch the network, most
            precise first; in the paper biggest, random, smallest.

    Returns:
        The losses, one scalar tensor a subnet.
    """
    losses: list[Tensor] = []
    teacher: Tensor | None = None
    for switch in subnets:
        switch()
        logits = forward()
        losses.append(guided_loss(logits, labels, teacher))
        teacher = logits.detach()
    return losses


def elastic_quantizers(model: nn.Module) -> list[ElasticQuantizer]:
    """All elastic quantizers of a model, in order."""
    return [module for module in model.modules() if isinstance(module, ElasticQuantizer)]


def sandwich(model: nn.Module, source: random.Random) -> list[Callable[[], None]]:
    """EQ-Net's group of a step: all 8 bits, random, all 2 bits.

    Granularity and symmetry are drawn for each layer in all three. Every quantizer of the model
    must be elastic.

    Args:
        model: whose elastic quantizers are switched.
        source: of the draws, which happen when a switch is called.

    Returns:
        Three switches for ``guided_losses``.
    """

    def switch(low: int, high: int) -> None:
        for quantizer in elastic_quantizers(model):
            granularity, symmetric = source.choice(GRANULARITIES), source.random() < 0.5
            quantizer.set_precision(Precision(source.randint(low, high), granularity, symmetric))

    spans = ((MOST_BITS, MOST_BITS), (FEWEST_BITS, MOST_BITS), (FEWEST_BITS, FEWEST_BITS))
    return [partial(switch, low, high) for low, high in spans]
