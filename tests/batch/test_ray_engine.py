"""Workers that are actors of a Ray cluster of two nodes on this machine."""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import heqcodec
import pytest
from batch_operations import POISON, Reverse
from command_runner import run
from heqcodec.base.errors import HeqError
from heqcodec.batch.dispatch import dispatch
from heqcodec.batch.locations import Location
from heqcodec.batch.manifest import Manifest, read_manifest
from heqcodec.batch.ray_engine import RayEngine, cluster_workers
from heqcodec.batch.run import Summary, run_batch
from heqcodec.batch.work import Item, Task
from PIL import Image
from small_models import photograph

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals of POSIX"),
]
MEMORY = 80 << 20
"""The least that Ray takes for a node's object store."""


@pytest.fixture(scope="module")
def ray() -> Any:
    return pytest.importorskip("ray", reason="needs the extra ray")


@pytest.fixture(scope="module")
def cluster(ray: Any) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    # Actors look for the operations of tests where this process does.
    support = str(Path(__file__).parents[1] / "support")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", support, prepend=os.pathsep)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        node = {"num_cpus": 1, "object_store_memory": MEMORY}
        made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        made.add_node(**node)
        ray.init(address=made.address, log_to_driver=False, logging_level=logging.ERROR)
        yield made
        ray.shutdown()
        made.shutdown()


def test_an_address_without_a_cluster(ray: Any) -> None:
    if ray.is_initialized():
        pytest.skip("a cluster is connected already")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        with pytest.raises(HeqError, match="No Ray cluster"):
            cluster_workers(address)


def test_every_output_is_right_though_actors_are_killed(cluster: Any, tmp_path: Path) -> None:
    source, out = Location(str(tmp_path / "in")), Location(str(tmp_path / "out"))
    for index in range(24):
        source.write(f"{index:02}.bin", f"file {index}".encode())
    source.write("99.bin", POISON)
    manifest, chance, engines = Location(str(tmp_path / "manifest")), random.Random(5), []
    killed = 0

    def make() -> RayEngine:
        engines.append(RayEngine(Task(Reverse(0.01), source.address, out.address), 2))
        return engines[0]

    def kill(summary: Summary) -> None:
        nonlocal killed
        pids = engines[0].pids()
        if summary.done // 8 > killed and pids:
            os.kill(chance.choice(pids), signal.SIGKILL)
            killed += 1

    run_facts = {"operation": "reverse", "options": {}, "models": {}}
    folders = source.folders(lambda path: True)
    how: dict[str, Any] = {"progress": kill}
    summary = run_batch(run_facts, folders, ".out", source, out, Manifest(manifest), make, **how)
    assert (summary.done, summary.failed) == (24, 1) and killed >= 2
    assert summary.failures[0]["input"] == "99.bin"
    assert "(3 workers)" in summary.failures[0]["error"]
    rows = read_manifest(manifest).to_pylist()
    assert len(rows) == len({row["source"] for row in rows}) == 25
    for row in rows:
        if row["error"] is None:
            assert out.read(row["output"]) == source.read(row["source"])[::-1]
    assert len(list((tmp_path / "out").iterdir())) == 24


def test_the_command_writes_the_bytes_of_single_calls(cluster: Any, tmp_path: Path) -> None:
    photos, heq = tmp_path / "photos", tmp_path / "heq"
    photos.mkdir()
    for index in range(6):
        pixels = photograph()[40 * index : 40 * index + 70, 100:190]
        Image.fromarray(pixels).save(photos / f"{index}.png")
    how = ("--engine", "ray", "--address", cluster.address, "--workers", "2")
    for command in (
        ("encode", photos, heq, "-q", "30"),
        ("pack", heq, tmp_path / "packed"),
        ("decode", heq, tmp_path / "png", "--decoder", "plain"),
    ):
        done = run("batch", *command, *how)
        assert done.exit_code == 0 and done.stdout.startswith("6 done, 0 failed"), done.stderr
    for index in range(6):
        data = (heq / f"{index}.heq").read_bytes()
        assert data == heqcodec.encode(photos / f"{index}.png", quality=30)
        assert (tmp_path / "packed" / f"{index}.heq").read_bytes() == heqcodec.pack(data)


def test_workers_that_cannot_begin_end_the_run(cluster: Any, tmp_path: Path) -> None:
    engine = RayEngine(Task(Reverse(), "nosuch://a", str(tmp_path)), 2)
    try:
        with pytest.raises(HeqError, match="cannot be opened"):
            list(dispatch(iter([Item("a", "b", 1, "")]), engine))
    finally:
        engine.close()


def test_a_lost_node_costs_no_item(cluster: Any, tmp_path: Path) -> None:
    """Last of all, for it takes one of the two nodes."""
    source, out = Location(str(tmp_path / "in")), Location(str(tmp_path / "out"))
    for index in range(30):
        source.write(f"{index:02}.bin", f"file {index}".encode())
    engine = RayEngine(Task(Reverse(0.05), source.address, out.address), 2)
    items = (Item(f"{index:02}.bin", f"{index:02}.out", 1, "") for index in range(30))
    outcomes = []
    try:
        lost = False
        for part in dispatch(items, engine):
            outcomes += part
            if not lost and len(engine.pids()) == 2 and outcomes:
                cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
                lost = True
    finally:
        engine.close()
    assert len(outcomes) == 30 and len(list((tmp_path / "out").glob("*.out"))) == 30
    assert all(outcome.facts.error is None for outcome in outcomes)
