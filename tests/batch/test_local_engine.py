"""Workers that are processes, under signals."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from batch_operations import BAD, ENDLESS, POISON, Reverse
from heqcodec.base.errors import HeqError
from heqcodec.batch.dispatch import dispatch
from heqcodec.batch.local import LocalEngine
from heqcodec.batch.locations import Location
from heqcodec.batch.manifest import Manifest, read_manifest
from heqcodec.batch.run import Summary, run_batch
from heqcodec.batch.work import Item, Outcome, Task

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(24):
        (folder / f"{index:02}.bin").write_bytes(f"file {index}".encode())
    return folder


def items(folder: Path) -> Iterator[Item]:
    return (Item(path.name, f"{path.stem}.out", 1, "") for path in sorted(folder.iterdir()))


def ended(task: Task, folder: Path, **how: float) -> dict[str, Outcome]:
    engine = LocalEngine(task, 2, **how)
    try:
        found = [outcome for part in dispatch(items(folder), engine) for outcome in part]
    finally:
        engine.close()
    assert len(found) == len({outcome.item.source for outcome in found})
    return {outcome.item.source: outcome for outcome in found}


@pytest.mark.slow
def test_bad_items_cost_themselves(source: Path, tmp_path: Path) -> None:
    (source / "07.bin").write_bytes(POISON)
    (source / "08.bin").write_bytes(BAD)
    (source / "09.bin").write_bytes(ENDLESS)
    task = Task(Reverse(), str(source), str(tmp_path / "out"))
    outcomes = ended(task, source, item_seconds=2.0)
    errors = {name: outcome.facts.error for name, outcome in outcomes.items()}
    assert {name: error for name, error in errors.items() if error} == {
        "07.bin": "The worker was ended by SIGKILL, as when it takes too much memory. (3 workers)",
        "08.bin": "these bytes are bad.",
        "09.bin": "It took longer than 2 s.",
    }
    assert len(list((tmp_path / "out").iterdir())) == 21


@pytest.mark.slow
def test_every_output_is_right_though_workers_are_killed(source: Path, tmp_path: Path) -> None:
    """One is killed after each fourth item, whatever it does then."""
    out, chance, engines = Location(str(tmp_path / "out")), random.Random(5), []
    manifest = Location(str(tmp_path / "manifest"))
    killed = 0

    def make() -> LocalEngine:
        engines.append(LocalEngine(Task(Reverse(0.01), str(source), out.url), 2))
        return engines[0]

    def kill(summary: Summary) -> None:
        nonlocal killed
        pids = engines[0].pids()
        if summary.done // 4 > killed and pids:
            os.kill(chance.choice(pids), signal.SIGKILL)
            killed += 1

    folders = Location(str(source)).folders(lambda path: True)
    run = {"operation": "reverse", "options": {}, "models": {}}
    writer = Manifest(manifest)
    summary = run_batch(
        run, folders, ".out", Location(str(source)), out, writer, make, progress=kill
    )
    assert (summary.done, summary.failed) == (24, 0) and killed >= 3
    rows = read_manifest(manifest).to_pylist()
    assert len(rows) == len({row["source"] for row in rows}) == 24
    for row in rows:
        assert out.read(row["output"]) == (source / row["source"]).read_bytes()[::-1]
    assert len(list((tmp_path / "out").iterdir())) == 24


def test_a_full_place_of_outputs_ends_the_run_and_costs_no_item(
    source: Path, tmp_path: Path
) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    engine = LocalEngine(Task(Reverse(), str(source), str(tmp_path)), 1)
    try:
        with pytest.raises(HeqError, match=r"outputs cannot be written.*No space left"):
            list(dispatch(iter([Item("00.bin", "full", 1, "")]), engine))
    finally:
        engine.close()


def test_workers_that_cannot_begin_end_the_run(tmp_path: Path) -> None:
    engine = LocalEngine(Task(Reverse(), "nosuch://a", str(tmp_path)), 2)
    try:
        with pytest.raises(HeqError, match="cannot be opened"):
            list(dispatch(iter([Item("a", "b", 1, "")]), engine))
    finally:
        engine.close()
