"""Fetch a set of test images from its official address, and keep nothing that is not it."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from heqcodec.base.errors import HeqError
from heqcodec.base.files import replaced_file
from heqcodec.base.version import __version__
from heqcodec.eval.datasets import Dataset, file_name, is_image, sha256_of
from heqcodec.eval.folder import SUFFIXES

TIMEOUT = 60.0
"""Seconds that a server may be silent."""
_BLOCK = 1 << 18


def fetch(dataset: Dataset, folder: Path, advance: Callable[[int], None]) -> None:
    """Download a set into ``folder``, each image whole or not at all.

    Single files that are there already are not fetched again. What was downloaded is compared
    with the sums that are known, and archives with the number of images.

    Args:
        advance: called with the number of bytes of each block that came.

    Raises:
        HeqError: there is no network, the server has something else, or ``folder`` holds other
            images.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if dataset.sums:
        for name, digest in dataset.sums:
            _fetch_file(dataset, name, digest, folder, advance)
        return
    if any(path.suffix.lower() in SUFFIXES for path in folder.iterdir()):
        raise HeqError(
            f"{folder} holds images already; check them with --verify {dataset.name}, or give "
            "an empty folder."
        )
    # Without a name: it is gone with this process, whatever ends it.
    with tempfile.TemporaryFile(dir=folder) as archive:
        digest = _download(dataset, dataset.address, archive, advance)
        if dataset.archive_sha256 not in (None, digest):
            raise _other(dataset.address)
        _unpack(dataset, archive, folder)


def _fetch_file(
    dataset: Dataset, name: str, digest: str, folder: Path, advance: Callable[[int], None]
) -> None:
    target = folder / file_name(name)
    if target.exists():
        if sha256_of(target) != digest:
            raise HeqError(f"{target} is not the image of {dataset.name}; move it away.")
        return
    with replaced_file(target) as stream:
        if _download(dataset, dataset.address + name, stream, advance) != digest:
            raise _other(dataset.address + name)


def _other(address: str) -> HeqError:
    return HeqError(
        f"{address} is not what it was: its SHA-256 differs from the one known here; nothing of "
        "it was kept."
    )


def _download(
    dataset: Dataset, address: str, stream: IO[bytes], advance: Callable[[int], None]
) -> str:
    """Copy what lies at an address; return its SHA-256."""
    digest = hashlib.sha256()
    count = 0
    request = urllib.request.Request(address, headers={"User-Agent": f"heqcodec/{__version__}"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            while block := response.read(_BLOCK):
                stream.write(block)
                digest.update(block)
                count += len(block)
                advance(len(block))
            length = response.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise HeqError(f"{address} cannot be fetched: HTTP {error.code} {error.reason}.") from error
    except urllib.error.URLError as error:
        raise _unreachable(dataset, address, error.reason) from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _unreachable(dataset, address, error) from error
    if length and length.isdigit() and count != int(length):
        raise _unreachable(dataset, address, f"only {count} of {length} bytes came")
    return digest.hexdigest()


def _unreachable(dataset: Dataset, address: str, reason: object) -> HeqError:
    said = reason.strerror if isinstance(reason, OSError) and reason.strerror else reason
    return HeqError(
        f"{address} cannot be fetched: {said}; where there is no network, bring the files "
        f"yourself and check them with --verify {dataset.name} DIR."
    )


def _unpack(dataset: Dataset, archive: IO[bytes], folder: Path) -> None:
    """Put the images of an archive into ``folder``, without the folders of the archive."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if _belongs(dataset, member)]
            names = {PurePosixPath(member.filename).name for member in members}
            if len(members) != dataset.images or len(names) != dataset.images:
                raise HeqError(
                    f"{dataset.address} holds {len(members)} images of {len(names)} names instead "
                    f"of the {dataset.images} of {dataset.name}; nothing of it was kept."
                )
            # All are unpacked before the first is put in place: half a set looks like a set.
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as aside:
                for member in members:
                    name = PurePosixPath(member.filename).name
                    with replaced_file(Path(aside, name)) as stream:
                        stream.write(opened.read(member))
                for name in sorted(names):
                    os.replace(Path(aside, name), folder / name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise HeqError(f"{dataset.address} is no archive that can be read: {error}.") from error


def _belongs(dataset: Dataset, member: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(member.filename)
    if member.is_dir() or "__MACOSX" in path.parts or not is_image(path.name):
        return False
    return dataset.folder is None or path.parent.name == dataset.folder
