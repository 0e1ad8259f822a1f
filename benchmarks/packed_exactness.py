"""Are the bytes of packed files the same for every batch size, thread count and arithmetic?

    python benchmarks/packed_exactness.py DIR [--model M ...] [--quality Q ...] [--no-decode]

Each image is encoded at three qualities. Its packed file is compared with files whose levels were
made in batches of 1, of 7 and of all patches, on 1 and on 2 threads at once; its levels with those
of numpy, and of torch with every sum in int64 and, where there is a graphics card, in float32 on
it. It must unpack to the file of the device coder, which must pack to it, and decode; on a graphics
card within 1/255. Of the first images a crop is coded by the coders in Python. Ends with exit code
1 when anything differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import heqcodec
import numpy as np
import typer
from heqcodec.base.constants import PATCH
from heqcodec.container.header import Coder
from heqcodec.container.reader import ContainerReader
from heqcodec.container.strips import Strip
from heqcodec.file.encoding import joined_file
from heqcodec.file.options import step_of_quality
from heqcodec.image.patches import patch_batches
from heqcodec.models import registry
from heqcodec.nqe_r.layout import LEVELS

if TYPE_CHECKING:
    from heqcodec.base.rate_protocols import RateEncoder, StripCoder

QUALITIES = (25.0, 45.0, 70.0)
BATCHES = (1, 7, None)
"""Patches a call; None is all patches of the image."""
THREADS = (1, 2)
PLAIN_IMAGES = 3
"""Images of which a crop goes through the coders in Python, which are slow."""
PLAIN_ROWS, PLAIN_COLUMNS = 2, 3
"""Patches of that crop."""

Levels = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """Something that is not as in the file that was compared with.

    Attributes:
        what: was done otherwise, or found otherwise.
        amount: of bytes, patches or samples that differ.
    """

    image: str
    quality: float
    what: str
    amount: int


@dataclass(frozen=True)
class Parts:
    """A model, and other ways to its numbers.

    Attributes:
        encoder, device, packed: as the codec has them.
        plain_coders: both coders in Python.
        others: by name, what makes the same levels of patches uint8 (N, 32, 32, C) at a step.
    """

    name: str
    encoder: RateEncoder
    device: StripCoder
    packed: StripCoder
    plain_coders: Sequence[StripCoder]
    others: dict[str, Any]

    @staticmethod
    def of(name: str) -> Parts:
        """A model of the registry."""
        import torch
        from heqcodec.models.manifest import stored_tensors
        from heqcodec.nqe_r.device_coder.coder import DeviceCoder
        from heqcodec.nqe_r.encoder import RateNqe
        from heqcodec.nqe_r.packed_coder import PackedCoder
        from torch_levels import TorchLevels

        entry = registry.manifest()["models"][name]
        tensors = stored_tensors(entry["encoder"])
        tables = [stored_tensors(entry["coders"][kind]) for kind in ("device", "packed")]
        by_numpy = RateNqe(tensors, native=False)
        others = {
            "levels by numpy": lambda x, step: by_numpy.levels(by_numpy.coefficients(x), step),
            "levels in int64": TorchLevels(tensors, "cpu", torch.int64).levels,
        }
        if torch.cuda.is_available():
            torch.backends.cuda.matmul.allow_tf32 = False
            others["levels on the graphics card"] = TorchLevels(
                tensors, "cuda", torch.float32
            ).levels
        return Parts(
            name,
            registry.load_rate_encoder(name),
            registry.load_strip_coder(name, Coder.DEVICE),
            registry.load_strip_coder(name, Coder.PACKED),
            (DeviceCoder(tables[0], native=False), PackedCoder(tables[1], native=False)),
            others,
        )


def levels_in_batches(
    encoder: RateEncoder, patches: np.ndarray, step: int, batch: int, threads: int
) -> Levels:
    """Levels int16 (N, C, 1024) and transform sizes uint8 (N,), ``batch`` patches a call."""

    def made(start: int) -> Levels:
        return encoder.levels(encoder.coefficients(patches[start : start + batch]), step)

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(made, range(0, len(patches), batch)))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def packed_file(
    like: bytes, coder: StripCoder, levels: np.ndarray, transform_sizes: np.ndarray
) -> bytes:
    """A file with the header and chunks of another and these levels, by patch, row by row."""
    reader = ContainerReader(BytesIO(like), max_pixels=None)
    header = reader.header
    rows, columns, per_strip = header.patch_rows, header.patch_columns, header.strip_rows
    grid = levels.reshape(rows, columns, header.channels, LEVELS)
    shape = transform_sizes.reshape(rows, columns)
    strips = (
        Strip(
            header.rate,
            coder.encode(grid[row : row + per_strip], shape[row : row + per_strip], header.rate),
        )
        for row in range(0, rows, per_strip)
    )
    return joined_file(header, strips, reader.read_chunks())


def bytes_apart(one: bytes, other: bytes) -> int:
    """How many bytes differ, those that one alone has included; 0 for equal ones."""
    apart = sum(a != b for a, b in zip(one, other, strict=False))
    return apart + abs(len(one) - len(other))


def stream_differences(
    parts: Parts,
    patches: np.ndarray,
    step: int,
    reference: bytes,
    batches: Sequence[int | None],
) -> Iterator[tuple[str, int]]:
    """Each way of encoding, and how many bytes are not those of the reference."""
    import torch

    before = torch.get_num_threads()
    try:
        for threads in THREADS:
            torch.set_num_threads(threads)
            for batch in batches:
                size = batch or len(patches)
                made = levels_in_batches(parts.encoder, patches, step, size, threads)
                data = packed_file(reference, parts.packed, *made)
                label = f"batches of {batch or 'all'} patches, threads {threads}"
                yield label, bytes_apart(data, reference)
    finally:
        torch.set_num_threads(before)


def level_differences(parts: Parts, patches: np.ndarray, step: int) -> Iterator[tuple[str, int]]:
    """Each other way to the levels, and how many patches have others."""
    usual = parts.encoder.levels(parts.encoder.coefficients(patches), step)
    for what, way in parts.others.items():
        levels, transform_sizes = way(patches, step)
        wrong = (levels != usual[0]).any(axis=(1, 2)) | (transform_sizes != usual[1])
        yield what, int(wrong.sum())


def coder_differences(
    parts: Parts, patches: np.ndarray, columns: int, step: int
) -> Iterator[tuple[str, int]]:
    """The coders in C against those in Python, on a crop: bytes, and levels that come back."""
    levels, transform_sizes = parts.encoder.levels(parts.encoder.coefficients(patches), step)
    rows, across = min(PLAIN_ROWS, len(patches) // columns), min(PLAIN_COLUMNS, columns)
    grid = levels.reshape(-1, columns, *levels.shape[1:])[:rows, :across]
    shape = transform_sizes.reshape(-1, columns)[:rows, :across]
    for coder, plain in zip((parts.device, parts.packed), parts.plain_coders, strict=True):
        payload = coder.encode(grid, shape, step)
        name = Coder(coder.coder).name.lower()
        yield f"{name} coder in Python", bytes_apart(plain.encode(grid, shape, step), payload)
        back, back_sizes = plain.decode(payload, rows, across, grid.shape[2], step)
        wrong = int((back != grid).sum() + (back_sizes != shape).sum())
        yield f"{name} decoder in Python", wrong


def file_differences(
    parts: Parts, pixels: np.ndarray, quality: float, reference: bytes, decode: bool
) -> Iterator[tuple[str, int]]:
    """Unpacked, packed again, and decoded."""
    import torch

    device_file = heqcodec.encode(pixels, quality=quality, model=parts.name, max_pixels=None)
    yield "unpacked", bytes_apart(heqcodec.unpack(reference, max_pixels=None), device_file)
    packed = heqcodec.pack(device_file, max_pixels=None)
    yield "packed again", bytes_apart(packed, reference)
    if not decode:
        return
    shown = heqcodec.decode(reference, max_pixels=None, device="cpu")
    yield "decoded", int(shown.shape != pixels.shape)
    if torch.cuda.is_available():
        other = heqcodec.decode(reference, max_pixels=None, device="cuda")
        apart = np.abs(other.astype(int) - shown.astype(int)) > 1
        yield "decoded on the graphics card", int(apart.sum())


def compared(
    parts: Parts,
    pixels: np.ndarray,
    quality: float,
    batches: Sequence[int | None],
    plain: bool,
    decode: bool,
) -> tuple[bytes, list[tuple[str, int]]]:
    """The packed file of an image, and everything it was compared with.

    Args:
        parts: of the model.
        pixels: uint8 (H, W, C).
        quality: 1 to 100.
        batches: patches a call.
        plain: whether a crop goes through the coders in Python.
        decode: whether the file is decoded.
    """
    rows, columns = (-(-side // PATCH) for side in pixels.shape[:2])
    (patches,) = patch_batches(pixels, rows * columns)
    step = step_of_quality(quality)
    reference = heqcodec.encode(
        pixels, quality=quality, coder="packed", model=parts.name, max_pixels=None
    )
    results = [
        *stream_differences(parts, patches, step, reference, batches),
        *level_differences(parts, patches, step),
        *file_differences(parts, pixels, quality, reference, decode),
    ]
    if plain:
        results += coder_differences(parts, patches, columns, step)
    return reference, results


def main(
    data: Annotated[Path, typer.Argument(help="Folder of images.")],
    model: Annotated[list[str] | None, typer.Option(help="Model; all when left out.")] = None,
    quality: Annotated[
        list[float] | None, typer.Option(help="1 to 100; 25, 45 and 70 when left out.")
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option(help="Batch sizes in addition to all patches; 1 and 7 when left out."),
    ] = None,
    decode: Annotated[bool, typer.Option(help="Also decode each file.")] = True,
) -> None:
    """Compare the packed files of every image with those made otherwise."""
    from heqcodec.eval.folder import image_files, read_pixels

    files = image_files(data)
    batches: list[int | None] = [*(batch or [1, 7]), None]
    qualities = quality or list(QUALITIES)
    failed = False
    for name in model or registry.model_names("rate"):
        parts = Parts.of(name)
        digests = {value: hashlib.sha256() for value in qualities}
        whole = hashlib.sha256()
        found: list[Difference] = []
        ways: dict[str, None] = {}
        for number, path in enumerate(files):
            pixels = read_pixels(path)
            for value in qualities:
                plain = number < PLAIN_IMAGES
                stream, results = compared(parts, pixels, value, batches, plain, decode)
                digests[value].update(stream)
                whole.update(stream)
                ways |= dict.fromkeys(what for what, _ in results)
                found += [
                    Difference(path.name, value, what, amount) for what, amount in results if amount
                ]
        listed = ", ".join(f"{value:g}" for value in qualities)
        typer.echo(
            f"{name}: {len(files)} images, qualities {listed}, {len(ways)} comparisons: "
            f"{'identical' if not found else f'{len(found)} DIFFERENT'}"
        )
        typer.echo(f"  {'; '.join(ways)}")
        for value, digest in digests.items():
            typer.echo(f"  quality {value:g}: SHA-256 of all streams {digest.hexdigest()}")
        typer.echo(f"  SHA-256 of all streams {whole.hexdigest()}")
        for difference in found:
            typer.echo(f"  {difference}")
        failed = failed or bool(found)
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
