"""From device files to packed files and back: other bytes for the same levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from heqcodec.base.errors import HeqError, HeqFormatError
from heqcodec.base.progress import report
from heqcodec.container.chunks import INDEX
from heqcodec.container.header import Header, enough_strip_rows
from heqcodec.container.reader import ContainerReader
from heqcodec.container.source import Source, open_source
from heqcodec.container.strips import Strip
from heqcodec.nqe_r.coders import CoderKind, kind_of, packed_by
from heqcodec.nqe_r.levels import MixedSteps, StripLevels, regrouped

from .encoding import joined_file
from .options import checked_strip_rows
from .progressive import decoded_strips, encoded_strips


def repack(data: Source, packs: bool, strip_rows: int | None, max_pixels: int | None) -> bytes:
    """The same image and chunks with the other coder.

    Args:
        data: bytes, a path or a binary file object.
        packs: make a device file smaller; else give it back.
        strip_rows: most rows of patches in a packed strip; None for the default. There are fewer
            where a strip would have rows of different steps.
        max_pixels: largest number of pixels; None for no limit.

    Raises:
        HeqError: as :func:`heqcodec.pack`.
    """
    from heqcodec.models import registry

    strip_rows = checked_strip_rows(strip_rows)
    with open_source(data) as stream:
        reader = ContainerReader(stream, max_pixels=max_pixels)
        header = reader.header
        kind = _other_kind(header, packs)
        # All is verified before a model is loaded.
        strips = reader.read_strips(range(header.strip_count))
        chunks = reader.read_chunks()
    index = any(chunk.type == INDEX for chunk in chunks)
    chunks = [chunk for chunk in chunks if chunk.type != INDEX]
    name = registry.model_of_file(header.encoder_id, header.coder_id)
    old = registry.load_strip_coder(name, header.coder)
    new = registry.load_strip_coder(name, kind.number)
    made = replace(
        header,
        coder=kind.number,
        coder_id=new.coder_id,
        strip_rows=(
            rows_of_one_step(
                header, strips, enough_strip_rows(strip_rows or kind.strip_rows, header.height)
            )
            if packs
            else header.device_rows
        ),
        device_rows=header.strip_rows if packs else 0,
    )

    rows_done = 0  # Each row of patches is decoded, and then encoded.

    def passed(strip: StripLevels) -> None:
        nonlocal rows_done
        rows_done += len(strip.transform_sizes)
        report(rows_done, 2 * header.patch_rows)

    def decoded() -> Iterator[StripLevels]:
        for number, levels in enumerate(decoded_strips(header, strips, old)):
            parts = [strips.pop(number + part * header.row_strips) for part in range(header.parts)]
            # Unpacking writes these levels as this coder does: another spelling would be lost.
            if packs and list(encoded_strips([levels], old, header.parts)) != parts:
                raise HeqError(
                    f"Strip {number} is not spelled as the device coder spells it, so unpacking "
                    "would not give this file back; it was written by another program, or for want "
                    "of room without its rest, and cannot be packed."
                )
            passed(levels)
            yield levels

    def regrouped_levels() -> Iterator[StripLevels]:
        for levels in regrouped(decoded(), made.strip_rows):
            yield levels
            passed(levels)

    try:
        return joined_file(made, encoded_strips(regrouped_levels(), new, made.parts), chunks, index)
    except MixedSteps as error:
        raise HeqFormatError(
            f"Rows of one strip of the device file have {error}; the packed file was written by a "
            "faulty program."
        ) from error


def rows_of_one_step(header: Header, strips: Mapping[int, Strip | None], most: int) -> int:
    """Rows of patches that a packed strip can have: all of one step.

    Args:
        header: of the device file.
        strips: all of it.
        most: rows that are wanted, if so many can be.
    """
    found = (strips[index] for index in range(header.row_strips))
    steps = np.array([strip.rate for strip in found if strip is not None])
    by_row = np.repeat(steps, header.strip_rows)[: header.patch_rows]
    changes = np.flatnonzero(np.diff(by_row)) + 1  # rows at which another step begins
    fits = (rows for rows in range(most, 0, -1) if not (changes % rows).any())
    return next(fits)


def _other_kind(header: Header, packs: bool) -> CoderKind:
    """The coder of the file that is made."""
    verb = "packed" if packs else "unpacked"
    if header.constant_rate:
        raise HeqError(
            f"A patch-constant file cannot be {verb}; only files of the variable-rate mode can."
        )
    found = kind_of(header.coder)
    assert found
    if packs:
        other = packed_by(found)
    else:
        other = None if found.unpacks_to is None else kind_of(found.unpacks_to)
    if other is None:
        reason = "packed already" if packs else "no packed one: it is a device file"
        raise HeqError(f"The file is {reason}, so it cannot be {verb}.")
    return other
