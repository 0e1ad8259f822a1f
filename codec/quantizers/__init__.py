"""Quantizers of the encoder, for training; the bitstream side works on their integers alone."""

from .base import GradientWindow, WeightQuantizer
from .binary import BinaryQuantizer, binary_sign
from .bsn import BitShiftNorm
from .diagnostics import code_statistics, layer_report, level_statistics, plot_layer_log
from .heq import HistogramEqualizedQuantizer, StepRule, quantile_step
from .hwmsb import HalfWaveMsb, half_wave_msb
from .registry import make_quantizer, quantizer_names
from .running_norm import RunningBatchNorm2d

__all__ = [
    "BinaryQuantizer",
    "BitShiftNorm",
    "GradientWindow",
    "HalfWaveMsb",
    "HistogramEqualizedQuantizer",
    "RunningBatchNorm2d",
    "StepRule",
    "WeightQuantizer",
    "binary_sign",
    "code_statistics",
    "half_wave_msb",
    "layer_report",
    "level_statistics",
    "make_quantizer",
    "plot_layer_log",
    "quantile_step",
    "quantizer_names",
]
