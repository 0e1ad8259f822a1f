"""The receiver: sources, store, decoding and page in one event loop.

::

    sources ──► inbox ──► intake, in a thread of its own ──► answers
                             │ what is complete or whose time is over ──► decoding
                             └ what changed ──► page
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from heqcodec.base.errors import HeqError
from heqcodec.packets.resend import pack_resend

from .decoding import Decoding
from .inbox import Inbox, Source
from .intake import Arrival, Intake
from .limits import Limits
from .lorawan import MOST_DOWNLINK
from .summaries import missing_packets, summary

T = TypeVar("T")
TICK = 0.5
"""Seconds between looks for what is over or due."""
PAUSE = 1.0
"""Seconds after the disk was full or the database locked, before packets are taken again."""
LOG = logging.getLogger("heqcodec.receive")


@dataclass(frozen=True)
class Asked:
    """A resend list.

    Attributes:
        numbers: of the packets that are missing.
        data: of as many as a downlink carries, see `heqcodec.packets.resend`.
        way: to the sender; "" if there is none.
    """

    numbers: list[int]
    data: bytes
    way: str


class Receiver:
    """Receives until it is ended.

    Args:
        folder: of the store and of the files.
        limits: of what senders may take up.
        processes: that decode.
        decoder: of the pictures that are written.

    Raises:
        HeqError: the folder holds the store of another version.
    """

    def __init__(self, folder: Path, limits: Limits, processes: int, decoder: str) -> None:
        self.begun = time.time()
        self.folder = folder
        self.decoding = Decoding(folder, processes, decoder)
        self._limits, self._processes = limits, processes
        self._intake = Intake(folder, limits)
        self._inbox = Inbox(limits.queue)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="intake")
        self._sources: dict[str, Source] = {}
        self._busy: dict[int, asyncio.Task[None]] = {}

    async def run(self, sources: Sequence[Source]) -> None:
        """Receive from sources until cancelled.

        Raises:
            HeqError: a source cannot be used.
        """
        self._sources = {source.scheme: source for source in sources}
        loops = [self._take(), self._watch(), *(source.run(self._inbox) for source in sources)]
        tasks = [asyncio.ensure_future(loop) for loop in loops]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in (*tasks, *self._busy.values()):
                task.cancel()
            await asyncio.gather(*tasks, *self._busy.values(), return_exceptions=True)
            self.decoding.close()
            await self._call(lambda: self._intake.close())
            self._thread.shutdown()

    def read_places(self) -> dict[str, int]:
        """How much of watched files is taken; before `run`."""
        return self._intake.store.read_up_to()

    # ---- for the page

    async def totals(self) -> dict[str, Any]:
        """Counts of packets and images."""

        def read() -> dict[str, Any]:
            counts = dict(self._intake.counts)
            counts["dropped"] = counts.get("dropped", 0) + self._inbox.dropped
            return {
                "counts": counts,
                "receiving": self._intake.open_images,
                "due": self._intake.store.count_due(),
                "sources": [source.name for source in self._sources.values()],
                "timeout": self._limits.timeout,
            }

        return await self._call(read)

    async def images(self, where: str, values: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """Summaries of images; see `heqcodec.receive.summaries`.

        Args:
            where: a WHERE clause of the store, with what follows it.
            values: of its question marks.
        """

        def read() -> list[dict[str, Any]]:
            rows = self._intake.store.rows(where, values)
            return [summary(row, self._intake.progress(row["key"])) for row in rows]

        return await self._call(read)

    async def changes(self) -> set[int]:
        """Keys of images that changed since this was called last."""

        def read() -> set[int]:
            changed, self._intake.changed = self._intake.changed, set()
            return changed

        return await self._call(read)

    async def row(self, key: int) -> dict[str, Any]:
        """The row of an image.

        Raises:
            HeqError: there is none.
        """
        return await self._call(lambda: self._row(key))

    async def resend_list(self, key: int) -> Asked:
        """What is missing of an image.

        Raises:
            HeqError: there is no such image.
        """

        def read() -> Asked:
            row = self._row(key)
            numbers = missing_packets(row, self._intake.progress(key))
            data = b""
            if numbers:
                data = pack_resend(row["sender"], row["image"], numbers, MOST_DOWNLINK)
            scheme = row["way"].split(" ")[0]
            return Asked(numbers, data, row["way"] if scheme in self._sources else "")

        return await self._call(read)

    async def ask(self, key: int) -> Asked:
        """Send the resend list of an image to its sender.

        Raises:
            HeqError: nothing is missing, or the sender cannot be reached.
        """
        asked = await self.resend_list(key)
        if not asked.data:
            raise HeqError("nothing is missing.")
        if not asked.way:
            raise HeqError("the sender cannot be reached from here.")
        self._sources[asked.way.split(" ")[0]].send(asked.way, asked.data)
        return asked

    # ---- loops

    async def _take(self) -> None:
        while True:
            batch = await self._inbox.batch()
            accepted = await self._stored(batch)
            for arrival, good in zip(batch, accepted, strict=True):
                if arrival.done:
                    arrival.done(good)

    async def _stored(self, batch: list[Arrival]) -> list[bool]:
        """Store a batch, again and again while the disk does not take it."""
        while True:
            try:
                return await self._call(lambda: self._intake.take(batch))
            except sqlite3.Error as error:
                LOG.error("packets cannot be stored, and wait: %s", error)
            await asyncio.sleep(PAUSE)
            # What it knows is ahead of what is stored.
            with contextlib.suppress(sqlite3.Error):
                await self._call(self._reopen)

    def _reopen(self) -> None:
        made = Intake(self.folder, self._limits)
        self._intake.close()
        self._intake = made

    async def _watch(self) -> None:
        while True:
            due: list[tuple[int, int]] = []
            try:
                await self._call(lambda: self._intake.expire())
                due = await self._call(lambda: self._intake.store.due(2 * self._processes))
            except sqlite3.Error as error:
                LOG.error("images cannot be closed, and wait: %s", error)
                await asyncio.sleep(PAUSE)
            # One more than there are processes, so that none waits for the next; but pictures that
            # somebody looks at come first.
            most = self._processes + (not self.decoding.looked_at)
            for key, how in due:
                if key not in self._busy and len(self._busy) < most:
                    self._busy[key] = asyncio.create_task(self._finish(key, how))
            if self._busy:
                await asyncio.wait(
                    self._busy.values(), timeout=TICK, return_when=asyncio.FIRST_COMPLETED
                )
            else:
                await asyncio.sleep(TICK)

    async def _finish(self, key: int, due: int) -> None:
        async def store(facts: dict[str, Any]) -> None:
            await self._call(lambda: self._intake.decoded(key, due, facts))

        try:
            await self.decoding.finish(key, store)
        except sqlite3.Error as error:
            LOG.error("image %d is decoded again: %s", key, error)
        finally:
            self._busy.pop(key, None)

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _row(self, key: int) -> dict[str, Any]:
        row = next(self._intake.store.rows("WHERE key = ?", (key,)), None)
        if row is None:
            raise HeqError(f"there is no image {key}.")
        return row
