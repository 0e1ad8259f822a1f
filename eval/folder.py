"""A folder of test images: which files, their pixels, and the hash that names the set."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.eval.summary import DataSet
from heqcodec.image.images import load_image

SUFFIXES = frozenset(
    (".avif", ".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp")
)
"""File names that count as test images, in lower case."""


def image_files(folder: Path) -> list[Path]:
    """Return the image files that lie directly in ``folder``, sorted by name.

    Raises ``HeqError`` when ``folder`` is not one, or holds no image.
    """
    if not folder.is_dir():
        raise HeqError(f"{folder} is not a folder; give one that holds the test images.")
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise HeqError(f"{folder} holds no image; looked for {', '.join(sorted(SUFFIXES))}.")
    return files


def data_hash(files: list[Path]) -> str:
    """Return the SHA-256, in hex, that names a set of files by their names and contents.

    It is the hash of what ``sha256sum`` prints for the names in this order, so that
    ``cd DIR && sha256sum * | sha256sum`` gives it when the folder holds nothing else.
    """
    return data_set(files).sha256


def data_set(files: list[Path]) -> DataSet:
    """Return the set of these files: how many, its hash as of `data_hash`, and that of each."""
    hashes = tuple((path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files)
    listing = "".join(f"{digest}  {name}\n" for name, digest in hashes)
    return DataSet(len(files), hashlib.sha256(listing.encode()).hexdigest(), hashes)


def readable_files(files: list[Path]) -> tuple[list[Path], list[str]]:
    """Split files into those that can be read and one sentence for each of the others.

    Raises ``HeqError`` when none can be read.
    """
    readable, failures = [], []
    for path in files:
        try:
            read_pixels(path)
        except HeqError as error:
            failures.append(str(error))
        else:
            readable.append(path)
    if not readable:
        raise HeqError(f"No image could be read: {failures[0]}")
    return readable, failures


def read_pixels(path: Path) -> np.ndarray:
    """Return the colours of an image file as uint8 (H, W, 1) or (H, W, 3).

    Alpha and metadata are left out: the measures are of colours, and so should the bytes be.
    Raises ``HeqError`` when the file cannot be read.
    """
    try:
        return load_image(path).pixels
    except OSError as error:
        raise HeqError(f"{path} cannot be read: {error.strerror or error}.") from error
