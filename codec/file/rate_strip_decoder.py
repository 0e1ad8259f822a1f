"""From the strips of a file of the variable-rate mode to pixels."""

from __future__ import annotations

import numpy as np
from heqcodec.base.constants import WEIGHTED
from heqcodec.base.errors import HeqFormatError
from heqcodec.base.rate_protocols import RateDecoder, SlicedCoder
from heqcodec.container.strips import Strip, strip_patch_rows
from numpy.typing import NDArray

from .frame import Grids, StripReader
from .progressive import decoded_strip


class RateStripDecoder:
    """A `heqcodec.file.frame.StripDecoder` of levels.

    Args:
        reader: of the file, whose coder is loaded.
        decoder: of the model that wrote it.
        slices: decode so many slices of each strip of a sliced coder, or parts of a progressive
            file; None for all.

    Raises:
        HeqUnsupportedError: the model is not here.
    """

    def __init__(
        self, reader: StripReader, decoder: RateDecoder, slices: int | None = None
    ) -> None:
        from heqcodec.models import registry

        header = reader.header
        name = registry.model_of_file(header.encoder_id, header.coder_id)
        self._reader, self._slices = reader, slices
        self._coder = registry.load_strip_coder(name, header.coder)
        self._decoder = decoder
        self.radius = decoder.radius
        self.coarse_strips: set[int] = set()
        """Damaged strips of which some slices were decoded, and those of the second part of a
        progressive file whose first part was."""
        self.unsent_strips: set[int] = set()
        """Strips of a second part that were not sent."""

    def grids(self, index: int, strip: Strip | None) -> Grids | None:
        """See `StripDecoder`: levels int16 (R, C, planes, 1024), transform sizes uint8 (R, C), and
        indices of the quantizers int64 (R, C).

        Of a damaged strip of a packed file, the slices before the damage are decoded; of one that
        was not sent there is nothing.
        """
        header = self._reader.header
        shape = (strip_patch_rows(header, index), header.patch_columns, header.channels)
        if strip is None:
            return self._coarse(index, self._reader.read_remains(index), shape)
        if not strip.sent:
            return None
        if header.parts > 1:
            return self._parts(index, strip)
        try:
            if self._slices is None:
                levels, transform_sizes = self._coder.decode(strip.payload, *shape, strip.rate)
            else:
                levels, transform_sizes, found = self._prefix(strip, shape)
                if not found:
                    raise HeqFormatError("it holds no slice that is whole.")
            return self._with_steps(levels, transform_sizes, strip.rate)
        except HeqFormatError as error:
            if not self._reader.partial:
                raise HeqFormatError(
                    f"Strip {index} cannot be decoded, though its checksum is right: {error}"
                ) from error
            self._reader.mark_damaged(index)
            return self._coarse(index, strip, shape)

    def _parts(self, index: int, first: Strip) -> Grids | None:
        """The levels of both parts, or of the first one alone."""
        header, partial = self._reader.header, self._reader.partial
        parts, second = [first], index + header.row_strips
        rest = self._reader.read_strip(second) if self._slices != 1 else None
        if rest is not None:
            parts.append(rest)
            self.unsent_strips |= set() if rest.sent else {second}
        elif self._slices != 1:
            self.coarse_strips.add(second)
        while parts:
            try:
                return self._with_steps(*decoded_strip(header, index, parts, self._coder))
            except HeqFormatError:
                if not partial:
                    raise
            damaged = index if len(parts) == 1 else second
            self._reader.mark_damaged(damaged)
            if parts.pop() is rest:
                self.coarse_strips.add(damaged)
        return None

    def decode(
        self, grids: Grids, valid: np.ndarray | None, core: tuple[slice, slice]
    ) -> np.ndarray:
        """See `StripDecoder`."""
        levels, transform_sizes, steps = grids
        known = np.ones(len(steps), bool) if valid is None else valid[:, 0]
        return self._decoder.decode_frame(
            levels, transform_sizes, from_nearest_rows(steps[:, 0], known), valid, core
        )

    def _coarse(self, index: int, strip: Strip | None, shape: tuple[int, int, int]) -> Grids | None:
        # An empty first slice, as bytes of zero are, has no check that could speak for it.
        sliced = isinstance(self._coder, SlicedCoder)
        if not sliced or strip is None or not strip.payload or not strip.payload[0]:
            return None
        try:
            levels, transform_sizes, found = self._prefix(strip, shape)
        except HeqFormatError:
            return None
        if not found:
            return None
        self.coarse_strips.add(index)
        return self._with_steps(levels, transform_sizes, strip.rate)

    def _with_steps(
        self, levels: NDArray[np.int16], transform_sizes: NDArray[np.uint8], step: int
    ) -> Grids:
        """The grids of a strip: the index of each patch's quantizer as one more."""
        index = step + WEIGHTED * self._reader.header.weighted
        return levels, transform_sizes, np.full(transform_sizes.shape, index, np.int64)

    def _prefix(
        self, strip: Strip, shape: tuple[int, int, int]
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8], int]:
        assert isinstance(self._coder, SlicedCoder)
        return self._coder.decode_prefix(strip.payload, *shape, strip.rate, self._slices)


def from_nearest_rows(steps: NDArray[np.int64], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Steps of rows of patches, int64 (R,); rows that are not known, bool (R,), have that of the
    nearest one that is, above rather than below."""
    rows = np.arange(len(steps))
    present = rows[known]
    nearest = present[np.abs(rows[:, None] - present).argmin(axis=1)]
    return steps[nearest]
