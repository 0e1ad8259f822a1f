"""One quantizer for every precision from binary to 8 bits, switched at run time."""

from __future__ import annotations

from heqcodec.quantizers.base import WeightQuantizer
from heqcodec.quantizers.binary import binary_sign
from heqcodec.quantizers.elastic import ElasticQuantizer, Granularity, Precision
from torch import Tensor

MOST_BITS = 8


class SwitchedQuantizer(WeightQuantizer):
    """EQ-Net's elastic quantizer (arXiv 2308.07650), with binary weights as a further setting.

    Binary weights are the sign times the mean magnitude of the tensor or the channel, the
    least-squares scale (arXiv 1603.05279). (Our choice: EQ-Net ends at 2 bits. The scale keeps the
    sums where those of other precisions are, since all share their normalization.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.elastic = ElasticQuantizer(bits=MOST_BITS, elastic=True)
        self._bits = MOST_BITS
        self._by_channel = False

    def set_precision(self, bits: int, granularity: Granularity, symmetric: bool) -> None:
        """Switch to another setting.

        Args:
            bits: 1 (binary, always symmetric) to 8.
            granularity, symmetric: see ``Precision``.

        Raises:
            ValueError: bits out of range.
        """
        self._bits, self._by_channel = bits, granularity == "channel"
        if bits > 1:
            self.elastic.set_precision(Precision(bits, granularity, symmetric))

    @property
    def levels(self) -> tuple[float, ...]:
        """The codes of the present setting."""
        return (-1, 1) if self._bits == 1 else self.elastic.levels

    def forward(self, weight: Tensor) -> Tensor:
        """Float weights (C, ...) -> quantized by the present setting, same shape and dtype."""
        if self._bits > 1:
            quantized: Tensor = self.elastic(weight)
            return quantized
        magnitude = weight.detach().abs()
        if self._by_channel:
            scale = magnitude.flatten(1).mean(1).view(-1, *(1,) * (weight.dim() - 1))
        else:
            scale = magnitude.mean()
        return binary_sign(weight) * scale

    def codes(self, weight: Tensor) -> Tensor:
        """Integers of ``levels``, same shape and dtype."""
        return binary_sign(weight.detach()) if self._bits == 1 else self.elastic.codes(weight)

    def refresh(self, weight: Tensor) -> None:
        """Scan for the steps of all settings, once: training moves them from there.

        (Our choice: a scan of 28 settings takes as long as many steps of training.)
        """
        if not self.elastic.steps:
            self.elastic.refresh(weight)
