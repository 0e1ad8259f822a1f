"""What decoding takes by onnxruntime and by torch: disk, time from a cold start, and speed.

    python benchmarks/runtime.py IMAGE [--model M ...] [--threads N] [--repeats N]

Both backends take turns in one run, so that a busy machine slows them alike. A cold start is the
command `heqcodec decode` as a process of its own, on a corner of 128 x 96 pixels of the image; its
processor time says what a busy machine hides.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NamedTuple

import heqcodec
import numpy as np
import typer
from speed import Codec, measure

PACKAGES = {"onnx": "onnxruntime", "torch": "torch"}
BACKENDS = tuple(backend for backend, package in PACKAGES.items() if find_spec(package))
"""Those that are installed."""
CORNER = (96, 128)
"""Height and width of the image of a cold start."""


def installed_packages(package: str, extra: str | None = None) -> set[str]:
    """Names of a package and of all that it requires here, with one of its extras or none."""
    found: set[str] = set()
    pending = [(package, extra)]
    while pending:
        name, wanted = pending.pop()
        key = _normal(name)
        if key in found and wanted is None:
            continue
        found.add(key)
        for line in metadata.requires(name) or ():
            required = re.match(r"[A-Za-z0-9._-]+", line)
            assert required is not None
            marker = line.partition(";")[2]
            extras = re.findall(r"""extra == ["']([^"']+)["']""", marker)
            if extras and wanted not in extras:
                continue
            if _is_installed(required[0]) and _normal(required[0]) not in found:
                pending.append((required[0], None))
    return found


def package_bytes(package: str) -> int:
    """Bytes of the files that a package has installed; of an editable one, of its sources."""
    files = metadata.files(package) or []
    if _normal(package) == "heqcodec" and not any(file.match("heqcodec/api.py") for file in files):
        root = Path(heqcodec.__file__).parents[1]
        folders = ("codec", "cli", "eval", "weights")
        paths = [path for folder in folders for path in (root / folder).rglob("*")]
    else:
        paths = [Path(str(file.locate())) for file in files]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


class ColdStart(NamedTuple):
    """Seconds of a command: by the clock, and of processors."""

    wall: float
    processor: float


def cold_starts(data: bytes, repeats: int) -> dict[str, ColdStart]:
    """`heqcodec decode` by backend: the best of some turns, after one that warms the disk."""
    seconds: dict[str, list[ColdStart]] = {backend: [] for backend in BACKENDS}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "small.heq"
        source.write_bytes(data)
        command = [sys.executable, "-m", "heqcodec", "decode", "-f", str(source)]
        for turn in range(repeats + 1):
            for backend, times in seconds.items():
                target = str(source.with_suffix(".png"))
                start, used = time.perf_counter(), _children_seconds()
                subprocess.run(
                    [*command, target, "--backend", backend, "--device", "cpu"],
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
                if turn:
                    wall = time.perf_counter() - start
                    times.append(ColdStart(wall, _children_seconds() - used))
    return {
        backend: ColdStart(*(min(column) for column in zip(*times, strict=True)))
        for backend, times in seconds.items()
    }


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def codec_of(model: str, backend: str) -> Codec:
    """Encode and decode of a model at its default rate, with one backend on the CPU."""
    return (lambda pixels: heqcodec.encode(pixels, model=model)), (
        lambda data: heqcodec.decode(data, backend=backend, device="cpu")
    )


def main(
    image: Annotated[Path, typer.Argument(help="Image to encode and decode.")],
    model: Annotated[list[str] | None, typer.Option(help="Model; all when left out.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of all libraries.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Turns that count.")] = 5,
) -> None:
    """Print sizes on disk, seconds from a cold start, and megapixels per second."""
    from heqcodec.base.threads import limit_threads, thread_count
    from heqcodec.eval.folder import read_pixels
    from heqcodec.models import registry
    from rich.console import Console
    from rich.table import Table

    if threads is not None:
        limit_threads(threads)
    pixels = read_pixels(image)
    console = Console()

    sizes = Table(title="bytes of packages, all that they require included")
    sizes.add_column("installed")
    sizes.add_column("packages", justify="right")
    sizes.add_column("MB", justify="right")
    rows = {"heqcodec": None, "heqcodec with torch": "torch"}
    for label, extra in rows.items():
        if extra and extra not in BACKENDS:
            continue
        packages = installed_packages("heqcodec", extra)
        total = sum(package_bytes(package) for package in packages)
        sizes.add_row(label, str(len(packages)), f"{total / 1e6:,.0f}")
    console.print(sizes)

    names = model or registry.model_names()
    codecs: dict[str, Codec] = {
        f"{name} {backend}": codec_of(name, backend) for name in names for backend in BACKENDS
    }
    small = np.ascontiguousarray(pixels[: CORNER[0], : CORNER[1]])
    starts: dict[str, ColdStart] = {}
    for name in names:
        found = cold_starts(heqcodec.encode(small, model=name), repeats)
        starts |= {f"{name} {backend}": seconds for backend, seconds in found.items()}
    speeds = measure(codecs, pixels, repeats)
    shape = f"{pixels.shape[1]}x{pixels.shape[0]}"
    table = Table(title=f"{image.name}, {shape}, {thread_count()} threads, best of {repeats}")
    table.add_column("decoder", no_wrap=True)
    for heading in ("cold start, s", "processor, s", "encode Mpx/s", "decode Mpx/s"):
        table.add_column(heading, justify="right")
    for name, (encode, decode) in speeds.items():
        start = (f"{seconds:.2f}" for seconds in starts[name])
        table.add_row(name, *start, f"{encode:.3g}", f"{decode:.3g}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
