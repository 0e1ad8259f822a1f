"""`nqe-vgg`, the paper's encoder, as a graph to train (arXiv 2501.05097)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from heqcodec.nqe_vgg.layer import MOST_LEVELS, IntegerLayer
from heqcodec.nqe_vgg.layout import PIXEL_CENTRE, VGG_LAYERS, VggLayer, levels_of
from heqcodec.nqe_vgg.payload import CODE_CHANNELS
from heqcodec.nqe_vgg.skips import Skip
from heqcodec.quantizers.binary import binary_sign
from heqcodec.quantizers.bsn import BitShiftNorm, fold_thresholds
from heqcodec.quantizers.heq import StepRule
from heqcodec.quantizers.hwmsb import TOP_LEVEL, HalfWaveMsb
from heqcodec.quantizers.running_norm import plain_statistics
from torch import Tensor, nn
from torch.nn import functional as F

from .layer_quantizers import Choice, layer_choices, layer_quantizer
from .quantized_block import QuantizedBlock, QuantizedConv2d
from .skip_gates import skip_gates, skipped, with_skip

NormInit = Literal["balanced", "halfwave"]

# "balanced": standard normal accumulators fall into the four activation levels a quarter each
# (quartiles 0.5 +- 0.6745 * 0.37), and four fifths of them get a gradient. "halfwave": no bias from
# the start, as bit-shift normalization will have it.
NORM_INIT: dict[NormInit, tuple[float, float]] = {"balanced": (0.37, 0.5), "halfwave": (1.0, 0.0)}


class IntegerBlock(QuantizedBlock):
    """A layer of the encoder: in evaluation mode its values are exact integers."""

    norm: BitShiftNorm

    def __init__(
        self, layer: VggLayer, rule: StepRule, norm_init: NormInit, choice: Choice | None = None
    ) -> None:
        quantizer = layer_quantizer(layer, choice, rule)
        is_integer = quantizer.is_integer and len(quantizer.levels) <= MOST_LEVELS
        if is_integer:
            layer = replace(layer, levels=levels_of(len(quantizer.levels)))
        is_code = layer.name == "bottleneck"
        scale, bias = (1.0, 0.0) if is_code else NORM_INIT[norm_init]
        conv = QuantizedConv2d(layer.inputs, layer.outputs, layer.kernel, quantizer, layer.groups)
        norm = BitShiftNorm(layer.outputs, scale, bias)
        super().__init__(conv, norm, HalfWaveMsb(), "normalized" if layer.pool else "none")
        # Whether the layer is one of integers, which its twin repeats exactly.
        self.is_integer, self.is_code = is_integer, is_code
        self.layer, self.choice = layer, choice

    def forward(self, x: Tensor, floating: bool = False) -> Tensor:
        """Integer activations (N, in, H, W) -> integers 0..3, or the code in {-1, +1}.

        With ``floating`` weights are the latent ones and activations keep their fractions.
        """
        if not floating and not self.training and self.is_integer:
            return self._integer_forward(x)
        z = self.normalized(x, floating)
        if self.is_code:
            return binary_sign(z)
        return TOP_LEVEL * z.clamp(0, 1) if floating else cast(Tensor, self.activation(z))

    @torch.no_grad()
    def _integer_forward(self, x: Tensor) -> Tensor:
        # Rounding undoes the fractions of any fast convolution algorithm (Winograd): the
        # accumulators are integers far below 2^24.
        total = torch.round(self.conv(x))
        if self.norm.is_shift:
            if self.layer.pool:
                total = F.max_pool2d(total, 2)
            if self.is_code:
                return torch.where(total >= 0, 1.0, -1.0)
            return torch.floor(total * 2.0 ** (2 - self.norm.shift)).clamp_(0, 3)
        thresholds, sign = self.thresholds()
        total = total * torch.from_numpy(sign).to(total).view(1, -1, 1, 1)
        if self.layer.pool:
            total = F.max_pool2d(total, 2)
        cuts = torch.from_numpy(thresholds).to(total)
        level = torch.zeros_like(total)
        for index in range(cuts.shape[1]):
            level += total >= cuts[:, index].view(1, -1, 1, 1)
        return 2 * level - 1 if self.is_code else level

    def thresholds(self) -> tuple[np.ndarray, np.ndarray]:
        """Integer thresholds of phase 1 and the signs to fold into the weights.

        Returns:
            As ``fold_thresholds``: int32 (out, cuts) and int8 (out,).
        """
        return fold_thresholds(*self.norm.folded(), self.layer.cuts, self.layer.bound)

    @torch.no_grad()
    def integer_layer(self) -> IntegerLayer:
        """This block in evaluation, as integers."""
        levels = self.conv.weight.to(torch.int8).cpu().numpy()
        if self.norm.is_shift:
            # Two of the shift's bits are the activation's: floor(4 * total * 2^-k).
            shift = 0 if self.is_code else self.norm.shift - 2
            return IntegerLayer(self.layer, levels, shift=shift)
        thresholds, sign = self.thresholds()
        return IntegerLayer(self.layer, levels * sign[:, None, None, None], thresholds)

    @torch.no_grad()
    def switch_to_bsn(self, fade: float = 0.0) -> None:
        """Begin the bit-shift phase; channels with a negative gamma get their weights negated."""
        self.latent.mul_(self.norm.switch_to_bsn(fade=fade).view(-1, 1, 1, 1))


class NqeVgg(nn.Module):
    """The encoder: 32x32x3 patches -> binary codes of 4x4 positions x 32 channels.

    In training mode a float graph with straight-through gradients. Autocast is off inside unless
    requested: bf16 rounds every accumulator by up to 2^-9 of its value, and in a fresh network a
    quarter of the code bits change by it. TF32 does no such harm, because its operands (centred
    pixels, levels, activations) are small integers and its sums are kept in float32.
    In evaluation mode every value is an exact integer held in float32: the folded thresholds or
    the shifts are those that ``integer_layers`` exports, so ties fall as in ``IntegerVgg``.
    Evaluation mode gives no gradients.

    Args:
        rule: HEQ step rule of the quinary and ternary layers.
        norm_init: ``"balanced"`` (default; all activation levels equally likely at first) or
            ``"halfwave"`` (no bias at first, kinder to a later ``switch_to_bsn``).
        quantizers: other quantizers by layer or stage, see ``layer_choices``. Layers whose
            quantizer has a scale of its own are evaluated in floating point, and such an encoder
            has no integer twin.
        skips: logic gates around conv2, conv4 and conv6, see `heqcodec.nqe_vgg.skips`.
        allow_autocast: let an autocast context around the call reach the training graph; twice
            as fast on a CPU in bf16, with the noise described above.

    Raises:
        HeqError: ``quantizers`` names what there is not.
    """

    floating: Tensor

    def __init__(
        self,
        rule: StepRule = "A",
        norm_init: NormInit = "balanced",
        allow_autocast: bool = False,
        quantizers: Mapping[str, Any] | None = None,
        skips: Skip = "none",
    ) -> None:
        super().__init__()
        self.allow_autocast = allow_autocast
        choices = layer_choices(quantizers or {})
        self.blocks = nn.ModuleList(
            IntegerBlock(layer, rule, norm_init, choices.get(layer.name)) for layer in VGG_LAYERS
        )
        self.skip_kind, self.skips = skips, skip_gates(VGG_LAYERS, skips)
        self.register_buffer("floating", torch.tensor(False))
        # Its mirror on the Python side: reading a buffer would wait for the device in every step.
        self._is_floating = False

    @property
    def is_floating(self) -> bool:
        """Whether weights and activations are not quantized yet; the code always is."""
        return self._is_floating

    def set_floating(self, floating: bool) -> None:
        """Begin or end full-precision training of the proxy weights, which HEQ starts from.

        Source: arXiv 2501.04517, "proxy weights start from a pre-trained full-precision model".
        In this phase evaluation mode is a float graph too, and exports make no sense.
        """
        self.floating.fill_(floating)
        self._is_floating = floating

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._is_floating = bool(self.floating)

    def quantized_blocks(self) -> Iterator[IntegerBlock]:
        """The blocks from the pixels to the code."""
        for block in self.blocks:
            yield cast(IntegerBlock, block)

    def forward(self, patches: Tensor) -> Tensor:
        """uint8 or integer-valued float pixels (N, 3, 32, 32), 0..255 -> float (N, 32, 4, 4).

        The code is -1 or +1, most important channel first once ``truncate_code`` has been used
        in training.
        """
        if self.training or self.is_floating:
            return binary_sign(self.logits(patches))
        with torch.autocast(patches.device.type, enabled=False):
            x = self._centred(patches)
            for block in self.quantized_blocks():
                x = skipped(self.skips, block.layer, block(x), x)
            return x

    def logits(self, patches: Tensor) -> Tensor:
        """The code before its sign, while training: (N, 3, 32, 32) -> float (N, 32, 4, 4)."""
        autocast = torch.is_autocast_enabled(patches.device.type)
        allowed = autocast and (self.is_floating or self.allow_autocast)
        with torch.autocast(patches.device.type, dtype=torch.bfloat16, enabled=allowed):
            x, floating = self._centred(patches), self.is_floating
            *blocks, last = self.quantized_blocks()
            for block in blocks:
                x = skipped(self.skips, block.layer, block(x, floating), x)
            return last.normalized(x, floating).float()

    def _centred(self, patches: Tensor) -> Tensor:
        x = patches.to(torch.float32) - PIXEL_CENTRE
        if self._channels_last():
            x = x.contiguous(memory_format=torch.channels_last)
        return x

    def _channels_last(self) -> bool:
        latent = cast(IntegerBlock, self.blocks[1]).latent
        return latent.is_contiguous(memory_format=torch.channels_last)

    def integer_layers(self) -> list[IntegerLayer]:
        """The encoder as integers, for ``IntegerVgg``: weights with thresholds or shifts.

        Raises:
            HeqError: a layer's quantizer does not give integers.
        """
        if floats := self.float_layers():
            names = ", ".join(f"{layer} ({name})" for layer, name in floats.items())
            raise HeqError(
                f"the weights of {names} are no integers, so this encoder works in floating point "
                "only; to export one, give its layers binary, bnn, heq, twn or uniform quantizers."
            )
        layers = [block.integer_layer() for block in self.quantized_blocks()]
        return [with_skip(item, self.skips, self.skip_kind) for item in layers]

    def float_layers(self) -> dict[str, str]:
        """Layers that cannot be exported, and the names of their quantizers."""
        blocks = [block for block in self.quantized_blocks() if not block.is_integer]
        return {block.layer.name: block.choice[0] for block in blocks if block.choice}

    def refresh(self) -> None:
        """Refresh all quantizers from their latent weights (HEQ: once an epoch)."""
        for block in self.quantized_blocks():
            block.conv.refresh()

    @property
    def is_bsn(self) -> bool:
        """Whether the bit-shift phase has begun."""
        return all(block.norm.is_bsn for block in self.quantized_blocks())

    def set_fade(self, fade: float) -> None:
        """How much of batch normalization is left in the bit-shift phase, 1 to 0."""
        for block in self.quantized_blocks():
            block.norm.set_fade(fade)

    def switch_to_bsn(self, fade: float = 0.0) -> None:
        """Replace batch normalization by one power of two per layer; training then goes on.

        Args:
            fade: how much of batch normalization is left at first, see ``set_fade``.

        Raises:
            RuntimeError: called twice.
        """
        for block in self.quantized_blocks():
            block.switch_to_bsn(fade)

    @torch.no_grad()
    def recalibrate(self, batches: Iterable[Tensor]) -> None:
        """Recompute the running statistics of phase 1 as plain means over the batches.

        Worth doing before an evaluation or export of phase 1: levels that flipped since make the
        exponential averages lag behind. Leaves the mode (train or eval) as it was. No effect in
        the bit-shift phase.

        Args:
            batches: pixel tensors as for ``forward``.
        """
        norms = [block.norm.bn for block in self.quantized_blocks()]
        was_training = self.training
        self.train()
        try:
            with plain_statistics(norms):
                for batch in batches:
                    self(batch)
        finally:
            self.train(was_training)


def truncate_code(code: Tensor, channels: int | Tensor) -> Tensor:
    """Keep the first channels and set the others, which are not sent, to zero.

    Args:
        code: (N, 32, 4, 4).
        channels: how many to keep, one number for all or an integer tensor (N,).

    Returns:
        Same shape and dtype, differentiable.
    """
    index = torch.arange(code.shape[1], device=code.device).view(1, -1, 1, 1)
    keep = torch.as_tensor(channels, device=code.device).view(-1, 1, 1, 1)
    return code * (index < keep)


assert VGG_LAYERS[-1].outputs == CODE_CHANNELS
