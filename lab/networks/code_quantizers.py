"""Codes of a patch by other quantizers than signs, at 16 bits a position or fewer, 256 a patch.

The binary code of arXiv 2501.05097 spends a bit on each of 16 channels. The same bits hold fewer
channels of more levels, or pairs of channels on grids of the plane (Q2D2, arXiv 2512.01537). For
comparisons in floating point; what is exported is binary.

    z (N, C, 4, 4), normalized ---> quantizer ---> q (N, C, 4, 4)        C, bits by quantizer
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

from heqcodec.quantizers.binary import binary_sign
from heqcodec.quantizers.pair_grids import GridShape
from heqcodec.quantizers.q2d2 import PairQuantizer
from heqcodec.quantizers.tinyllava import SIGMAS, fsq_round
from torch import Tensor, nn

POSITION_BITS = 16
"""Of a position at most: 4 x 4 of them are 256 bits a patch."""


class CodeQuantizer(nn.Module):
    """What makes a code of normalized features.

    Attributes:
        channels: C.
        bits: of a position, the information of its channels: log2 of the number of codes.
    """

    channels: int
    bits: float

    def forward(self, z: Tensor) -> Tensor:
        """Float (N, C, H, W), about normal -> values of the code, same shape, straight through."""
        raise NotImplementedError


class BinaryCode(CodeQuantizer):
    """Signs: -1 or 1 in each channel, the code of the paper.

    Args:
        channels: C, and bits of a position.
    """

    def __init__(self, channels: int = POSITION_BITS) -> None:
        super().__init__()
        self.channels, self.bits = channels, float(channels)

    def forward(self, z: Tensor) -> Tensor:
        """See `CodeQuantizer`."""
        return binary_sign(z)


class ScalarCode(CodeQuantizer):
    """K levels from -1 to 1 in each channel, cut off at 3 sigma.

    The quantizer of Quantized-TinyLLaVA (arXiv 2511.23402); where it takes mean and sigma of the
    whole tensor, here a normalization stands before it, since a patch must not depend on others.

    Args:
        levels: K, a power of two.
        channels: C.
    """

    def __init__(self, levels: int, channels: int) -> None:
        super().__init__()
        self.levels, self.channels = levels, channels
        self.bits = channels * math.log2(levels)

    def forward(self, z: Tensor) -> Tensor:
        """See `CodeQuantizer`."""
        return fsq_round((z / SIGMAS).clamp(-1, 1), self.levels)


class PairCode(CodeQuantizer):
    """Pairs of channels on grids of the plane, see `PairQuantizer`.

    Args:
        levels: of each channel.
        shape: of the grids.
    """

    def __init__(self, levels: tuple[int, ...], shape: GridShape) -> None:
        super().__init__()
        self.pairs = PairQuantizer(levels, shape)
        self.channels, self.bits = len(levels), self.pairs.bits

    def forward(self, z: Tensor) -> Tensor:
        """See `CodeQuantizer`."""
        return cast(Tensor, self.pairs(z.movedim(1, -1))).movedim(-1, 1)


CODES: dict[str, Callable[[], CodeQuantizer]] = {
    "binary": BinaryCode,
    "scalar4": lambda: ScalarCode(4, 8),
    "rectangular": lambda: PairCode((4,) * 8, "rectangular"),
    "hexagonal": lambda: PairCode((4,) * 8, "hexagonal"),
    "rhombic": lambda: PairCode((3, 3, 3, 3, 3, 3, 5, 3), "rhombic"),
    "rhombic-fine": lambda: PairCode((11, 11, 13, 11), "rhombic"),
}
"""By name. Rhombic grids have odd sizes: 13, 13, 13 and 23 points, or 221 and 263, are nearly the
most that 16 bits hold of four pairs and of two."""


BOTTLENECKS: dict[str, Callable[[], CodeQuantizer]] = {
    "binary": BinaryCode,
    "binary-4": lambda: BinaryCode(4),
    "binary-8": lambda: BinaryCode(8),
    "binary-32": lambda: BinaryCode(32),
}
"""Codes of other numbers of signs: 64, 128 and 512 bits a patch beside the 256."""


def make_code(name: str) -> CodeQuantizer:
    """A new quantizer of codes.

    Args:
        name: a key of `CODES` or of `BOTTLENECKS`.

    Raises:
        ValueError: there is none of that name.
    """
    known = CODES | BOTTLENECKS
    if name not in known:
        raise ValueError(f"codes are {', '.join(known)}, not {name!r}.")
    return known[name]()
