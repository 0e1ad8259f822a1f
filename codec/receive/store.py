"""Packets and images on the disk: SQLite with a write-ahead log, synchronized at each commit.

What was committed outlives a killed process and a power failure, so a packet is acknowledged after
that. One connection writes; decoding processes and the page read beside it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from heqcodec.base.errors import HeqError

from .progress import Progress

FILE = "packets.sqlite"
VERSION = 1
WAIT = 30.0
"""Seconds that a reader waits for a writer."""
_SCHEMA = """
CREATE TABLE images (
    key INTEGER PRIMARY KEY, sender INTEGER NOT NULL, image INTEGER NOT NULL,
    open INTEGER NOT NULL, due INTEGER NOT NULL, start BLOB, borrowed INTEGER NOT NULL,
    first REAL NOT NULL, last REAL NOT NULL, duplicates INTEGER NOT NULL, way TEXT NOT NULL,
    stored INTEGER NOT NULL, size INTEGER NOT NULL, whole INTEGER NOT NULL, facts TEXT);
CREATE INDEX images_by_sender ON images (sender, key);
CREATE INDEX images_due ON images (due DESC, key) WHERE due > 0;
CREATE INDEX images_open ON images (key) WHERE open;
CREATE INDEX images_spent ON images (last) WHERE whole AND size > 0 AND NOT open;
CREATE TABLE packets (
    key INTEGER NOT NULL, place INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (key, place)) WITHOUT ROWID;
CREATE TABLE files (path TEXT PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
NOT_DUE, OVER, COMPLETE = 0, 1, 2
"""Whether files of an image are to be written, and which first."""


class Store:
    """The database of a folder.

    Args:
        folder: where it lies.
        readonly: for another process than the receiver.

    Raises:
        HeqError: it is of another version.
    """

    def __init__(self, folder: Path, readonly: bool = False) -> None:
        self.folder = folder
        path = folder / FILE
        uri = f"{path.absolute().as_uri()}?mode={'ro' if readonly else 'rwc'}"
        self.connection = sqlite3.connect(
            uri, timeout=WAIT, isolation_level=None, uri=True, check_same_thread=False
        )
        if readonly:
            return
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute("PRAGMA wal_autocheckpoint = 4000")
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self.connection.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT"
            )
        elif version != VERSION:
            self.close()
            raise HeqError(f"{path} is of version {version}, and this reads {VERSION}.")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that the block writes is on the disk at its end, or nothing of it if it fails."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    # ---- packets

    def add_packets(self, rows: Iterable[tuple[int, int, bytes]]) -> None:
        """Add packets: key of the image, place among its packets, bytes."""
        self.connection.executemany("INSERT INTO packets VALUES (?, ?, ?)", rows)

    def packets(self, key: int) -> list[bytes]:
        """The packets of an image in the order in which they came."""
        rows = self.connection.execute(
            "SELECT data FROM packets WHERE key = ? ORDER BY place", (key,)
        )
        return [data for (data,) in rows]

    def drop_packets(self, key: int) -> None:
        """Remove the packets of an image."""
        self.connection.execute("DELETE FROM packets WHERE key = ?", (key,))
        self.connection.execute("UPDATE images SET stored = 0, size = 0 WHERE key = ?", (key,))

    def last_key(self) -> int:
        """The highest key of an image that is here, at least 0."""
        (key,) = self.connection.execute("SELECT coalesce(max(key), 0) FROM images").fetchone()
        return int(key)

    # ---- images

    def save(self, images: Iterable[Progress]) -> None:
        """Write the rows of images that are received."""
        self.connection.executemany(
            "INSERT INTO images VALUES (?, ?, ?, 1, 0, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL) "
            "ON CONFLICT (key) DO UPDATE SET open = 1, start = excluded.start, "
            "borrowed = excluded.borrowed, last = excluded.last, stored = excluded.stored, "
            "size = excluded.size, duplicates = excluded.duplicates, way = excluded.way",
            (
                (
                    *(image.key, image.sender, image.image),
                    image.start.payload() if image.start else None,
                    *(image.borrowed, image.first, image.last, image.duplicates, image.way),
                    *(image.stored, image.size),
                )
                for image in images
            ),
        )

    def set_due(self, key: int, due: int) -> None:
        """Say whether files of an image are to be written."""
        self.connection.execute("UPDATE images SET due = ? WHERE key = ?", (due, key))

    def close_image(self, key: int) -> None:
        """No packet belongs to the image any more."""
        self.connection.execute("UPDATE images SET open = 0 WHERE key = ?", (key,))

    def remove_image(self, key: int) -> None:
        """Forget an image and its packets."""
        self.connection.execute("DELETE FROM packets WHERE key = ?", (key,))
        self.connection.execute("DELETE FROM images WHERE key = ?", (key,))

    def set_facts(self, key: int, facts: dict[str, Any]) -> None:
        """Set what decoding found."""
        self.connection.execute(
            "UPDATE images SET facts = ?, whole = ? WHERE key = ?",
            (json.dumps(facts), bool(facts.get("whole")), key),
        )

    def spent(self, before: float, most: int) -> list[dict[str, Any]]:
        """Rows of whole images, written, of which nothing came since then and packets are kept."""
        where = "WHERE whole AND size > 0 AND NOT open AND last < ? LIMIT ?"
        return list(self.rows(where, (before, most)))

    def due(self, most: int) -> list[tuple[int, int]]:
        """Keys of images whose files are to be written, and how: complete ones first."""
        rows = self.connection.execute(
            "SELECT key, due FROM images WHERE due > 0 ORDER BY due DESC, key LIMIT ?", (most,)
        )
        return rows.fetchall()

    def count_due(self) -> int:
        """How many images wait to be decoded."""
        (count,) = self.connection.execute("SELECT count(*) FROM images WHERE due > 0").fetchone()
        return int(count)

    def rows(self, where: str, values: tuple[Any, ...] = ()) -> Iterator[dict[str, Any]]:
        """Rows of images; facts are a dictionary, empty before they are decoded."""
        with closing(self.connection.execute(f"SELECT * FROM images {where}", values)) as cursor:
            names = [column[0] for column in cursor.description]
            for row in cursor:
                found = dict(zip(names, row, strict=True))
                found["facts"] = json.loads(found["facts"] or "{}")
                yield found

    def totals(self) -> list[tuple[int, int, int]]:
        """Of each sender how many images are kept, and the bytes of their packets."""
        rows = self.connection.execute(
            "SELECT sender, sum(start IS NOT NULL), sum(size) FROM images GROUP BY sender"
        )
        return rows.fetchall()

    # ---- files that were read, counts

    def read_up_to(self) -> dict[str, int]:
        """How many bytes of each watched file are taken."""
        return dict(self.connection.execute("SELECT path, place FROM files"))

    def set_read(self, places: dict[str, int]) -> None:
        """Set these."""
        self.connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?)", places.items())

    def counts(self) -> dict[str, int]:
        """What was counted, over all runs."""
        return dict(self.connection.execute("SELECT name, value FROM counts"))

    def set_counts(self, counts: dict[str, int]) -> None:
        """Set these."""
        self.connection.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?)", counts.items())
