"""What a batch has done: rows of Parquet, appended by parts, in the folder of its outputs.

A part is written aside and renamed, so it is whole or not there. A row counts more than an older
one of the same source. Whoever resumes keeps 17 bytes a source in memory, not its row.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import time
from collections.abc import Container
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from heqcodec.base.errors import HeqError

from .locations import Location
from .work import Item, Outcome

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

__all__ = ["FOLDER", "Manifest", "Past"]

FOLDER = ".heqcodec-batch"
"""Name of the manifest's folder, below that of the outputs."""
_RUN = "run.json"
_ROWS, _SECONDS = 4096, 5.0
"""Rows of a part at most, and how long a row may wait for its part."""
_PARTS = 32
"""So many small parts are joined into one."""
_LARGE = 1_000_000
"""Rows of a part that is not joined any more."""
_DONE, _FAILED = 1, 2


def _schema() -> Any:
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("number", pa.int64()),
            ("run", pa.int32()),
            ("source", pa.string()),
            ("size", pa.int64()),
            ("version", pa.string()),
            ("sha256", pa.string()),
            ("operation", text),
            ("options", text),
            ("model", text),
            ("output", pa.string()),
            ("bytes", pa.int64()),
            ("output_sha256", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("bpp", pa.float64()),
            ("seconds", pa.float64()),
            ("deaths", pa.int16()),
            ("finished", pa.timestamp("ms", tz="UTC")),
            ("error", pa.string()),
            ("shard", text),
        ]
    )


@dataclass
class Past:
    """What earlier rows say of sources: arrays of one length, sorted by ``keys``.

    Attributes:
        keys: uint64, hashes of names of sources.
        versions: uint64, hashes of what was done: size, version and output.
        states: uint8.
    """

    keys: np.ndarray
    versions: np.ndarray
    states: np.ndarray

    def state(self, item: Item) -> str:
        """ "done", "failed", "changed" since it was done, "mended" since it failed, or "new"."""
        # A Python number would make NumPy compare, and copy, them as floats.
        key = np.uint64(_hash(_text(item.source)))
        place = int(np.searchsorted(self.keys, key))
        if place == len(self.keys) or self.keys[place] != key:
            return "new"
        if self.versions[place] != _version(item.size, item.version, item.output):
            return "changed" if self.states[place] == _DONE else "mended"
        return "done" if self.states[place] == _DONE else "failed"


class Manifest:
    """The manifest of one folder of outputs.

    Args:
        location: its own folder.

    Attributes:
        shards, old_shards: that rows name, those of this run and those of runs before a restart
            alone; once it has begun.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._rows: list[dict[str, Any]] = []
        self._small: list[tuple[str, int]] = []
        self._flushed = time.monotonic()
        self._number = 0
        self._part = 0
        self._run: dict[str, Any] = {}
        self._lock: IO[bytes] | None = None
        self._common: dict[str, Any] = {}
        self.shards: set[str] = set()
        self.old_shards: set[str] = set()

    def begin(
        self, run: dict[str, Any], restart: bool = False, present: Container[str] = frozenset()
    ) -> Past:
        """Begin a run, or go on with one.

        Args:
            run: what it is, ready for JSON: ``source``, ``operation``, ``options``, ``models``. A
                manifest keeps to it.
            restart: begin anew where the manifest is of another run, or of this one: rows so far
                stay, and count no more.
            present: shards that are there; rows of others do not count.

        Returns:
            What is done.

        Raises:
            HeqError: the manifest is of a run with other options, is damaged, or another process
                writes to it.
            OSError: it cannot be read or written.
        """
        self._take_lock()
        found = self._location.names("")
        number = 1
        if _RUN in found:
            number = self._known_run(run, restart)
        if _RUN not in found or restart:
            self._run = {"format": 1, "run": number, **run}
            self._location.write(_RUN, f"{json.dumps(self._run, indent=1)}\n".encode())
        self._common = {
            "run": number,
            "operation": run["operation"],
            "options": json.dumps(run["options"], sort_keys=True),
        }
        parts = [name for name in found if name.endswith(".parquet")]
        return self._past(parts, number, present)

    def append(self, outcome: Outcome, shard: str | None = None) -> None:
        """Add a row for an item, whose output may lie in a shard; `flush` or `tick` write it."""
        item = outcome.item
        self._number += 1
        self._rows.append(
            {
                "number": self._number,
                **self._common,
                "source": _text(item.source),
                "size": item.size,
                "version": item.version,
                **vars(outcome.facts),
                "output": _text(item.output),
                "deaths": outcome.deaths,
                "finished": int(time.time() * 1000),
                "shard": shard,
            }
        )

    def tick(self) -> None:
        """Write a part if it is time for one."""
        late = time.monotonic() - self._flushed > _SECONDS
        if len(self._rows) >= _ROWS or (self._rows and late):
            self.flush()
        elif late:
            self._flushed = time.monotonic()

    def flush(self) -> None:
        """Write the rows that wait, as a part."""
        if self._rows:
            import pyarrow as pa

            self._write(pa.Table.from_pylist(self._rows, schema=_schema()))
            self._rows = []
        self._flushed = time.monotonic()
        if len(self._small) >= _PARTS:
            self._join()

    def close(self) -> None:
        """Write the rows that wait, join small parts, and let another process write."""
        try:
            if self._run:
                self.flush()
                self._join()
        finally:
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def _known_run(self, run: dict[str, Any], restart: bool) -> int:
        try:
            self._run = json.loads(self._location.read(_RUN))
            number = int(self._run["run"])
        except (ValueError, KeyError, TypeError) as error:
            text = f"{self._location.path(_RUN)} is damaged ({error}); give another --manifest."
            raise HeqError(text) from error
        if restart:
            return number + 1
        changes = [
            change
            for key, value in run.items()
            for change in _changes(key, self._run.get(key), value)
        ]
        if changes:
            raise HeqError(
                f"{self._location.url} has the manifest of another run: {', '.join(changes)}. "
                "Keep to that, give another DST, or --restart to do all again."
            )
        return number

    def _past(self, parts: list[str], run: int, present: Container[str]) -> Past:
        columns = ["number", "run", "source", "size", "version", "output", "error", "shard"]
        blocks = []
        for name in parts:
            try:
                table = _table(self._location.read(name), columns)
            except FileNotFoundError:
                continue  # joined by whoever was here before, while a store still listed it
            except (OSError, ValueError) as error:
                raise HeqError(f"{self._location.path(name)} is no part of a manifest.") from error
            self._part = max(self._part, int(name[:8]) if name[:8].isdigit() else 0)
            if len(table) < _LARGE:
                self._small.append((name, len(table)))
            rows = table.to_pylist()
            for row in rows:
                if row["shard"] is not None:
                    (self.shards if row["run"] == run else self.old_shards).add(row["shard"])
            blocks.append(_block(rows, run, present))
        self.old_shards -= self.shards
        keys, numbers, versions, states, last = (
            np.concatenate([block[part] for block in blocks]) if blocks else np.zeros(0, kind)
            for part, kind in enumerate((np.uint64, np.int64, np.uint64, np.uint8, np.int64))
        )
        self._number = int(last.max(initial=0))
        order = np.lexsort((numbers, keys))
        keys = keys[order]
        latest = np.append(keys[1:] != keys[:-1], True) if len(keys) else np.zeros(0, bool)
        return Past(keys[latest], versions[order][latest], states[order][latest])

    def _write(self, table: Any) -> None:
        import pyarrow.parquet as pq

        data = io.BytesIO()
        pq.write_table(table, data, compression="zstd")
        self._part += 1
        # The token keeps parts of two processes apart on stores without locks.
        name = f"{self._part:08d}-{secrets.token_hex(4)}.parquet"
        self._location.write(name, data.getvalue())
        if len(table) < _LARGE:
            self._small.append((name, len(table)))

    def _join(self) -> None:
        """Make one part of the small ones. If this is killed halfway, rows are there twice, with
        one number, and count once."""
        if len(self._small) < 2:
            return
        import pyarrow as pa

        small, self._small = self._small, []
        tables = []
        for name, _ in small:
            with contextlib.suppress(FileNotFoundError):
                tables.append(_table(self._location.read(name)))
        self._write(pa.concat_tables(tables).unify_dictionaries())
        for name, _ in small:
            with contextlib.suppress(FileNotFoundError):
                self._location.remove(name)

    def _take_lock(self) -> None:
        if fcntl is None or not self._location.local:
            return
        path = self._location.path("lock")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._lock = open(path, "ab")  # noqa: SIM115  (held as long as the run)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            self._lock = None
            raise HeqError(f"Another batch writes to {self._location.url}; wait for it.") from error


def read_manifest(location: Location) -> Any:
    """All rows of a manifest that count, as a ``pyarrow.Table``: the last of each source.

    Args:
        location: the manifest's folder.
    """
    import pyarrow as pa

    names = [name for name in location.names("") if name.endswith(".parquet")]
    tables = [_table(location.read(name)) for name in names]
    if not tables:
        return _schema().empty_table()
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    keys = np.array([_hash(source) for source in table.column("source").to_pylist()], np.uint64)
    numbers = table.column("number").to_numpy()
    order = np.lexsort((numbers, keys))
    latest = np.append(keys[order][1:] != keys[order][:-1], True)
    return table.take(np.sort(order[latest]))


def _table(part: bytes, columns: list[str] | None = None) -> Any:
    """The rows of a part, and of them some columns or all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Memory of pyarrow's own: its threads give back bytes of Python's a little later, for which
    # they need the interpreter, and a process that ends meanwhile is aborted.
    copied = pa.BufferOutputStream()
    copied.write(part)
    return pq.read_table(pa.BufferReader(copied.getvalue()), columns=columns, schema=_schema())


def _block(rows: list[dict[str, Any]], run: int, present: Container[str]) -> tuple[np.ndarray, ...]:
    """Keys, numbers, versions and states of the rows of a run, and the highest number of all."""
    own = [
        row
        for row in rows
        if row["run"] == run and (row["shard"] is None or row["shard"] in present)
    ]
    return (
        np.array([_hash(row["source"]) for row in own], np.uint64),
        np.array([row["number"] for row in own], np.int64),
        np.array([_version(row["size"], row["version"], row["output"]) for row in own], np.uint64),
        np.array([_DONE if row["error"] is None else _FAILED for row in own], np.uint8),
        np.array([max((row["number"] for row in rows), default=0)], np.int64),
    )


def _changes(name: str, before: Any, now: Any) -> list[str]:
    """What differs between two values of a run."""
    if isinstance(before, dict) and isinstance(now, dict):
        parts = [_changes(key, before.get(key), now.get(key)) for key in {**before, **now}]
        return [change for part in parts for change in part]
    return [] if before == now else [f"{name} was {before} and is {now}"]


def _text(name: str) -> str:
    """A name that UTF-8 can hold: bytes that are not UTF-8 as ``\\xff``."""
    return name.encode("utf-8", "backslashreplace").decode() if not name.isascii() else name


def _version(size: int, version: str, output: str) -> int:
    return _hash(f"{size}\0{version}\0{_text(output)}")


def _hash(text: str) -> int:
    """64 bits of a text. Of 10^8 names two share theirs once in 4,000 runs; such a pair is then
    done again in each run, for its versions differ."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
