"""heqcodec and two JPEG encoders on microcontrollers: instructions, memory, bytes, energy.

    python benchmarks/cortex_m_peers.py kodak/ --jpegenc JPEGENC/ --esp32-camera esp32-camera/ \\
        --count kodim05 --count kodim20 --count kodim23 --out peers.json --plot peers.png

nqe-r, nqe-t, JPEGENC (bitbank2/JPEGENC) and the encoder of esp32-camera (espressif/esp32-camera),
whose sources are given by path; none of them is in this repository. All read RGB from memory,
JPEGENC BGR. Strips have one row of patches.

Bytes at a PSNR are those of all images of the folder, interpolated between the settings of an
encoder: log of bytes over dB. PSNR of nqe-r and nqe-t is that of the strong decoder in
eval/results/kodak/images.csv, whose encoders must be those that are installed; that of JPEG is
Pillow's. Instructions are counted as benchmarks/cortex_m.py does, of the images named by --count,
between the same settings. An image that an encoder cannot reach a PSNR with is left out; one whose
coarsest file is better already counts with that file.

Break-even is the energy of the instructions that an encoder takes more, at --nanojoule a cycle and
one cycle an instruction, by the bytes that it sends fewer: on links that cost more a byte it pays.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from cortex_m import (
    FIRMWARE,
    PROCESSORS,
    Count,
    Processor,
    counted,
    flash,
    linked,
    run,
    versions,
)
from numpy.typing import NDArray
from PIL import Image

TARGETS = (28, 31, 34)
CPUS = ("cortex-m0plus", "cortex-m4", "cortex-m7", "rv32imc")
RESULTS = Path(__file__).parents[1] / "eval" / "results" / "kodak"
JPGE_QUALITIES = (5, 10, 20, 30, 45, 60, 75, 85, 92, 96)
JPEGENC_LEVELS = (3, 2, 1, 0)
CPP = ("-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-D__MCUXPRESSO")

Pixels = NDArray[np.uint8]


class Encoder(NamedTuple):
    """An encoder of the table.

    Attributes:
        name: in the table.
        settings: from the smallest files to the largest, as the firmware takes them.
        file_of: an image's file at a setting.
        psnr_of: of an image by name at a setting, given the file.
        objects: the encoder for a processor, and what calls it, in a folder.
        state_bytes: of its state; None: that is its static memory.
        bgr: does it read blue first?
    """

    name: str
    settings: tuple[int, ...]
    file_of: Callable[[Pixels, int], bytes]
    psnr_of: Callable[[str, Pixels, int, bytes], float]
    objects: Callable[[Processor, Path, str], list[Path]]
    state_bytes: int | None = None
    bgr: bool = False


# ---- heqcodec ----------------------------------------------------------------------------------


def stored_psnr(codec: str, encoder_id: str) -> dict[tuple[str, float], float]:
    """PSNR by image and setting, of eval/results/kodak; ends where it is of another encoder."""
    described = json.loads((RESULTS / f"{codec}.json").read_text("utf-8"))["description"]
    if encoder_id not in described:
        raise typer.BadParameter(f"{RESULTS.name}/{codec}.json is not of encoder {encoder_id}.")
    with (RESULTS / "images.csv").open(encoding="utf-8", newline="") as lines:
        return {
            (Path(row["image"]).stem, float(row["setting"])): float(row["psnr_rgb"])
            for row in csv.DictReader(lines)
            if row["codec"] == codec
        }


def heq_encoder(model: str, folder: Path) -> Encoder:
    """An exported model.

    Args:
        model: nqe-r or nqe-t.
        folder: in which it is exported.
    """
    import heqcodec
    from heqcodec.export.c_project import export_c
    from heqcodec.file.options import step_of_quality
    from heqcodec.models import registry

    rate = registry.mode_of(model) == registry.RATE_MODE
    figures = export_c(model, folder)
    header = (folder / "heq_encoder.h").read_text("utf-8")
    encoder_id = header.split("(encoder ", 1)[1][:16]
    psnr = stored_psnr("heq" if rate else "heq-patch", encoder_id)
    stored = sorted({setting for _, setting in psnr})
    by_setting = {
        step_of_quality(setting) if rate else round(setting * 1024): setting for setting in stored
    }

    def file_of(pixels: Pixels, setting: int) -> bytes:
        value = by_setting[setting]
        options = {"quality": value} if rate else {"bpp": value}
        return heqcodec.encode(pixels, model=model, strip_metadata=True, strip_rows=1, **options)

    def objects(processor: Processor, build: Path, level: str) -> list[Path]:
        options = ("-std=c99", level, f"-I{folder}", "-c")
        gcc = [f"{processor.prefix}-gcc", *processor.options, *options]
        made = [build / "encoder.o", build / "caller.o"]
        run([*gcc, "-DHEQ_KERNEL_MULTIPLY", folder / "heq_encoder.c", "-o", made[0]])
        run([*gcc, FIRMWARE / "encode_heq.c", "-o", made[1]])
        return made

    return Encoder(
        model,
        tuple(by_setting),
        file_of,
        lambda name, pixels, setting, file: psnr[name, by_setting[setting]],
        objects,
        figures["memory_bytes"],
    )


# ---- JPEG --------------------------------------------------------------------------------------


def jpeg_encoder(
    name: str,
    settings: tuple[int, ...],
    sources: Sequence[Path],
    caller: str,
    folder: Path,
    bgr: bool = False,
) -> Encoder:
    """A JPEG encoder in C++.

    Args:
        name: in the table.
        settings: from the smallest files to the largest.
        sources: to compile.
        caller: of firmware/peers.
        folder: for its program on this computer.
        bgr: does it read blue first?
    """
    includes = [f"-I{FIRMWARE / 'peers'}", *(f"-I{source.parent}" for source in sources)]
    includes += [f"-I{source.parent / 'private_include'}" for source in sources]
    every = [*sources, FIRMWARE / "peers" / caller]
    program = folder / name
    host = folder / f"{name}.o"
    run(["gcc", "-O2", "-c", FIRMWARE / "count_host.c", "-o", host])
    run(["g++", "-O2", "-w", *CPP, *includes, *every, host, "-o", program])

    def file_of(pixels: Pixels, setting: int) -> bytes:
        return subprocess.run(
            [program], input=image_bytes(pixels, setting, 0, bgr), capture_output=True, check=True
        ).stdout

    def psnr_of(image: str, pixels: Pixels, setting: int, file: bytes) -> float:
        decoded = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), dtype=np.int32)
        error = float(((decoded - pixels) ** 2).mean())
        return float(10 * np.log10(255**2 / error))

    def objects(processor: Processor, build: Path, level: str) -> list[Path]:
        made = []
        for source in every:
            made.append(build / f"{source.stem}.o")
            gcc = [f"{processor.prefix}-g++", *processor.options, *CPP, "-w", level, *includes]
            run([*gcc, "-c", source, "-o", made[-1]])
        return made

    return Encoder(name, settings, file_of, psnr_of, objects, bgr=bgr)


def image_bytes(pixels: Pixels, setting: int, strip_rows: int, bgr: bool = False) -> bytes:
    """An image as the firmware takes it."""
    height, width = pixels.shape[:2]
    samples = pixels[..., ::-1] if bgr else pixels
    return struct.pack("<4I", width, height, setting, strip_rows) + samples.tobytes()


# ---- Curves ------------------------------------------------------------------------------------


class Curve(NamedTuple):
    """An encoder's files of an image, by its settings.

    Attributes:
        psnr: dB.
        files: the files.
    """

    psnr: NDArray[np.float64]
    files: list[bytes]

    def near(self, target: float) -> list[tuple[int, float]] | None:
        """Indices of settings and their shares, or None where the PSNR is out of reach."""
        if target > self.psnr[-1]:
            return None
        if target <= self.psnr[0]:
            return [(0, 1.0)]
        upper = int(np.searchsorted(self.psnr, target))
        share = (target - self.psnr[upper - 1]) / (self.psnr[upper] - self.psnr[upper - 1])
        return [(upper - 1, float(1 - share)), (upper, float(share))]

    def bytes_at(self, target: float) -> float | None:
        """Bytes at a PSNR."""
        near = self.near(target)
        if near is None:
            return None
        return float(np.exp(sum(share * np.log(len(self.files[at])) for at, share in near)))


def curve_of(encoder: Encoder, name: str, pixels: Pixels) -> Curve:
    """All settings of an encoder on an image."""
    files = [encoder.file_of(pixels, setting) for setting in encoder.settings]
    psnr = [
        encoder.psnr_of(name, pixels, setting, file)
        for setting, file in zip(encoder.settings, files, strict=True)
    ]
    return Curve(np.array(psnr), files)


# ---- Instructions ------------------------------------------------------------------------------


def processor_row(
    encoder: Encoder, name: str, curves: dict[str, Curve], images: dict[str, Pixels], build: Path
) -> dict[str, Any]:
    """Flash, memory and instructions at each target, of the images that are counted.

    Ends the program where a file is another than on this computer.
    """
    processor = PROCESSORS[name]
    small = encoder.objects(processor, build, "-Os")
    row: dict[str, Any] = {"encoder": encoder.name, "processor": name}
    row["flash_Os"] = sum(flash(processor, made) for made in small[:-1])
    objects = encoder.objects(processor, build, "-O2")
    row["flash_O2"] = sum(flash(processor, made) for made in objects[:-1])
    static = [run([f"{processor.prefix}-size", made]).splitlines()[1].split() for made in objects]
    program = linked(processor, build, objects)
    loaded = build / "image.bin"
    counts: dict[tuple[str, int], Count] = {}

    def count_of(image: str, at: int) -> Count:
        if (image, at) not in counts:
            rows = 1 if encoder.state_bytes else 0
            loaded.write_bytes(image_bytes(images[image], encoder.settings[at], rows, encoder.bgr))
            count = counted(processor, program, loaded)
            wanted = curves[image].files[at]
            if (count.status, count.file_bytes, count.crc) != (0, len(wanted), zlib.crc32(wanted)):
                typer.echo(f"{encoder.name}, {name}, {image}: another file", err=True)
                raise typer.Exit(1)
            counts[image, at] = count
        return counts[image, at]

    targets: dict[str, dict[str, list[float] | None]] = {}
    for target in TARGETS:
        entry = targets.setdefault(str(target), {})
        for image in images:
            near, size = curves[image].near(target), curves[image].bytes_at(target)
            entry[image] = near and [
                round(sum(share * count_of(image, at).instructions for at, share in near)),
                round(size or 0),
            ]
    # At the largest files, too, which is all there is of an encoder that reaches no target.
    largest = [count_of(image, len(encoder.settings) - 1).instructions for image in images]
    row["largest_files"] = round(sum(largest) / sum(map(pixel_count, images.values())), 1)
    stack = max(count.stack for count in counts.values())
    heap = max(count.heap for count in counts.values())
    # Static memory holds the firmware's own large payload, so there the state counts alone.
    written = sum(int(words[1]) + int(words[2]) for words in static)
    state = written if encoder.state_bytes is None else encoder.state_bytes
    strip = 0 if encoder.name != "nqe-r" else max(count.longest for count in counts.values())
    row.update(state=state, heap=heap, stack=stack, longest_strip=strip)
    row["targets"] = targets
    return row


def pixel_count(pixels: Pixels) -> int:
    """Of an image (H, W, 3)."""
    return pixels.shape[0] * pixels.shape[1]


def digest(paths: Sequence[Path]) -> str:
    """SHA-256 of files, one after the other."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()


def merged(stored: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A table with some encoders of another one, in the order of the first."""
    fresh = {(row["encoder"], row["processor"]): row for row in new["rows"]}
    return {
        **stored,
        **{key: new[key] for key in ("heqcodec", "versions")},
        "peers_sha256": {**stored["peers_sha256"], **new["peers_sha256"]},
        "bytes": {**stored["bytes"], **new["bytes"]},
        "rows": [fresh.get((row["encoder"], row["processor"]), row) for row in stored["rows"]],
    }


def main(
    images: Annotated[
        Path, typer.Argument(help="Folder of photographs, as eval/results has them.")
    ],
    jpegenc: Annotated[Path | None, typer.Option(help="Sources of bitbank2/JPEGENC.")] = None,
    esp32_camera: Annotated[Path | None, typer.Option(help="Those of espressif's.")] = None,
    count: Annotated[list[str] | None, typer.Option(help="Names of photographs to count.")] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(help="Measure this one alone, and keep the others of --out."),
    ] = None,
    cpu: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PROCESSORS)}.")] = None,
    nanojoule: Annotated[float, typer.Option(help="Of a cycle.")] = 0.3,
    out: Annotated[Path | None, typer.Option(help="File of JSON for the table.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Image of break-even by nanojoule.")] = None,
) -> None:
    """Print the tables; benchmarks/cortex_m_tables.py does so again from their JSON."""
    from cortex_m_tables import draw, table_text
    from heqcodec.base.files import write_bytes
    from heqcodec.base.version import __version__
    from heqcodec.eval.folder import read_pixels

    paths = sorted(images.glob("*.png"))
    names = cpu or list(CPUS)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        makers: dict[str, Callable[[], Encoder]] = {
            model: partial(heq_encoder, model, root / model) for model in ("nqe-r", "nqe-t")
        }
        peers: dict[str, list[Path]] = {}
        if jpegenc:
            peers["JPEGENC"] = [jpegenc / "src" / "JPEGENC.cpp"]
            own = (JPEGENC_LEVELS, peers["JPEGENC"], "encode_jpegenc.cpp", root, True)
            makers["JPEGENC"] = partial(jpeg_encoder, "JPEGENC", *own)
        if esp32_camera:
            peers["esp32-camera"] = [esp32_camera / "conversions" / "jpge.cpp"]
            own = (JPGE_QUALITIES, peers["esp32-camera"], "encode_jpge.cpp", root, False)
            makers["esp32-camera"] = partial(jpeg_encoder, "esp32-camera", *own)
        encoders = [make() for name, make in makers.items() if not encoder or name in encoder]
        curves: dict[str, dict[str, Curve]] = {each.name: {} for each in encoders}
        kept = {}
        for path in paths:
            pixels = np.ascontiguousarray(read_pixels(path))
            for each in encoders:
                curves[each.name][path.stem] = curve_of(each, path.stem, pixels)
            if path.stem in (count or []):
                kept[path.stem] = pixels
        rows = []
        for each in encoders:
            for name in names:
                if shutil.which(f"{PROCESSORS[name].prefix}-g++") is None:
                    typer.echo(f"{name}: skipped, there is no compiler", err=True)
                    continue
                build = root / "build"
                build.mkdir(exist_ok=True)
                rows.append(processor_row(each, name, curves[each.name], kept, build))
                typer.echo(f"{each.name} on {name} counted", err=True)
    table = {
        "heqcodec": __version__,
        "command": "python benchmarks/cortex_m_peers.py kodak/ --jpegenc JPEGENC/ "
        "--esp32-camera esp32-camera/ "
        + " ".join(f"--count {name}" for name in kept)
        + f" --nanojoule {nanojoule}",
        "versions": versions(names),
        "peers_sha256": {
            name: digest(sorted({*sources, *sources[0].parent.glob("*.inl")}))
            for name, sources in peers.items()
        },
        "images": [path.stem for path in paths],
        "pixels": int(next(iter(kept.values())).size // 3) if kept else 0,
        "bytes": {
            each.name: {
                str(target): {
                    image: round(at)
                    for image, curve in curves[each.name].items()
                    if (at := curve.bytes_at(target)) is not None
                }
                for target in TARGETS
            }
            for each in encoders
        },
        "rows": rows,
    }
    if encoder and out and out.exists():
        table = merged(json.loads(out.read_text("utf-8")), table)
    if out:
        write_bytes(out, (json.dumps(table, indent=1) + "\n").encode())
    typer.echo(table_text(table, nanojoule))
    if plot:
        draw(table, nanojoule, plot)


if __name__ == "__main__":
    typer.run(main)
