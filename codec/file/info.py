"""What a file says about itself."""

from __future__ import annotations

from math import prod
from typing import Literal, TypedDict, cast

from heqcodec.base.arguments import StripsName
from heqcodec.base.constants import PATCH
from heqcodec.container import chunks as chunk_types
from heqcodec.container.header import FORMAT_VERSION, Coder, Header, Mode, padded_size
from heqcodec.container.reader import ContainerReader
from heqcodec.container.source import Source, open_source

__all__ = ["ChunkInfo", "FileInfo", "file_info"]


class ChunkInfo(TypedDict):
    """A chunk: its four letters, and the bytes of its data."""

    type: str
    bytes: int


class FileInfo(TypedDict):
    """What :func:`heqcodec.info` returns: plain values, ready for JSON.

    Attributes:
        format_version: of the file format, 1.
        mode: of the file.
        coder: of its strips; in rate mode a `CoderName`, in patch mode "none" or "patch".
        model: the name of the model that wrote the file; None if this version has it not.
        width, height: in pixels.
        channels: 1 or 3, of the decoded image without its alpha.
        coded_channels: 1 where an RGB image is grey in every pixel, else ``channels``.
        alpha: whether it has an alpha plane.
        quality: rate mode: the quality that gives this step; a target size may lead below 1 or
            above 100. None in patch mode.
        step: rate mode: the step index, 0 to 1023. None in patch mode.
        bits_per_patch: patch mode. None in rate mode.
        nominal_bpp: patch mode: bits per pixel of the padded frame. None in rate mode.
        file_bytes: of the whole file.
        file_bpp: 8 x file_bytes / (width x height).
        patch_rows, patch_columns: of the padded frame.
        padded_pixels: of the padded frame, which count against ``max_pixels`` elsewhere.
        strips: how many the header announces.
        strip_rows: rows of patches in a strip.
        device_strip_rows: packed files: rows of patches in a strip of the device file. None in
            others.
        encoder_id, coder_id: 16 hexadecimal digits each.
        chunks: all of them, in the order of the file.
        damaged_strips: indices, with ``partial``.
        missing_strips: strips that a cut took.
        damaged_chunks: names of chunks, with ``partial``.
        repaired: parts that were put right without loss, with ``partial``.
    """

    format_version: int
    mode: Literal["patch", "rate"]
    coder: StripsName
    model: str | None
    width: int
    height: int
    channels: int
    coded_channels: int
    alpha: bool
    quality: float | None
    step: int | None
    bits_per_patch: int | None
    nominal_bpp: float | None
    file_bytes: int
    file_bpp: float
    patch_rows: int
    patch_columns: int
    padded_pixels: int
    strips: int
    strip_rows: int
    device_strip_rows: int | None
    encoder_id: str
    coder_id: str
    chunks: list[ChunkInfo]
    damaged_strips: list[int]
    missing_strips: int
    damaged_chunks: list[str]
    repaired: list[str]


def file_info(data: Source, partial: bool) -> FileInfo:
    """Read and verify a file; arguments and errors are those of :func:`heqcodec.info`."""
    from heqcodec.models.manifest import model_of

    with open_source(data) as stream:
        reader = ContainerReader(stream, max_pixels=None, partial=partial)
        # Only what is there: the header of a file cut short may announce 2^27 strips.
        for index in range(reader.strips_present):
            reader.read_strip(index)
        chunks = reader.read_chunks()
        header = reader.header
        return {
            "format_version": FORMAT_VERSION,
            "mode": cast('Literal["patch", "rate"]', Mode(header.mode).name.lower()),
            "coder": cast("StripsName", Coder(header.coder).name.lower()),
            "model": model_of(header.encoder_id, header.coder_id),
            "width": header.width,
            "height": header.height,
            "channels": header.output_channels,
            "coded_channels": header.channels,
            "alpha": any(chunk.type == chunk_types.ALPHA for chunk in chunks),
            "quality": _quality(header),
            "step": None if header.constant_rate else header.rate,
            "bits_per_patch": header.rate if header.constant_rate else None,
            "nominal_bpp": header.rate / PATCH**2 if header.constant_rate else None,
            "file_bytes": reader.file_size,
            "file_bpp": 8 * reader.file_size / (header.width * header.height),
            "patch_rows": header.patch_rows,
            "patch_columns": header.patch_columns,
            "padded_pixels": prod(padded_size(header.width, header.height)),
            "strips": header.strip_count,
            "strip_rows": header.strip_rows,
            "device_strip_rows": header.device_rows or None,
            "encoder_id": header.encoder_id.hex(),
            "coder_id": header.coder_id.hex(),
            "chunks": [{"type": chunk.name, "bytes": len(chunk.data)} for chunk in chunks],
            "damaged_strips": reader.damaged_strips,
            "missing_strips": header.strip_count - reader.strips_present,
            "damaged_chunks": reader.damaged_chunks,
            "repaired": reader.repaired,
        }


def _quality(header: Header) -> float | None:
    if header.constant_rate:
        return None
    from .options import quality_of_step

    return quality_of_step(header.rate)
