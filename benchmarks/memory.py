"""How much memory do encoding and decoding take by the size of the image, and what time a pixel?

    python benchmarks/memory.py PHOTOGRAPH [--size MPX ...] [--decoder D] [--coder C] [--rows KIND]

Each size is encoded in one process and decoded in another, so that the peak of the resident set
(``ru_maxrss``) is its own: libraries, weights, the file and the pixels included. Large images are
the photograph repeated, in the shape 4:3; with ``--rows`` they come from TIFF, PNG or raw files and
go to TIFF, PNG or PPM, a band of rows at a time. Microseconds a pixel are those of the processor,
of all threads together, which other work on the machine changes least.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from heqcodec.image.images import load_image
from heqcodec.image.rows import write_rows
from numpy.typing import NDArray

OUT = {"tif": ".tif", "png": ".png", "raw": ".ppm"}
SIZES = [1.0, 4.0, 16.0, 64.0, 100.0]
ENCODE = """
photograph, width, height, coder, target = sys.argv[1:]
from heqcodec.image.images import load_image
pixels = load_image(photograph).pixels
rows, columns = -(-int(height) // pixels.shape[0]), -(-int(width) // pixels.shape[1])
pixels = np.tile(pixels, (rows, columns, 1))[: int(height), : int(width)].copy()
start, cpu = time.perf_counter(), time.process_time()
data = heqcodec.encode(pixels, coder=coder, max_pixels=None)
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
open(target, "wb").write(data)
"""
DECODE = """
source, decoder = sys.argv[1:]
start, cpu = time.perf_counter(), time.process_time()
pixels = heqcodec.decode(source, decoder=decoder, max_pixels=None)
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
assert pixels.shape[2] in (1, 3)
"""
ENCODE_ROWS = """
source, coder, target, raw = sys.argv[1:]
from heqcodec.image.rows import load_rows
start, cpu = time.perf_counter(), time.process_time()
data = heqcodec.encode(load_rows(source, None, raw or None), coder=coder, max_pixels=None)
open(target, "wb").write(data)
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
"""
DECODE_ROWS = """
source, decoder, target = sys.argv[1:]
from heqcodec.file.row_decoding import decode_rows
from heqcodec.image.rows import write_rows
start, cpu = time.perf_counter(), time.process_time()
with decode_rows(source, None, decoder=decoder) as image:
    write_rows(target, image.shape, image.bands, **vars(image.metadata))
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
"""
FRAME = """
import json, resource, sys, time
import heqcodec, numpy as np
{work}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peak *= 1 if sys.platform == "darwin" else 1024
print(json.dumps({{"seconds": seconds, "cpu_seconds": cpu_seconds, "bytes": peak}}))
"""


def run(work: str, *arguments: str) -> dict[str, float]:
    """Seconds and peak bytes of some work in a process of its own."""
    code = FRAME.format(work=work)
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, check=True, text=True
    )
    result: dict[str, float] = json.loads(process.stdout)
    return result


def shape_of(megapixels: float) -> tuple[int, int]:
    """Width and height, 4:3."""
    height = round(sqrt(megapixels * 1e6 * 3 / 4))
    return round(megapixels * 1e6 / height), height


def write_source(photograph: Path, width: int, height: int, path: Path) -> None:
    """The photograph repeated: in TIFF with deflate, PNG, or bare samples."""
    pixels = load_image(photograph).pixels
    across = np.tile(pixels, (1, -(-width // pixels.shape[1]), 1))[:, :width]

    def bands() -> Iterator[NDArray[np.uint8]]:
        for top in range(0, height, 64):
            yield across[np.arange(top, min(top + 64, height)) % len(across)]

    if path.suffix != ".raw":
        write_rows(path, (height, width, 3), bands())
    else:
        with path.open("wb") as stream:
            for band in bands():
                stream.write(band.tobytes())


def measure(
    photograph: Path, megapixels: float, coder: str, decoder: str, rows: str | None
) -> dict[str, Any]:
    """One row of the table."""
    width, height = shape_of(megapixels)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image.heq"
        if rows:
            source, target = Path(folder) / f"image.{rows}", Path(folder) / f"out{OUT[rows]}"
            write_source(photograph, width, height, source)
            raw = f"{width}x{height}:rgb24" if rows == "raw" else ""
            encoded = run(ENCODE_ROWS, str(source), coder, str(file), raw)
            source.unlink()
        else:
            encoded = run(ENCODE, str(photograph), str(width), str(height), coder, str(file))
        size = file.stat().st_size
        if rows:
            decoded = run(DECODE_ROWS, str(file), decoder, str(target))
        else:
            decoded = run(DECODE, str(file), decoder)
    row: dict[str, Any] = {"megapixels": megapixels, "width": width, "height": height}
    row["file_bytes"] = size
    for name, found in (("encode", encoded), ("decode", decoded)):
        row[f"{name}_mb"] = round(found["bytes"] / 1e6)
        row[f"{name}_seconds"] = round(found["seconds"], 2)
        row[f"{name}_cpu_seconds"] = round(found["cpu_seconds"], 2)
        row[f"{name}_cpu_us_per_pixel"] = round(found["cpu_seconds"] / megapixels, 3)
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = [
        "| Mpx | image | encode MB | s | CPU s | us/pixel | decode MB | s | CPU s | us/pixel |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [f"{row['megapixels']:g}", f"{row['width']} x {row['height']}"]
        for name in ("encode", "decode"):
            kinds = ("mb", "seconds", "cpu_seconds", "cpu_us_per_pixel")
            cells += [str(row[f"{name}_{kind}"]) for kind in kinds]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(
    photograph: Annotated[Path, typer.Argument(help="Image that is repeated.")],
    size: Annotated[list[float] | None, typer.Option(help="Megapixels.")] = None,
    decoder: Annotated[str, typer.Option(help="Decoder of the variable-rate mode.")] = "strong",
    coder: Annotated[str, typer.Option(help="device or packed.")] = "device",
    by_rows: Annotated[str | None, typer.Option("--rows", help="tif, png, or raw to PPM.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for memory.json and .md.")] = None,
) -> None:
    """Print megabytes, seconds, seconds of the processor, and those a pixel, of each size."""
    options = [argument for argument in sys.argv[1:] if argument != str(photograph)]
    rows = []
    for megapixels in size or SIZES:
        rows.append(measure(photograph, megapixels, coder, decoder, by_rows))
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    rows.sort(key=lambda row: row["megapixels"])
    print("\n" + table(rows), end="")
    if out is not None:
        from heqcodec.eval.report import environment

        out.mkdir(parents=True, exist_ok=True)
        record = {
            "command": " ".join(["python benchmarks/memory.py", photograph.name, *options]),
            "coder": coder,
            "decoder": decoder,
            **environment(),
            "rows": rows,
        }
        (out / "memory.json").write_text(json.dumps(record, indent=2) + "\n")
        (out / "memory.md").write_text(table(rows))


if __name__ == "__main__":
    typer.run(main)
