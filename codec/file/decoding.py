"""Decoding of one file, whole or in part: what is read and verified, in which order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import numpy as np
from heqcodec.base.arguments import BackendName, DecoderName, checked_limit, shown, whole
from heqcodec.base.errors import HeqError, HeqFormatError
from heqcodec.base.metadata import Metadata
from heqcodec.container import chunks as chunk_types
from heqcodec.container.chunks import Chunk, read_alpha
from heqcodec.container.header import Coder, Header, check_pixels
from heqcodec.container.reader import ContainerReader
from heqcodec.container.source import Source, open_source
from heqcodec.container.strips import Strip
from heqcodec.nqe_r.coders import kind_of
from numpy.typing import NDArray

from .frame import (
    Grids,
    PatchStripDecoder,
    StripDecoder,
    StripReader,
    check_window,
    decode_window,
    region_window,
    whole_window,
)

Region = tuple[int, int, int, int]


@dataclass(frozen=True)
class PartialImage:
    """A decoded image and what was wrong with its file.

    Attributes:
        pixels: uint8 (H, W, 1), (H, W, 3) or (H, W, 4).
        damaged_strips: indices of the strips whose pixels were filled, ascending; with a region,
            those that were read for it.
        coarse_strips: indices of the damaged strips of a packed file whose beginning was intact:
            their pixels are those of fewer slices; and of strips of the second part of a
            progressive file, whose pixels are those of the first part.
        unsent_strips: indices of the strips that the encoder left out for want of room; their
            pixels were filled. The file is whole for all that.
        damaged_chunks: names of the chunks that were dropped, ``"?"`` for an unreadable name;
            ``"ALPH"`` among them means that the image had an alpha plane and is returned without.
        repaired: parts that were put right without loss, such as ``"header"``, ``"strip 3"``.
        metadata: the metadata that were intact.
    """

    pixels: NDArray[np.uint8]
    damaged_strips: list[int] = field(default_factory=list)
    coarse_strips: list[int] = field(default_factory=list)
    unsent_strips: list[int] = field(default_factory=list)
    damaged_chunks: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def damaged(self) -> bool:
        """Whether anything in the file was not as it was written."""
        return bool(
            self.damaged_strips or self.coarse_strips or self.damaged_chunks or self.repaired
        )


def decode_file(
    data: Source,
    region: Region | None,
    partial: bool,
    max_pixels: int | None,
    device: str,
    slices: int | None = None,
    decoder: DecoderName = "strong",
    backend: BackendName = "auto",
    *,
    all_chunks: bool = False,
) -> PartialImage:
    """Decode a file; arguments and errors are those of :func:`heqcodec.decode`.

    Args:
        all_chunks: read the metadata for a region, too; else they are read where the whole file is.
    """
    limit = checked_limit(max_pixels)
    device = str(device)  # a torch.device is as good
    with open_source(data) as stream:
        whole_limit = limit if region is None else None
        reader = ContainerReader(stream, max_pixels=whole_limit, partial=partial)
        header = reader.header
        x, y, width, height = box = checked_region(region, header)
        slices = _checked_slices(slices, header)
        # Before the model loads, all that is known to be needed is verified: everything, or for a
        # region its own strips; those of the decoder's reach follow.
        first = region_window(header, box, 0).strips(header)
        parts = range(1 if slices == 1 else header.parts)
        strips = HeldStrips(
            reader, [index + part * header.row_strips for part in parts for index in first]
        )
        # A region may leave metadata unread; after damage the search for chunks needs them all.
        only_alpha = region is not None and not partial and not all_chunks
        chunks = reader.read_chunks(frozenset({chunk_types.ALPHA}) if only_alpha else None)
        if any(chunk.type == chunk_types.ALPHA for chunk in chunks):
            check_pixels(header.width, header.height, limit)  # its plane is decoded whole
        alpha = alpha_plane(chunks, reader)

        strip_decoder, found = strip_decoder_of(strips, device, slices, decoder, backend)
        check_window(header, box, strip_decoder.radius, limit)
        unsent: set[int] = set()

        def read(number: int) -> Grids | None:
            strip = strips.read_strip(number)
            if strip is not None and not strip.sent:
                unsent.add(number)
            return strip_decoder.grids(number, strip)

        window = region_window(header, box, strip_decoder.radius)
        pixels = decode_window(header, window, box, read, strip_decoder)
        # Before the fill looks further than the region's own strips.
        damaged = [number for number in reader.damaged_strips if number not in found.coarse]
        coarse_strips, unsent_strips = sorted(found.coarse), sorted(unsent | found.unsent)
        if (damaged or unsent) and region is not None:
            # The fill reaches to the next intact rows, wherever they are.
            check_pixels(header.width, header.height, limit)
            everything = (0, 0, header.width, header.height)
            whole = decode_window(header, whole_window(header), everything, read, strip_decoder)
            pixels = whole[y : y + height, x : x + width]
    crop = None if alpha is None else alpha[y : y + height, x : x + width]
    return PartialImage(
        pixels=all_channels(header, pixels, crop),
        damaged_strips=damaged,
        coarse_strips=coarse_strips,
        unsent_strips=unsent_strips,
        damaged_chunks=reader.damaged_chunks,
        repaired=reader.repaired,
        metadata=collect_metadata(chunks),
    )


class HeldStrips:
    """A `StripReader` that has read some strips, each of which it gives once.

    Args:
        reader: of the file.
        indices: of these strips.
    """

    def __init__(self, reader: ContainerReader, indices: list[int]) -> None:
        self.header, self.partial = reader.header, reader.partial
        self.read_remains, self.mark_damaged = reader.read_remains, reader.mark_damaged
        self._reader = reader
        self._held = reader.read_strips(indices)

    def read_strip(self, index: int) -> Strip | None:
        """See `StripReader`."""
        return self._held.pop(index) if index in self._held else self._reader.read_strip(index)


@dataclass(frozen=True)
class PartlyDecoded:
    """Strips that a decoder of strips found to be incomplete, as they are decoded.

    Attributes:
        coarse: those that are damaged, though something of their rows was decoded.
        unsent: those of a second part that the encoder left out.
    """

    coarse: set[int] = field(default_factory=set)
    unsent: set[int] = field(default_factory=set)


def strip_decoder_of(
    reader: StripReader, device: str, slices: int | None, wanted: str, backend: str
) -> tuple[StripDecoder, PartlyDecoded]:
    """The strip decoder of a file, and the record of incomplete strips that it fills.

    Args:
        reader: gives the header, and strips as they are asked for.
        device, backend: see `heqcodec.models.registry.load_decoder`.
        slices: of packed and progressive strips to decode, from 1; all for None.
        wanted: name of the decoder, such as "strong", "fast" or "plain".

    Raises:
        HeqError: as `load_decoder` and `load_rate_decoder` of the registry.
    """
    from heqcodec.models import registry

    header = reader.header
    if header.constant_rate:
        ids = header.encoder_id, header.coder_id
        decoder = registry.load_decoder(*ids, device, backend, wanted)
        return PatchStripDecoder(header, decoder), PartlyDecoded()
    from .rate_strip_decoder import RateStripDecoder

    name = registry.model_of_file(header.encoder_id, header.coder_id)
    strip_decoder = RateStripDecoder(
        reader, registry.load_rate_decoder(name, device, wanted, backend), slices
    )
    return strip_decoder, PartlyDecoded(strip_decoder.coarse_strips, strip_decoder.unsent_strips)


def _checked_slices(slices: int | None, header: Header) -> int | None:
    if slices is None:
        return None
    kind = kind_of(header.coder)
    if not (kind and kind.sliced) and header.parts == 1:
        raise HeqError(
            f"The file has coder {Coder(header.coder).name}, and only packed and progressive files "
            "have slices; leave slices out, or pack the file first."
        )
    number = whole(slices)
    if number is None or number < 1:
        raise HeqError(f"slices is {shown(slices)}; give a whole number from 1.")
    return number


def checked_region(region: Region | None, header: Header) -> Region:
    if region is None:
        return 0, 0, header.width, header.height
    values = [whole(value) for value in region] if hasattr(region, "__len__") else []
    if len(values) != 4 or None in values:
        raise HeqError(
            f"A region has four numbers (x, y, width, height), all of them whole; found {region!r}."
        )
    x, y, width, height = cast("Region", values)
    inside = x >= 0 and y >= 0 and x + width <= header.width and y + height <= header.height
    if not inside or width < 1 or height < 1:
        raise HeqError(
            f"The region {x},{y},{width},{height} (x, y, width, height) is not inside the image of "
            f"{header.width} x {header.height} pixels; choose one that is."
        )
    return x, y, width, height


def all_channels(
    header: Header, pixels: NDArray[np.uint8], alpha: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    """What a caller gets of decoded pixels: gray in R, G and B where the image was RGB or has
    alpha, and alpha as the last channel.

    Args:
        header: of the file.
        pixels: uint8 (H, W, channels of the code).
        alpha: uint8 (H, W), or None.

    Returns:
        uint8 (H, W, 1), (H, W, 3) or (H, W, 4), contiguous.
    """
    if alpha is not None:
        colours = np.broadcast_to(pixels, (*alpha.shape, 3))
        return np.concatenate((colours, alpha[..., None]), axis=2)
    if header.gray_as_rgb:
        pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return np.ascontiguousarray(pixels)


def alpha_plane(chunks: list[Chunk], reader: ContainerReader) -> NDArray[np.uint8] | None:
    """The alpha plane uint8 (H, W) among the chunks of a file, or None. In a file that is read in
    part a damaged one is left out, and marked as damaged."""
    for chunk in chunks:
        if chunk.type == chunk_types.ALPHA:
            try:
                return read_alpha(chunk.data, reader.header.width, reader.header.height)
            except HeqFormatError:
                if not reader.partial:
                    raise
                reader.damaged_chunks.append(chunk.name)
    return None


def collect_metadata(chunks: list[Chunk]) -> Metadata:
    """The metadata among the chunks of a file."""
    data = {chunk.type: chunk.data for chunk in chunks}
    return Metadata(
        icc=data.get(chunk_types.ICC),
        exif=data.get(chunk_types.EXIF),
        xmp=data.get(chunk_types.XMP),
        geo=data.get(chunk_types.GEO),
    )
