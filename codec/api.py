"""The public interface: encode, decode, what a file says about itself, and its metadata."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from heqcodec.container import chunks as chunk_types
from heqcodec.container.chunks import Chunk, alpha_chunk
from heqcodec.container.header import (
    DEFAULT_MAX_PIXELS,
    FORMAT_VERSION,
    PATCH,
    Coder,
    Header,
    Mode,
    check_pixels,
)
from heqcodec.container.reader import ContainerReader
from heqcodec.container.source import Source, open_source
from heqcodec.container.writer import ContainerWriter
from heqcodec.decoding import Metadata, PartialImage, Region, collect_metadata, decode_file
from heqcodec.errors import HeqError, HeqUnsupportedError
from heqcodec.patches import patch_batches

if TYPE_CHECKING:
    from heqcodec.images import ImageSource

BITS_PER_PIXEL = {bits / PATCH**2: bits for bits in (64, 128, 256, 512)}
"""Rates of the patch mode: bits per pixel -> bits per 32 x 32 patch."""
DEFAULT_BPP = 0.25


def encode(
    image: ImageSource,
    bpp: float | None = None,
    quality: float | None = None,
    mode: str = "auto",
    coder: str = "device",
    model: str = "default",
    strip: bool = False,
    *,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
) -> bytes:
    """Encode an image as a ``.heq`` file.

    Args:
        image: a path, bytes or binary file object of an image file, a Pillow image, or a uint8
            array (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4); see
            :func:`heqcodec.images.load_image`.
        bpp: bits per pixel of the padded image: 0.0625, 0.125, 0.25 (default) or 0.5.
        quality: for the variable-rate mode, which this version does not write.
        mode: "patch" (every 32 x 32 patch has the same number of bits) or "auto", which is the
            same in this version.
        coder: "device", the coder of the encoder itself.
        model: a name of ``heqcodec models``, or "default".
        strip: leave out the ICC profile, EXIF and XMP; alpha stays.
        max_pixels: largest number of pixels; None for no limit.

    Returns:
        The bytes of the file. They depend on the pixels, metadata and options only.

    Raises:
        HeqUnsupportedError: an option of the variable-rate mode, or an image of an unknown kind.
        HeqLimitError: more pixels than ``max_pixels``.
        HeqError: an unknown option or rate, or an image that cannot be read.
    """
    _check_options(quality, mode, coder)
    bits = _patch_bits(bpp, tuple(BITS_PER_PIXEL.values()))
    from heqcodec import images, models

    limit = max_pixels if max_pixels is not None else _NO_LIMIT
    loaded = images.load_image(image, limit)
    height, width, channels = loaded.pixels.shape
    check_pixels(width, height, max_pixels)
    encoder = models.load_encoder(models.default_model() if model == "default" else model)
    bits = _patch_bits(bpp, tuple(encoder.rates))
    header = Header(
        width=width,
        height=height,
        channels=channels,
        rate=bits,
        encoder_id=encoder.encoder_id,
        coder_id=encoder.coder_id,
        coder=encoder.coder,
    )
    file = BytesIO()
    writer = ContainerWriter(file, header)
    strip_bytes = header.patch_columns * header.patch_bytes
    pending = bytearray()
    for patches in patch_batches(loaded.pixels):
        pending += encoder.encode_patches(patches, bits).tobytes()
        whole = len(pending) - len(pending) % strip_bytes
        for start in range(0, whole, strip_bytes):
            writer.write_strip(bytes(pending[start : start + strip_bytes]))
        del pending[:whole]
    if not strip:
        for name, data in (
            (chunk_types.ICC, loaded.icc),
            (chunk_types.EXIF, loaded.exif),
            (chunk_types.XMP, loaded.xmp),
        ):
            if data:
                writer.write_chunk(Chunk(name, data))
    if loaded.alpha is not None:
        writer.write_chunk(alpha_chunk(loaded.alpha))
    writer.finish()
    return file.getvalue()


def decode(
    data: Source,
    region: Region | None = None,
    partial: bool = False,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    device: str = "auto",
) -> np.ndarray:
    """Decode a ``.heq`` file.

    The header and all checksums are verified before a model loads. With ``region``, a path or a
    seekable file object is read only where it matters, and only that is verified (the strips
    around the region after the decoder has told its reach).

    Args:
        data: bytes, a path, or a binary file object.
        region: (x, y, width, height) in pixels, inside the image; None for all of it. The result
            is that crop of the whole image.
        partial: keep what is intact; damaged strips are filled from their neighbours, a damaged
            alpha plane is left out. :func:`decode_partial` says what was damaged.
        max_pixels: largest number of pixels of the whole image; None for no limit. An image much
            narrower than 32 pixels is also refused when its padded frame passes four times the
            limit, because work and memory follow the frame.
        device: "auto", "cpu", "cuda" and so on, for the decoder.

    Returns:
        uint8 (H, W, 1) for grey, (H, W, 3) for RGB, (H, W, 4) for any image with alpha (grey is
        repeated into R, G and B).

    Raises:
        HeqFormatError, HeqTruncatedError, HeqChecksumError: the file is no ``.heq`` file or is
            damaged; with ``partial`` only if its header is beyond repair.
        HeqUnsupportedError: it needs another version or a model that is not here.
        HeqLimitError: more pixels than ``max_pixels``.
        HeqError: the region is not inside the image.
    """
    return decode_file(data, region, partial, max_pixels, device).pixels


def decode_partial(
    data: Source,
    region: Region | None = None,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    device: str = "auto",
) -> PartialImage:
    """Decode what is intact of a damaged file, and say what was not.

    Arguments and errors are those of :func:`decode` with ``partial``.
    """
    return decode_file(data, region, True, max_pixels, device)


def info(data: Source, partial: bool = False) -> dict[str, Any]:
    """What a file says about itself; every checksum is verified and no model is loaded.

    Args:
        data: bytes, a path, or a binary file object.
        partial: list damage under ``damaged_strips``, ``damaged_chunks`` and ``repaired``, and
            count the strips that a cut took under ``missing_strips``, instead of raising.

    Returns:
        A dictionary of plain values, ready for JSON.

    Raises:
        HeqError: as :func:`decode`, except that no image is too large.
    """
    with open_source(data) as stream:
        reader = ContainerReader(stream, max_pixels=None, partial=partial)
        # Only what is there: the header of a file cut short may announce 2^27 strips.
        reader.read_strips(range(reader.strips_present))
        chunks = reader.read_chunks()
        header = reader.header
        return {
            "format_version": FORMAT_VERSION,
            "mode": Mode(header.mode).name.lower(),
            "coder": Coder(header.coder).name.lower(),
            "width": header.width,
            "height": header.height,
            "channels": header.channels,
            "alpha": any(chunk.type == chunk_types.ALPHA for chunk in chunks),
            "bits_per_patch": header.rate,
            "nominal_bpp": header.rate / PATCH**2,
            "file_bytes": reader.file_size,
            "file_bpp": 8 * reader.file_size / (header.width * header.height),
            "patch_rows": header.patch_rows,
            "patch_columns": header.patch_columns,
            "strips": header.strip_count,
            "strip_rows": header.strip_rows,
            "encoder_id": header.encoder_id.hex(),
            "coder_id": header.coder_id.hex(),
            "chunks": [{"type": chunk.name, "bytes": len(chunk.data)} for chunk in chunks],
            "damaged_strips": reader.damaged_strips,
            "missing_strips": header.strip_count - reader.strips_present,
            "damaged_chunks": reader.damaged_chunks,
            "repaired": reader.repaired,
        }


def read_metadata(data: Source, partial: bool = False) -> Metadata:
    """ICC profile, EXIF and XMP of a file, without reading its strips.

    Args:
        data: bytes, a path, or a binary file object.
        partial: leave out what is damaged instead of raising.

    Raises:
        HeqError: as :func:`decode`, except that no image is too large.
    """
    with open_source(data) as stream:
        reader = ContainerReader(stream, max_pixels=None, partial=partial)
        return collect_metadata(reader.read_chunks())


_NO_LIMIT = 2**63 - 1


def _check_options(quality: float | None, mode: str, coder: str) -> None:
    if mode not in ("auto", "patch", "rate"):
        raise HeqError(f"The mode {mode!r} is not known; choose 'auto' or 'patch'.")
    if coder not in ("device", "packed"):
        raise HeqError(f"The coder {coder!r} is not known; choose 'device'.")
    for option, given in (
        ("quality", quality is not None),
        ("mode='rate'", mode == "rate"),
        ("coder='packed'", coder == "packed"),
    ):
        if given:
            raise HeqUnsupportedError(
                f"{option} belongs to the variable-rate mode, and this version writes "
                "patch-constant files only; choose a rate with bpp instead."
            )


def _patch_bits(bpp: float | None, rates: tuple[int, ...]) -> int:
    bits = BITS_PER_PIXEL.get(DEFAULT_BPP if bpp is None else bpp)
    if bits is None or bits not in rates:
        allowed = ", ".join(f"{b:g}" for b, n in BITS_PER_PIXEL.items() if n in rates)
        raise HeqError(f"bpp is {bpp!r}; in patch mode choose one of {allowed}.")
    return bits
