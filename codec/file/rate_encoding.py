"""Files of the variable-rate mode: at a step, or as large as a target allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from io import BytesIO

import numpy as np
from heqcodec.base.constants import STEPS
from heqcodec.base.errors import HeqError
from heqcodec.base.progress import report
from heqcodec.base.rate_protocols import StripCoder
from heqcodec.container.chunks import Chunk
from heqcodec.container.header import Coder, Header, Mode
from heqcodec.container.strips import fixed_size
from heqcodec.container.writer import ContainerWriter
from heqcodec.nqe_r.levels import ImageLevels
from numpy.typing import NDArray

from .options import Choice

STRIP_ROWS = {Coder.DEVICE: 4, Coder.PACKED: 32}
"""Rows of patches in a strip, by default: a camera holds few rows, a server many."""
HALVING = 128
"""Steps that halve a file, roughly: the first guess of a search."""
FIRST_GUESS = 553
"""A step of about 0.5 bits per pixel."""
USUAL_GUESSES = 6
"""Files that a search for a target codes, roughly: for the progress that is reported."""


def encode_rate_file(
    pixels: NDArray[np.uint8], choice: Choice, chunks: list[Chunk], gray_as_rgb: bool = False
) -> bytes:
    """A file of the variable-rate mode.

    Args:
        pixels: uint8 (H, W, 1) or (H, W, 3).
        choice: with the model, the coder, and a step or a target.
        chunks: that follow the strips; they count in a target.
        gray_as_rgb: as in the header.

    Raises:
        HeqError: the target is smaller than the smallest file.
    """
    from heqcodec.models import registry

    height, width, channels = pixels.shape
    encoder = registry.load_rate_encoder(choice.model)
    coder = registry.load_strip_coder(choice.model, choice.coder)

    def header_at(step: int) -> Header:
        shape = height, width, channels
        made = rate_header(shape, step, encoder.encoder_id, coder, choice.strip_rows)
        return replace(made, gray_as_rgb=gray_as_rgb)

    fixed = fixed_size(header_at(0), [len(chunk.data) for chunk in chunks])
    image = ImageLevels(pixels, encoder, keep=choice.step is None)
    strip_rows = header_at(0).strip_rows
    best: dict[int, list[bytes]] = {}
    rows_done, usual_rows = 0, image.patch_rows * (1 if choice.step is not None else USUAL_GUESSES)

    def size_at(step: int) -> int:
        nonlocal rows_done
        rows_then = rows_done + image.patch_rows
        payloads = []
        for strip in image.strips(step, strip_rows):
            payloads.append(coder.encode(*strip, step))
            rows_done += len(strip.transform_sizes)
            report(rows_done, max(rows_then, usual_rows))
        size = fixed + sum(map(len, payloads))
        if choice.step is not None or size <= target:
            best.clear()  # The search goes to ever finer steps among those that fit.
            best[step] = payloads
        return size

    if choice.step is not None:
        size_at(choice.step)
    else:
        if choice.target_size is not None:
            target = choice.target_size
        else:
            assert choice.target_bpp is not None
            target = math.floor(choice.target_bpp * width * height / 8)
        finest_fitting_step(size_at, target)
    ((step, payloads),) = best.items()
    return rate_file(header_at(step), payloads, chunks)


def rate_header(
    shape: tuple[int, int, int],
    step: int,
    encoder_id: bytes,
    coder: StripCoder,
    strip_rows: int | None = None,
) -> Header:
    """The header of an image.

    Args:
        shape: height, width, channels.
        step: index.
        encoder_id: of the encoder that made the levels.
        coder: of the strips.
        strip_rows: rows of patches in a strip; None for the coder's default.
    """
    height, width, channels = shape
    kind = Coder(coder.coder)
    return Header(
        width=width,
        height=height,
        channels=channels,
        rate=step,
        encoder_id=encoder_id,
        coder_id=coder.coder_id,
        coder=kind,
        mode=Mode.RATE,
        strip_rows=strip_rows or STRIP_ROWS[kind],
        device_rows=STRIP_ROWS[Coder.DEVICE] if kind == Coder.PACKED else 0,
    )


def rate_file(header: Header, payloads: Iterable[bytes], chunks: Iterable[Chunk]) -> bytes:
    """A file of its parts."""
    file = BytesIO()
    writer = ContainerWriter(file, header)
    for payload in payloads:
        writer.write_strip(payload)
    for chunk in chunks:
        writer.write_chunk(chunk)
    writer.finish()
    return file.getvalue()


def finest_fitting_step(size_at: Callable[[int], int], target: int) -> int:
    """The step whose file fits into ``target`` while that of the next finer step does not.

    The size is taken to fall with the step. Where it does so only nearly, the step still fits.
    Guesses follow the logarithm of the size along a line and turn to bisection where that is slow,
    so about six files are coded.

    Args:
        size_at: bytes of the file at a step, 0 to 1023. It is called last for a step that fits
            only with the one that is returned, or a coarser one before.
        target: bytes.

    Raises:
        HeqError: the file of the coarsest step is larger.
    """
    fine, coarse = -1, STEPS  # Too large, and small enough, as far as known.
    sizes: dict[int, int] = {}
    guess = FIRST_GUESS
    while coarse - fine > 1:
        sizes[guess] = size = size_at(guess)
        if size > target:
            fine = guess
        else:
            coarse = guess
        if fine == STEPS - 1:
            raise HeqError(
                f"The smallest file of this image has {size} bytes, more than the {target} that "
                "are allowed; allow more, leave out metadata, or make the image "
                "smaller."
            )
        if fine in sizes and coarse in sizes:
            guess = _between(fine, coarse, sizes, target, bisect=len(sizes) % 4 == 0)
        else:
            jump = round(HALVING * math.log2(size / max(target, 1)))
            guess = guess + (max(jump, 1) if size > target else min(jump, -1))
        guess = min(max(guess, fine + 1), coarse - 1)
    return coarse


def _between(fine: int, coarse: int, sizes: dict[int, int], target: int, bisect: bool) -> int:
    if bisect or sizes[fine] == sizes[coarse]:
        return (fine + coarse) // 2
    fall = math.log(sizes[fine] / sizes[coarse])
    return fine + math.ceil((coarse - fine) * math.log(sizes[fine] / target) / fall)
