"""Photographs over links that lose packets, against SSDV: PSNR of what arrives.

    python benchmarks/link.py KODAK_FOLDER --out eval/results/link [--ssdv PROGRAM] [--draws 20]

Each of the photographs 5, 13 and 20 is reduced to 640 x 480 and coded at quality 25, in packets of
222 bytes. SSDV (https://github.com/fsphil/ssdv, built elsewhere) gets the same picture as JPEG and
packs it anew at the best of its qualities that takes at most 1.25 times as many packets, and at the
lowest whose whole picture is within 0.3 dB. Losses are
independent, or come in bursts of four in the mean; seeds are fixed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import heqcodec
import numpy as np
from heqcodec.eval.link import arrivals, simulate
from heqcodec.eval.metrics import psnr
from heqcodec.packets import packetize
from PIL import Image

PHOTOGRAPHS = (5, 13, 20)
SIZE, QUALITY = 222, 25
LOSSES = (0, 2, 10, 30)
BURSTS = (1, 4)


def main() -> None:
    """Measure, and write link.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ssdv", type=program)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--decoder", default="strong")
    arguments = parser.parse_args()
    lines = [
        "# Photographs over links that lose packets",
        "",
        f"`python {' '.join(Path(a).name if '/' in a else a for a in sys.argv)}`, heqcodec "
        f"{heqcodec.__version__}, {arguments.draws} draws of each loss, decoder "
        f"{arguments.decoder}.",
        "",
        "| photograph | sent as | losses | packets | "
        + " | ".join(f"{loss} %" for loss in LOSSES)
        + " | whole at 10 % |",
        "|---|---|---|---|" + "---|" * (len(LOSSES) + 1),
    ]
    for number in PHOTOGRAPHS:
        pixels = photograph(arguments.folder, number)
        file = heqcodec.encode(pixels, quality=QUALITY)
        for name, options in (
            ("heqcodec, interleaved", {"interleaved": True}),
            ("heqcodec, rows", {}),
            ("heqcodec, interleaved, 25 % parity", {"interleaved": True, "fec": 25.0}),
        ):
            packets = packetize(file, SIZE, **options)
            for burst in BURSTS:
                made = simulate(
                    pixels, packets, LOSSES, burst, arguments.draws, number, arguments.decoder
                )
                cells = [f"{row.psnr:.2f}" for row in made] + [f"{100 * made[2].whole:.0f} %"]
                lines.append(line(number, name, burst, len(packets), cells))
                print(lines[-1], flush=True)
        if arguments.ssdv:
            clean, most = made[0].psnr, len(packetize(file, SIZE, interleaved=True))
            for line_ in ssdv_lines(arguments.ssdv, pixels, number, clean, most, arguments.draws):
                lines.append(line_)
                print(line_, flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "link.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def program(name: str) -> str:
    """The name of a program that is there."""
    if shutil.which(name) is None:
        raise argparse.ArgumentTypeError(f"there is no program {name}")
    return name


def photograph(folder: Path, number: int) -> np.ndarray:
    """A photograph of the set at 640 x 480, uint8 (480, 640, 3)."""
    with Image.open(folder / f"kodim{number:02}.png") as image:
        return np.asarray(image.convert("RGB").resize((640, 480), Image.Resampling.LANCZOS))


def line(number: int, name: str, burst: float, packets: int, cells: list[str]) -> str:
    """A row of the table."""
    losses = "independent" if burst == 1 else f"bursts of {burst}"
    return "| " + " | ".join([f"Kodak {number}", name, losses, str(packets), *cells]) + " |"


def ssdv_lines(
    ssdv: str, pixels: np.ndarray, number: int, clean: float, most: int, draws: int
) -> list[str]:
    """The rows of SSDV: of at most so many packets, and of as good a whole picture."""
    made = {level: ssdv_packets(ssdv, pixels, level) for level in range(8)}
    whole = {level: psnr(pixels, ssdv_picture(ssdv, made[level])) for level in made}
    fits = [level for level in made if len(made[level]) <= most * 1.25]
    as_good = [level for level in made if whole[level] >= clean - 0.3]
    rows = []
    for name, level in (("as large", max(fits, default=0)), ("as good", min(as_good, default=7))):
        for burst in BURSTS:
            cells = []
            for loss in LOSSES:
                generator = np.random.default_rng([number, loss * 1000])
                values = []
                for _ in range(draws if loss else 1):
                    came = arrivals(len(made[level]), loss / 100, burst, generator)
                    kept = [made[level][index] for index in sorted(came)]
                    values.append(psnr(pixels, ssdv_picture(ssdv, kept)))
                cells.append(f"{np.mean(values):.2f}")
            title = f"SSDV, quality {level}, {name}"
            rows.append(line(number, title, burst, len(made[level]), [*cells, ""]))
    return rows


def ssdv_packets(ssdv: str, pixels: np.ndarray, level: int) -> list[bytes]:
    """Packets of 222 bytes without error correction, at one of its qualities, 0..7."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.fromarray(pixels).save(folder / "in.jpg", quality=95, subsampling=2)
        command = [ssdv, "-e", "-n", "-l", str(SIZE), "-q", str(level), "-c", "TEST", "-i", "1"]
        command += [folder / "in.jpg", folder / "out.bin"]
        subprocess.run(command, check=True, capture_output=True)
        data = (folder / "out.bin").read_bytes()
    return [data[start : start + SIZE] for start in range(0, len(data), SIZE)]


def ssdv_picture(ssdv: str, packets: list[bytes]) -> np.ndarray:
    """What its decoder makes of packets, mid-grey if nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.bin").write_bytes(b"".join(packets))
        command = [ssdv, "-d", "-n", "-l", str(SIZE), folder / "in.bin", folder / "out.jpg"]
        subprocess.run(command, check=False, capture_output=True)
        try:
            with Image.open(folder / "out.jpg") as image:
                return np.asarray(image.convert("RGB").resize((640, 480)))
        except OSError:
            return np.full((480, 640, 3), 128, np.uint8)


if __name__ == "__main__":
    main()
