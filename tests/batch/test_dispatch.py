"""The scheduler, by an engine whose workers die as a test says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from heqcodec.base.errors import HeqError
from heqcodec.batch.dispatch import ATTEMPTS, ItemResult, dispatch
from heqcodec.batch.work import Facts, Item, Outcome


def items(count: int) -> Iterator[Item]:
    return (Item(f"{index}.png", f"{index}.heq", 1, "") for index in range(count))


class ScriptedEngine:
    """An engine of ``workers``; what ends, ``end`` says, from the item and how often it began."""

    def __init__(self, workers: int, end: Callable[[Item, int], ItemResult]) -> None:
        self.workers, self.end = workers, end
        self.held: list[Item] = []
        self.begun: Counter[str] = Counter()

    def idle(self) -> int:
        return self.workers - len(self.held)

    def start(self, item: Item) -> None:
        assert len(self.held) < self.workers
        self.held.append(item)
        self.begun[item.source] += 1

    def wait(self, seconds: float) -> list[ItemResult]:
        item = self.held.pop()  # the last first: out of order
        return [self.end(item, self.begun[item.source])]

    def close(self) -> None:
        pass


def well(item: Item, begun: int) -> ItemResult:
    return ItemResult(item, Outcome(item, Facts()))


def run(count: int, engine: ScriptedEngine) -> list[Outcome]:
    return [outcome for outcomes in dispatch(items(count), engine) for outcome in outcomes]


@pytest.mark.parametrize(("count", "workers"), [(0, 2), (1, 4), (20, 1), (20, 3)])
def test_each_item_ends_once(count: int, workers: int) -> None:
    outcomes = run(count, ScriptedEngine(workers, well))
    assert Counter(outcome.item.source for outcome in outcomes) == Counter(
        item.source for item in items(count)
    )
    assert all(outcome.facts.error is None and outcome.deaths == 0 for outcome in outcomes)


def test_an_item_whose_worker_died_is_done_again() -> None:
    def end(item: Item, begun: int) -> ItemResult:
        return ItemResult(item, None, "It died.") if begun < ATTEMPTS else well(item, begun)

    outcomes = run(7, ScriptedEngine(2, end))
    assert len(outcomes) == 7
    assert all(outcome.deaths == ATTEMPTS - 1 and not outcome.facts.error for outcome in outcomes)


def test_an_item_that_kills_its_workers_costs_itself_alone() -> None:
    def end(item: Item, begun: int) -> ItemResult:
        return ItemResult(item, None, "It died.") if item.source == "3.png" else well(item, begun)

    engine = ScriptedEngine(2, end)
    errors = {outcome.item.source: outcome.facts.error for outcome in run(7, engine)}
    assert errors == {f"{n}.png": None for n in range(7)} | {"3.png": "It died. (3 workers)"}
    assert engine.begun["3.png"] == ATTEMPTS


def test_a_final_end_is_not_tried_again() -> None:
    engine = ScriptedEngine(1, lambda item, begun: ItemResult(item, None, "Too long.", True))
    (outcome,) = run(1, engine)
    assert outcome.facts.error == "Too long." and engine.begun["0.png"] == 1


def test_a_place_that_takes_no_outputs_ends_the_run() -> None:
    def end(item: Item, begun: int) -> ItemResult:
        return ItemResult(item, Outcome(item, Facts(error="No space."), fatal=True))

    with pytest.raises(HeqError, match="outputs cannot be written: No space"):
        run(5, ScriptedEngine(2, end))


def test_items_are_taken_when_a_worker_waits() -> None:
    taken = 0

    def counted() -> Iterator[Item]:
        nonlocal taken
        for item in items(50):
            taken += 1
            yield item

    for done, outcomes in enumerate(dispatch(counted(), ScriptedEngine(4, well)), 1):
        assert len(outcomes) == 1
        assert taken <= done + 4
