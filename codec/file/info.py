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
from heqcodec.container.strips import NOT_SENT

from .options import quality_of_step

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
        progressive: rate mode: whether the device file has its strips twice, the lowest frequencies
            first; or the one that a packed file unpacks to.
        coder: of its strips; in rate mode a `CoderName`, in patch mode "none" or "patch".
        model: the name of the model that wrote the file; None if this version has it not.
        width, height: in pixels.
        channels: 1 or 3, of the decoded image without its alpha.
        coded_channels: 1 where an RGB image is grey in every pixel, else ``channels``.
        alpha: whether it has an alpha plane.
        quality: rate mode: the quality that gives this step; a target size may lead below 1 or
            above 100. None where strips have different steps, and in patch mode.
        step: rate mode: the step index of all strips, 0 to 1023. None where they have different
            ones, and in patch mode.
        steps: rate mode: the step index of each strip; None for one that was not sent, or is
            damaged or missing. None in patch mode.
        weighted: whether coefficients are weighted by frequency: the file is tuned for the eye.
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
        unsent_strips: indices of the strips that the encoder left out for want of room.
        damaged_strips: indices, with ``partial``.
        missing_strips: strips that a cut took.
        damaged_chunks: names of chunks, with ``partial``.
        repaired: parts that were put right without loss, with ``partial``.
    """

    format_version: int
    mode: Literal["patch", "rate"]
    progressive: bool
    coder: StripsName
    model: str | None
    width: int
    height: int
    channels: int
    coded_channels: int
    alpha: bool
    quality: float | None
    step: int | None
    steps: list[int | None] | None
    weighted: bool
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
    unsent_strips: list[int]
    damaged_strips: list[int]
    missing_strips: int
    damaged_chunks: list[str]
    repaired: list[str]


def file_info(data: Source, partial: bool) -> FileInfo:
    """Read and verify a file; arguments and errors are those of :func:`heqcodec.info`."""
    from heqcodec.models.manifest import model_of

    with open_source(data) as stream:
        reader = ContainerReader(stream, max_pixels=None, partial=partial)
        header = reader.header
        rates: list[int | None] = []
        for index in range(reader.strips_present):
            strip = reader.read_strip(index)
            rates.append(None if strip is None else strip.rate)
        missing = header.strip_count - len(rates)
        steps: list[int | None] | None = None
        if not header.constant_rate:
            steps = [None if rate == NOT_SENT else rate for rate in rates] + [None] * missing
        step = None if steps is None else common_step(header, steps)
        chunks = reader.read_chunks()
        return {
            "format_version": FORMAT_VERSION,
            "mode": "patch" if header.constant_rate else "rate",
            "progressive": header.mode == Mode.PROGRESSIVE,
            "coder": cast("StripsName", Coder(header.coder).name.lower()),
            "model": model_of(header.encoder_id, header.coder_id),
            "width": header.width,
            "height": header.height,
            "channels": header.output_channels,
            "coded_channels": header.channels,
            "alpha": any(chunk.type == chunk_types.ALPHA for chunk in chunks),
            "quality": None if step is None else quality_of_step(step),
            "step": step,
            "steps": steps,
            "weighted": header.weighted,
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
            "unsent_strips": [index for index, rate in enumerate(rates) if rate == NOT_SENT],
            "damaged_strips": reader.damaged_strips,
            "missing_strips": missing,
            "damaged_chunks": reader.damaged_chunks,
            "repaired": reader.repaired,
        }


def common_step(header: Header, steps: list[int | None]) -> int | None:
    """The step of all strips that are known, that of the header if none is; None for several."""
    known = {step for step in steps if step is not None} or {header.rate}
    return known.pop() if len(known) == 1 else None
