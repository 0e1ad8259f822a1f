"""Sets of test images: where they come from, what may be done with them, and what they must be.

Nothing is shipped or fetched unasked. The sets stand in ``checksums/datasets.json``; sums of single
files in ``checksums/``, in the form of
``sha256sum``; those of archives are TensorFlow Datasets' (``url_checksums``), and were made there
by downloading them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path, PurePosixPath

from heqcodec.base.errors import HeqError
from heqcodec.eval.folder import SUFFIXES, data_hash, image_files


@dataclass(frozen=True)
class Dataset:
    """One set of images. ``None`` where something is not known."""

    name: str
    title: str
    images: int
    licence: str
    page: str  # where it is described
    address: str  # of the archive, or of the folder of the single files
    archive_sha256: str | None = None
    archive_bytes: int | None = None
    folder: str | None = None  # in the archive; every image in it belongs to the set if None
    sums: tuple[tuple[str, str], ...] = ()  # path and SHA-256, where single files are fetched

    @property
    def sha256(self) -> str | None:
        """The hash of the set, as `data_hash` computes it from the files; None if not known."""
        if not self.sums:
            return None
        sums = sorted((file_name(path), digest) for path, digest in self.sums)
        listing = "".join(f"{digest}  {name}\n" for name, digest in sums)
        return hashlib.sha256(listing.encode()).hexdigest()


def file_name(path: str) -> str:
    """The name that a file of a set has in its folder: without the folders of its address."""
    return PurePosixPath(path).name


def _sums(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (line.split("  ", 1) for line in text.splitlines())
    return tuple((file, digest) for digest, file in pairs)


def _listed() -> Iterator[Dataset]:
    """The sets of ``checksums/datasets.json``, with the sums that ``NAME.sha256`` has."""
    folder = package_files("heqcodec.eval") / "checksums"
    for entry in json.loads((folder / "datasets.json").read_text("utf-8")):
        sums = folder / f"{entry['name']}.sha256"
        yield Dataset(**entry, sums=_sums(sums.read_text("ascii")) if sums.is_file() else ())


DATASETS = tuple(_listed())


def verify(dataset: Dataset, path: Path) -> str:
    """Compare a folder, or an archive not unpacked yet, with what was published.

    Returns:
        One sentence that says what was compared, and found equal.

    Raises:
        HeqError: it differs (the sentence names files), or there is nothing to compare with.
    """
    if path.is_file():
        return _verify_archive(dataset, path)
    files = image_files(path)
    if not dataset.sums:
        if len(files) != dataset.images:
            raise HeqError(
                f"{path} is not {dataset.name}: it holds {len(files)} images instead of "
                f"{dataset.images}."
            )
        return (
            f"{path} holds {dataset.images} images, as {dataset.name} does; no sums of its files "
            f"are known here, so that only their number was compared. "
            f"SHA-256 of the set: {data_hash(files)}."
        )
    expected = {file_name(name): digest for name, digest in dataset.sums}
    found = {file.name: file for file in files}
    faults = [f"{name} is missing" for name in expected if name not in found]
    faults += [
        f"{name} differs"
        for name in expected
        if name in found and sha256_of(found[name]) != expected[name]
    ]
    faults += [f"{name} is not of the set" for name in found if name not in expected]
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise HeqError(f"{path} is not {dataset.name}: {', '.join(faults[:5])}{more}.")
    return f"{path} is {dataset.name}, file by file. SHA-256 of the set: {dataset.sha256}."


def _verify_archive(dataset: Dataset, path: Path) -> str:
    if dataset.archive_sha256 is None:
        raise HeqError(
            f"No sum of an archive of {dataset.name} is known here; give the folder of its images."
        )
    if sha256_of(path) != dataset.archive_sha256:
        raise HeqError(f"{path} is not the archive of {dataset.name}: its SHA-256 differs.")
    return f"{path} is the archive of {dataset.name}. SHA-256: {dataset.archive_sha256}."


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_image(name: str) -> bool:
    """Whether a file of this name counts as a test image, as in `image_files`."""
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
