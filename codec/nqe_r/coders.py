"""The entropy coders of strips: the one place that knows which there are.

A new coder has a folder here, a number in `heqcodec.container.header.Coder`, its name in
`heqcodec.base.arguments.CoderName`, and an entry in this file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from heqcodec.base.rate_protocols import StripCoder
from heqcodec.container.header import Coder
from numpy.typing import NDArray

Tables = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class CoderKind:
    """What is known of an entropy coder before its tables are loaded.

    Attributes:
        number: in the header.
        make: the coder of its trained tables; raises `HeqFormatError` or ValueError if they are
            none of it.
        strip_rows: rows of patches in a strip, by default.
        sliced: whether its strips can be decoded in part: it is a `SlicedCoder`.
        unpacks_to: number of the coder to whose files its own are unpacked, bit for bit; None for
            the coder of the encoder itself.
    """

    number: Coder
    make: Callable[[Tables], StripCoder]
    strip_rows: int
    sliced: bool = False
    unpacks_to: Coder | None = None

    @property
    def name(self) -> str:
        """In options and in the manifest."""
        return self.number.name.lower()


def _device(tables: Tables) -> StripCoder:
    from .device_coder.coder import DeviceCoder

    return DeviceCoder(tables)


def _packed(tables: Tables) -> StripCoder:
    from .packed_coder.coder import PackedCoder

    return PackedCoder(tables)


# A camera holds few rows, a server many.
OWN = CoderKind(Coder.DEVICE, _device, strip_rows=4)
"""The coder of the encoder itself, which files are written with by default."""
PACKED = CoderKind(Coder.PACKED, _packed, strip_rows=32, sliced=True, unpacks_to=Coder.DEVICE)
CODERS = {kind.number.name.lower(): kind for kind in (OWN, PACKED)}
"""All entropy coders by their names in options and in the manifest."""
_BY_NUMBER = {int(kind.number): kind for kind in CODERS.values()}


def kind_of(number: int) -> CoderKind | None:
    """The coder of a number in the header; None for those of the patch mode."""
    return _BY_NUMBER.get(number)


def packed_by(kind: CoderKind) -> CoderKind | None:
    """The coder that packs files of this one; None if none does."""
    return next((other for other in _BY_NUMBER.values() if other.unpacks_to == kind.number), None)
