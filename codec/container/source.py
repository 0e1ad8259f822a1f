"""Where bytes come from: bytes, a path or a file object, as one seekable stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

Source: TypeAlias = "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO"


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """A seekable binary stream at the first byte of the file.

    Args:
        source: bytes; a path; or a binary file object, read from where it stands. A path is
            closed afterwards; a seekable file object is put back where it stood; one that cannot
            seek (a pipe) is read to its end.

    Raises:
        TypeError: none of these, or a file object in text mode.
        OSError: the file cannot be opened or read.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield BytesIO(source)
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
