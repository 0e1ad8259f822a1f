"""Layers of `nqe-vgg` and what they cost in bits; shared by the training graph and its twin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from heqcodec.base.constants import BUDGET_BITS

MODEL_NAME = "nqe-vgg"
PIXEL_CENTRE = 128
SHIFT_BITS = 8
ACTIVATION_CUTS = (0.25, 0.5, 0.75)
SIGN_CUTS = (0.0,)


@dataclass(frozen=True)
class VggLayer:
    """One convolution, stride 1, zero-padded within the patch.

    Attributes:
        name: also the tensor's name in a weight file.
        inputs: channels in.
        outputs: channels out.
        groups: groups of the convolution.
        kernel: side of the square kernel, odd.
        levels: the integers a weight can be, ascending and symmetric.
        pool: whether a 2x2 maximum follows.
        top: largest magnitude of an input (128 for centred pixels, 3 for activations).
        cuts: where the function behind it steps up; three for HWMSB, one for the sign.
    """

    name: str
    inputs: int
    outputs: int
    groups: int
    kernel: int
    levels: tuple[int, ...]
    pool: bool
    top: int
    cuts: tuple[float, ...] = ACTIVATION_CUTS

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the weights, (out, in / groups, kernel, kernel)."""
        return self.outputs, self.inputs // self.groups, self.kernel, self.kernel

    @property
    def weights(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)

    @property
    def level_bits(self) -> int:
        """Bits of one stored weight: 3 quinary, 2 ternary, 1 binary."""
        return math.ceil(math.log2(len(self.levels)))

    @property
    def bound(self) -> int:
        """Largest magnitude that an accumulator can reach with any weights."""
        return math.prod(self.shape[1:]) * max(self.levels) * self.top

    @property
    def threshold_bits(self) -> int:
        """Bits of one stored threshold, which lies in [-bound, bound + 1]."""
        return math.ceil(math.log2(2 * self.bound + 2))


def levels_of(count: int) -> tuple[int, ...]:
    """The integers of HEQ and binary weights: around 0 for an odd count, odd ones for an even."""
    top = count // 2 if count % 2 else count - 1
    return tuple(range(-top, top + 1, 1 if count % 2 else 2))


QUINARY, TERNARY, BINARY = (-2, -1, 0, 1, 2), (-1, 0, 1), (-1, 1)

# VGG-7 with grouped convolutions late and precision falling with depth (arXiv 2501.05097); widths
# and groups are our reconstruction, since they land on the paper's headline of 1 Mb.
VGG_LAYERS = (
    VggLayer("conv1", 3, 64, 1, 3, QUINARY, False, PIXEL_CENTRE),
    VggLayer("conv2", 64, 64, 1, 3, QUINARY, True, 3),
    VggLayer("conv3", 64, 128, 1, 3, TERNARY, False, 3),
    VggLayer("conv4", 128, 128, 1, 3, TERNARY, True, 3),
    VggLayer("conv5", 128, 256, 2, 3, BINARY, False, 3),
    VggLayer("conv6", 256, 256, 2, 3, BINARY, True, 3),
    VggLayer("bottleneck", 256, 32, 1, 1, BINARY, False, 3, SIGN_CUTS),
)


def weight_bits(layers: Sequence[VggLayer] = VGG_LAYERS) -> int:
    """Bits of all weights, without thresholds or shifts."""
    return sum(layer.weights * layer.level_bits for layer in layers)


def total_bits(form: str, layers: Sequence[VggLayer] = VGG_LAYERS) -> int:
    """Bits of everything that the encoder stores.

    Args:
        form: ``"thresholds"`` (integer comparisons per channel, from the batch-normalization
            phase) or ``"shift"`` (one shift per layer; the paper's final form).
        layers: those of `nqe-vgg`, or with other levels.

    Raises:
        ValueError: another form.
    """
    if form == "shift":
        return weight_bits(layers) + SHIFT_BITS * (len(layers) - 1)
    if form == "thresholds":
        return weight_bits(layers) + sum(
            layer.outputs * len(layer.cuts) * layer.threshold_bits for layer in layers
        )
    raise ValueError(f'the form is "thresholds" or "shift", but got {form!r}.')


for _form in ("shift", "thresholds"):
    if total_bits(_form) > BUDGET_BITS:
        raise AssertionError(f"nqe-vgg with its {_form} exceeds {BUDGET_BITS} bits")
