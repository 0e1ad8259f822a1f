"""What has come and is not stored yet: bounded, so that a flood costs packets and not memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from .intake import Arrival

BATCH = 2048
"""Packets of a transaction at most."""


class Source(Protocol):
    """Where packets come from.

    Attributes:
        scheme: of the ways that it makes and sends to, before the colon.
        name: for messages.
    """

    scheme: str
    name: str

    async def run(self, inbox: Inbox) -> None:
        """Receive until cancelled."""
        ...

    def send(self, way: str, data: bytes) -> None:
        """Send a resend list.

        Raises:
            HeqError: it cannot be sent.
        """
        ...


class Inbox:
    """A queue of packets; used in the thread of the event loop.

    Args:
        size: most packets.

    Attributes:
        dropped: packets that came while it was full.
    """

    def __init__(self, size: int) -> None:
        self.dropped = 0
        self._size = size
        self._held: list[Arrival] = []
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()

    def put(self, arrival: Arrival) -> bool:
        """Add a packet; whether there was room."""
        if len(self._held) >= self._size:
            self.dropped += 1
            return False
        self._held.append(arrival)
        self._filled.set()
        return True

    async def put_all(self, arrivals: Sequence[Arrival]) -> None:
        """Add packets of a source that can wait until there is room."""
        for arrival in arrivals:
            while len(self._held) >= self._size:
                self._emptied.clear()
                await self._emptied.wait()
            self.put(arrival)

    async def batch(self) -> list[Arrival]:
        """The packets that came first; waits for one."""
        await self._filled.wait()
        taken, self._held = self._held[:BATCH], self._held[BATCH:]
        if not self._held:
            self._filled.clear()
        self._emptied.set()
        return taken
