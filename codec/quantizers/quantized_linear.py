"""A linear layer for training in 4 bits, in all three of its matrix products."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .bit_splitting import sample_rows, split_bits
from .hadamard import DEFAULT_BLOCK, LARGEST_BLOCK, hadamard, largest_block
from .lsq import initial_step, learned_step, positive
from .randomness import RandomSource
from .straight_through import in_single

LOW, HIGH = -8, 7


class _SampledProduct(torch.autograd.Function):
    """x w' in the forward pass; split and sampled gradients in the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, random: RandomSource, sample: bool) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.random, ctx.sample = random, sample
        return F.linear(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, weight = ctx.saved_tensors
        with torch.autocast(grad.device.type, enabled=False):
            rows = split_bits(in_single(grad), ctx.random).stacked()
            for_input, for_weight = rows, rows
            count = x.shape[0]
            if ctx.sample:
                norms = rows.norm(dim=1)
                kept = sample_rows(norms, count, ctx.random)
                for_input = rows * kept.unsqueeze(1)
                leverage = norms * x.norm(dim=1).repeat(2)
                for_weight = rows * sample_rows(leverage, count, ctx.random).unsqueeze(1)
            # Halves of one row share the row of x: sums of the products are products of the sums.
            x_grad = (for_input[:count] + for_input[count:]) @ weight
            weight_grad = (for_weight[:count] + for_weight[count:]).t() @ x
        return x_grad, weight_grad, None, None


@torch.no_grad()
def best_block(x: Tensor, weight: Tensor, limit: int = LARGEST_BLOCK) -> int:
    """The Hadamard block that quantizes both factors of a product best.

    Source: arXiv 2306.11987, mode "dynamic" of the authors' code: the power of two that divides
    D and minimises |X - X'| |W - W'|, Frobenius norms of the errors of 4-bit rounding.

    Args:
        x: float (N, D).
        weight: float (O, D).
        limit: largest block to try.

    Returns:
        The block, 1 .. limit. Reads values, so the host waits: for the first batch only.
    """
    best, least = 1, float("inf")
    block = 1
    while block <= limit and x.shape[1] % block == 0:
        product = 1.0
        for factor in (x, weight):
            rotated = hadamard(in_single(factor), block)
            quantized = learned_step(rotated, initial_step(rotated, HIGH), LOW, HIGH)
            product *= float((rotated - quantized).norm())
        if product < least:
            best, least = block, product
        block *= 2
    return best


class QuantizedLinear(nn.Linear):
    """y = s_x s_w X' W'' + b with 4-bit integers X', W' of the rotated input and weight.

    4-bit training (arXiv 2306.11987). Forward: both factors are rotated by a block Hadamard
    transform, which cancels in the product, and quantized with learned steps (LSQ). Backward: the
    output's gradient is split into two 4-bit integers, and of the 2 N rows N on average are kept by
    their leverage scores: |g_i| for the gradient of the input, |g_i| |x_i| for that of the weight.
    Both are unbiased for the quantized forward function. The integers are held in float32, so this
    shows what such training learns, not how fast it is.

    Args:
        inputs, outputs: features.
        bias: whether there is one; it stays in full precision.
        block: Hadamard block, a power of two that divides ``inputs``; None for the largest up to
            32, the paper's second mode; "best" for `best_block` of the first batch, its first mode.
        sample: keep N of the 2 N rows; otherwise all.
        seed: of rounding and sampling.

    Raises:
        ValueError: a block that does not fit.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: bool = True,
        block: int | Literal["best"] | None = None,
        sample: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(inputs, outputs, bias)
        self._searches = block == "best"
        if block is None or block == "best":
            block = largest_block(inputs, DEFAULT_BLOCK)
        hadamard(torch.zeros(1, inputs), block)
        self.block, self.sample = block, sample
        self.random = RandomSource(seed)
        self.weight_step = nn.Parameter(torch.ones(()))
        self.input_step = nn.Parameter(torch.ones(()))
        self._seen = False
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Start the weight's step from the weight; after giving the layer other weights."""
        self.weight_step.copy_(initial_step(hadamard(self.weight, self.block), HIGH))

    def set_block(self, block: int) -> None:
        """Another Hadamard block; both steps start anew.

        Raises:
            ValueError: it does not fit.
        """
        hadamard(self.weight[:1].detach(), block)
        self.block, self._seen = block, False
        self.refresh()

    def forward(self, x: Tensor) -> Tensor:
        """Float (..., inputs) -> float (..., outputs), float32 for half precision.

        The first batch ever seen in training sets the step of the input.
        """
        with torch.autocast(x.device.type, enabled=False):
            plain = in_single(x).reshape(-1, self.in_features)
            if not self._seen and self.training and self._searches:
                self.set_block(best_block(plain.detach(), self.weight.detach()))
            rows = hadamard(plain, self.block)
            if not self._seen and self.training:
                with torch.no_grad():
                    self.input_step.copy_(initial_step(rows, HIGH))
                self._seen = True
            quantized = learned_step(rows, positive(self.input_step), LOW, HIGH)
            rotated = hadamard(in_single(self.weight), self.block)
            weight = learned_step(rotated, positive(self.weight_step), LOW, HIGH)
            y: Tensor = _SampledProduct.apply(quantized, weight, self.random, self.sample)
            if self.bias is not None:
                y = y + self.bias
        return y.reshape(*x.shape[:-1], self.out_features)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._seen = True

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, block={self.block}, sample={self.sample}"
