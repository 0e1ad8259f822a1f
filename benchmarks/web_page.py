"""What a page with four pictures takes over the wire, by web/ and as AVIF of equal PSNR.

    python benchmarks/web_page.py PICTURE PICTURE ... [--quality Q] [--out FILE]

The pictures are encoded as device files and packed, and shown by `<heq-image>` with each decoder,
in headless Chromium, from a server that compresses by gzip; beside them the same pictures as AVIF,
each of the least quality of libaom, by Pillow, whose PSNR is not below that of the decoder, and
what they would take at just that PSNR, between two qualities. The
page is visited twice: the browser keeps what does not change, page and pictures come again, as
others would. Bytes are those of the bodies. It takes `npm ci && npm run build` in web/.
"""

from __future__ import annotations

import io
import json
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import heqcodec
import numpy as np
import typer
from PIL import Image
from web_browser import ROOT, Server, chromium

DECODERS = ("plain", "fast", "strong")
PARTS = {"package": "/web/dist/", "onnxruntime-web": "/web/node_modules/", "pictures": "/pictures/"}
HEAD = """<!doctype html><html lang=en><meta charset=utf-8><title>Pictures</title>
<script type=importmap>{"imports": {"onnxruntime-web":
"/web/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs"}}</script>
<script>window.loaded = 0;
for (const name of ["load", "error"]) document.addEventListener(name,
  (event) => { if (event.target.id) loaded += name === "load" ? 1 : NaN; }, true);</script>
<script type=module src=/web/dist/element.js></script>"""


def psnr(own: np.ndarray, other: np.ndarray) -> float:
    """Of pixels uint8 of one shape, in dB."""
    error = np.mean((own.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / error))


def equal_avif(picture: Image.Image, least: float) -> tuple[bytes, float, float]:
    """AVIF of the least quality whose PSNR is not below another; its PSNR; and the bytes at just
    that PSNR, between this file and that of the next quality below (linear in PSNR and the
    logarithm of bytes)."""
    pixels = np.asarray(picture)

    @cache
    def encoded(quality: int) -> tuple[bytes, float]:
        out = io.BytesIO()
        picture.save(out, "AVIF", quality=quality)
        with Image.open(io.BytesIO(out.getvalue())) as image:
            return out.getvalue(), psnr(pixels, np.asarray(image.convert("RGB")))

    low, high = 0, 100
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if encoded(middle)[1] >= least else (middle + 1, high)
    data, found = encoded(low)
    # Some qualities give the same file.
    below = next(q for q in range(low - 1, -1, -1) if encoded(q)[1] < found)
    values = [encoded(below)[1], found]
    sizes = np.log([len(encoded(below)[0]), len(data)])
    return data, found, float(np.exp(np.interp(least, values, sizes)))


def pages(pictures: list[Image.Image], quality: int) -> list[dict[str, Any]]:
    """A page for each decoder and coder: its files, and AVIF of the same PSNR."""
    device = [heqcodec.encode(np.asarray(picture), quality=quality) for picture in pictures]
    packed = [heqcodec.pack(data) for data in device]
    made = []
    for decoder in DECODERS:
        decoded = [heqcodec.decode(data, decoder=decoder, device="cpu") for data in device]
        known = [psnr(np.asarray(own), other) for own, other in zip(pictures, decoded, strict=True)]
        for coder, files in (("device", device), ("packed", packed)):
            tags = [
                f"<heq-image id=p{i} decoder={decoder} src=/pictures/{i}.heq></heq-image>"
                for i in range(len(files))
            ]
            if decoder == "plain":
                tags = [tag.replace(" decoder=plain", "") for tag in tags]
            served = {f"/pictures/{i}.heq": data for i, data in enumerate(files)}
            title = f"heq, {coder}, {decoder}"
            page = HEAD + "".join(tags)
            equal = sum(map(len, files))
            made.append(
                {"title": title, "psnr": known, "page": page, "served": served, "equal": equal}
            )
        same = [equal_avif(own, least) for own, least in zip(pictures, known, strict=True)]
        tags = [f"<img id=p{i} src=/pictures/{i}.avif>" for i in range(len(same))]
        script = HEAD[HEAD.index("<script>") : HEAD.index("<script type=module")]
        page = HEAD[: HEAD.index("<script type=importmap")] + script + "".join(tags)
        served = {f"/pictures/{i}.avif": data for i, (data, _, _) in enumerate(same)}
        known = [found for _, found, _ in same]
        title = f"AVIF, PSNR of {decoder}"
        equal = sum(size for _, _, size in same)
        made.append({"title": title, "psnr": known, "page": page, "served": served, "equal": equal})
    return made


def visited(page: dict[str, Any], count: int) -> list[dict[str, int]]:
    """Bytes by part of two visits."""
    server = Server({"/": page["page"].encode(), **page["served"]})
    visits = []
    try:
        with chromium() as browser:
            for _ in range(2):
                server.sent.clear()
                browser.get(f"{server.address}/")
                loaded = browser.execute_async_script(
                    "const [count, done] = arguments; const look = setInterval(() => {"
                    " if (loaded >= count || Number.isNaN(loaded)) done(loaded); }, 50);",
                    count,
                )
                if loaded != count:
                    raise SystemExit(f"{page['title']}: the page did not load its pictures")
                visits.append(by_part(server.sent))
    finally:
        server.close()
    return visits


def by_part(sent: dict[str, int]) -> dict[str, int]:
    """Bytes by path to bytes by part; weights are those in the package's folder of them."""
    found = dict.fromkeys(("page", *PARTS, "weights", "all"), 0)
    for path, size in sent.items():
        part = next((name for name, start in PARTS.items() if path.startswith(start)), "page")
        found["weights" if "/weights/" in path else part] += size
        found["all"] += size
    return found


def main(
    given: Annotated[list[Path], typer.Argument(metavar="PICTURE...", exists=True)],
    quality: Annotated[int, typer.Option("--quality", "-q")] = 40,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE")] = None,
) -> None:
    """Compare; see the module's documentation."""
    if not (ROOT / "web" / "dist" / "element.js").exists():
        sys.exit("needs web/dist (npm ci && npm run build in web/)")
    pictures = [Image.open(path).convert("RGB") for path in given]
    sizes = ", ".join(
        f"{path.name} ({picture.width} x {picture.height})"
        for path, picture in zip(given, pictures, strict=True)
    )
    names = ("page", "package", "onnxruntime-web", "weights", "pictures")
    lines = [f"{sizes}; quality {quality}; kB of 1,000 bytes", ""]
    lines.append(
        f"| | PSNR, dB | {' | '.join(names)} | at equal PSNR | first visit | second visit |"
    )
    lines.append("|---" * (len(names) + 5) + "|")
    for page in pages(pictures, quality):
        first, second = visited(page, len(pictures))
        cells = [page["title"], " ".join(f"{value:.2f}" for value in page["psnr"])]
        cells += [f"{first[name] / 1000:.1f}" for name in names]
        cells.append(f"{page['equal'] / 1000:.1f}")
        cells += [f"{visit['all'] / 1000:.1f}" for visit in (first, second)]
        lines.append(f"| {' | '.join(cells)} |")
        print(json.dumps({"title": page["title"], "second": second}), file=sys.stderr, flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if out:
        out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
