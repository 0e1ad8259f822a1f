"""Workers on a Ray cluster: actors that hold models, started by Ray where there is room.

Each actor has one item at a time, as a process of `heqcodec.batch.local` has. A death of an actor
or of its node costs the item an attempt; another actor takes its place where Ray finds room, on a
node that is left or on a new one.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

from heqcodec.base.errors import HeqError

from .dispatch import ItemResult
from .work import Item, Outcome, Task, Worker

__all__ = ["RayEngine", "cluster_workers"]

_FALSE_STARTS = 3
_PATIENCE = 10.0


@dataclass
class _Actor:
    """A worker: its handle, what it was asked last, and what it has."""

    handle: Any
    call: Any
    pid: int = 0
    item: Item | None = None
    since: float = 0.0


class _Served:
    """What runs in an actor."""

    def __init__(self, task: Task) -> None:
        from heqcodec.base.threads import limit_threads

        limit_threads(task.threads)
        self._task = task
        self._worker: Worker | None = None

    def ready(self) -> int:
        """The process, once the worker is made; here, so that its errors come back as they are."""
        self._worker = Worker(self._task)
        return os.getpid()

    def do(self, item: Item) -> Outcome:
        """See `heqcodec.batch.work.Worker`."""
        assert self._worker is not None
        return self._worker(item)


def cluster_workers(address: str | None) -> int:
    """Connect to a cluster, or start one on this machine, and count its processors.

    Args:
        address: ``ray://host:10001``, ``host:6379``, ``auto`` or None, as `ray.init` takes it.

    Raises:
        HeqError: there is no such cluster.
    """
    import ray

    if not ray.is_initialized():
        host, _, port = (address or "").removeprefix("ray://").rpartition(":")
        try:
            if port.isdigit():  # Ray itself would try for minutes
                socket.create_connection((host, int(port)), _PATIENCE).close()
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError) as error:
            raise HeqError(f"No Ray cluster at {address}: {error}") from error
    return int(ray.cluster_resources().get("CPU", 1))


class RayEngine:
    """A `heqcodec.batch.dispatch.Engine` of Ray actors.

    Args:
        task: for every actor; each takes as many processors as it has threads.
        workers: how many.
        item_seconds: longest time of one item; None for no limit.
        gpus: of each actor; a fraction shares a card.
    """

    def __init__(
        self, task: Task, workers: int, item_seconds: float | None = None, gpus: float = 0
    ) -> None:
        import ray

        self._ray, self._task, self._item_seconds = ray, task, item_seconds
        self._class = ray.remote(num_cpus=task.threads, num_gpus=gpus)(_Served)
        self._false_starts = 0
        self._actors = [self._started() for _ in range(workers)]

    def idle(self) -> int:
        """See `Engine`."""
        return sum(bool(actor.pid) and actor.item is None for actor in self._actors)

    def pids(self) -> list[int]:
        """Ids of the processes that are ready, whatever their machines."""
        return [actor.pid for actor in self._actors if actor.pid]

    def start(self, item: Item) -> None:
        """See `Engine`."""
        actor = next(actor for actor in self._actors if actor.pid and actor.item is None)
        actor.item, actor.since = item, time.monotonic()
        actor.call = actor.handle.do.remote(item)

    def wait(self, seconds: float) -> list[ItemResult]:
        """See `Engine`."""
        by_call = {
            actor.call: place for place, actor in enumerate(self._actors) if actor.call is not None
        }
        heard, _ = self._ray.wait(list(by_call), timeout=seconds)
        if heard:  # and what else has come meanwhile
            heard, _ = self._ray.wait(list(by_call), num_returns=len(by_call), timeout=0)
        ended = [self._hear(by_call[call]) for call in heard]
        late = [place for place, actor in enumerate(self._actors) if self._is_late(actor)]
        ended += [self._give_up(place) for place in late]
        return [end for end in ended if end is not None]

    def close(self) -> None:
        """See `Engine`."""
        for actor in self._actors:
            self._ray.kill(actor.handle)

    def _started(self) -> _Actor:
        handle: Any = self._class.remote(self._task)
        return _Actor(handle, handle.ready.remote())

    def _hear(self, place: int) -> ItemResult | None:
        actor = self._actors[place]
        try:
            message = self._ray.get(actor.call)
        except self._ray.exceptions.RayTaskError as error:
            # The worker itself raises nothing, so its making did.
            cause = error.cause if isinstance(error.cause, HeqError) else error
            raise HeqError(f"Workers cannot begin: {cause}") from error
        except self._ray.exceptions.RayError as error:
            return self._lost(place, f"The worker was lost ({type(error).__name__}).", False)
        self._false_starts, actor.call = 0, None
        if not actor.pid:
            actor.pid = message
            return None
        item, actor.item = actor.item, None
        assert item is not None
        return ItemResult(item, message)

    def _lost(self, place: int, reason: str, final: bool) -> ItemResult | None:
        """Put another actor in the place of one that died."""
        actor = self._actors[place]
        if not actor.pid:
            self._false_starts += 1
            if self._false_starts >= _FALSE_STARTS * len(self._actors):
                raise HeqError(f"Workers end before they begin. {reason}")
        self._actors[place] = self._started()
        return None if actor.item is None else ItemResult(actor.item, None, reason, final)

    def _give_up(self, place: int) -> ItemResult | None:
        self._ray.kill(self._actors[place].handle)
        return self._lost(place, f"It took longer than {self._item_seconds:g} s.", True)

    def _is_late(self, actor: _Actor) -> bool:
        return (
            actor.item is not None
            and self._item_seconds is not None
            and time.monotonic() - actor.since > self._item_seconds
        )
