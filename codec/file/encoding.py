"""Writing a file: which channels are coded, chunks beside them, the strips of the patch mode."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from heqcodec.base.progress import report
from heqcodec.container import chunks as chunk_types
from heqcodec.container.chunks import Chunk, alpha_chunk
from heqcodec.container.header import Header
from heqcodec.container.strips import strip_length
from heqcodec.container.writer import ContainerWriter
from heqcodec.image.patches import patch_batches
from heqcodec.image.transparency import fill_transparent
from numpy.typing import NDArray

from .options import BITS_PER_PIXEL, Choice, no_such_rate

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
        return np.ascontiguousarray(pixels[..., :1]), True
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
        ):
            if data:
                chunks.append(Chunk(name, data))
    if image.alpha is not None:
        chunks.append(alpha_chunk(image.alpha))
    return chunks


def encode_patch_file(
    pixels: np.ndarray, choice: Choice, chunks: list[Chunk], gray_as_rgb: bool = False
) -> bytes:
    """A file of the patch mode.

    Args:
        pixels: uint8 (H, W, 1) or (H, W, 3).
        choice: with the model and the bits per patch.
        chunks: that follow the strips.
        gray_as_rgb: as in the header.

    Raises:
        HeqError: the model has not this rate.
    """
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
        strip_rows=choice.strip_rows or 1,
        gray_as_rgb=gray_as_rgb,
    )
    file = BytesIO()
    writer = ContainerWriter(file, header)
    pending = bytearray()
    index = 0
    for patches in patch_batches(pixels):
        pending += encoder.encode_patches(patches, choice.bits).tobytes()
        while index < header.strip_count and len(pending) >= strip_length(header, index):
            length = strip_length(header, index)
            writer.write_strip(bytes(pending[:length]))
            del pending[:length]
            index += 1
            report(index, header.strip_count)
    for chunk in chunks:
        writer.write_chunk(chunk)
    writer.finish()
    return file.getvalue()
