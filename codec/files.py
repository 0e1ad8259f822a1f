"""Output files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["replaced_file", "write_bytes"]


@contextlib.contextmanager
def replaced_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` and rename it to ``path`` if the block succeeds.

    On any exception, ``KeyboardInterrupt`` included, the temporary file is removed and what stood
    at ``path`` stays. A symbolic link is followed. Something that is not a regular file (a pipe,
    ``/dev/null``) is written to directly, since a rename would replace it.

    Raises:
        OSError: the folder is missing or not writable, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with open(target, "wb") as stream:
            yield stream
        return
    # Not tempfile.mkstemp: its files are readable by their owner alone, and the result is a
    # document like any other, for which the user's umask decides. The name does not grow with
    # the target's, so a target of the longest legal name still works.
    temporary = target.with_name(f".heqcodec-{secrets.token_hex(6)}.tmp")
    handle = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
    )
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path`` whole or not at all; see :func:`replaced_file`."""
    with replaced_file(path) as stream:
        stream.write(data)
