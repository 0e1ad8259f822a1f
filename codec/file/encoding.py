"""Writing a file: coded channels, chunks, the strips of either mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import singledispatch
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.base.progress import report
from heqcodec.base.rate_protocols import StripCoder
from heqcodec.container import chunks as chunk_types
from heqcodec.container.chunks import Chunk, alpha_chunk
from heqcodec.container.header import Header, Mode, enough_strip_rows
from heqcodec.container.index import index_length
from heqcodec.container.strips import Strip, fixed_size, strip_length, strip_patch_rows
from heqcodec.container.writer import ContainerWriter
from heqcodec.image.patches import patch_batches
from heqcodec.image.transparency import fill_transparent
from heqcodec.nqe_r.coders import kind_of
from heqcodec.nqe_r.levels import ImageLevels, StripLevels
from heqcodec.nqe_r.weighting import is_weighted
from numpy.typing import NDArray

from .options import BITS_PER_PIXEL, Choice, PatchChoice, RateChoice, no_such_rate
from .progressive import encoded_strips
from .rate_control import controlled
from .target_search import USUAL_GUESSES, finest_fitting_step

if TYPE_CHECKING:
    from heqcodec.image.images import LoadedImage


ROWS = 256
"""Rows compared at once, so that a colour image is known by its first ones."""


def is_neutral(pixels: np.ndarray) -> bool:
    """Whether every pixel is grey, so that one channel says all.

    Args:
        pixels: uint8 (H, W, 3).
    """
    bands = (pixels[top : top + ROWS] for top in range(0, len(pixels), ROWS))
    return all(np.array_equal(band[..., :-1], band[..., 1:]) for band in bands)


def coded_samples(image: LoadedImage) -> tuple[NDArray[np.uint8], bool]:
    """What the encoder is given of an image.

    Returns:
        uint8 (H, W, 1) or (H, W, 3), filled where alpha is 0; and whether they stand for an RGB
        image that is grey in every pixel.
    """
    pixels = image.pixels
    if image.alpha is not None:
        pixels = fill_transparent(pixels, image.alpha)
    if pixels.shape[2] == 3 and is_neutral(pixels):
        if isinstance(pixels, np.ndarray):
            return np.ascontiguousarray(pixels[..., :1]), True
        return pixels.first_channel(), True  # rows that are read as they are encoded
    return pixels, False


def side_chunks(image: LoadedImage, strip_metadata: bool) -> list[Chunk]:
    """Metadata and alpha of an image, as chunks.

    Args:
        strip_metadata: leave out the metadata; alpha stays.
    """
    chunks = []
    if not strip_metadata:
        for name, data in (
            (chunk_types.ICC, image.icc),
            (chunk_types.EXIF, image.exif),
            (chunk_types.XMP, image.xmp),
            (chunk_types.GEO, image.geo),
        ):
            if data:
                chunks.append(Chunk(name, data))
    if image.alpha is not None:
        chunks.append(alpha_chunk(image.alpha))
    return chunks


@singledispatch
def encode_file(
    choice: Choice, pixels: NDArray[np.uint8], chunks: list[Chunk], gray_as_rgb: bool = False
) -> bytes:
    """Encode an image as the bytes of a file.

    Args:
        choice: of the options, of either mode.
        pixels: uint8 (H, W, 1) or (H, W, 3).
        chunks: that follow the strips; they count in a target.
        gray_as_rgb: as in the header.

    Raises:
        HeqError: the model has not this rate, or the target is smaller than the smallest file.
    """
    raise TypeError(f"{type(choice).__name__} is of no mode")


@encode_file.register
def _(
    choice: PatchChoice, pixels: NDArray[np.uint8], chunks: list[Chunk], gray_as_rgb: bool = False
) -> bytes:
    from heqcodec.models import registry

    height, width, channels = pixels.shape
    encoder = registry.load_encoder(choice.model)
    if choice.bits not in encoder.rates:
        bpp = next(rate for rate, bits in BITS_PER_PIXEL.items() if bits == choice.bits)
        raise no_such_rate(bpp, tuple(encoder.rates))
    header = Header(
        width=width,
        height=height,
        channels=channels,
        rate=choice.bits,
        encoder_id=encoder.encoder_id,
        coder_id=encoder.coder_id,
        coder=encoder.coder,
        strip_rows=enough_strip_rows(choice.strip_rows or 1, height),
        gray_as_rgb=gray_as_rgb,
    )

    def strips() -> Iterator[Strip]:
        pending = bytearray()
        index = 0
        for patches in patch_batches(pixels):
            pending += encoder.encode_patches(patches, choice.bits).tobytes()
            while index < header.strip_count and len(pending) >= strip_length(header, index):
                length = strip_length(header, index)
                yield Strip(header.rate, bytes(pending[:length]))
                del pending[:length]
                index += 1
                report(index, header.strip_count)

    return joined_file(header, strips(), chunks)


@encode_file.register
def _(
    choice: RateChoice, pixels: NDArray[np.uint8], chunks: list[Chunk], gray_as_rgb: bool = False
) -> bytes:
    from heqcodec.models import registry

    height, width, channels = pixels.shape
    encoder = registry.load_rate_encoder(choice.model)
    coder = registry.load_strip_coder(choice.model, choice.coder.number)
    wanted_rows = choice.strip_rows or (1 if choice.budget is not None else None)

    def header_at(step: int) -> Header:
        shape = height, width, channels
        made = rate_header(shape, step, encoder.encoder_id, coder, wanted_rows, choice.progressive)
        return replace(made, gray_as_rgb=gray_as_rgb, weighted=is_weighted(choice.tune))

    if choice.budget is not None:
        return _budget_file(
            choice, header_at, ImageLevels(pixels, encoder, True, choice.tune), coder, chunks
        )
    fixed = _fixed_size(header_at(0), chunks, choice.index)
    image = ImageLevels(pixels, encoder, choice.step is None, choice.tune)
    strip_rows = header_at(0).strip_rows
    best: dict[int, list[Strip]] = {}
    rows_done, usual_rows = 0, image.patch_rows * (1 if choice.step is not None else USUAL_GUESSES)

    def size_at(step: int) -> int:
        rows_then = rows_done + image.patch_rows

        def levels() -> Iterator[StripLevels]:
            nonlocal rows_done
            for strip in image.strips(step, strip_rows):
                yield strip
                rows_done += len(strip.transform_sizes)
                report(rows_done, max(rows_then, usual_rows))

        strips = list(encoded_strips(levels(), coder, header_at(step).parts))
        size = fixed + sum(len(strip.payload) for strip in strips)
        if choice.step is not None or size <= target:
            best.clear()  # The search goes to ever finer steps among those that fit.
            best[step] = strips
        return size

    if choice.step is not None:
        size_at(choice.step)
    else:
        if choice.target_size is not None:
            target = choice.target_size
        else:
            assert choice.target_bpp is not None
            target = math.floor(choice.target_bpp * width * height / 8)
        finest_fitting_step(size_at, target, _removable(chunks))
    ((step, strips),) = best.items()
    return joined_file(header_at(step), strips, chunks, choice.index)


def _removable(chunks: list[Chunk]) -> str:
    """What can be left out of a file for fewer bytes."""
    for chunk in chunks:
        if chunk.type == chunk_types.ALPHA:
            return f"metadata (strip) or alpha ({len(chunk.data)} bytes)"
    return "metadata (strip)"


def _fixed_size(header: Header, chunks: list[Chunk], index: bool) -> int:
    """Bytes of a file but for the payload of its strips."""
    lengths = [len(chunk.data) for chunk in chunks]
    return fixed_size(header, [*lengths, *[index_length(header.strip_count)] * index])


def _budget_file(
    choice: RateChoice,
    header_at: Callable[[int], Header],
    image: ImageLevels,
    coder: StripCoder,
    chunks: list[Chunk],
) -> bytes:
    """A file of at most so many bytes, each strip at its own step."""
    header, budget = header_at(0), choice.budget
    assert budget is not None
    fixed = _fixed_size(header, chunks, choice.index)
    if fixed > budget:
        raise HeqError(
            f"The header, heads of strips and metadata of this file have {fixed} bytes, more than "
            f"the budget of {budget}; give more, leave out {_removable(chunks)}, or take more rows "
            "per strip."
        )
    rows = header.strip_rows
    patches = [
        header.patch_columns * strip_patch_rows(header, index)
        for index in range(header.strip_count)
    ]

    def encode(index: int, step: int) -> bytes:
        return coder.encode(*image.strip(step, index * rows, rows))

    first, strips = controlled(budget - fixed, patches, encode)
    done = list(reported(strips, rows, image.patch_rows))
    made = header_at(done[0].rate if done[0].sent else first)
    return joined_file(made, done, chunks, choice.index)


def reported(strips: Iterable[Strip], rows: int, total: int) -> Iterator[Strip]:
    """The same strips, with progress in rows of patches."""
    for index, strip in enumerate(strips, 1):
        report(min(index * rows, total), total)
        yield strip


def rate_header(
    shape: tuple[int, int, int],
    step: int,
    encoder_id: bytes,
    coder: StripCoder,
    strip_rows: int | None = None,
    progressive: bool = False,
) -> Header:
    """The header of an image.

    Args:
        shape: height, width, channels.
        step: index.
        encoder_id: of the encoder that made the levels.
        coder: of the strips.
        strip_rows: rows of patches in a strip, more where there would be too many strips; None for
            the coder's default.
        progressive: whether the device file has the lowest frequencies of all strips first.
    """
    height, width, channels = shape
    kind = kind_of(coder.coder)
    assert kind
    unpacked = None if kind.unpacks_to is None else kind_of(kind.unpacks_to)
    parts = 1 + progressive
    return Header(
        width=width,
        height=height,
        channels=channels,
        rate=step,
        encoder_id=encoder_id,
        coder_id=coder.coder_id,
        coder=kind.number,
        mode=Mode.PROGRESSIVE if progressive else Mode.RATE,
        strip_rows=enough_strip_rows(strip_rows or kind.strip_rows, height, parts),
        device_rows=enough_strip_rows(unpacked.strip_rows, height, parts) if unpacked else 0,
    )


def joined_file(
    header: Header, strips: Iterable[Strip], chunks: Iterable[Chunk], index: bool = False
) -> bytes:
    """The bytes of a file: header, strips, chunks, and an index of the strips if it is wanted."""
    file = BytesIO()
    writer = ContainerWriter(file, header)
    for strip in strips:
        writer.write_strip(strip.payload, strip.rate)
    for chunk in chunks:
        writer.write_chunk(chunk)
    writer.finish(index)
    return file.getvalue()
