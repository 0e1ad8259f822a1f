"""A ternary minimal gated unit on codes of frames: integers when it runs.

The minimal gated unit (arXiv 1603.09420), a recurrent unit of one gate, with weights and state of
three levels. x is the code of a frame as -1 and 1, h the state::

    f  = 1 where  W_f [h, x]      >= a threshold of the unit, else 0
    c  = 1 where  W_c [f h, x]    >= its upper threshold, -1 where <= its lower one, else 0
    h' = c where f is 1, else h                                     a multiplexer
    score of a class = bias + sum of w h'                           int8 w

Sums of codes and states by weights of -1, 0 and 1 are additions and subtractions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from heqcodec.quantizers import make_quantizer
from heqcodec.quantizers.base import WeightQuantizer
from heqcodec.quantizers.straight_through import replace_through
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import register_parametrization

LARGEST_WEIGHT = 127
HALF = 0.5


@dataclass(frozen=True)
class IntegerGatedUnit:
    """The unit as it runs.

    Attributes:
        gate, candidate: int8 (S, S + B) of -1, 0, 1; the state comes first.
        opens: int32 (S,), the threshold of the gate.
        upper, lower: int32 (S,), those of the candidate.
        head: int8 (classes, S).
        bias: int32 (classes,).
    """

    gate: NDArray[np.int8]
    candidate: NDArray[np.int8]
    opens: NDArray[np.int32]
    upper: NDArray[np.int32]
    lower: NDArray[np.int32]
    head: NDArray[np.int8]
    bias: NDArray[np.int32]

    def step(self, state: NDArray[np.int32], signs: NDArray[np.int32]) -> NDArray[np.int32]:
        """The next state, from states (N, S) of -1, 0, 1 and codes (N, B) of -1 and 1."""
        sums = np.concatenate([state, signs], axis=1) @ self.gate.T.astype(np.int32)
        opened = sums >= self.opens
        masked = np.where(opened, state, 0)
        sums = np.concatenate([masked, signs], axis=1) @ self.candidate.T.astype(np.int32)
        made = (sums >= self.upper).astype(np.int32) - (sums <= self.lower)
        return np.where(opened, made, state)

    def scores(self, codes: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Codes of sequences, uint8 (N, T, B) of 0 and 1 -> int32 (N, classes)."""
        state = np.zeros((len(codes), len(self.gate)), dtype=np.int32)
        for index in range(codes.shape[1]):
            state = self.step(state, 2 * codes[:, index].astype(np.int32) - 1)
        return cast(NDArray[np.int32], state @ self.head.T.astype(np.int32) + self.bias)

    @property
    def bits(self) -> int:
        """What it stores: weights at 2 bits, thresholds at 16, the head at 8 and 32."""
        ternary = 2 * (self.gate.size + self.candidate.size)
        thresholds = 16 * (self.opens.size + self.upper.size + self.lower.size)
        return ternary + thresholds + 8 * self.head.size + 32 * self.bias.size


class GatedUnit(nn.Module):
    """The unit as it trains, with straight-through gradients.

    Args:
        states: S.
        code_bits: B.
        classes: of the head.
        quantized: with ternary weights and state; else the unit in full precision, with a sigmoid
            and a hyperbolic tangent.
    """

    def __init__(self, states: int, code_bits: int, classes: int, quantized: bool = True) -> None:
        super().__init__()
        self.quantized = quantized
        self.gate = nn.Linear(states + code_bits, states, bias=False)
        self.candidate = nn.Linear(states + code_bits, states, bias=False)
        self.head = nn.Linear(states, classes)
        self.gain = nn.Parameter(torch.zeros(2, states))
        self.offset = nn.Parameter(torch.zeros(2, states))
        # Sums of n products of -1, 0, 1, two thirds of them other than 0.
        self.unit = ((states + code_bits) * 2 / 3) ** -0.5 if quantized else 1.0
        if quantized:
            for layer in (self.gate, self.candidate):
                register_parametrization(layer, "weight", make_quantizer("heq3"))

    def refresh(self) -> None:
        """Let the quantizers' steps follow the weights."""
        if not self.quantized:
            return
        for layer in (self.gate, self.candidate):
            chain = cast(Any, layer.parametrizations).weight
            cast(WeightQuantizer, chain[0]).refresh(chain.original)

    def scales(self) -> Tensor:
        """Factors of the sums of gate and candidate, float (2, S), above 0."""
        return self.unit * self.gain.exp()

    def forward(self, codes: Tensor) -> Tensor:
        """Codes of sequences, (N, T, B) of -1 and 1 -> logits (N, classes)."""
        state = codes.new_zeros(len(codes), self.head.in_features)
        scales = self.scales()
        gate, candidate = self.gate.weight, self.candidate.weight
        for index in range(codes.shape[1]):
            code = codes[:, index]
            opened = scales[0] * F.linear(torch.cat([state, code], 1), gate) + self.offset[0]
            opened = self._gate(opened)
            given = torch.cat([opened * state, code], 1)
            made = self._level(scales[1] * F.linear(given, candidate) + self.offset[1])
            state = opened * made + (1 - opened) * state
        return cast(Tensor, self.head(state))

    def _gate(self, x: Tensor) -> Tensor:
        """The sigmoid, or whether x >= 0 with the sigmoid's gradient."""
        smooth = torch.sigmoid(x)
        return replace_through(smooth, (x >= 0).to(x.dtype)) if self.quantized else smooth

    def _level(self, x: Tensor) -> Tensor:
        """The hyperbolic tangent, or -1, 0, 1 by thresholds at a half, with its gradient."""
        smooth = torch.tanh(x)
        if not self.quantized:
            return smooth
        return replace_through(smooth, (x >= HALF).to(x.dtype) - (x <= -HALF).to(x.dtype))

    @torch.no_grad()
    def integers(self) -> IntegerGatedUnit:
        """The unit in integers: thresholds of the sums from scales and offsets, the head at 8 bits.

        Raises:
            ValueError: the unit is in full precision.
        """
        if not self.quantized:
            raise ValueError("a unit in full precision has no integers")
        scales, offset = self.scales().double(), self.offset.double()
        weight, bias = self.head.weight.double(), self.head.bias.double()
        unit = float(weight.abs().max().clamp(min=1e-9)) / LARGEST_WEIGHT
        levels = [layer.weight.to(torch.int8).numpy() for layer in (self.gate, self.candidate)]
        thresholds = (
            (-offset[0] / scales[0]).ceil(),
            ((HALF - offset[1]) / scales[1]).ceil(),
            ((-HALF - offset[1]) / scales[1]).floor(),
        )
        opens, upper, lower = (values.to(torch.int32).numpy() for values in thresholds)
        head = (weight / unit).round().to(torch.int8).numpy()
        return IntegerGatedUnit(
            levels[0], levels[1], opens, upper, lower, head,
            (bias / unit).round().to(torch.int32).numpy(),
        )  # fmt: skip


def train_unit(
    unit: nn.Module, codes: Tensor, labels: Tensor, epochs: int, seed: int, batch: int = 250
) -> None:
    """Train on codes (N, ...) of -1 and 1 by cross-entropy, in place.

    Adam at 3e-3 with a cosine to zero; a `GatedUnit` refreshes its quantizers after each epoch.

    Args:
        unit: to logits (N, classes).
        codes: as the unit takes them.
        labels: int64 (N,).
        epochs, batch: of the training.
        seed: of the order.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(unit.parameters(), lr=3e-3)
    steps = epochs * -(-len(codes) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(codes), generator=generator).split(batch):
            optimizer.zero_grad()
            F.cross_entropy(unit(codes[chosen]), labels[chosen]).backward()
            nn.utils.clip_grad_norm_(unit.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        if isinstance(unit, GatedUnit):
            unit.refresh()
