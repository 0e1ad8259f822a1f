"""EQ-Net's elastic quantizer: bits, granularity and symmetry are switched at run time."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from .base import WeightQuantizer
from .lsq import learned_step, positive
from .straight_through import scale_gradient

Granularity = Literal["tensor", "channel"]
GRANULARITIES: tuple[Granularity, ...] = ("tensor", "channel")

FEWEST_BITS, MOST_BITS = 2, 8
SHRINKS = 80
ERROR_POWER = 2.4
SCANNED = 65536
"""Weights of a tensor, or a channel, that the scan for a first step looks at."""


class Precision(NamedTuple):
    """One setting of an elastic quantizer.

    Attributes:
        bits: 2 to 8.
        granularity: one step for the tensor, or one for each output channel.
        symmetric: no offset; otherwise a learned one.
    """

    bits: int = 4
    granularity: Granularity = "tensor"
    symmetric: bool = True

    @property
    def key(self) -> str:
        """Name of the parameters of this setting."""
        return f"{self.granularity}_{'symmetric' if self.symmetric else 'asymmetric'}_{self.bits}"


def every_precision() -> list[Precision]:
    """EQ-Net's space of a layer's weights: 7 bit widths x 2 granularities x 2 symmetries."""
    return [
        Precision(bits, granularity, symmetric)
        for bits in range(FEWEST_BITS, MOST_BITS + 1)
        for granularity in GRANULARITIES
        for symmetric in (True, False)
    ]


@torch.no_grad()
def scan_step(rows: Tensor, bits: int, symmetric: bool) -> tuple[Tensor, Tensor]:
    """First step and offset of each row: the range shrunk so that the error is least.

    EQ-Net (arXiv 2308.07650), as in the authors' code: of 80 factors 1, 0.99 .. 0.21 of the range
    the one with the least mean |x - x'|^2.4. A symmetric range is -max|x| .. max|x|, another
    min .. max, each of 2^b - 1 steps; offset = min - step * N. (The released code tries only
    5 factors for symmetric channels; we try all.)

    Args:
        rows: float (R, D).
        bits: 2 to 8.
        symmetric: leave the offset at 0.

    Returns:
        Steps > 0 and offsets, float (R, 1) each.
    """
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    stride = max(1, rows.shape[1] // SCANNED)
    least, most = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    rows = rows[:, ::stride]
    best = torch.full_like(least, torch.inf)
    best_step, best_offset = torch.ones_like(least), torch.zeros_like(least)
    for index in range(SHRINKS):
        shrink = 1 - index / 100
        if symmetric:
            step = shrink * 2 * torch.maximum(-least, most) / (high - low)
            offset = torch.zeros_like(step)
        else:
            step = shrink * (most - least) / (high - low)
            offset = shrink * least - step * low
        step = positive(step)
        code = torch.round((rows - offset) / step).clamp_(low, high)
        error = (rows - code * step - offset).abs().pow(ERROR_POWER).mean(1, keepdim=True)
        better = error < best
        best = torch.where(better, error, best)
        best_step = torch.where(better, step, best_step)
        best_offset = torch.where(better, offset, best_offset)
    return best_step, best_offset


class ElasticQuantizer(WeightQuantizer):
    """s * clip(round((w - o) / s), -2^(b-1), 2^(b-1) - 1) + o, with s, o of each setting learned.

    EQ-Net (arXiv 2308.07650), formulas of the authors' code. Every setting (``Precision``) has
    its own step and offset; ``set_precision`` switches between them. Gradient scale of both:
    1 / sqrt(P numel) for a tensor, 2 / sqrt(P numel / size(1)) for channels, P = 2^(b-1) - 1.

    Parameters are made when the quantizer first sees weights (``refresh``, or at once by
    ``parametrize``), because steps of channels need their number: so attach it before the optimizer
    is made. ``refresh`` scans again for a setting as long as no optimizer has moved its step.

    Args:
        bits, granularity, symmetric: the setting at first, see ``Precision``.
        elastic: make all 28 settings available; otherwise the first one alone.

    Raises:
        ValueError: a setting out of range.
    """

    def __init__(
        self,
        bits: int = 4,
        granularity: Granularity = "tensor",
        symmetric: bool = True,
        elastic: bool = False,
    ) -> None:
        super().__init__()
        precision = Precision(bits, granularity, symmetric)
        if precision not in every_precision():
            raise ValueError(
                f"an elastic quantizer takes {FEWEST_BITS} to {MOST_BITS} bits, a step a tensor or "
                f"a channel, but got {precision}."
            )
        self.space = every_precision() if elastic else [precision]
        self.precision = precision
        self.steps = nn.ParameterDict()
        self.offsets = nn.ParameterDict()
        self._start: dict[str, Tensor] = {}

    @property
    def levels(self) -> tuple[float, ...]:
        """The codes of the present setting."""
        half = 2 ** (self.precision.bits - 1)
        return tuple(range(-half, half))

    def set_precision(self, precision: Precision) -> None:
        """Switch to another setting.

        Raises:
            ValueError: a setting that this quantizer was not made for.
        """
        if precision not in self.space:
            raise ValueError(f"{precision} is not in the space of this quantizer.")
        self.precision = precision

    def _parts(self, weight: Tensor) -> tuple[Tensor, Tensor | None]:
        key = self.precision.key
        if key not in self.steps:
            raise RuntimeError("refresh the elastic quantizer with weights before using it.")
        step = positive(self.steps[key])
        return step, None if self.precision.symmetric else self.offsets[key]

    def forward(self, weight: Tensor) -> Tensor:
        """Float weights (C, ...) -> quantized by the present setting, same shape and dtype.

        Raises:
            RuntimeError: the quantizer has never seen weights.
        """
        step, offset = self._parts(weight)
        half = 2 ** (self.precision.bits - 1)
        # learned_step scales by 1 / sqrt(P numel) already.
        by_channel = self.precision.granularity == "channel"
        factor = 2 * weight.shape[1] ** 0.5 if by_channel else 1.0
        step = scale_gradient(step, factor)
        if offset is None:
            return learned_step(weight, step, -half, half - 1)
        offset = scale_gradient(offset, factor / ((half - 1) * weight.numel()) ** 0.5)
        return learned_step(weight - offset, step, -half, half - 1) + offset

    @torch.no_grad()
    def codes(self, weight: Tensor) -> Tensor:
        """Integers of ``levels``, same shape and dtype."""
        step, offset = self._parts(weight)
        shifted = weight if offset is None else weight - offset
        half = 2 ** (self.precision.bits - 1)
        return torch.round(shifted / step).clamp_(-half, half - 1)

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Scan for the step and offset of every setting that training has not moved."""
        weight = weight.detach().float()
        for precision in self.space:
            key = precision.key
            if key in self.steps and not self._untouched(key):
                continue
            by_channel = precision.granularity == "channel"
            rows = weight.flatten(1) if by_channel else weight.reshape(1, -1)
            step, offset = scan_step(rows, precision.bits, precision.symmetric)
            shape = (-1,) + (1,) * (weight.dim() - 1) if by_channel else ()
            step, offset = step.reshape(shape), offset.reshape(shape)
            if key in self.steps:
                self.steps[key].copy_(step)
            else:
                self.steps[key] = nn.Parameter(step.clone())
            if not precision.symmetric:
                if key in self.offsets:
                    self.offsets[key].copy_(offset)
                else:
                    self.offsets[key] = nn.Parameter(offset.clone())
            self._start[key] = self.steps[key].detach().clone()

    def _untouched(self, key: str) -> bool:
        start = self._start.get(key)
        step = self.steps[key].detach()
        return start is not None and torch.equal(start.to(step), step)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # Parameters that this quantizer has not made yet are made as the state has them.
        for store, name in ((self.steps, "steps"), (self.offsets, "offsets")):
            for precision in self.space:
                stored = state_dict.get(f"{prefix}{name}.{precision.key}")
                if stored is not None and precision.key not in store:
                    store[precision.key] = nn.Parameter(torch.empty_like(stored))
        self._start.clear()
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    @torch.no_grad()
    def delta(self) -> float:
        """The step of the present setting, the mean over channels; NaN before any weights."""
        key = self.precision.key
        return float(positive(self.steps[key]).mean()) if key in self.steps else torch.nan

    def extra_repr(self) -> str:
        return f"{self.precision}, settings={len(self.space)}"
