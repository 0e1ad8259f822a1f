"""What the exported encoder does with a buffer that is too small for a strip.

    python benchmarks/small_buffers.py IMAGES --out eval/results/embedded/buffers.md

Photographs at VGA and QVGA and noise of two values go through nqe-r with a strip for each row of
patches: by `heq_encode_rows`, which codes a strip coarser until it fits, and by `heq_encode_patch`,
whose patches lose fine detail. A second table says what strips of fewer patches than a row would
take: the payloads of crops as wide as such a strip, and 12 bytes for each.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import heqcodec
import numpy as np
import typer
from heqcodec.base.files import write_bytes
from heqcodec.eval.folder import image_files, read_pixels
from heqcodec.export.c_project import export_c
from heqcodec.file.options import step_of_quality
from numpy.typing import NDArray
from PIL import Image

HARNESS = Path(__file__).parents[1] / "tests" / "support" / "budget_harness.c"
SIZES = ((640, 480), (320, 240))
QUALITIES = (25, 45)
ROOMS = (512, 1024, 2048)
NARROW = (5, 10)
PATCH = 32

Pixels = NDArray[np.uint8]


class Result(NamedTuple):
    """Files of some images.

    Attributes:
        strips: of all of them.
        unsent: strips that were not sent.
        coarse: share of patches that lost fine detail.
        psnr: mean, of the plain inverse, in dB.
    """

    strips: int
    unsent: int
    coarse: float
    psnr: float


def scaled(path: Path, size: tuple[int, int]) -> Pixels:
    """A photograph at a size, upright or not as it is."""
    image = Image.fromarray(read_pixels(path))
    turned = size if image.width >= image.height else size[::-1]
    return np.asarray(image.resize(turned, Image.Resampling.LANCZOS))


def lengths(data: bytes) -> list[int]:
    """Bytes of the payloads of a file."""
    place, found = 44, []
    while data[place : place + 4] != b"END_":
        found.append(int.from_bytes(data[place + 4 : place + 8], "little"))
        place += 12 + found[-1]
    return found


def coded(program: Path, pixels: Pixels, how: str, quality: int, room: int) -> tuple[bytes, int]:
    """A file of the harness, and the patches that lost fine detail."""
    height, width = pixels.shape[:2]
    numbers = (width, height, step_of_quality(quality), 1, 0, room)
    command = [str(program), how, *map(str, numbers)]
    done = subprocess.run(command, input=pixels.tobytes(), capture_output=True, check=True)
    return done.stdout, int(done.stderr.split()[1])


def psnr(data: bytes, pixels: Pixels) -> float:
    """Of the plain inverse transform, in dB."""
    error = heqcodec.decode_partial(data, decoder="plain").pixels.astype(float) - pixels
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def measured(program: Path, images: Sequence[Pixels], how: str, quality: int, room: int) -> Result:
    """What comes of images by one way."""
    strips = unsent = coarse = patches = 0
    quotients = []
    for pixels in images:
        data, lost = coded(program, pixels, how, quality, room)
        found = lengths(data)
        if max(found) > room:
            raise SystemExit(f"a strip of {max(found)} bytes in a buffer of {room}")
        strips += len(found)
        unsent += len(heqcodec.info(data)["unsent_strips"])
        coarse += lost
        patches += -(-pixels.shape[0] // PATCH) * -(-pixels.shape[1] // PATCH)
        quotients.append(psnr(data, pixels))
    return Result(strips, unsent, coarse / patches, float(np.mean(quotients)))


def narrow_bytes(pixels: Pixels, quality: int, patches: int) -> tuple[int, int]:
    """Bytes of all strips of so many patches, and of the longest."""
    found = []
    for left in range(0, pixels.shape[1], PATCH * patches):
        crop = np.ascontiguousarray(pixels[:, left : left + PATCH * patches])
        found += lengths(heqcodec.encode(crop, quality=quality, strip_rows=1))
    return sum(found) + 12 * len(found), max(found)


def main(images: Path, out: Annotated[Path | None, typer.Option()] = None) -> None:
    """Print both tables, and store them."""
    files = image_files(images)
    noise = np.random.default_rng(1)
    lines = [
        f"`python benchmarks/small_buffers.py {images.name}/`: {len(files)} photographs, and noise "
        "of the values 0 and 255; strips of one row of patches, PSNR of the plain inverse.",
        "",
        "| size | images | quality | buffer | strips | too long for it | rows: not sent | PSNR "
        "| patches: not sent | without fine detail | PSNR |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "c"
        export_c("nqe-r", folder)
        program = folder / "harness"
        sources = [HARNESS, folder / "heq_encoder.c"]
        options = ["-O2", "-DHEQ_KERNEL_FAST", f"-I{folder}"]
        subprocess.run(["gcc", *options, *map(str, sources), "-o", str(program)], check=True)
        photographs = {size: [scaled(path, size) for path in files] for size in SIZES}
        for size in SIZES:
            values = noise.choice(np.array([0, 255], np.uint8), (*size[::-1], 3))
            for name, of_size in (("photographs", photographs[size]), ("noise", [values])):
                for quality in QUALITIES:
                    whole = [
                        length
                        for pixels in of_size
                        for length in lengths(
                            heqcodec.encode(pixels, quality=quality, strip_rows=1)
                        )
                    ]
                    for room in ROOMS:
                        rows, single = (
                            measured(program, of_size, how, quality, room)
                            for how in ("rows", "patches")
                        )
                        say(
                            f"| {size[0]}x{size[1]} | {name} | {quality} | {room:,} "
                            f"| {rows.strips} | {sum(length > room for length in whole)} "
                            f"| {rows.unsent} | {rows.psnr:.2f} "
                            f"| {single.unsent} | {single.coarse:.1%} | {single.psnr:.2f} |"
                        )
    say("")
    say("| size | quality | patches of a strip | bytes of all strips | more | longest strip |")
    say("|---|---|---|---|---|---|")
    for size in SIZES:
        for quality in QUALITIES:
            usual = 0
            for patches in sorted({size[0] // PATCH, *NARROW}, reverse=True):
                found = [narrow_bytes(pixels, quality, patches) for pixels in photographs[size]]
                total, longest = sum(one for one, _ in found), max(one for _, one in found)
                usual = usual or total
                say(
                    f"| {size[0]}x{size[1]} | {quality} | {patches} | {total:,} "
                    f"| {total / usual - 1:+.1%} | {longest:,} |"
                )
    if out is not None:
        write_bytes(out, ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    typer.run(main)
