"""Takes packets: judges each, and stores a batch of them in one transaction.

::

    batch ──► parse ──► image of the sender and number ──► verdict ──► rows ──► COMMIT ──► accepted

A packet that is damaged, too many, or of nothing costs a counter. Without a start packet nothing
can be checked, so packets wait for one, not many, and are accepted when it comes. All calls come
from one thread.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from heqcodec.base.errors import HeqChecksumError, HeqError, HeqLimitError
from heqcodec.container.header import check_pixels
from heqcodec.packets.layout import Kind, Packet, Start, check, parse

from .limits import Limits
from .progress import Progress, Verdict, valid_step
from .senders import Senders
from .store import COMPLETE, NOT_DUE, OVER, Store

REST = 2.0
"""Seconds in which an image that was closed for others is not opened again: reading it anew for
each packet would cost too much."""
AT_ONCE = 100
"""Images whose packets are dropped in one transaction."""


class _Busy(Exception):
    """A sender sends more images at once than are received."""


class Arrival(NamedTuple):
    """Bytes that came.

    Attributes:
        data: perhaps a packet.
        way: how its sender can be reached; "" where it cannot.
        read: of a watched file: its path, and how many bytes of it are taken with this.
        done: called after the commit: whether the packet is stored, now or before.
    """

    data: bytes
    way: str = ""
    read: tuple[str, int] | None = None
    done: Callable[[bool], None] | None = None


class Intake:
    """What the receiver knows, and its store.

    Args:
        folder: of the database.
        limits: see `Limits`.

    Attributes:
        counts: packets by what became of them, over all runs of the receiver.
        changed: keys of images that changed since the set was cleared.
        store: the database.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.store = Store(folder)
        self.limits = limits
        self.counts = Counter(self.store.counts())
        self.changed: set[int] = set()
        self._senders = Senders()
        self._key = self.store.last_key()
        self._rows: list[tuple[int, int, bytes]] = []
        self._touched: dict[int, Progress] = {}
        self._resume()

    def close(self) -> None:
        """Close the database."""
        self.store.close()

    def take(self, batch: Sequence[Arrival], now: float | None = None) -> list[bool]:
        """Take what came; it is on the disk when this returns.

        Args:
            now: seconds since 1970.

        Returns:
            Of each whether it is a packet of a known image that is stored, now or before.
        """
        now = time.time() if now is None else now
        with self.store.transaction():
            accepted = [self._take(arrival.data, arrival.way, now) for arrival in batch]
            places = dict(arrival.read for arrival in batch if arrival.read)
            if places:
                self.store.set_read(places)
            self._save()
        return accepted

    def expire(self, now: float | None = None) -> None:
        """Close the images whose time is over, and drop the packets of those that are whole."""
        limit = (time.time() if now is None else now) - self.limits.timeout
        over = list(takewhile(lambda image: image.last <= limit, self._senders.heard()))
        if not over and not self.store.spent(limit, 1):
            return
        with self.store.transaction():
            for image in over:
                self._close(image)
            self._save()
            for row in self.store.spent(limit, AT_ONCE):
                self._drop_packets(row)

    def decoded(self, key: int, due: int, facts: dict[str, Any]) -> None:
        """Note what decoding found.

        Args:
            key: of the image.
            due: how it was due when its packets were read.
            facts: see `heqcodec.receive.rendering.finish`.
        """
        progress = self.progress(key)
        row = next(self.store.rows("WHERE key = ?", (key,)), None)
        # It may have gone on since.
        if row is None or row["due"] != due or (progress is not None and not progress.decoded):
            return
        with self.store.transaction():
            self.store.set_due(key, NOT_DUE)
            self.store.set_facts(key, facts)
        self.changed.add(key)

    def progress(self, key: int) -> Progress | None:
        """An image that is received; None for others."""
        return self._senders.by_key(key)

    @property
    def open_images(self) -> int:
        """How many images are received."""
        return len(self._senders)

    # ---- one packet

    def _take(self, data: bytes, way: str, now: float) -> bool:
        if not data:
            return False
        try:
            packet = parse(data)
            if packet.kind == Kind.START:
                return self._take_start(packet, data, way, now)
            return self._take_other(packet, data, way, now)
        except _Busy:
            return self._refuse("too many images at once")
        except HeqLimitError:
            return self._refuse("too large")
        except HeqChecksumError:
            return self._refuse("damaged")
        except HeqError:
            return self._refuse("no packet")

    def _take_start(self, packet: Packet, data: bytes, way: str, now: float) -> bool:
        check(data, 0)
        start = Start.read(packet.payload)
        check_pixels(start.width, start.height, self.limits.pixels)
        if not valid_step(start.model, start.step):
            return self._refuse("unknown model")
        if self._is_one_too_many(packet.sender):
            return self._refuse("too many senders")
        image = self._find(packet, now)
        waited: list[bytes] = []
        if image is not None and image.start is None:
            self._flush()
            waited = self.store.packets(image.key)
            way = way or image.way
            self._discard(image)
            image = None
        if image is not None:
            verdict = image.judge(packet, data)
            if verdict == Verdict.OTHER:
                self._close(image)
                image = None
        self._senders.begin(packet.sender, start)
        if image is None:
            image = self._open(packet, start, False, way, now)
        accepted = self._add(image, packet, data, way, now)
        image.learn(start)
        for earlier in waited:
            self._take(earlier, "", now)
        return accepted

    def _take_other(self, packet: Packet, data: bytes, way: str, now: float) -> bool:
        image = self._find(packet, now)
        if image is None or image.start is None:
            start = self._borrowed(packet, data)
            if start is None:
                return self._wait(image, packet, data, way, now)
            image = image or self._open(packet, start, True, way, now)
            if image.start is None:
                self._discard(image)
                image = self._open(packet, start, True, way, now)
        return self._add(image, packet, data, way, now)

    def _borrowed(self, packet: Packet, data: bytes) -> Start | None:
        """The start of another image of the sender, if the packet's checksum agrees."""
        if not self._senders.is_known(packet.sender):
            return None
        start = self._senders[packet.sender].start
        assert start is not None
        try:
            check(data, start.seed())
        except HeqChecksumError:
            return None
        # A parity packet has no step; a start packet of the image will say it.
        return replace(start, step=packet.step or start.step, packets=0)

    def _wait(
        self, image: Progress | None, packet: Packet, data: bytes, way: str, now: float
    ) -> bool:
        if self._is_one_too_many(packet.sender):
            return self._refuse("too many senders")
        if self._senders.waiting >= self.limits.waiting:
            return self._refuse("no start packet")
        image = image or self._open(packet, None, False, way, now)
        self._store(image, data)
        image.stored, image.last = image.stored + 1, now
        image.size += len(data)
        self._senders.stored(image, len(data))
        self.counts["waiting"] += 1
        return False

    def _add(self, image: Progress, packet: Packet, data: bytes, way: str, now: float) -> bool:
        verdict = image.judge(packet, data)
        if verdict == Verdict.OTHER:
            start = image.start
            self._close(image)
            image = self._open(packet, start, True, way, now)
            verdict = image.judge(packet, data)
        if verdict == Verdict.BAD:
            return self._refuse("damaged")
        self._touched[image.key] = image
        image.last, image.way = now, way or image.way
        if verdict == Verdict.DUPLICATE:
            image.duplicates += 1
            self.counts["duplicates"] += 1
            return True
        if not self._has_room(image, len(data)):
            return self._refuse("too much of a sender")
        self._store(image, data)
        image.add(packet, data)
        self._senders.stored(image, len(data))
        self.counts["stored"] += 1
        if image.complete and not image.decoded:
            image.decoded = True
            self._save_image(image)
            self.store.set_due(image.key, COMPLETE)
        return True

    def _is_one_too_many(self, sender: int) -> bool:
        return self._senders.known >= self.limits.senders and not self._senders.is_known(sender)

    def _refuse(self, reason: str) -> bool:
        self.counts[reason] += 1
        return False

    # ---- images

    def _find(self, packet: Packet, now: float) -> Progress | None:
        """The image of this sender and number: one that is received, or one for which there was no
        more room and whose time is not over.

        Raises:
            _Busy: it was closed just now, for others of the sender.
        """
        image = self._senders.find(packet.sender, packet.image)
        if image is not None or not self._senders.is_known(packet.sender):
            return image
        where = "WHERE sender = ? AND image = ? AND last > ? ORDER BY key DESC LIMIT 1"
        values = packet.sender, packet.image, now - self.limits.timeout
        row = next(self.store.rows(where, values), None)
        if row is None or row["start"] is None:
            return None
        if now - row["last"] < REST and row["due"] == OVER:
            raise _Busy
        self._make_room(packet.sender)
        self._flush()
        image = self._restored(row)
        self._senders.open(image, new=False)
        self._touched[image.key] = image
        if not image.decoded:
            self.store.set_due(image.key, NOT_DUE)
            self.store.set_facts(image.key, {})
        return image

    def _make_room(self, sender: int) -> None:
        """Close images of which nothing came for the longest, where one more is too many."""
        while len(self._senders[sender].open) >= self.limits.open_images:
            self._close(self._senders.oldest(sender))
        held, limits = self._senders, self.limits
        while len(held) and (
            held.open_packets >= limits.open_packets or held.open_patches >= limits.open_patches
        ):
            self._close(held.oldest())

    def _open(
        self, packet: Packet, start: Start | None, borrowed: bool, way: str, now: float
    ) -> Progress:
        self._make_room(packet.sender)
        self._key += 1
        image = Progress(self._key, packet.sender, packet.image, first=now, last=now, way=way)
        if start is not None:
            image.begin(start, borrowed)
        self._senders.open(image, new=True)
        self._touched[image.key] = image
        if self._senders[packet.sender].images > self.limits.images:
            self._remove_oldest(packet.sender)
        return image

    def _close(self, image: Progress) -> None:
        """Take no more packets of an image; what came of it is decoded, if it was not."""
        if image.start is None:
            self.counts["no start packet"] += image.stored
            self._discard(image)
            return
        self._save_image(image)
        self._senders.close(image)
        self.store.close_image(image.key)
        if not image.decoded:
            self.store.set_facts(image.key, image.facts())
            self.store.set_due(image.key, OVER)
        self.changed.add(image.key)

    def _discard(self, image: Progress) -> None:
        """Forget an image without a start."""
        self._flush()
        self._senders.close(image)
        self._touched.pop(image.key, None)
        self.store.remove_image(image.key)
        self.changed.add(image.key)

    def _drop_packets(self, row: dict[str, Any]) -> None:
        self.store.drop_packets(row["key"])
        self._senders.forget(row["sender"], 0, row["size"])

    def _has_room(self, image: Progress, size: int) -> bool:
        """Whether a sender may store so many bytes more, of old images perhaps in their place."""
        entry, limit = self._senders[image.sender], self.limits.sender_bytes
        if entry.size + size <= limit:
            return True
        where = "WHERE sender = ? AND NOT open AND NOT due AND size > 0 ORDER BY key"
        for row in list(self.store.rows(where, (image.sender,))):
            self._drop_packets(row)
            if entry.size + size <= limit:
                return True
        return False

    def _remove_oldest(self, sender: int) -> None:
        where = "WHERE sender = ? AND NOT open AND NOT due ORDER BY key LIMIT 1"
        for row in list(self.store.rows(where, (sender,))):
            self.store.remove_image(row["key"])
            self._senders.forget(sender, 1, row["size"])
            self.changed.add(row["key"])
            for name in ("png", "heq"):
                if name in row["facts"]:
                    (self.store.folder / row["facts"][name]).unlink(missing_ok=True)

    # ---- the store

    def _store(self, image: Progress, data: bytes) -> None:
        self._rows.append((image.key, image.stored, data))
        self._touched[image.key] = image

    def _flush(self) -> None:
        if self._rows:
            self.store.add_packets(self._rows)
            self._rows = []

    def _save_image(self, image: Progress) -> None:
        self.store.save([image])
        self._touched.pop(image.key, None)
        self.changed.add(image.key)

    def _save(self) -> None:
        self._flush()
        self.store.save(self._touched.values())
        self.changed.update(self._touched)
        self._touched = {}
        self.store.set_counts(self.counts)

    def _resume(self) -> None:
        """What was received before the receiver was ended."""
        for sender, images, size in self.store.totals():
            self._senders.resume(sender, images, size)
        for row in list(self.store.rows("WHERE start IS NOT NULL ORDER BY key")):
            self._senders.begin(row["sender"], Start.read(row["start"]))
        for row in list(self.store.rows("WHERE open ORDER BY last")):
            self._senders.open(self._restored(row), new=False)

    def _restored(self, row: dict[str, Any]) -> Progress:
        """An image as its packets left it."""
        image = Progress(
            *(row["key"], row["sender"], row["image"]),
            first=row["first"],
            last=row["last"],
            duplicates=row["duplicates"],
            way=row["way"],
            decoded=row["due"] == COMPLETE or bool(row["whole"]),
        )
        if row["start"]:
            image.begin(Start.read(row["start"]), bool(row["borrowed"]))
        for data in self.store.packets(row["key"]):
            if row["start"]:
                image.add(parse(data), data)
            else:
                image.stored, image.size = image.stored + 1, image.size + len(data)
        return image
