"""``heqcodec decode --follow``: a picture of a file that is still being written."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, cast

from heqcodec.base.errors import HeqTruncatedError

from .common.terminal import STANDARD, about, check_output, tell

if TYPE_CHECKING:
    from heqcodec.file.stream_decoding import StreamDecoder

PAUSE = 0.2
"""Seconds between two looks at a file."""
PIECE = 1 << 16


def follow(
    source: str, output: str, decoder: StreamDecoder, timeout: float, force: bool, quiet: bool
) -> None:
    """Write the picture anew whenever rows of it come; what has not come is grey.

    Args:
        source: a path, or - for standard input.
        output: an image.
        timeout: seconds after which a file that does not grow is given up.

    Raises:
        HeqTruncatedError: the file did not come to its end; the picture so far stays.
    """
    from heqcodec.image.output_formats import save_image

    check_output(source, output, force)
    with about(source):
        for data in _pieces(source, timeout):
            if decoder.feed(data):
                save_image(decoder.picture(), output)
                if not quiet and decoder.header is not None:
                    tell(f"{output}: {decoder.rows} of {decoder.header.height} rows")
            if decoder.complete:
                break
        if not decoder.complete:
            raise HeqTruncatedError(
                "it did not come to its end; what came of the picture is written."
                if decoder.rows
                else "it did not come to its end, and nothing of the picture came."
            )
        image = decoder.finish()
    metadata = image.metadata
    save_image(image.pixels, output, **vars(metadata))


def _pieces(source: str, timeout: float) -> Iterator[bytes]:
    """Bytes of a file as they come."""
    if source == STANDARD:
        given = cast(BufferedReader, sys.stdin.buffer)
        while data := given.read1(PIECE):
            yield data
        return
    with Path(source).open("rb") as stream:
        last = time.monotonic()
        while time.monotonic() - last < timeout:
            if data := stream.read(PIECE):
                yield data
                last = time.monotonic()
            else:
                time.sleep(PAUSE)
