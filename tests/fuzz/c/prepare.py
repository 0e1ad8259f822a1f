"""What the C harnesses need, to a folder: tables of the shipped models, exported encoders, seeds.

    python tests/fuzz/c/prepare.py FOLDER

Seeds are golden files of ``tests/conformance`` and pieces of their images, some kilobytes in all,
so that none are kept twice.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from heqcodec.container import ContainerReader
from heqcodec.container.header import Coder
from heqcodec.export.c_project import export_c, model_parts
from heqcodec.export.vectors import pnm
from heqcodec.models import registry
from heqcodec.nqe_r.device_coder.coder import DeviceCoder
from heqcodec.nqe_r.packed_coder.coder import PackedCoder
from numpy.typing import NDArray
from PIL import Image

GOLDEN = Path(__file__).resolve().parents[2] / "conformance"
LARGEST = 700
"""Bytes of a golden file that is a seed; larger ones would slow every mutant down."""
ENCODERS = ("nqe-r", "nqe-t")
PIECE = (17, 35)
"""Rows and columns of an image that is a seed: two patches, neither of them whole."""


DEVICE_TABLES = "start weights scores places stretch squash widths"


def write_tables(folder: Path) -> None:
    """``device.bin``, ``packed.bin`` and ``patch.bin``: each coder's tables one after another."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = registry.load_strip_coder("nqe-r", Coder.PACKED)
    assert isinstance(packed, PackedCoder)
    for name, tables in (
        (
            "device",
            tables_of("nqe-r", "device", DEVICE_TABLES),
        ),
        ("packed", list(packed._tables)),
        ("patch", tables_of("nqe-t", "patch", "significance flag refinement lps order")),
    ):
        data = b"".join(np.ascontiguousarray(table).tobytes() for table in tables)
        (folder / f"{name}.bin").write_bytes(data)


def tables_of(model: str, kind: str, names: str) -> list[NDArray[np.generic]]:
    """Tables of a model's C source, in the order of the names."""
    found = {table.name: table.values for table in model_parts(model).tables}
    return [found[f"{kind}_{name}"] for name in names.split()]


def levels_seed(file: Path, kind: int) -> bytes:
    """Levels of the first patch of a golden device file, for ``code_levels``.

    Args:
        file: of the device coder.
        kind: 0 for the device coder, 2 for the packed one.
    """
    coder = registry.load_strip_coder("nqe-r", Coder.DEVICE)
    assert isinstance(coder, DeviceCoder)
    with file.open("rb") as stream:
        reader = ContainerReader(stream)
        header = reader.header
        strip = reader.read_strip(0)
    assert strip is not None
    rows = min(header.patch_rows, header.strip_rows)
    shape = rows, header.patch_columns, header.channels
    levels, transform_sizes = coder.decode(strip.payload, *shape, strip.rate)
    flat = levels[0, 0].reshape(-1)
    seed = bytearray((kind + (header.channels == 3), *header.rate.to_bytes(2, "big")))
    seed += bytes((0, 0, 64, transform_sizes[0, 0]))
    after = 0
    for place in np.flatnonzero(flat).tolist():
        while place - after > 255:  # a level of 0 on the way
            seed += bytes((255, 0))
            after += 256
        seed += bytes((place - after, max(-127, min(127, int(flat[place]))) & 255))
        after = place + 1
    return bytes(seed)


def image_seed(pixels: NDArray[np.uint8], kind: int, pixel_bytes: int, room: bytes) -> bytes:
    """A call of ``encode_image``: quality 45 or 256 bits a patch, all writes work, whole image."""
    rows, columns, _ = pixels.shape
    head = bytes((kind, pixel_bytes, columns, rows, 1)) + (554).to_bytes(2, "big")
    return head + room + bytes((255, 1)) + pixels.tobytes()


def write_seeds(folder: Path) -> None:
    """A folder of seeds for each harness."""

    def write(harness: str, name: str, seed: bytes) -> None:
        (folder / harness).mkdir(parents=True, exist_ok=True)
        (folder / harness / name).write_bytes(seed)

    for file in sorted(GOLDEN.glob("*-nqe-r-*.heq")):
        if file.stat().st_size <= LARGEST:
            write("decode_file", file.name, file.read_bytes())
            if "device" in file.name:
                write("code_levels", f"{file.stem}-device", levels_seed(file, 0))
                write("code_levels", f"{file.stem}-packed", levels_seed(file, 2))
    for image, kind, pixel_bytes in (("gray", 0, 1), ("colour", 1, 3), ("neutral", 2, 3)):
        pixels = np.asarray(Image.open(GOLDEN / f"{image}.png"))[: PIECE[0], : PIECE[1]]
        pixels = np.ascontiguousarray(pixels.reshape(*PIECE, -1))
        write("encode_image_rate", image, image_seed(pixels, kind, pixel_bytes, b"\x3f\xff"))
        write("encode_image_patch", image, image_seed(pixels, kind, pixel_bytes, b""))
        write("read_head", image, pnm(pixels[:1, :1]))
    write("read_head", "comments", b"P5 # a comment\n# 7 7\n3\t2 #\n255\n123456")
    for file in sorted(GOLDEN.glob("*-nqe-t-*.heq")):
        with file.open("rb") as stream:
            reader = ContainerReader(stream)
            strip, header = reader.read_strip(0), reader.header
        assert strip is not None
        code = strip.payload[: header.patch_bytes]
        write("decode_patch", file.stem, bytes((header.channels >> 1,)) + code)
    # Runs of coefficients that fall off: a place, two bytes of value, and its width in bits.
    falling = ((3, 128 + 9 * place % 60, 40 * place % 256, 15 - place // 5) for place in range(60))
    write("patch_code", "falling", bytes((1, 63)) + b"".join(map(bytes, falling)))


def main(folder: Path) -> None:
    """Write everything."""
    write_tables(folder / "tables")
    write_seeds(folder / "seeds")
    for model in ENCODERS:
        export_c(model, folder / model)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
