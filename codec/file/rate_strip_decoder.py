"""From the strips of a file of the variable-rate mode to pixels."""

from __future__ import annotations

import numpy as np
from heqcodec.base.errors import HeqFormatError
from heqcodec.base.rate_protocols import RateDecoder, SlicedCoder
from heqcodec.container.reader import ContainerReader
from heqcodec.container.strips import strip_patch_rows
from numpy.typing import NDArray

from .frame import Grids


class RateStripDecoder:
    """A `heqcodec.file.frame.StripDecoder` of levels.

    Args:
        reader: of the file, whose coder is loaded.
        decoder: of the model that wrote it.
        slices: decode so many slices of each strip of a sliced coder; None for all.

    Raises:
        HeqUnsupportedError: the model is not here.
    """

    def __init__(
        self, reader: ContainerReader, decoder: RateDecoder, slices: int | None = None
    ) -> None:
        from heqcodec.models import registry

        header = reader.header
        name = registry.model_of_file(header.encoder_id, header.coder_id)
        self._reader, self._slices = reader, slices
        self._coder = registry.load_strip_coder(name, header.coder)
        self._decoder = decoder
        self.radius = decoder.radius
        self.coarse_strips: set[int] = set()
        """Damaged strips of which some slices were decoded."""

    def grids(self, index: int, payload: bytes | None) -> Grids | None:
        """See `StripDecoder`: levels int16 (R, C, planes, 1024), transform sizes uint8 (R, C).

        Of a damaged strip of a packed file, the slices before the damage are decoded.
        """
        header = self._reader.header
        shape = (strip_patch_rows(header, index), header.patch_columns, header.channels)
        if payload is None:
            return self._coarse(index, self._reader.read_remains(index), shape)
        try:
            if self._slices is None:
                return self._coder.decode(payload, *shape, header.rate)
            levels, transform_sizes, found = self._prefix(payload, shape)
            if not found:
                raise HeqFormatError("it holds no slice that is whole.")
            return levels, transform_sizes
        except HeqFormatError as error:
            if not self._reader.partial:
                raise HeqFormatError(
                    f"Strip {index} cannot be decoded, though its checksum is right: {error}"
                ) from error
            self._reader.mark_damaged(index)
            return self._coarse(index, payload, shape)

    def decode(
        self, grids: Grids, valid: np.ndarray | None, core: tuple[slice, slice]
    ) -> np.ndarray:
        """See `StripDecoder`."""
        levels, transform_sizes = grids
        return self._decoder.decode_frame(
            levels, transform_sizes, self._reader.header.rate, valid, core
        )

    def _coarse(self, index: int, payload: bytes, shape: tuple[int, int, int]) -> Grids | None:
        # An empty first slice, as bytes of zero are, has no check that could speak for it.
        if not isinstance(self._coder, SlicedCoder) or not payload or not payload[0]:
            return None
        try:
            levels, transform_sizes, found = self._prefix(payload, shape)
        except HeqFormatError:
            return None
        if not found:
            return None
        self.coarse_strips.add(index)
        return levels, transform_sizes

    def _prefix(
        self, payload: bytes, shape: tuple[int, int, int]
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8], int]:
        assert isinstance(self._coder, SlicedCoder)
        return self._coder.decode_prefix(payload, *shape, self._reader.header.rate, self._slices)
