"""Output files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

__all__ = ["remove_leftovers", "replaced_file", "write_bytes"]

_TEMPORARY = re.compile(r"\.heqcodec-[0-9a-f]{12}\.tmp")
_BINARY = getattr(os, "O_BINARY", 0)
_STALE_SECONDS = 86_400
"""Without locks: a temporary file that nobody has written to for so long has lost its process."""


@contextlib.contextmanager
def replaced_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a temporary file next to ``path``, renamed to ``path`` if the block succeeds.

    On any exception, ``KeyboardInterrupt`` included, the temporary file is removed and what stood
    at ``path`` stays. The bytes are on the disk before the rename. What a killed process left in
    the folder is removed; files of running processes hold a lock and stay. A symbolic link is
    followed. Something that is not a regular file (a pipe, ``/dev/null``) is written to directly,
    since a rename would replace it.

    Raises:
        OSError: the folder is missing or not writable, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with open(target, "wb") as stream:
            yield stream
        return
    _sweep(str(target.parent))
    # Not tempfile.mkstemp: its files are readable by their owner alone, and the result is a
    # document like any other, for which the user's umask decides. The name does not grow with
    # the target's, so a target of the longest legal name still works.
    temporary = target.with_name(f".heqcodec-{secrets.token_hex(6)}.tmp")
    try:
        with os.fdopen(_locked_file(temporary), "w+b") as stream:
            yield stream
            stream.flush()
            _sync(stream.fileno())
            if fcntl is not None:
                # Before it is closed, which gives up the lock.
                os.replace(temporary, target)
        if fcntl is None:
            os.replace(temporary, target)  # Windows renames no open file.
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = os.fspath(path)  # Of a full disk the system names no file.
        raise
    _sync_folder(target.parent)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path`` whole or not at all; see :func:`replaced_file`."""
    with replaced_file(path) as stream:
        stream.write(data)


def _locked_file(path: Path) -> int:
    """The descriptor of a new file, locked where the system has locks."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        if fcntl is None:
            return handle
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists():
            return handle
        os.close(handle)  # Another process took it for a stale one before the lock was there.


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such call
            raise


def write_json(path: str | os.PathLike[str], value: Any, indent: int = 1) -> None:
    """Write a value as JSON, whole or not at all; see :func:`replaced_file`."""
    write_bytes(path, f"{json.dumps(value, indent=indent)}\n".encode())


def _sync_folder(folder: Path) -> None:
    """Let a rename survive a power failure, where folders can be synchronized."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@lru_cache(maxsize=256)
def _sweep(folder: str) -> None:
    """`remove_leftovers` once for each folder and process."""
    remove_leftovers(folder)


def remove_leftovers(folder: str) -> None:
    """Remove temporary files of `replaced_file` whose processes were killed."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _remove_if_stale(entry)


def _remove_if_stale(entry: os.DirEntry[str]) -> None:
    if fcntl is None:
        # Windows removes no open file, so this one is closed or this fails.
        if time.time() - entry.stat().st_mtime > _STALE_SECONDS:
            os.unlink(entry.path)
        return
    handle = os.open(entry.path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an error if its process runs
        os.unlink(entry.path)
    finally:
        os.close(handle)
