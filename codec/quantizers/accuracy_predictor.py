"""EQ-Net's conditional predictor of a subnet's accuracy from the precisions of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .elastic import FEWEST_BITS, MOST_BITS

HIDDEN = 200
DEPTH = 7
CHOICES = MOST_BITS - FEWEST_BITS + 1
FLAGS = 3


class Condition(NamedTuple):
    """The form of quantization that all layers of a subnet share.

    Attributes:
        by_channel: weights have a step for each channel.
        weights_symmetric, activations_symmetric: no offsets.
    """

    by_channel: bool = False
    weights_symmetric: bool = True
    activations_symmetric: bool = True


def encode(condition: Condition, weights: Sequence[int], activations: Sequence[int]) -> Tensor:
    """Input vector of the predictor: two entries a flag, then a one-hot of 7 for each bit width.

    EQ-Net (arXiv 2308.07650), section 3.4. "False" is one-hot too. (The released code leaves it all
    zero for the symmetries, which we take for a slip; the information is the same.)

    Args:
        condition: see above.
        weights, activations: bits of each layer, 2 to 8, or 0 for a layer that is no choice (the
            paper's first and last), whose entries stay 0; as many of both.

    Returns:
        Float32 (6 + 14 L,).

    Raises:
        ValueError: bits out of range, or lists of different lengths.
    """
    if len(weights) != len(activations):
        raise ValueError(f"{len(weights)} layers of weights, {len(activations)} of activations.")
    vector = torch.zeros(2 * FLAGS + 2 * CHOICES * len(weights))
    for index, flag in enumerate(condition):
        vector[2 * index + (0 if flag else 1)] = 1
    for place, bits in enumerate([*weights, *activations]):
        if bits == 0:
            continue
        if not FEWEST_BITS <= bits <= MOST_BITS:
            raise ValueError(f"a layer has {FEWEST_BITS} to {MOST_BITS} bits, but got {bits}.")
        vector[2 * FLAGS + CHOICES * place + bits - FEWEST_BITS] = 1
    return vector


class AccuracyPredictor(nn.Module):
    """7 hidden layers of 200 with ReLU, a linear output without bias, and a fixed offset.

    EQ-Net (arXiv 2308.07650), as in the authors' code, where the offset is 0. We set it to the mean
    of the accuracies trained on. (Our choice: the network then learns differences only.)

    Args:
        layers: L, number of quantized layers.
        seed: of the initial weights.
    """

    base: Tensor

    def __init__(self, layers: int, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            width, blocks = 2 * FLAGS + 2 * CHOICES * layers, []
            for _ in range(DEPTH):
                blocks += [nn.Linear(width, HIDDEN), nn.ReLU()]
                width = HIDDEN
            self.network = nn.Sequential(*blocks, nn.Linear(width, 1, bias=False))
        self.register_buffer("base", torch.zeros(()))

    def forward(self, vectors: Tensor) -> Tensor:
        """Float (N, 6 + 14 L) from ``encode`` -> accuracies, float (N,)."""
        predicted: Tensor = self.network(vectors)
        return predicted.squeeze(-1) + self.base


def fit_predictor(
    predictor: AccuracyPredictor,
    vectors: Tensor,
    accuracies: Tensor,
    epochs: int = 100,
    batch: int = 256,
    seed: int = 0,
) -> float:
    """Train on four fifths and keep the state that does best on the other fifth.

    EQ-Net (arXiv 2308.07650): smooth L1 loss, Adam, lr 4e-4, weight decay 1e-5, batches of 256, 100
    epochs, the best by RMSE.

    Args:
        predictor: trained in place.
        vectors: float (N, 6 + 14 L), N at least 5.
        accuracies: float (N,), 0 to 1.
        epochs, batch: see above.
        seed: of the split and of the order.

    Returns:
        RMSE of the best state on the fifth that it has not seen.

    Raises:
        ValueError: fewer than 5 examples.
    """
    count = len(vectors)
    if count < 5:
        raise ValueError(f"a predictor needs 5 examples or more, but got {count}.")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=generator).to(vectors.device)
    train, test = order[: count * 4 // 5], order[count * 4 // 5 :]
    predictor.base.fill_(accuracies[train].mean())
    optimizer = torch.optim.Adam(predictor.parameters(), lr=4e-4, weight_decay=1e-5)
    best, best_state = float("inf"), None
    for _ in range(epochs):
        shuffled = train[torch.randperm(len(train), generator=generator).to(train.device)]
        for part in shuffled.split(batch):
            loss = F.smooth_l1_loss(predictor(vectors[part]), accuracies[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            error = float((predictor(vectors[test]) - accuracies[test]).square().mean().sqrt())
        if error < best:
            best = error
            best_state = {k: v.clone() for k, v in predictor.state_dict().items()}
    if best_state is not None:
        predictor.load_state_dict(best_state)
    return best
