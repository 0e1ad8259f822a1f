"""Are a model's bytes the same for every batch size, thread count and arithmetic?

    python benchmarks/exactness.py DIR [--model M ...] [--bits N ...] [--batch N ...]

Each image is encoded at each rate in batches of 1, of 7 and of all patches, with 1 and with 2
threads, and all the bytes are compared; then once more with every sum held in float64, and, for
the first 200 patches and some adversarial ones, in plain int64. Ends with exit code 1 when any
differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from adversarial import adversarial_patches
from heqcodec.base.threads import limit_threads, thread_count
from heqcodec.image.patches import patch_batches

if TYPE_CHECKING:
    from heqcodec.base.patch_protocols import PatchEncoder

BATCHES = (1, 7, None)
"""Patches a call; None is all patches of the image."""
THREADS = (1, 2)
PLAIN_PATCHES = 200
"""Patches for the plain int64 reference, which is slow."""
NOISE = 16
"""Patches of each kind of noise among the adversarial ones."""


@dataclass(frozen=True)
class Difference:
    """A way of encoding whose bytes are not those of one batch on one thread."""

    image: str
    bits: int
    batch: int | None
    threads: int
    patches: int  # how many patches differ
    arithmetic: str = "float32"


def all_patches(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 (N, 32, 32, C), all patches of an image as the codec cuts and pads it."""
    return np.concatenate(list(patch_batches(pixels)))


def encode_in_batches(
    encoder: PatchEncoder, patches: np.ndarray, bits: int, batch: int | None
) -> np.ndarray:
    """Encode uint8 (N, 32, 32, C) in calls of ``batch`` patches: uint8 (N, bits // 8)."""
    step = len(patches) if batch is None else batch
    parts = [
        encoder.encode_patches(patches[start : start + step], bits)
        for start in range(0, len(patches), step)
    ]
    return np.concatenate(parts)


def reference_differences(
    encoder: Any, name: str, patches: np.ndarray, bits: int, arithmetic: str
) -> list[Difference]:
    """The patches whose code changes when every sum is held in another arithmetic."""
    usual = encoder.encode_patches(patches, bits)
    other = encoder.encode_patches(patches, bits, arithmetic=arithmetic)
    wrong = int((usual != other).any(axis=1).sum())
    return [Difference(name, bits, None, 1, wrong, arithmetic)] if wrong else []


def differences(
    encoder: PatchEncoder,
    name: str,
    patches: np.ndarray,
    rates: Sequence[int],
    batches: Sequence[int | None] = BATCHES,
) -> Iterator[tuple[bytes, list[Difference]]]:
    """For each rate, yield the reference bytes and the ways of encoding that differ from them."""
    before = thread_count()
    try:
        for bits in rates:
            limit_threads(1)
            reference = encode_in_batches(encoder, patches, bits, None)
            found = []
            for threads in THREADS:
                limit_threads(threads)
                for batch in batches:
                    codes = encode_in_batches(encoder, patches, bits, batch)
                    wrong = int((codes != reference).any(axis=1).sum())
                    if wrong:
                        found.append(Difference(name, bits, batch, threads, wrong))
            yield reference.tobytes(), found
    finally:
        limit_threads(before)


def main(
    data: Annotated[Path, typer.Argument(help="Folder of images.")],
    model: Annotated[list[str] | None, typer.Option(help="Model; all when left out.")] = None,
    bits: Annotated[
        list[int] | None, typer.Option(help="Bits per patch; every rate when left out.")
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option(help="Batch sizes in addition to all patches; 1 and 7 when left out."),
    ] = None,
) -> None:
    """Compare the bytes of every image for batches of 1, 7 and all, on 1 and 2 threads."""
    from heqcodec.eval.folder import image_files, read_pixels
    from heqcodec.models import registry

    files = image_files(data)
    failed = False
    batches: list[int | None] = [*(batch or [1, 7]), None]
    for name in model or registry.model_names("patch"):
        encoder = registry.load_encoder(name)
        rates = bits or list(encoder.rates)
        hashes = {rate: hashlib.sha256() for rate in rates}
        found: list[Difference] = []
        patches_compared = 0
        first = np.zeros((0, 32, 32, 3), dtype=np.uint8)
        for path in files:
            patches = all_patches(read_pixels(path))
            patches_compared += len(patches)
            if len(first) < PLAIN_PATCHES and patches.shape[3] == 3:
                first = np.concatenate([first, patches[: PLAIN_PATCHES - len(first)]])
            results = differences(encoder, path.name, patches, rates, batches)
            for rate, (reference, different) in zip(rates, results, strict=True):
                hashes[rate].update(reference)
                found += different
            found += reference_differences(encoder, path.name, patches, max(rates), "float64")
        few = np.concatenate([first, adversarial_patches(NOISE)])
        for arithmetic in ("float64", "int64"):
            found += reference_differences(encoder, "the few", few, max(rates), arithmetic)
        ways = len(batches) * len(THREADS)
        typer.echo(
            f"{name}: {len(files)} images, {patches_compared} patches, rates {rates} bits, {ways} "
            f"ways of encoding and float64, {len(few)} also int64: "
            f"{'identical' if not found else f'{len(found)} DIFFERENT'}"
        )
        for rate, digest in hashes.items():
            typer.echo(f"  {rate} bits per patch: SHA-256 of all codes {digest.hexdigest()}")
        for difference in found:
            typer.echo(f"  {difference}")
        failed = failed or bool(found)
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
