"""Bit-shift normalization (BSN): batch normalization first, then one power of two per layer."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from .running_norm import RunningBatchNorm2d

SCALE_FLOOR = 1e-9
"""A dead channel's factor, whose root is taken while it fades."""


def power_of_two_exponent(channel_scales: Tensor, quantile: float = 0.9, steps: int = 1) -> int:
    """k such that 2^-k stands for the channel scales of a layer.

    BSN (arXiv 2501.05097): one power of two for all channels, from the 0.9-quantile of
    |gamma / sigma|. The logarithm is rounded to the nearest integer (our choice, because the paper
    available text does not say; it keeps the ratio to the quantile within sqrt(2)).

    Args:
        channel_scales: gamma / sqrt(variance + eps), shape (C,), any signs.
        quantile: which quantile of their absolute values, 0 to 1.
        steps: of an octave. With more than one the scale is no shift; for comparisons of quantiles,
            which often round to the same shift.

    Returns:
        k, so that the layer's scale is 2 ** (-k / steps).

    Raises:
        ValueError: the quantile is zero or not finite, so that no power of two stands for it.
    """
    value = float(torch.quantile(channel_scales.detach().abs().double(), quantile))
    if not np.isfinite(value) or value <= 0:
        raise ValueError(
            f"the {quantile}-quantile of the channel scales is {value}; bit-shift normalization "
            "needs a positive one, so train the batch-normalization phase first."
        )
    return int(-np.round(steps * np.log2(value)))


def fold_thresholds(
    scale: np.ndarray, bias: np.ndarray, cuts: tuple[float, ...], bound: int
) -> tuple[np.ndarray, np.ndarray]:
    """Integer thresholds that do what ``scale * S + bias >= cut`` does to an integer S.

    With sign = -1 where the scale is negative, else +1, and T the result, the comparison holds
    exactly when ``sign * S >= T``, in float64 and for every integer |S| <= bound. The sign can be
    folded into the channel's weights, whose level sets are symmetric.

    Args:
        scale: float64 (C,), the channel multipliers.
        bias: float64 (C,).
        cuts: the values at which the activation steps up, ascending.
        bound: largest |S| that can occur, >= 0.

    Returns:
        (T, sign): T int32 (C, len(cuts)) in [-bound, bound + 1], where -bound means always and
        bound + 1 never; sign int8 (C,).
    """
    magnitude = np.abs(scale)[:, None]
    sign = np.where(scale < 0, -1, 1).astype(np.int8)
    gap = np.asarray(cuts, dtype=np.float64)[None, :] - bias[:, None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        thresholds = np.ceil(gap / magnitude)
    # A dead channel (scale 0) is constant: above the cut always, or never.
    constant = np.where(gap <= 0, -np.inf, np.inf)
    thresholds = np.where(magnitude > 0, thresholds, constant)
    return np.clip(thresholds, -bound, bound + 1).astype(np.int32), sign


class BitShiftNorm(nn.Module):
    """Normalization of integer accumulators, in its two phases.

    Phase 1 is batch normalization (`RunningBatchNorm2d`). ``switch_to_bsn`` starts phase 2,
    y = x * 2^-k, with k from the 0.9-quantile of the channel scales; no per-channel factor and no
    bias remain. k is frozen then. The phase is part of the state dict.

    The switch is a shock: sums of non-negative activations have a mean, which batch normalization
    took away. So the channels' own factors and biases may be faded out while training goes on
    (``set_fade``): between f = 1 and f = 0, y = x * a^f * 2^(-k (1 - f)) + f * b, where a, b are
    those of batch normalization at the switch. (Our choice; docs/CLASSIFY.md compares a quick fade
    with a slow one.)

    Args:
        channels: C.
        scale: initial gamma.
        bias: initial beta.
    """

    exponent: Tensor
    switched: Tensor
    fade: Tensor
    left_scale: Tensor
    left_bias: Tensor

    def __init__(self, channels: int, scale: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.steps = 1
        self.bn = RunningBatchNorm2d(channels)
        nn.init.constant_(self.bn.weight, scale)
        nn.init.constant_(self.bn.bias, bias)
        self.register_buffer("exponent", torch.zeros((), dtype=torch.int64))
        self.register_buffer("switched", torch.zeros((), dtype=torch.bool))
        self.register_buffer("fade", torch.zeros(()))
        self.register_buffer("left_scale", torch.ones(channels))
        self.register_buffer("left_bias", torch.zeros(channels))
        self._mirror_buffers()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) accumulators -> same shape, of order one."""
        if not self._switched:
            return cast(Tensor, self.bn(x))
        if self._fade:
            scale, bias = self._faded()
            return x * scale.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)
        return x * 2.0 ** (-self._exponent / self.steps)

    def _faded(self) -> tuple[Tensor, Tensor]:
        """Factor and bias of phase 2: float32 (C,) each."""
        shift = 2.0 ** (-self._exponent / self.steps * (1 - self._fade))
        return self.left_scale**self._fade * shift, self.left_bias * self._fade

    @property
    def is_bsn(self) -> bool:
        """Whether phase 2 has begun."""
        return self._switched

    @property
    def is_shift(self) -> bool:
        """Whether nothing but the shift is left: phase 2, faded to the end."""
        return self._switched and self._fade == 0 and self.steps == 1

    def set_fade(self, fade: float) -> None:
        """How much of the channels' own factors and biases is left in phase 2, 1 to 0."""
        self.fade.fill_(fade)
        self._mirror_buffers()

    @property
    def shift(self) -> int:
        """k of phase 2: y = x * 2^-k."""
        return self._exponent

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Evaluation as ``scale * x + bias``: two float64 arrays (C,)."""
        if self._switched:
            faded = self._faded()
            return faded[0].double().cpu().numpy(), faded[1].double().cpu().numpy()
        mean, var = self.bn.running_mean, self.bn.running_var
        assert mean is not None and var is not None
        gamma = self.bn.weight.detach().double()
        scale = gamma / torch.sqrt(var.double() + self.bn.eps)
        bias = self.bn.bias.detach().double() - mean.double() * scale
        return scale.cpu().numpy(), bias.cpu().numpy()

    @torch.no_grad()
    def switch_to_bsn(self, quantile: float = 0.9, fade: float = 0.0, steps: int = 1) -> Tensor:
        """Begin phase 2, with as much of phase 1 left as ``fade`` says; see ``set_fade``.

        ``steps`` of an octave: 1 for a shift, see `power_of_two_exponent`. It is not part of the
        state dict.

        Returns:
            Float (C,) of -1 and +1, the signs of gamma. The caller multiplies the channel's
            weights by them: a shared positive scale cannot invert a channel, and without this
            every channel with a negative gamma would start phase 2 upside down.

        Raises:
            RuntimeError: phase 2 has begun already.
        """
        if self._switched:
            raise RuntimeError("this layer is in its bit-shift phase already.")
        scale, bias = self.folded()
        self.left_scale.copy_(torch.from_numpy(np.maximum(np.abs(scale), SCALE_FLOOR)))
        self.left_bias.copy_(torch.from_numpy(bias))
        self.fade.fill_(fade)
        self.exponent.fill_(power_of_two_exponent(torch.from_numpy(scale), quantile, steps))
        self.steps = steps
        self.switched.fill_(True)
        self._mirror_buffers()
        return torch.where(self.bn.weight < 0, -1.0, 1.0)

    def _mirror_buffers(self) -> None:
        # Reading a buffer in every forward pass would wait for the device.
        self._switched, self._exponent = bool(self.switched), int(self.exponent)
        self._fade = float(self.fade)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._mirror_buffers()

    def extra_repr(self) -> str:
        left = f", fade={self._fade:g}" if self._fade else ""
        return f"shift={self._exponent}{left}" if self._switched else "batch normalization"
