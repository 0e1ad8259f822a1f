"""Sets of test images: where they come from, what may be done with them, and what they must be.

Nothing is shipped or fetched unasked. Sums of single files stand in ``checksums/``, in the form of
``sha256sum``; those of archives are TensorFlow Datasets' (``url_checksums``), and were made there
by downloading them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from heqcodec.base.errors import HeqError
from heqcodec.eval.folder import SUFFIXES, data_hash, image_files

_CVL = "https://data.vision.ee.ethz.ch/cvl"
_CLIC_LICENCE = "released for the CLIC challenge; its terms are those of compression.cc"


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
    sums: tuple[tuple[str, str], ...] = ()  # file name and SHA-256, where single files are fetched

    @property
    def sha256(self) -> str | None:
        """The hash of the set, as `data_hash` computes it from the files; None if not known."""
        if not self.sums:
            return None
        listing = "".join(f"{digest}  {name}\n" for name, digest in self.sums)
        return hashlib.sha256(listing.encode()).hexdigest()


def _sums(name: str) -> tuple[tuple[str, str], ...]:
    text = (package_files("heqcodec.eval") / "checksums" / f"{name}.sha256").read_text("ascii")
    pairs = (line.split("  ", 1) for line in text.splitlines())
    return tuple((file, digest) for digest, file in pairs)


DATASETS = (
    Dataset(
        name="kodak",
        title="Kodak Lossless True Color Image Suite",
        images=24,
        licence="released by the Eastman Kodak Company for unrestricted usage",
        page="https://r0k.us/graphics/kodak/",
        address="https://r0k.us/graphics/kodak/kodak/",
        sums=_sums("kodak"),
    ),
    Dataset(
        name="clic2020-professional-valid",
        title="CLIC 2020, professional, validation",
        images=41,
        licence=_CLIC_LICENCE,
        page="https://compression.cc/",
        address=f"{_CVL}/clic/professional_valid_2020.zip",
        archive_sha256="00be38092ade2ab5163b65f7f6523d46c7bca147007f559adbb02c0afc236b7d",
        archive_bytes=134834429,
    ),
    Dataset(
        name="clic2020-mobile-valid",
        title="CLIC 2020, mobile, validation",
        images=61,
        licence=_CLIC_LICENCE,
        page="https://compression.cc/",
        address=f"{_CVL}/clic/mobile_valid_2020.zip",
        archive_sha256="ff0280382eeb32fdceb28c81a7f47ac9ad86d933ebe901680845635d04e47a10",
        archive_bytes=236556531,
    ),
    Dataset(
        name="clic2020-professional-test",
        title="CLIC 2020, professional, test",
        images=250,
        licence=_CLIC_LICENCE,
        page="https://compression.cc/",
        address=f"{_CVL}/clic/test/CLIC2020Professional_test.zip",
        archive_sha256="857df244fc2bfa5da28d4c66bf0db16ee99bfc79eb807be8afa89cd507852884",
        archive_bytes=891643809,
    ),
    Dataset(
        name="clic2020-mobile-test",
        title="CLIC 2020, mobile, test",
        images=178,
        licence=_CLIC_LICENCE,
        page="https://compression.cc/",
        address=f"{_CVL}/clic/test/CLIC2020Mobile_test.zip",
        archive_sha256="2025f07a6c652270e534640de4271feef3b3dd3260beed4ac4821064837aa732",
        archive_bytes=721789976,
    ),
    Dataset(
        name="tecnick",
        title="TESTIMAGES, 100 RGB originals of 1200x1200",
        images=100,
        licence="CC BY-NC-SA 3.0, Nicola Asuni, Tecnick.com",
        page="https://testimages.org/",
        address="https://downloads.sourceforge.net/project/testimages/OLD/OLD_SAMPLING/testimages.zip",
        folder="RGB_OR_1200x1200",
    ),
    Dataset(
        name="div2k-valid",
        title="DIV2K, validation, high resolution",
        images=100,
        licence="academic research only; copyright with the photographers",
        page=f"{_CVL}/DIV2K/",
        address=f"{_CVL}/DIV2K/DIV2K_valid_HR.zip",
        archive_sha256="20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
        archive_bytes=448993893,
    ),
)


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
    expected = dict(dataset.sums)
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
