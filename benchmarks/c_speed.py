"""How fast is the C encoder, by either kernel, compared with other encoders on one core?

    python benchmarks/c_speed.py DIR [--model nqe-r] [--quality 45] [--images N] [--repeats N]
        [--compressai-python PATH]

The exported C is built twice with `cc -O3`, with the fast kernel and with the scalar one. In each
turn every encoder encodes every image, from memory to memory, on one thread; its processor time
counts, the median over the turns, so that a busy machine does little harm. Files of both kernels
are compared with those of `heqcodec.encode`. CompressAI's `bmshj2018_factorized` runs in the Python
that --compressai-python names, by default this one, and is left out where it is not installed; its
weights are not trained ones, on which no time depends but some of its entropy coder's.
"""

from __future__ import annotations

import ctypes
import io
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).resolve().parent
KERNELS = ("FAST", "SCALAR")
COMPRESSAI = "CompressAI bmshj2018-factorized, compress"
ANALYSIS = "CompressAI bmshj2018-factorized, analysis transform"

Pixels = NDArray[np.uint8]
Encoder = Callable[[Pixels], Any]

WORKER = """
import sys, time, warnings
warnings.filterwarnings("ignore")
import numpy as np, torch
from compressai.zoo import bmshj2018_factorized
torch.set_num_threads(1)
torch.manual_seed(1)
model = bmshj2018_factorized(quality=int(sys.argv[1]), pretrained=False).eval()
model.update()
print("ready", flush=True)
for line in sys.stdin:
    kind, path = line.split(maxsplit=1)
    pixels = torch.from_numpy(np.load(path.strip())).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        start = time.process_time()
        model.compress(pixels) if kind == "compress" else model.g_a(pixels)
        print(time.process_time() - start, flush=True)
"""


def build(folder: Path, kernel: str, compiler: str, flags: str) -> ctypes.CDLL:
    """The exported encoder in a folder as a library."""
    library = folder / f"speed-{kernel}.so"
    subprocess.run(
        [
            *(compiler, "-std=c99", *flags.split(), f"-DHEQ_KERNEL_{kernel}", "-shared", "-fPIC"),
            *(f"-I{folder}", str(HERE / "c_speed.c"), "-o", str(library)),
        ],
        check=True,
    )
    made = ctypes.CDLL(str(library))
    made.speed_encode.restype = ctypes.c_size_t
    return made


def c_encoder(library: ctypes.CDLL, rate: int) -> Encoder:
    """Encode RGB pixels to the bytes of a file."""

    def encode(pixels: Pixels) -> bytes:
        height, width, _ = pixels.shape
        room = 2 * pixels.size + 4096
        out = (ctypes.c_uint8 * room)()
        length = library.speed_encode(
            ctypes.c_void_p(pixels.ctypes.data),
            ctypes.c_uint32(width),
            ctypes.c_uint32(height),
            ctypes.c_uint16(rate),
            out,
            ctypes.c_size_t(room),
        )
        return bytes(memoryview(out)[:length])

    return encode


def c_transform(library: ctypes.CDLL) -> Encoder:
    """Colour and transforms alone."""

    def transform(pixels: Pixels) -> int:
        height, width, _ = pixels.shape
        return int(
            library.speed_transform(
                ctypes.c_void_p(pixels.ctypes.data), ctypes.c_uint32(width), ctypes.c_uint32(height)
            )
        )

    return transform


def pillow_encoder(kind: str, **options: int) -> Encoder:
    """Encode with Pillow, in memory."""

    def encode(pixels: Pixels) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        return buffer.getvalue()

    return encode


def torch_encoder(model: str, step: int) -> Encoder | None:
    """Levels by torch in float32 (`torch_levels.py`), coded by the C extension; nqe-r's alone."""
    try:
        import torch
        from torch_levels import TorchLevels
    except ImportError:
        return None
    from heqcodec.container.header import Coder
    from heqcodec.image.patches import split_patches
    from heqcodec.models import registry

    torch.set_num_threads(1)
    levels = TorchLevels(registry.encoder_tensors(model), "cpu", torch.float32)
    coder = registry.load_strip_coder(model, Coder.DEVICE)

    def encode(pixels: Pixels) -> list[bytes]:
        rows, columns = pixels.shape[0] // 32, pixels.shape[1] // 32
        made, sizes = levels.levels(split_patches(pixels[: 32 * rows, : 32 * columns]), step)
        strips = made.reshape(rows, columns, *made.shape[1:])
        grid = sizes.reshape(rows, columns)
        return [
            coder.encode(strips[row : row + 4], grid[row : row + 4], step)
            for row in range(0, rows, 4)
        ]

    return encode


@contextmanager
def compressai_encoders(python: str, quality: int, folder: Path) -> Iterator[dict[str, Encoder]]:
    """Encoders whose result is the seconds that they took; none where CompressAI is missing."""
    worker = subprocess.Popen(
        [python, "-c", WORKER, str(quality)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None and worker.stdout is not None and worker.stderr is not None

    def asked(kind: str) -> Encoder:
        def encode(pixels: Pixels) -> float:
            path = folder / "pixels.npy"
            np.save(path, pixels)
            worker.stdin.write(f"{kind} {path}\n")  # type: ignore[union-attr]
            worker.stdin.flush()  # type: ignore[union-attr]
            return float(worker.stdout.readline())  # type: ignore[union-attr]

        return encode

    try:
        if worker.stdout.readline().strip() == "ready":
            yield {COMPRESSAI: asked("compress"), ANALYSIS: asked("analysis")}
        else:
            reason = (worker.stderr.read().strip().splitlines() or ["no reason given"])[-1]
            typer.echo(f"CompressAI is left out: {reason}", err=True)
            yield {}
    finally:
        worker.stdin.close()
        worker.wait()


def measure(encoders: dict[str, Encoder], images: list[Pixels], repeats: int) -> dict[str, float]:
    """Megapixels a second by encoder: the median of `repeats` turns, after one that does not count.

    A float that an encoder returns is taken as its seconds.
    """
    megapixels = sum(image.shape[0] * image.shape[1] for image in images) / 1e6
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    for turn in range(repeats + 1):
        for name, encode in encoders.items():
            total = 0.0
            for image in images[: None if turn else 1]:
                start = time.process_time()
                result = encode(image)
                took = time.process_time() - start
                total += result if isinstance(result, float) else took
            if turn:
                seconds[name].append(total)
    return {name: megapixels / statistics.median(totals) for name, totals in seconds.items()}


def main(
    data: Annotated[Path, typer.Argument(help="Folder of RGB images.")],
    model: Annotated[str, typer.Option(help="nqe-r or nqe-t.")] = "nqe-r",
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of nqe-r.")] = 45,
    bits: Annotated[int, typer.Option(help="A patch, of nqe-t.")] = 256,
    images: Annotated[int, typer.Option(min=1, help="How many, spread over the folder.")] = 24,
    repeats: Annotated[int, typer.Option(min=1, help="Turns that count.")] = 5,
    compiler: Annotated[str, typer.Option(help="Of C.")] = "cc",
    flags: Annotated[str, typer.Option(help="For the compiler.")] = "-O3",
    compressai_python: Annotated[str, typer.Option(help="A Python that has it.")] = sys.executable,
    compressai_quality: Annotated[int, typer.Option(min=1, max=8)] = 3,
) -> None:
    """Print megapixels a second and ratios, of one run on one core."""
    import heqcodec
    from heqcodec.base.threads import limit_threads
    from heqcodec.eval.folder import image_files, read_pixels
    from heqcodec.export.c_project import export_c
    from heqcodec.file.options import step_of_quality
    from heqcodec.models import registry

    if model.startswith("nqe-vgg"):
        raise typer.BadParameter("vgg_speed.py measures encoders of convolutions")
    if shutil.which(compiler) is None:
        raise typer.BadParameter(f"there is no compiler {compiler}")
    limit_threads(1)
    files = image_files(data)
    files = files[:: max(1, len(files) // images)][:images]
    pixels = [np.ascontiguousarray(read_pixels(path)) for path in files]
    variable = registry.mode_of(model) == registry.RATE_MODE
    rate = step_of_quality(quality) if variable else bits
    options: dict[str, Any] = {"quality": quality} if variable else {"bpp": bits / 1024}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "c"
        export_c(model, folder)
        libraries = {kernel: build(folder, kernel, compiler, flags) for kernel in KERNELS}
        encoders = {f"{model} in C, {k.lower()}": c_encoder(libraries[k], rate) for k in KERNELS}
        for image in pixels:
            wanted = heqcodec.encode(image, model=model, strip_metadata=True, **options)
            if any(encode(image) != wanted for encode in encoders.values()):
                typer.echo("the C encoder writes other bytes than heqcodec.encode", err=True)
                raise typer.Exit(1)
        for kernel in KERNELS:
            name = f"{model} in C, {kernel.lower()}, colour and transforms"
            encoders[name] = c_transform(libraries[kernel])
        encoders[f"{model}, heqcodec.encode"] = lambda image: heqcodec.encode(
            image, model=model, strip_metadata=True, **options
        )
        by_torch = torch_encoder(model, rate) if variable else None
        if by_torch:
            encoders[f"{model}, levels by torch"] = by_torch
        encoders["JPEG, libjpeg by Pillow, quality 75"] = pillow_encoder("JPEG", quality=75)
        encoders["WebP, libwebp by Pillow, quality 75, method 4"] = pillow_encoder(
            "WEBP", quality=75, method=4
        )
        with compressai_encoders(compressai_python, compressai_quality, folder) as others:
            speeds = measure(encoders | others, pixels, repeats)
    rate_text = f"quality {quality}" if variable else f"{bits} bits a patch"
    typer.echo(
        f"{len(pixels)} images, {model} at {rate_text}, {compiler} {flags}, processor time of "
        f"one thread, median of {repeats} turns; both kernels write the bytes of heqcodec.encode"
    )
    first = next(iter(speeds.values()))
    typer.echo(f"{'':54}{'Mpx/s':>8}{'of fast':>9}{'of CompressAI':>15}")
    for name, speed in speeds.items():
        ratio = f"{speed / speeds[COMPRESSAI]:.2f}" if COMPRESSAI in speeds else "-"
        typer.echo(f"{name:54}{speed:8.2f}{speed / first:9.2f}{ratio:>15}")


if __name__ == "__main__":
    typer.run(main)
