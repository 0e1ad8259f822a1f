"""The queue of images that are decoded, in processes.

The queue itself is the store, so that a receiver which was killed goes on with it. Few images are
given to the processes at a time, so that a picture somebody looks at need not wait long.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from heqcodec.base.errors import HeqError

from . import rendering

PREVIEW_BYTES = 64 << 20
"""Pictures that are kept for the page."""
LOG = logging.getLogger("heqcodec.receive")
TRIES = 2
"""How often an image is given to a process that does not survive it."""


class Decoding:
    """Processes that write files and make pictures.

    Args:
        folder: of the store, and of the files.
        processes: how many.
        decoder: of the pictures that are written.

    Attributes:
        decoded: images whose files were written.
    """

    def __init__(self, folder: Path, processes: int, decoder: str) -> None:
        self.decoded = 0
        self._folder, self._processes, self._decoder = folder, processes, decoder
        self._pool = self._new_pool()
        self._turns = asyncio.Semaphore(processes)
        self._previews: OrderedDict[int, tuple[int, bytes]] = OrderedDict()
        self._making: dict[int, asyncio.Task[bytes]] = {}

    def close(self) -> None:
        """End the processes; what they were at is done again by the next receiver."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def finish(self, key: int, store: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Write the files of an image, and give the facts to ``store``."""
        for left in reversed(range(TRIES)):
            try:
                facts = await self._run(rendering.finish, key, self._decoder)
                break
            except BrokenProcessPool:
                facts = {"error": "the process that decoded it was killed"}
                self._restart()
                if not left:
                    break
            except Exception as error:  # One image stops none of the others.
                LOG.error("image %d: %s", key, error)
                facts = {"error": str(error) or type(error).__name__}
                break
        self.decoded += "png" in facts
        self._previews.pop(key, None)
        await store(facts)

    @property
    def looked_at(self) -> bool:
        """Whether somebody waits for a picture."""
        return bool(self._making)

    async def preview(self, key: int, version: int) -> bytes:
        """A PNG of what is known of an image.

        Args:
            version: one that was made for at least this is as good.

        Raises:
            HeqError: nothing can be shown.
        """
        made = self._previews.get(key)
        if made and made[0] >= version:
            self._previews.move_to_end(key)
            return made[1]
        if key not in self._making:
            self._making[key] = asyncio.create_task(self._make(key, version))
        return await asyncio.shield(self._making[key])

    async def _make(self, key: int, version: int) -> bytes:
        try:
            async with self._turns:
                data: bytes = await self._run(rendering.preview, key)
        except BrokenProcessPool as error:
            self._restart()
            raise HeqError("the process that decoded it was killed") from error
        finally:
            self._making.pop(key, None)
        self._previews[key] = version, data
        self._previews.move_to_end(key)
        while sum(len(kept) for _, kept in self._previews.values()) > PREVIEW_BYTES:
            self._previews.popitem(last=False)
        return data

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, function, self._folder, *arguments)

    def _new_pool(self) -> ProcessPoolExecutor:
        # Not forked: this process has threads and an open database.
        return ProcessPoolExecutor(
            self._processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=rendering.begin_process,
        )

    def _restart(self) -> None:
        self._pool.shutdown(wait=False)
        self._pool = self._new_pool()
