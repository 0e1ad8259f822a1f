"""Sizes of a PURENET, and what follows from them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

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
    hidden: channels between the two convolutions of each block, in the order local, 1/8, 1/4, 1/2;
        empty where they are as many as the block has outside.
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
    hidden: Sequence[int] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and TOML."""
        return {**asdict(self), "hidden": list(self.hidden)}

    @property
    def stages(self) -> dict[str, tuple[int, tuple[int, ...]]]:
        """Width of each stage of blocks, and channels inside each of its blocks.

        Raises:
            ValueError: `hidden` has another number of blocks.
        """
        sizes = {
            "local": (self.width, self.local_blocks),
            "coarse": (self.width, self.blocks),
            "mid": (self.mid_width, self.mid_blocks),
            "fine": (self.fine_width, self.fine_blocks),
        }
        inside = [width for width, count in sizes.values() for _ in range(count)]
        if self.hidden and len(self.hidden) != len(inside):
            raise ValueError(f"{len(self.hidden)} hidden widths for {len(inside)} blocks")
        each = iter(self.hidden or inside)
        return {
            name: (width, tuple(itertools.islice(each, count)))
            for name, (width, count) in sizes.items()
        }

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
