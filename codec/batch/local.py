"""Workers on this machine: processes that hold models, and a pipe to each.

Pools of the standard library give up as a whole when one of their processes dies, and share locks
that a killed process may hold. Here each worker has a pipe of its own, so that a death is known
from the pipe's end, together with the item that it costs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from heqcodec.base.errors import HeqError

from .dispatch import ItemResult
from .work import Item, Task, Worker

__all__ = ["InlineEngine", "LocalEngine"]

_READY = "ready"
_FALSE_STARTS = 3
_PATIENCE = 5.0


@dataclass
class _Process:
    """A worker: its process, our end of the pipe, and what it has."""

    process: BaseProcess
    pipe: Connection
    ready: bool = False
    item: Item | None = None
    since: float = 0.0


class LocalEngine:
    """A `heqcodec.batch.dispatch.Engine` of processes.

    Args:
        task: for every worker.
        workers: how many.
        item_seconds: longest time of one item; None for no limit.
    """

    def __init__(self, task: Task, workers: int, item_seconds: float | None = None) -> None:
        self._task, self._item_seconds = task, item_seconds
        # Not forked: threads of numpy or onnxruntime in this process would be lost in the copy.
        self._context = get_context("spawn")
        self._false_starts = 0
        self._workers = [self._started() for _ in range(workers)]

    def idle(self) -> int:
        """See `Engine`."""
        return sum(worker.ready and worker.item is None for worker in self._workers)

    def pids(self) -> list[int]:
        """Ids of the processes that are ready."""
        return [worker.process.pid or 0 for worker in self._workers if worker.ready]

    def start(self, item: Item) -> None:
        """See `Engine`."""
        worker = next(worker for worker in self._workers if worker.ready and worker.item is None)
        worker.item, worker.since = item, time.monotonic()
        # If it died idle, `wait` will see that, and the item gets another worker.
        with contextlib.suppress(OSError):
            worker.pipe.send(item)

    def wait(self, seconds: float) -> list[ItemResult]:
        """See `Engine`."""
        heard = set(connection.wait([worker.pipe for worker in self._workers], seconds))
        ended = []
        for place, worker in enumerate(self._workers):
            if worker.pipe in heard:
                end = self._hear(place, worker)
            elif self._is_late(worker):
                worker.process.kill()
                end = self._lost(place, f"It took longer than {self._item_seconds:g} s.", True)
            else:
                continue
            if end is not None:
                ended.append(end)
        return ended

    def close(self) -> None:
        """See `Engine`."""
        for worker in self._workers:
            worker.pipe.close()  # an idle worker ends at once
        for worker in self._workers:
            if worker.item is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _started(self) -> _Process:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._task), daemon=True)
        process.start()
        theirs.close()  # so that the pipe ends with the process
        return _Process(process, ours)

    def _hear(self, place: int, worker: _Process) -> ItemResult | None:
        try:
            message: Any = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(_PATIENCE)
            return self._lost(place, _cause(worker.process.exitcode), False)
        self._false_starts = 0
        if message == _READY:
            worker.ready = True
            return None
        if isinstance(message, HeqError):
            raise message
        item, worker.item = worker.item, None
        assert item is not None
        return ItemResult(item, message)

    def _lost(self, place: int, reason: str, final: bool) -> ItemResult | None:
        """Put another worker in the place of one that died."""
        worker = self._workers[place]
        worker.pipe.close()
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts >= _FALSE_STARTS:
                raise HeqError(f"Workers end before they begin. {reason}")
        self._workers[place] = self._started()
        return None if worker.item is None else ItemResult(worker.item, None, reason, final)

    def _is_late(self, worker: _Process) -> bool:
        return (
            worker.item is not None
            and self._item_seconds is not None
            and time.monotonic() - worker.since > self._item_seconds
        )


class InlineEngine:
    """A `heqcodec.batch.dispatch.Engine` in this process, for debugging: an item that ends the
    process ends the run.

    Args:
        task: see `Task`.
    """

    def __init__(self, task: Task) -> None:
        self._worker = Worker(task)
        self._ended: list[ItemResult] = []

    def idle(self) -> int:
        """See `Engine`."""
        return not self._ended

    def start(self, item: Item) -> None:
        """See `Engine`."""
        self._ended.append(ItemResult(item, self._worker(item)))

    def wait(self, seconds: float) -> list[ItemResult]:
        """See `Engine`."""
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """See `Engine`."""


def _serve(pipe: Connection, task: Task) -> None:
    """A worker's process: one item after the other until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent decides
    from heqcodec.base.threads import limit_threads

    try:
        limit_threads(task.threads)
        try:
            worker = Worker(task)
        except HeqError as error:
            pipe.send(error)
            return
        pipe.send(_READY)
        while True:
            pipe.send(worker(pipe.recv()))
    except (EOFError, OSError):
        os._exit(0)  # the parent is gone, and no one waits for this process


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"The worker was ended by {name}, as when it takes too much memory."
    return f"The worker ended with exit code {code}."
