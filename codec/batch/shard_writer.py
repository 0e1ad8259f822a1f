"""Shards of WebDataset as outputs: tar files, written by ``webdataset`` and each published whole.

Rows of the manifest name the shard of their output, and are written just before the shard appears;
rows of a shard that is not there do not count. So a run that is killed leaves no sample twice.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import PurePosixPath
from typing import Any

from heqcodec.base.errors import HeqError

from .locations import folder_and_name
from .manifest import Manifest
from .work import Outcome

__all__ = ["ShardTarget"]

_ASIDE = ".heqcodec-shards"
_NUMBER = re.compile(r"%0?[0-9]*d")


class ShardTarget:
    """A folder that takes samples in shards, in the order in which they are done.

    Args:
        url: a path or URL with a place for the number: ``out/train-%06d.tar``.
        items: samples of a shard, at most.
        size: bytes from which a shard is full.

    Attributes:
        location: the folder.
        pattern: name of a shard.

    Raises:
        HeqError: as `Location`; or there is no place for the number.
    """

    def __init__(self, url: str, items: int, size: float) -> None:
        self.location, self.pattern = folder_and_name(url)
        if len(_NUMBER.findall(self.pattern)) != 1 or self.pattern.count("%") != 1:
            raise HeqError(f"{url} names no shards; give their number a place, as shard-%06d.tar.")
        import webdataset

        self._writer_class = webdataset.ShardWriter
        self.location.check_writable()
        self.url = self.location.url
        self._items, self._size = items, size
        before, after = _NUMBER.split(self.pattern)
        self._name = re.compile(f"{re.escape(before)}([0-9]+){re.escape(after)}")
        self._aside = ""
        self._writer: Any = None
        self._written: list[Outcome] = []

    def present(self) -> set[str]:
        """Names of shards that are there."""
        return {name for name in self.location.names("") if self._name.fullmatch(name)}

    def open(self, manifest: Manifest) -> None:
        """Begin to write behind the shards that are there; those of runs before a restart go.

        Args:
            manifest: that has begun.
        """
        self._manifest = manifest
        for name in manifest.old_shards & self.present():
            self.location.remove(name)
        names = manifest.shards | self.present()
        numbers = [int(match[1]) for name in names if (match := self._name.fullmatch(name))]
        self._first = max(numbers, default=-1) + 1
        if self.location.local:
            self._aside = self.location.path(_ASIDE)
            shutil.rmtree(self._aside, ignore_errors=True)  # of a run that was killed
            os.makedirs(self._aside)
        else:
            self._aside = tempfile.mkdtemp(prefix="heqcodec-shards-")

    def add(self, outcome: Outcome) -> None:
        """Write the output of an item, whose row the manifest gets with its shard's, or the row
        of one that failed."""
        if outcome.data is None:
            self._manifest.append(outcome)
            return
        if self._writer is None:
            pattern = f"{self._aside.replace('%', '%%')}/{self.pattern}"
            self._writer = self._writer_class(
                pattern, maxcount=self._items, maxsize=self._size, post=self._publish,
                start_shard=self._first, verbose=0, encoder=False, mtime=0,
            )  # fmt: skip
        path = PurePosixPath(outcome.item.output)
        # WebDataset's keys end at the first dot.
        key = str(path.with_name(path.stem.replace(".", "%2E")))
        sample = {"__key__": key, **outcome.others, path.suffix[1:]: outcome.data}
        # Here and not at the next sample, so that a full shard does not wait for that.
        self._writer.write(sample)
        self._written.append(outcome)
        if self._writer.count >= self._items or self._writer.size >= self._size:
            self._writer.finish()

    def close(self, publish: bool) -> None:
        """Publish the last shard, or drop it, after which its items are still to be done."""
        try:
            if publish and self._writer is not None:
                self._writer.close()
        finally:
            if self._aside:
                shutil.rmtree(self._aside, ignore_errors=True)

    def _publish(self, path: str) -> None:
        name = os.path.basename(path)
        for outcome in self._written:
            self._manifest.append(outcome, name)
        self._written = []
        self._manifest.flush()
        self.location.take(path, name)
