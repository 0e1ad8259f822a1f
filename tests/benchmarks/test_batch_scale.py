"""The simulation of a batch on machines that fail: the real scheduler in simulated time."""

from __future__ import annotations

import pytest
from heqcodec.batch.dispatch import dispatch
from heqcodec.batch.work import Item
from scripts import load

script = load("batch_scale")


def test_without_losses_all_workers_are_busy_until_the_end() -> None:
    found = script.simulated(4000, 5, 8, 2.0, 0.0)
    assert found["items failed"] == found["nodes lost"] == found["items done again"] == 0
    # At the end workers wait for the last ones: less than the longest item or so.
    assert 1 <= found["of ideal"] < 1.06
    assert found["hours"] * 3600 == pytest.approx(found["of ideal"] * 4000 * 2 / 40, rel=0.05)


def test_one_worker_takes_the_sum_of_all() -> None:
    found = script.simulated(100, 1, 1, 1.0, 0.0)
    assert found["of ideal"] == pytest.approx(1.0)


def test_items_of_lost_nodes_are_done_again() -> None:
    found = script.simulated(4000, 5, 8, 20.0, 0.2, back=60.0)
    assert found["nodes lost"] > 5 and found["items failed"] == 0
    assert found["nodes lost"] < found["items done again"] <= 8 * found["nodes lost"]
    assert 0 < found["work lost"] < 0.05
    again = script.simulated(4000, 5, 8, 20.0, 0.2, back=60.0)
    again.pop("items a second of the scheduler itself")
    assert again == {key: found[key] for key in again}


def test_a_poisonous_item_costs_itself() -> None:
    engine = script.SimulatedEngine(2, 2, 1.0, poison=frozenset({"7"}))
    items = (Item(str(index), "", 1, "") for index in range(40))
    outcomes = [outcome for part in dispatch(items, engine) for outcome in part]
    assert len(outcomes) == 40
    assert [outcome.item.source for outcome in outcomes if outcome.facts.error] == ["7"]


def test_losses_without_number_end_items_and_not_the_run() -> None:
    """Nodes that live shorter than items take: all items fail, in bounded time."""
    found = script.simulated(50, 3, 4, 3600.0, 0.01, back=1.0)
    assert found["items failed"] > 40
