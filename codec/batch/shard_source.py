"""Shards of WebDataset as sources: tar files, whose members of one key are a sample.

A shard is listed once, by its headers; workers read their members by ranges of bytes.
"""

from __future__ import annotations

import glob
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from heqcodec.base.errors import HeqError

from .locations import Accepts, Entry, Location, Span, folder_and_name

__all__ = ["ShardSource"]

_KEY = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)")
"""Key and extension of a member, as ``webdataset`` splits its name: at the first dot."""


class ShardSource:
    """Tar files of samples. Entries have names such as ``train-000.tar/dog/17.png``.

    Args:
        url: of one shard, or a pattern with ``*`` or with braces: ``train-{000..099}.tar``.

    Attributes:
        location: the folder of the shards.
        address: see `Location.address`.

    Raises:
        HeqError: as `Location`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.location, self._pattern = folder_and_name(url)
        self.address = f"{self.location.address}/{self._pattern}"
        self.shared = self.location.shared

    def folders(self, accepts: Accepts, without: Location | None = None) -> Iterator[list[Entry]]:
        """Members that are accepted, a list for each shard, found as they are asked for.

        Args:
            accepts: by names of members.
            without: has no meaning here.

        Raises:
            HeqError: there is no such shard.
        """
        shards = iter(self._shards())
        first = next(shards, None)
        if first is None or (first.size < 0 and first.name == self._pattern):
            raise HeqError(f"{self.url}: No such file or directory.")
        for shard in chain([first], shards):
            yield self._samples(shard, accepts)

    def read(self, name: str, span: Span | None) -> bytes:
        """See `Location.read`."""
        return self.location.read(name, span)

    def _shards(self) -> Iterator[Entry]:
        if glob.has_magic(self._pattern):
            pattern = Location(f"{self.location.url.rstrip('/')}/{self._pattern}")
            yield from chain.from_iterable(pattern.folders(lambda path: True))
            return
        names = [self._pattern]
        if "{" in self._pattern:
            from braceexpand import braceexpand  # comes with webdataset

            names = list(braceexpand(self._pattern))
        yield from chain.from_iterable(self.location.listed(names))

    def _samples(self, shard: Entry, accepts: Accepts) -> list[Entry]:
        """One entry for each sample; a fault of the shard is one more."""
        samples: dict[str, _Sample] = {}
        fault = "" if shard.size >= 0 else f"{shard.name}: No such file or directory."
        if not fault:
            try:
                for member, span in self.location.tar_members(shard.name):
                    match = _KEY.fullmatch(member)
                    if match and not match[1].rpartition("/")[2].startswith("."):
                        sample = samples.setdefault(match[1], _Sample())
                        sample.add(member, match[2], span, accepts(Path(member)))
            except (tarfile.TarError, EOFError) as error:
                fault = f"{shard.name} is damaged, and what follows is not read: {error}."
        stem = shard.name[: -len(".tar")] if shard.name.endswith(".tar") else shard.name
        entries = []
        for key, sample in samples.items():
            if sample.accepted:
                name, span = sample.accepted[0]
                several = f"{shard.name} has several files to convert of the key {key}."
                entries.append(
                    Entry(
                        f"{shard.name}/{name}",
                        span.size,
                        shard.version,
                        span,
                        f"{stem}/{key}",
                        tuple(sample.others),
                        several if len(sample.accepted) > 1 else "",
                    )
                )
        return entries + ([Entry(shard.name, -1, shard.version, fault=fault)] if fault else [])


@dataclass
class _Sample:
    """Members of one key: those that are accepted, and the others with their extensions."""

    accepted: list[tuple[str, Span]] = field(default_factory=list)
    others: list[tuple[str, Span]] = field(default_factory=list)

    def add(self, member: str, extension: str, span: Span, accepted: bool) -> None:
        if accepted:
            self.accepted.append((member, span))
        else:
            self.others.append((extension, span))
