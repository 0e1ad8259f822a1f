"""What a second worker is worth, and a batch of thumbnails over single calls.

    python benchmarks/batch_speed.py KODAK --out eval/results/batch/speed.json

Workers are warm before the clock starts. One and two workers take turns, and the shortest times
count, for other work only adds to them; close it first. ``others`` is its share of all processors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import heqcodec
import typer
from heqcodec.batch.dispatch import dispatch
from heqcodec.batch.local import LocalEngine
from heqcodec.batch.operations import Decode, Encode
from heqcodec.batch.work import Item, Task

COPIES = {"encode": 4, "decode": 1}
TICKS = os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """That all processors have worked since the start of the machine (Linux)."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS  # without idle and waiting for disks


def own_seconds(pids: list[int]) -> float:
    """Processor seconds of this process and its workers."""
    total = time.process_time()
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def seconds(task: Task, names: list[str], suffix: str, workers: int) -> tuple[float, float, float]:
    """Of all items by so many workers, which have done one each before; processor seconds an item;
    and the share of all processors that others took meanwhile."""
    engine = LocalEngine(task, workers)
    items = [Item(name, f"{Path(name).stem}{suffix}", 1, "") for name in names]
    try:
        while engine.idle() < workers:
            engine.wait(1.0)
        list(dispatch(iter(items[:workers]), engine))
        start, busy, own = time.perf_counter(), busy_seconds(), own_seconds(engine.pids())
        outcomes = [outcome for part in dispatch(iter(items), engine) for outcome in part]
        elapsed = time.perf_counter() - start
        own = own_seconds(engine.pids()) - own
        others = (busy_seconds() - busy - own) / elapsed / (os.cpu_count() or 1)
    finally:
        engine.close()
    assert all(outcome.facts.error is None for outcome in outcomes)
    return elapsed, own / len(items), max(others, 0.0)


def thumbnails(folder: Path, heq: Path, count: int) -> dict[str, Any]:
    """Seconds an image of 1/8 by the batch, and by commands of their own."""
    paths = sorted(heq.iterdir())[:24]
    many = folder / "many"
    many.mkdir()
    for index in range(count):
        os.link(paths[index % len(paths)], many / f"{index:04}.heq")
    task = Task(Decode(scale=8), str(many), str(folder / "thumbs"))
    names = sorted(path.name for path in many.iterdir())
    batch = seconds(task, names, ".png", 2)[0] / count
    start = time.perf_counter()
    for path in paths[:4]:
        command = [sys.executable, "-m", "heqcodec", "decode", path, folder / "one.png", "-f"]
        subprocess.run([*command, "--decoder", "plain"], check=True, capture_output=True)
    single = (time.perf_counter() - start) / 4
    return {"images": count, "batch s/image": batch, "command s/image": single}


def main(
    photographs: Path,
    thumbs: Annotated[int, typer.Option(help="Thumbnails.")] = 1000,
    rounds: Annotated[int, typer.Option(help="Of one worker and two.")] = 3,
    out: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Measure, and print JSON."""
    result: dict[str, Any] = {"processors": os.cpu_count()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        heq = folder / "heq"
        heq.mkdir()
        paths = sorted(photographs.glob("*.png"))
        for path in paths:
            (heq / f"{path.stem}.heq").write_bytes(heqcodec.encode(path, quality=40))
        encode = Task(Encode(), str(photographs), str(folder / "encoded"))
        decode = Task(Decode(decoder="fast"), str(heq), str(folder / "decoded"))
        pixels = 512 * 768 * len(paths)
        for task, label, found, suffix in (
            (encode, "encode", [path.name for path in paths], ".heq"),
            (decode, "decode fast", [f"{path.stem}.heq" for path in paths], ".png"),
        ):
            names = found * COPIES[label.split()[0]]
            runs = [[seconds(task, names, suffix, n) for n in (1, 2)] for _ in range(rounds)]
            one, two = (min(run[n][0] for run in runs) for n in (0, 1))
            result[label] = {
                "items": len(names),
                "one worker, s": [round(run[0][0], 2) for run in runs],
                "two workers, s": [round(run[1][0], 2) for run in runs],
                "processor s/item": [[round(part[1], 4) for part in run] for run in runs],
                "others": [[round(part[2], 3) for part in run] for run in runs],
                "ratio": round(one / two, 3),
                "Mpx/s by two": round(pixels * len(names) / len(found) / two / 1e6, 3),
            }
        result["thumbnails"] = thumbnails(folder, heq, thumbs)
    text = json.dumps(result, indent=1)
    print(text)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(f"{text}\n")


if __name__ == "__main__":
    typer.run(main)
