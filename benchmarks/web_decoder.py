"""Does the decoder of web/ give what Python gives, and how quick is it?

    python benchmarks/web_decoder.py DIR [--quality Q ...] [--decoder D] [--out FILE]

Every image of a folder is encoded at each quality, as a device file and packed, and decoded by
heqcodec in Python and by web/ in Node, in this order, one file at a time. Levels must be equal and
pixels within 1/255; else it ends with exit code 1. It prints seconds of one image, with code and
weights loaded before: the median over the images.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import heqcodec
import numpy as np
import typer
from heqcodec.container.reader import ContainerReader
from heqcodec.file.progressive import decoded_strips
from heqcodec.models import registry
from heqcodec.models.families import RATE_MODE

PROGRAM = Path(__file__).with_suffix(".mjs")
CODERS = ("device", "packed")


def levels_hash(data: bytes) -> str:
    """SHA-256 of sizes and levels, strip by strip."""
    reader = ContainerReader(io.BytesIO(data), max_pixels=None)
    header = reader.header
    coder = registry.load_strip_coder(registry.default_model(RATE_MODE), header.coder)
    found = hashlib.sha256()
    strips = reader.read_strips(range(header.strip_count))
    for levels, sizes, _ in decoded_strips(header, strips, coder):
        found.update(sizes.tobytes() + levels.tobytes())
    return found.hexdigest()


def largest_difference(own: np.ndarray, rgba: bytes) -> int:
    """Between pixels (H, W, 1 or 3) and RGBA."""
    given = np.frombuffer(rgba, np.uint8).reshape(*own.shape[:2], 4)[..., :3]
    return int(np.abs(given.astype(np.int16) - own).max())


def measure(photographs: list[Path], quality: int, decoder: str) -> list[dict[str, Any]]:
    """A row of the table for each coder."""
    rows = []
    device = [heqcodec.encode(str(path), quality=quality, coder="device") for path in photographs]
    for coder in CODERS:
        files = device if coder == "device" else [heqcodec.pack(data) for data in device]
        heqcodec.decode(files[0], decoder=decoder, device="cpu")
        seconds, pixels = [], []
        for data in files:
            start = time.perf_counter()
            pixels.append(heqcodec.decode(data, decoder=decoder, device="cpu"))
            seconds.append(time.perf_counter() - start)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            jobs = []
            for number, data in enumerate(files):
                (folder / f"{number}.heq").write_bytes(data)
                jobs.append({"file": f"{folder}/{number}.heq", "pixels": f"{folder}/{number}"})
            run = subprocess.run(
                ["node", str(PROGRAM), decoder],
                input=json.dumps(jobs),
                text=True,
                stdout=subprocess.PIPE,
                check=True,
            )
            given = json.loads(run.stdout)
            apart = [
                largest_difference(own, Path(job["pixels"]).read_bytes())
                for own, job in zip(pixels, jobs, strict=True)
            ]
        same = [levels_hash(data) == job["levels"] for data, job in zip(files, given, strict=True)]
        rows.append(
            {
                "quality": quality,
                "coder": coder,
                "files": len(files),
                "equal_levels": sum(same),
                "largest_difference": max(apart),
                "python_seconds": median(seconds),
                "node_seconds": median(job["seconds"] for job in given),
            }
        )
    return rows


def main(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)],
    quality: Annotated[list[int] | None, typer.Option("--quality", "-q")] = None,
    decoder: Annotated[str, typer.Option("--decoder")] = "plain",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE")] = None,
) -> None:
    """Compare and time; see the module's documentation."""
    photographs = sorted(folder.glob("*.png"))
    if not photographs:
        sys.exit(f"{folder} has no .png file")
    lines = [
        f"{len(photographs)} images of {folder.name}, decoder {decoder}, seconds an image (median)",
        "",
        "| quality | coder | equal levels | largest difference | Python | Node | Node / Python |",
        "|---|---|---|---|---|---|---|",
    ]
    wrong = False
    for value in quality or [15, 40, 65]:
        for row in measure(photographs, value, decoder):
            wrong |= row["equal_levels"] < row["files"] or row["largest_difference"] > 1
            ratio = row["node_seconds"] / row["python_seconds"]
            lines.append(
                f"| {row['quality']} | {row['coder']} | {row['equal_levels']} of {row['files']} | "
                f"{row['largest_difference']} | {row['python_seconds']:.3f} | "
                f"{row['node_seconds']:.3f} | {ratio:.2f} |"
            )
            print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if out:
        out.write_text(text, encoding="utf-8")
    if wrong:
        sys.exit("the decoders differ")


if __name__ == "__main__":
    typer.run(main)
