"""Make the committed seeds anew: small files of every coder, with strips, chunks and damage.
Those named ``found-*`` are what fuzzing found, and stay as they are.

    python tests/fuzz/python/seeds.py FOLDER
    python tests/fuzz/python/seeds.py --copy FOLDER    # all seeds, for a fuzzer

Golden files of ``tests/conformance`` below 700 bytes are seeds too, and are not kept twice.
"""

from __future__ import annotations

import shutil
import sys
from io import BytesIO
from pathlib import Path

import heqcodec
import numpy as np
from heqcodec.container import Chunk, ContainerReader, ContainerWriter
from PIL import Image, ImageCms

GOLDEN = Path(__file__).resolve().parents[2] / "conformance"
CORPUS = Path(__file__).resolve().parents[1] / "corpus"
LARGEST = 700
"""Bytes of a golden file that is a seed: larger ones make every mutant slow."""
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'


def seed_files() -> list[Path]:
    """All seeds: those of the corpus and the small golden files."""
    golden = [path for path in GOLDEN.glob("*.heq") if path.stat().st_size <= LARGEST]
    return sorted([*CORPUS.glob("*.heq"), *golden])


def with_chunks(data: bytes, chunks: list[Chunk]) -> bytes:
    """The file with other chunks."""
    reader, made = ContainerReader(BytesIO(data)), BytesIO()
    writer = ContainerWriter(made, reader.header)
    for index in range(reader.header.strip_count):
        strip = reader.read_strip(index)
        assert strip is not None
        writer.write_strip(strip.payload, strip.rate)
    for chunk in chunks:
        writer.write_chunk(chunk)
    writer.finish()
    return made.getvalue()


def exif() -> bytes:
    """A small EXIF block with two directories."""
    block = Image.Exif()
    block[0x0112], block[0x010F] = 6, "maker"
    block[0x8769] = {0x9000: b"0232", 0x829A: 0.01}
    return block.tobytes().removeprefix(b"Exif\0\0")


def main(folder: Path) -> None:
    """Write them."""
    folder.mkdir(parents=True, exist_ok=True)
    colour = np.asarray(Image.open(GOLDEN / "colour.png"))
    gray = np.asarray(Image.open(GOLDEN / "gray.png"))
    alpha = np.asarray(Image.open(GOLDEN / "alpha.png"))
    small = {"strip_rows": 1}
    made = {
        "device-strips": heqcodec.encode(colour[:70, :20], quality=15, **small),
        "packed-strips": heqcodec.encode(colour[:70, :20], quality=15, coder="packed", **small),
        "progressive-strips": heqcodec.encode(
            colour[:70, :20], quality=15, progressive=True, **small
        ),
        "progressive-gray": heqcodec.encode(gray[:40, :60], quality=30, progressive=True),
        "packed-gray": heqcodec.encode(gray[:40, :40], quality=30, coder="packed"),
        "patch-strips": heqcodec.encode(colour[:70, :40], mode="patch", bpp=0.0625, **small),
        "alpha-device": heqcodec.encode(alpha[:33, :33], quality=10),
    }
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    chunks = [Chunk(b"ICCP", profile), Chunk(b"EXIF", exif()), Chunk(b"XMP_", XMP)]
    plain = heqcodec.encode(gray[:8, :8], quality=1)
    made["metadata"] = with_chunks(plain, [*chunks, Chunk(b"note", b"any")])
    patch = made["patch-strips"]
    made["patch-hole"] = patch[:60] + patch[70:]
    made["strip-zeroed"] = made["device-strips"][:44] + bytes(40) + made["device-strips"][84:]
    made["chunks-twice"] = with_chunks(plain, [Chunk(b"note", b"1")] * 4)[:-12]
    for name, data in made.items():
        (folder / f"{name}.heq").write_bytes(data)


if __name__ == "__main__":
    if sys.argv[1] == "--copy":
        for seed in seed_files():
            shutil.copy(seed, sys.argv[2])
    else:
        main(Path(sys.argv[1]))
