"""Where bytes come from: bytes, a path, a URL or a file object, as one seekable stream."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

from heqcodec.base.errors import HeqError

_AHEAD = 1 << 14
"""Bytes that are read together with what is asked for over a network: heads of strips that follow
are often among them."""
_NO_RANGES = "support range requests", "seek streaming HTTP"
"""In the errors of ``fsspec`` about a server that sends no part of a file."""

Source: TypeAlias = "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO"


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """A seekable binary stream at the first byte of the file.

    Args:
        source: bytes; a path; a URL of a file system of ``fsspec``, such as ``https://`` or
            ``s3://``, read by ranges; or a binary file object, read from where it stands. A path is
            closed afterwards; a seekable file object is put back where it stood; one that cannot
            seek (a pipe) is read to its end.

    Raises:
        TypeError: none of these, or a file object in text mode.
        HeqError: a URL of no file system that is here, or of a server that sends whole files only.
        OSError: the file cannot be opened or read.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield BytesIO(source)
    elif isinstance(source, str) and "://" in source:
        with _open_url(source) as opened:
            yield opened
    elif isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as opened:
            yield opened
    elif hasattr(source, "read"):
        stream = cast(BinaryIO, source)
        if not isinstance(stream.read(0), bytes):
            raise TypeError("The file object is in text mode; open it with mode 'rb'.")
        if hasattr(stream, "seekable") and stream.seekable():
            start = stream.tell()
            try:
                yield stream
            finally:
                stream.seek(start)
        else:
            yield BytesIO(stream.read())
    else:
        raise TypeError(
            f"A .heq file is given as bytes, a path or a binary file object, not as "
            f"{type(source).__name__}."
        )


@contextmanager
def _open_url(url: str) -> Iterator[BinaryIO]:
    """A seekable file on a file system of ``fsspec``."""
    from fsspec.core import url_to_fs

    try:
        files, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise HeqError(f"This URL cannot be opened: {error}") from error
    try:
        with files.open(path, "rb", block_size=_AHEAD, cache_type="readahead") as opened:
            yield cast(BinaryIO, opened)
    except FileNotFoundError as error:  # Of fsspec, for both and without a reason.
        reason = "No such file, or its server does not answer"
        raise FileNotFoundError(errno.ENOENT, reason, url) from error
    except ValueError as error:
        if not any(text in str(error) for text in _NO_RANGES):
            raise
        raise HeqError("The server sends whole files only; download the file first.") from error
