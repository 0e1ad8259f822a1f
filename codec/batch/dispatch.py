"""Items to workers, and outcomes back: the one scheduler of all engines."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from heqcodec.base.errors import HeqError

from .work import Facts, Item, Outcome

__all__ = ["ATTEMPTS", "Engine", "ItemResult", "dispatch"]

ATTEMPTS = 3
"""Workers that may die with an item, before it is taken for the cause: a machine may lose power,
or its system end the largest process, while an innocent one is at work."""
_TICK = 1.0


@dataclass(frozen=True)
class ItemResult:
    """What became of an item that a worker had; the worker is free again, or dead.

    Attributes:
        item: as it was given.
        outcome: None if the worker died, or was stopped.
        reason: of that, as a sentence.
        final: whether another attempt would end the same.
    """

    item: Item
    outcome: Outcome | None = None
    reason: str = ""
    final: bool = False


class Engine(Protocol):
    """Workers of some kind, each with at most one item. Those that die are replaced."""

    def idle(self) -> int:
        """Workers that wait for an item."""
        ...

    def start(self, item: Item) -> None:
        """Give an item to an idle worker."""
        ...

    def wait(self, seconds: float) -> list[ItemResult]:
        """Items that ended, once there are any, a worker became idle or the time is over.

        Raises:
            HeqError: workers cannot be started.
        """
        ...

    def close(self) -> None:
        """Stop all workers; what they have is lost."""
        ...


def dispatch(
    items: Iterator[Item], engine: Engine, attempts: int = ATTEMPTS
) -> Iterator[list[Outcome]]:
    """Have all items done. An item is taken from ``items`` when a worker waits for it.

    Args:
        items: each once.
        engine: that does them.
        attempts: see `ATTEMPTS`.

    Yields:
        What ended, each item once; every second at least, though the list be empty.

    Raises:
        HeqError: from the engine; or the location of outputs takes no more.
    """
    again: deque[Item] = deque()
    deaths: dict[str, int] = {}
    running, more = 0, True
    while True:
        while engine.idle():
            item = again.popleft() if again else next(items, None)
            if item is None:
                more = False
                break
            engine.start(item)
            running += 1
        if not (running or more or again):
            return
        ended: list[Outcome] = []
        for end in engine.wait(_TICK):
            running -= 1
            count = deaths.pop(end.item.source, 0)
            if end.outcome is not None:
                if end.outcome.fatal:
                    raise HeqError(f"The outputs cannot be written: {end.outcome.facts.error}")
                ended.append(replace(end.outcome, deaths=count))
            elif end.final or count + 1 >= attempts:
                error = end.reason if end.final else f"{end.reason} ({count + 1} workers)"
                ended.append(Outcome(end.item, Facts(error=error), deaths=count + 1))
            else:
                deaths[end.item.source] = count + 1
                again.append(end.item)
        yield ended
