"""Does the decoder of web/ give what Python gives, and how quick is it?

    OMP_NUM_THREADS=1 python benchmarks/web_decoder.py DIR [--quality Q ...] [--decoder D ...]
        [--no-browser] [--out FILE]

Every image of a folder is encoded at each quality, as a device file and packed, and decoded by
heqcodec in Python, by web/ in Node and in headless Chromium: one after the other, image by image,
each in one process with code and weights loaded before. Networks see the same levels of both files,
so they decode device files and packed ones in turns. Levels must be equal, where the decoder is
plain, and pixels within 1/255; else it ends with exit code 1. Seconds of an image are the median
over the images, ratios the median of the images' ratios.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import heqcodec
import numpy as np
import typer
from heqcodec.container.reader import ContainerReader
from heqcodec.file.progressive import decoded_strips
from heqcodec.models import registry
from heqcodec.models.families import PLAIN, RATE_MODE
from web_browser import Server, chromium

PROGRAM = Path(__file__).with_suffix(".mjs")
CODERS = ("device", "packed")
PAGE = b"""<!doctype html><title>t</title>
<script type=importmap>{"imports": {"onnxruntime-web":
"/web/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs"}}</script>
<script type=module>
import { decode } from "/web/src/index.js";
window.run = async (data, decoder) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), start = performance.now();
  const image = await decode(bytes, { decoder });
  const seconds = (performance.now() - start) / 1000;
  await fetch("/", { method: "POST", body: image.data });
  return seconds;
};
</script>"""

Run = Callable[[bytes, str], tuple[float, bytes, str]]
"""From a file and a decoder to seconds, RGBA, and the hash of the levels where it has that."""


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


def node(stack: ExitStack) -> Run:
    """Decodes in one process of Node, as long as the stack is open."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    process = subprocess.Popen(
        ["node", str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    stack.callback(process.kill)
    file, pixels = folder / "given.heq", folder / "pixels"

    def run(data: bytes, decoder: str) -> tuple[float, bytes, str]:
        assert process.stdin and process.stdout
        file.write_bytes(data)
        job = {"file": str(file), "pixels": str(pixels), "decoder": decoder}
        process.stdin.write(json.dumps({**job, "levels": decoder == PLAIN}) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        return answer["seconds"], pixels.read_bytes(), answer["levels"]

    return run


def browser(stack: ExitStack) -> Run:
    """Decodes in a page of headless Chromium."""
    import base64

    server = Server({"/": PAGE})
    stack.callback(server.close)
    driver = stack.enter_context(chromium())
    driver.get(f"{server.address}/")

    def run(data: bytes, decoder: str) -> tuple[float, bytes, str]:
        answer = driver.execute_async_script(
            "const [data, decoder, done] = arguments;"
            "const look = setInterval(() => { if (!window.run) return; clearInterval(look);"
            " run(data, decoder).then(done, (error) => done(String(error))); }, 20);",
            base64.b64encode(data).decode(),
            decoder,
        )
        if not isinstance(answer, float | int):
            raise SystemExit(f"Chromium: {answer}")
        return answer, server.posted, ""

    return run


def measure(
    files: dict[str, list[bytes]], decoder: str, coders: tuple[str, ...], runs: dict[str, Run]
) -> dict[str, Any]:
    """A row of the table.

    Args:
        files: by coder, image by image.
        coders: that the images are taken from in turns.
    """
    for run in runs.values():
        run(files[coders[0]][0], decoder)
    heqcodec.decode(files[coders[0]][0], decoder=decoder, device="cpu")
    seconds: dict[str, list[float]] = {name: [] for name in ("Python", *runs)}
    apart, equal = dict.fromkeys(runs, 0), 0
    for number in range(len(files[coders[0]])):
        data = files[coders[number % len(coders)]][number]
        start = time.perf_counter()
        own = heqcodec.decode(data, decoder=decoder, device="cpu")
        seconds["Python"].append(time.perf_counter() - start)
        for name, run in runs.items():
            taken, rgba, levels = run(data, decoder)
            seconds[name].append(taken)
            apart[name] = max(apart[name], largest_difference(own, rgba))
            equal += bool(levels) and levels == levels_hash(data)
    return {"seconds": seconds, "apart": apart, "equal": equal}


def main(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)],
    quality: Annotated[list[int] | None, typer.Option("--quality", "-q")] = None,
    decoder: Annotated[list[str] | None, typer.Option("--decoder")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE")] = None,
) -> None:
    """Compare and time; see the module's documentation."""
    photographs = sorted(folder.glob("*.png"))
    if not photographs:
        sys.exit(f"{folder} has no .png file")
    wrong = False
    with ExitStack() as stack:
        runs = {"Node": node(stack)} | ({} if no_browser else {"Chromium": browser(stack)})
        count, names = len(photographs), ["Python", *runs]
        head = ["quality", "decoder", "files", "equal levels", "largest difference", *names]
        head += [f"{name} / Python" for name in runs]
        lines = [f"{count} images of {folder.name}, seconds an image (median)", ""]
        lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for value in quality or [15, 40, 65]:
            given = [heqcodec.encode(str(path), quality=value) for path in photographs]
            files = {"device": given, "packed": [heqcodec.pack(data) for data in given]}
            for chosen in decoder or [PLAIN]:
                groups = [(coder,) for coder in CODERS] if chosen == PLAIN else [CODERS]
                for coders in groups:
                    row = measure(files, chosen, coders, runs)
                    seconds, apart = row["seconds"], row["apart"]
                    wrong |= max(apart.values()) > 1
                    wrong |= chosen == PLAIN and row["equal"] < count
                    ratios = [
                        median(x / y for x, y in zip(seconds[name], seconds["Python"], strict=True))
                        for name in runs
                    ]
                    equal = f"{row['equal']} of {count}" if chosen == PLAIN else ""
                    cells = [str(value), chosen, ", ".join(coders), equal]
                    cells += [" ".join(f"{name} {most}" for name, most in apart.items())]
                    cells += [f"{median(seconds[name]):.3f}" for name in names]
                    cells += [f"{ratio:.2f}" for ratio in ratios]
                    lines.append(f"| {' | '.join(cells)} |")
                    print(lines[-1], file=sys.stderr, flush=True)
                    if out:  # a long run leaves what it has
                        out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    if wrong:
        sys.exit("the decoders differ")


if __name__ == "__main__":
    typer.run(main)
