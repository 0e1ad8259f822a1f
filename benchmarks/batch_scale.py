"""A batch on many machines that fail, in simulated time, by the scheduler of `heqcodec.batch`.

    python benchmarks/batch_scale.py --seconds 0.2 --out eval/results/batch/scale.json

Workers are of `SimulatedEngine`: an item takes a time of its own, spread as a logarithmic normal
distribution with the given mean, and nodes are lost at random and come back. What is real is
`heqcodec.batch.dispatch`: which item goes to whom, and what becomes of those that were lost.
"""

from __future__ import annotations

import heapq
import json
import math
import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from heqcodec.batch.dispatch import ItemResult, dispatch
from heqcodec.batch.work import Facts, Item, Outcome

HOUR = 3600.0


@dataclass(order=True)
class Event:
    """What happens at a time: a worker ends its item, or a node is lost or back."""

    at: float
    number: int
    kind: str = field(compare=False)
    who: int = field(compare=False)
    life: int = field(compare=False, default=0)


class SimulatedEngine:
    """A `heqcodec.batch.dispatch.Engine` whose time is that of its next event.

    Args:
        nodes, cores: machines, and workers of each.
        seconds: mean of an item.
        spread: standard deviation of the logarithm of an item's time.
        node_hours: mean time between two losses of one node; 0 for none.
        back: seconds until a lost node works again.
        poison: items whose workers die.
        seed: of all chance.
    """

    def __init__(
        self,
        nodes: int,
        cores: int,
        seconds: float,
        spread: float = 0.5,
        node_hours: float = 0.0,
        back: float = 120.0,
        poison: frozenset[str] = frozenset(),
        seed: int = 0,
    ) -> None:
        self.now = self.worked = self.lost_work = 0.0
        self.losses = 0
        self._cores, self._node_hours, self._back, self._poison = cores, node_hours, back, poison
        self._mean = math.log(seconds) - spread**2 / 2
        self._spread, self._chance = spread, random.Random(seed)
        self._events: list[Event] = []
        self._count = 0
        self._idle = deque(range(nodes * cores))
        self._held: dict[int, tuple[Item, float]] = {}
        self._life = [0] * nodes
        self._up = [True] * nodes
        for node in range(nodes):
            self._plan_loss(node)

    def idle(self) -> int:
        """See `Engine`."""
        return len(self._idle)

    def start(self, item: Item) -> None:
        """See `Engine`."""
        worker = self._idle.popleft()
        self._held[worker] = (item, self.now)
        took = self._chance.lognormvariate(self._mean, self._spread)
        self._add(self.now + took, "done", worker, self._life[worker // self._cores])

    def wait(self, seconds: float) -> list[ItemResult]:
        """See `Engine`."""
        ended: list[ItemResult] = []
        while self._events and not (ended or self._idle):
            event = heapq.heappop(self._events)
            self.now = event.at
            if event.kind == "lost":
                ended += self._lose(event.who)
            elif event.kind == "back":
                self._up[event.who] = True
                self._idle.extend(range(event.who * self._cores, (event.who + 1) * self._cores))
                self._plan_loss(event.who)
            elif event.life == self._life[event.who // self._cores]:
                ended.append(self._end(event.who))
        if not ended and self._held:
            # Workers wait, and no item is left for them: on to the next event.
            while self._events and not ended:
                event = heapq.heappop(self._events)
                self.now = event.at
                if event.kind == "lost" and self._up[event.who]:
                    ended += self._lose(event.who)
                elif event.kind == "done" and event.life == self._life[event.who // self._cores]:
                    ended.append(self._end(event.who))
        return ended

    def close(self) -> None:
        """See `Engine`."""

    def _end(self, worker: int) -> ItemResult:
        item, since = self._held.pop(worker)
        self._idle.append(worker)
        if item.source in self._poison:
            self.lost_work += self.now - since
            return ItemResult(item, None, "The worker died.")
        self.worked += self.now - since
        return ItemResult(item, Outcome(item, Facts(seconds=self.now - since)))

    def _lose(self, node: int) -> list[ItemResult]:
        self.losses += 1
        self._up[node] = False
        self._life[node] += 1
        mine = range(node * self._cores, (node + 1) * self._cores)
        held = [self._held.pop(worker) for worker in mine if worker in self._held]
        self.lost_work += sum(self.now - since for _, since in held)
        self._idle = deque(worker for worker in self._idle if worker not in mine)
        self._add(self.now + self._back, "back", node)
        return [ItemResult(item, None, "The node was lost.") for item, _ in held]

    def _plan_loss(self, node: int) -> None:
        if self._node_hours:
            rate = 1 / (self._node_hours * HOUR)
            self._add(self.now + self._chance.expovariate(rate), "lost", node)

    def _add(self, at: float, kind: str, who: int, life: int = 0) -> None:
        self._count += 1
        heapq.heappush(self._events, Event(at, self._count, kind, who, life))


def simulated(
    items: int, nodes: int, cores: int, seconds: float, node_hours: float, **how: Any
) -> dict[str, Any]:
    """One batch: its time against that of workers that never fail nor wait."""
    engine = SimulatedEngine(nodes, cores, seconds, node_hours=node_hours, **how)

    def named() -> Iterator[Item]:
        nonlocal handed
        for index in range(items):
            handed = engine.now
            yield Item(str(index), "", 1, "")

    handed, failed, deaths, real = 0.0, 0, 0, time.perf_counter()
    for outcomes in dispatch(named(), engine):
        for outcome in outcomes:
            failed += outcome.facts.error is not None
            deaths += outcome.deaths
    real = time.perf_counter() - real
    ideal = engine.worked / (nodes * cores)
    return {
        "items": items,
        "nodes": nodes,
        "cores": cores,
        "seconds an item": seconds,
        "hours between losses of a node": node_hours,
        "hours": engine.now / HOUR,
        "of ideal": engine.now / ideal if ideal else None,
        "nodes lost": engine.losses,
        "items done again": deaths,
        "items failed": failed,
        "work lost": engine.lost_work / (engine.worked + engine.lost_work),
        "seconds after the last item was handed out": engine.now - handed,
        "items a second of the scheduler itself": items / real,
    }


def main(
    seconds: Annotated[float, typer.Option(help="Mean of an item.")] = 0.2,
    items: Annotated[int, typer.Option(help="Items of a run.")] = 400_000,
    out: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """One machine, and a hundred with items of a hundred images each, that fail never, daily and
    hourly; the last with items of very different times. JSON."""
    found = [
        simulated(items, nodes, 64, each, node_hours)
        for nodes, each in ((1, seconds), (100, 100 * seconds))
        for node_hours in (0.0, 24.0, 1.0)
    ]
    found.append(simulated(items, 100, 64, 100 * seconds, 1.0, spread=1.5))
    text = json.dumps(found, indent=1)
    print(text)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(f"{text}\n")


if __name__ == "__main__":
    typer.run(main)
