"""Sizes of a PURENET, and what follows from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

CELLS = 4
"""Cells along a side of a patch."""
CELL = 8
"""Pixels along a side of a cell."""


@dataclass(frozen=True)
class PurenetConfig:
    """Sizes of a PURENET; stored with its weights.

    inputs: channels of the cells.
    has_base: whether the code comes with pixels of its own; else they are learned from the cells.
    rates: how many rates it knows.
    width, blocks: channels and residual blocks at 1/8 resolution.
    local_blocks: residual blocks of patch upsampling.
    mid_width, mid_blocks: the same at 1/4 resolution; 0 blocks leave the stage out.
    fine_width, fine_blocks: the same at 1/2 resolution.
    """

    inputs: int
    has_base: bool
    rates: int = 4
    width: int = 160
    blocks: int = 6
    local_blocks: int = 1
    mid_width: int = 96
    mid_blocks: int = 0
    fine_width: int = 48
    fine_blocks: int = 3

    def as_dict(self) -> dict[str, int | bool]:
        """Plain values for JSON and TOML."""
        return asdict(self)

    @property
    def hints(self) -> int:
        """Numbers a patch in addition to the pixels of a base."""
        return self.inputs - 3 * CELL * CELL if self.has_base else 0

    @property
    def fine_factor(self) -> int:
        """How much finer 1/2 resolution is than what comes before it."""
        return 2 if self.mid_blocks else CELL // 2

    @property
    def radius(self) -> int:
        """How far the code of a patch reaches beyond the patch's border, in pixels.

        Each 3x3 convolution reaches one position further: two a block, and two more at 1/2.
        """
        coarse = CELL * 2 * self.blocks
        mid = 4 * (1 + 2 * self.mid_blocks) if self.mid_blocks else 0
        fine = 2 * (2 + 2 * self.fine_blocks)
        return coarse + mid + fine
