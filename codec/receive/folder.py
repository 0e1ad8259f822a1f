"""Packets that other programs write into a folder: files of one packet, and streams that grow."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from heqcodec.base.errors import HeqError
from heqcodec.packets.framing import split
from heqcodec.packets.layout import LARGEST

from .inbox import Inbox
from .intake import Arrival

PAUSE = 0.5
"""Seconds between two looks."""
STREAMS = (".pkt", ".kiss")
"""Suffixes of files that hold packets one after the other, and may grow."""
PIECE = 1 << 20


class FolderSource:
    """A watched folder. What was taken of each file is stored with the packets.

    Args:
        folder: which.
        places: bytes that are taken of each file, from the store.

    Raises:
        HeqError: there is no such folder.
    """

    scheme = "folder"

    def __init__(self, folder: Path, places: dict[str, int]) -> None:
        if not folder.is_dir():
            raise HeqError(f"There is no folder {folder}.")
        self.name = f"folder {folder}"
        self._folder, self._places = folder.absolute(), places
        self._seen: dict[str, int] = {}

    async def run(self, inbox: Inbox) -> None:
        """See `heqcodec.receive.inbox.Source`."""
        while True:
            for arrivals in await asyncio.to_thread(self._look):
                await inbox.put_all(arrivals)
            await asyncio.sleep(PAUSE)

    def send(self, way: str, data: bytes) -> None:
        """Nobody listens at a folder."""
        raise HeqError("packets of a folder have no way back.")

    def _look(self) -> list[list[Arrival]]:
        """What is new; of each file a piece."""
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_file():
                    continue
                size = entry.stat().st_size
                place = self._places.get(entry.path, 0)
                if size < place:
                    place = 0  # It was written anew.
                if size == place:
                    continue
                growing = Path(entry.name).suffix.lower() in STREAMS
                try:
                    arrivals = self._read(entry.path, place, size, growing)
                except OSError:
                    continue  # It is gone, or not ours to read.
                if arrivals:
                    found.append(arrivals)
        return found

    def _read(self, path: str, place: int, size: int, growing: bool) -> list[Arrival]:
        if not growing:
            # Nothing says where a packet ends but the file's end, so it has to stay for a while.
            if self._seen.get(path) != size:
                self._seen[path] = size
                return []
            self._seen.pop(path)
            with open(path, "rb") as stream:
                data = stream.read(LARGEST + 1)
            self._places[path] = size
            return [Arrival(data, read=(path, size))]
        with open(path, "rb") as stream:
            stream.seek(place)
            packets, used = split(stream.read(PIECE))
        if not packets:
            return []
        self._places[path] = place + used
        *others, last = packets
        return [*map(Arrival, others), Arrival(last, read=(path, place + used))]
