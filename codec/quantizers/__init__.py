"""Quantizers of the encoder, for training; the bitstream side works on their integers alone."""

from .base import GradientWindow, WeightQuantizer
from .binary import BinaryQuantizer, binary_sign
from .bsn import BitShiftNorm
from .heq import HistogramEqualizedQuantizer, StepRule, quantile_step
from .hwmsb import HalfWaveMsb, half_wave_msb

__all__ = [
    "BinaryQuantizer",
    "BitShiftNorm",
    "GradientWindow",
    "HalfWaveMsb",
    "HistogramEqualizedQuantizer",
    "StepRule",
    "WeightQuantizer",
    "binary_sign",
    "half_wave_msb",
    "quantile_step",
]
