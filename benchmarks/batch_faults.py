"""Batches whose workers are killed: every output right, none twice, the manifest whole.

    python benchmarks/batch_faults.py PHOTOGRAPHS --images 2000 --every 10 --out OUT.json

Crops of photographs are encoded, packed and decoded by two workers, one of which is killed by
SIGKILL every few seconds; each operation is also given up halfway and taken up again. Each output
is compared with that of a single call. ``--ray`` takes a Ray cluster of two nodes on this machine.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import heqcodec
import numpy as np
import pyarrow.parquet as parquet
import typer
from heqcodec.batch.local import LocalEngine
from heqcodec.batch.locations import Location
from heqcodec.batch.manifest import Manifest, read_manifest
from heqcodec.batch.operations import Decode, Encode, Repack, described
from heqcodec.batch.run import Summary, run_batch
from heqcodec.batch.work import Task
from heqcodec.file.options import EncodeOptions
from PIL import Image

SIDES, SEED, QUALITY = (128, 256), 7, 40
WORKERS = 2
SUFFIXES = (".png", ".jpg", ".avif")
STEPS: dict[str, tuple[Any, str]] = {
    "encode": (Encode(EncodeOptions(quality=QUALITY)), ".heq"),
    "pack": (Repack("pack"), ".heq"),
    "decode": (Decode(decoder="plain"), ".png"),
}


class Stopped(Exception):
    """The run is given up halfway."""


def write_crops(photographs: Path, folder: Path, images: int) -> None:
    """Square crops of photographs, of sides from 128 to 256, in folders of 100."""
    chance = np.random.default_rng(SEED)
    paths = sorted(path for path in photographs.iterdir() if path.suffix in SUFFIXES)
    loaded = [np.asarray(Image.open(path).convert("RGB")) for path in paths[:24]]
    for index in range(images):
        pixels = loaded[index % len(loaded)]
        side = int(chance.integers(SIDES[0], SIDES[1] + 1))
        top, left = (int(chance.integers(length - side + 1)) for length in pixels.shape[:2])
        path = folder / f"{index // 100:03}" / f"{index:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[top : top + side, left : left + side]).save(path)


@contextlib.contextmanager
def killer(engine: Any, every: float) -> Iterator[list[int]]:
    """Kill one of the workers every so many seconds; gives the killed ones."""
    chance, killed, over = random.Random(SEED), [], threading.Event()

    def kill() -> None:
        while not over.wait(every):
            if pids := engine.pids():
                with contextlib.suppress(ProcessLookupError):
                    killed.append(chance.choice(pids))
                    os.kill(killed[-1], signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def all_rows(manifest: Location) -> list[dict[str, Any]]:
    """Rows of all parts of a manifest, those that count no more among them."""
    names = [name for name in manifest.names("") if name.endswith(".parquet")]
    tables = [parquet.read_table(io.BytesIO(manifest.read(name))) for name in names]
    return [row for table in tables for row in table.to_pylist()]


def step(
    name: str,
    source: Location,
    target: Location,
    make: Callable[..., Any],
    every: float,
    halve: int,
) -> dict[str, Any]:
    """One operation, given up once after ``halve`` items and taken up again."""
    operation, suffix = STEPS[name]
    task = Task(operation, source.address, target.address)
    manifest = Location(f"{target.address}/.heqcodec-batch")
    killed: list[list[int]] = []
    start = time.perf_counter()

    def run(watch: Callable[[Summary], None]) -> Summary:
        with contextlib.ExitStack() as stack:

            def begun() -> Any:
                engine = make(task, WORKERS)
                killed.append(stack.enter_context(killer(engine, every)))
                return engine

            folders = source.folders(lambda path: path.suffix in (".png", ".heq"))
            return run_batch(
                described(name, operation), folders, suffix, source, target, Manifest(manifest),
                begun, progress=watch,
            )  # fmt: skip

    def give_up(now: Summary) -> None:
        if now.done >= halve:
            raise Stopped

    with contextlib.suppress(Stopped):
        run(give_up)
    summary = run(lambda now: None)
    rows = read_manifest(manifest).to_pylist()
    written = {(row["number"], row["source"]) for row in all_rows(manifest)}
    return {
        "operation": name,
        "items": len(rows),
        "sources twice": len(written) - len({source for _, source in written}),
        "failed": sum(row["error"] is not None for row in rows),
        "done in the second run": summary.done,
        "workers killed": sum(map(len, killed)),
        "seconds": round(time.perf_counter() - start, 1),
    }


def wrong_outputs(folder: Path) -> dict[str, int]:
    """Outputs that are not what single calls give, and files that should not be there."""
    sources = [path.relative_to(folder / "source") for path in (folder / "source").rglob("*.png")]
    counts = {"wrong": 0, "stray": 0}
    for path in sources:
        heq = path.with_suffix(".heq")
        data = heqcodec.encode(folder / "source" / path, quality=QUALITY)
        packed = heqcodec.pack(data)
        shown = np.asarray(Image.open(folder / "decode" / path))
        right = (
            (folder / "encode" / heq).read_bytes() == data
            and (folder / "pack" / heq).read_bytes() == packed
            and np.array_equal(shown, heqcodec.decode(packed, decoder="plain"))
        )
        counts["wrong"] += not right
    for name in STEPS:
        files = [path for path in (folder / name).glob("*/*") if path.parent.name[0] != "."]
        counts["stray"] += len(files) - len(sources)
    return counts


@contextlib.contextmanager
def engines(ray: bool) -> Iterator[Callable[..., Any]]:
    if not ray:
        yield LocalEngine
        return
    import ray as library
    from heqcodec.batch.ray_engine import RayEngine
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    library.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield RayEngine
    finally:
        library.shutdown()
        cluster.shutdown()


def main(
    photographs: Path,
    images: Annotated[int, typer.Option()] = 2000,
    every: Annotated[float, typer.Option(help="Seconds between two kills.")] = 10.0,
    ray: Annotated[bool, typer.Option("--ray")] = False,
    out: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Run the three operations, compare, and print JSON; exit code 1 if anything is wrong."""
    with tempfile.TemporaryDirectory() as name, engines(ray) as make:
        folder = Path(name)
        write_crops(photographs, folder / "source", images)
        places = [Location(str(folder / part)) for part in ("source", *STEPS)]
        steps = [
            step(part, places[index], places[index + 1], make, every, images // 2)
            for index, part in enumerate(STEPS)
        ]
        result = {"engine": "ray" if ray else "local", "images": images, "every": every}
        result |= {"nodes": 2 if ray else 1, "sides": SIDES, "steps": steps}
        result |= wrong_outputs(folder)
    text = json.dumps(result, indent=1)
    print(text)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(f"{text}\n")
    faults = result["wrong"] or result["stray"]
    if faults or any(one["failed"] or one["sources twice"] for one in steps):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
