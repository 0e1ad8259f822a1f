"""Folders of any file system that ``fsspec`` knows: listed folder by folder, read, and written so
that an output appears whole or not at all."""

from __future__ import annotations

import glob
import os
import secrets
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from heqcodec.base.errors import HeqError
from heqcodec.base.files import remove_leftovers, write_bytes

__all__ = ["Accepts", "Entry", "Location", "Span", "folder_and_name", "open_location"]

Accepts = Callable[[Path], bool]

_WHOLE_AT_CLOSE = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "memory"}
)
"""Stores whose objects appear when the upload is completed; elsewhere a file is renamed."""
_READ_ONLY = frozenset({"zip", "tar", "libarchive", "http", "https", "github", "data"})
_HEADERS = 1 << 16
"""Bytes that are read together of a store while the headers of a tar file are followed."""
_VERSIONS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "CRC", "created")
"""What file systems call that by which a changed file is known, the best first."""


@dataclass(frozen=True)
class Span:
    """Bytes of a file: its name, and where they lie."""

    file: str
    offset: int
    size: int


@dataclass(frozen=True)
class Entry:
    """A file that was found.

    Attributes:
        name: below the location where it was looked for, with ``/`` between folders.
        size: bytes.
        version: time of its last change, ETag or what else its file system has; "" if nothing.
        span: where it lies, if it is a member of a shard.
        stem: of the output, without its suffix, where the name does not say it.
        others: further members of its sample, by extension.
        fault: a sentence, if it cannot be read.
    """

    name: str
    size: int
    version: str
    span: Span | None = None
    stem: str = ""
    others: tuple[tuple[str, Span], ...] = ()
    fault: str = ""


class Location:
    """A folder, or a pattern of files in one, on a file system.

    Args:
        url: a local path, or a URL of ``fsspec``: ``s3://bucket/photos``, ``zip://::photos.zip``.

    Attributes:
        address: of the folder, with its protocol, the same however it was written, and wherever
            it is read.

    Raises:
        HeqError: no such file system, or the package for it is missing.
    """

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self.url = url
        try:
            self._files, path = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise HeqError(f"{url} cannot be opened: {error}") from error
        protocols = self._files.protocol
        self._protocols = {protocols} if isinstance(protocols, str) else set(protocols)
        self._pattern = path if glob.has_magic(path) and not self._files.exists(path) else None
        self._root = _fixed_beginning(path) if self._pattern else path.rstrip("/")
        outer = url.partition("::")[2]
        if outer and "://" not in outer:
            outer = os.path.abspath(outer)
        self.address = self._files.unstrip_protocol(self._root) + (f"::{outer}" if outer else "")

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine."""
        return bool(self._protocols & {"file", "local"})

    @property
    def shared(self) -> bool:
        """Whether another process sees the same files."""
        return "memory" not in self._protocols

    def check_writable(self) -> None:
        """Refuse what cannot be written to.

        Raises:
            HeqError: it is an archive, a web server, a pattern or a file.
        """
        if self._protocols & _READ_ONLY:
            raise HeqError(f"{self.url} cannot be written to; name a folder or an object store.")
        if self._pattern:
            raise HeqError(f"{self.url} is a pattern; outputs need a folder.")
        if self.local and os.path.exists(self._root) and not os.path.isdir(self._root):
            raise HeqError(f"{self.url} is a file; outputs need a folder.")

    def path(self, name: str) -> str:
        """The path of a name below it, on its file system."""
        return f"{self._root}/{name}" if self._root else name

    def folders(self, accepts: Accepts, without: Location | None = None) -> Iterator[list[Entry]]:
        """The files below it, a list for each folder that has any, found as they are asked for.

        Files and folders whose names begin with a dot are passed over, and pipes. A pattern takes
        what it matches, whatever its name.

        Args:
            accepts: which files of a folder are taken, by their names.
            without: a folder that is not looked into, that of the outputs.

        Raises:
            HeqError: there is no such folder.
            OSError: a folder cannot be read.
        """
        if self._pattern:
            yield from self._matching(self._pattern)
            return
        if not self._files.exists(self._root or "/"):
            raise HeqError(f"{self.url}: No such file or directory.")
        if self._files.isfile(self._root):
            raise HeqError(f"{self.url} is a file; name a folder, a pattern, or --files-from.")
        omitted = without.address if without is not None else None
        for folder, folders, files in self._files.walk(
            self._root or "", detail=True, on_error="raise"
        ):
            folder = folder.rstrip("/")
            for name in list(folders):
                address = self._files.unstrip_protocol(f"{folder}/{name}" if folder else name)
                if name.startswith(".") or address == omitted:
                    del folders[name]
            found = [
                self._entry(f"{folder}/{name}" if folder else name, files[name])
                for name in sorted(files)
                if name
                and not name.startswith(".")
                and accepts(Path(name))
                and _is_file(files[name])
            ]
            if found:
                yield found

    def listed(self, names: Iterable[str]) -> Iterator[list[Entry]]:
        """The files of a list, as `folders` gives them; those that are not there have size -1.

        Args:
            names: below it; empty lines are passed over.
        """
        wanted = sorted({name for name in names if name}, key=lambda name: (_folder(name), name))
        for _, group in groupby(wanted, key=_folder):
            yield [self._found(name) for name in group]

    def read(self, name: str, span: Span | None = None) -> bytes:
        """All bytes of a file, or a span of one; `OSError` if it cannot be read."""
        if span is None:
            return bytes(self._files.cat_file(self.path(name)))
        start, stop = span.offset, span.offset + span.size
        return bytes(self._files.cat_file(self.path(span.file), start=start, end=stop))

    def tar_members(self, name: str) -> Iterator[tuple[str, Span]]:
        """Files of a tar file: their names and where their bytes lie. Headers alone are read.

        Raises:
            tarfile.TarError, EOFError, OSError: it is damaged, or cannot be read.
        """
        with (
            self._files.open(self.path(name), "rb", block_size=_HEADERS) as stream,
            tarfile.open(fileobj=stream, mode="r:") as archive,
        ):
            for member in archive:
                if member.isreg():
                    yield member.name, Span(name, member.offset_data, member.size)

    def names(self, folder: str) -> list[str]:
        """What lies in a folder, sorted; nothing if there is none."""
        try:
            found = self._files.ls(self.path(folder), detail=False, refresh=True)
        except FileNotFoundError:
            return []
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all, with the folders above it.

        Raises:
            OSError: it cannot be written.
        """
        path = self.path(name)
        if self.local:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write_bytes(path, data)
        elif self._protocols & _WHOLE_AT_CLOSE:
            self._files.pipe_file(path, data)
        else:
            with self._aside(path) as aside:
                self._files.pipe_file(aside, data)

    def take(self, path: str, name: str) -> None:
        """Move a file of this machine here; it appears whole or not at all. On a file system that
        is this machine's it has to lie below this folder.

        Raises:
            OSError: it cannot be written.
        """
        target = self.path(name)
        if self.local:
            with open(path, "rb") as stream:
                os.fsync(stream.fileno())
            os.replace(path, target)
        elif self._protocols & _WHOLE_AT_CLOSE:
            self._files.put_file(path, target)
            os.unlink(path)
        else:
            with self._aside(target) as aside:
                self._files.put_file(path, aside)
            os.unlink(path)

    @contextmanager
    def _aside(self, target: str) -> Iterator[str]:
        """A path beside a target, whose folder is made; what was written there is moved to it."""
        folder, _, file = target.rpartition("/")
        self._files.makedirs(folder, exist_ok=True)
        aside = f"{folder}/.heqcodec-{secrets.token_hex(6)}.tmp"
        yield aside
        self._files.mv(aside, f"{folder}/{file}")

    def clean(self, name: str) -> None:
        """Remove what a killed process left of this output, where files are written aside."""
        if self.local:
            remove_leftovers(os.path.dirname(self.path(name)))

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._files.rm_file(self.path(name))

    def _matching(self, pattern: str) -> Iterator[list[Entry]]:
        found = self._files.glob(pattern, detail=True)
        files = [
            self._entry(path, facts)
            for path, facts in sorted(found.items())
            if facts.get("type") != "directory" and _is_file(facts)
        ]
        for _, group in groupby(
            sorted(files, key=lambda entry: (_folder(entry.name), entry.name)),
            key=lambda entry: _folder(entry.name),
        ):
            yield list(group)

    def _found(self, name: str) -> Entry:
        try:
            return self._entry(self.path(name), self._files.info(self.path(name)))
        except FileNotFoundError:
            return Entry(name, -1, "")

    def _entry(self, path: str, facts: dict[str, Any]) -> Entry:
        versions = [facts[key] for key in _VERSIONS if facts.get(key) is not None]
        name = path[len(self._root) :].lstrip("/") if self._root else path.lstrip("/")
        return Entry(name, int(facts.get("size") or 0), str(versions[0]) if versions else "")


def open_location(url: str) -> Location:
    """A location for outputs; raises as `Location`, or as `Location.check_writable`."""
    location = Location(url)
    location.check_writable()
    return location


def _is_file(facts: dict[str, Any]) -> bool:
    """Whether it has an end: pipes and devices may have none. A link that leads nowhere is one
    that failed."""
    return facts.get("type") != "other" or bool(facts.get("islink"))


def folder_and_name(url: str) -> tuple[Location, str]:
    """The folder of a URL, and what stands behind its last ``/``; raises as `Location`."""
    folder, _, name = url.rpartition("/")
    return Location(folder or url[: -len(name)] or "."), name


def _folder(name: str) -> str:
    return str(PurePosixPath(name).parent)


def _fixed_beginning(pattern: str) -> str:
    """The folder above the first part of a path that has a wildcard."""
    fixed = []
    for part in pattern.split("/"):
        if glob.has_magic(part):
            break
        fixed.append(part)
    return "/".join(fixed)
