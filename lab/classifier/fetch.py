"""``python -m heqcodec.lab.classifier.fetch cifar10 DIR``: a data set from its official address.

torchvision knows the addresses (Toronto's for CIFAR-10, Stanford's for STL-10) and the MD5 sums,
fetches and unpacks. Nothing is fetched unasked, and `load_images` reads what lies there without it.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from heqcodec.base.errors import HeqError

from .command_options import console, reported_errors
from .images import LabelledImages, load_images


class DataSet(str, Enum):
    """What can be fetched: 163 MiB and 2.5 GiB."""

    CIFAR10 = "cifar10"
    STL10 = "stl10"


def fetch_images(name: DataSet, folder: Path) -> LabelledImages:
    """Fetch a data set, unless it is there already, and read it.

    Args:
        name: which.
        folder: for the archive and its files; made if it is not there.

    Raises:
        HeqError: torchvision is missing, there is no network, or the server has something else.
    """
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError) as error:
        raise HeqError(
            f"fetching {name.value} needs torchvision, of the version that belongs to torch "
            f'({error}); run pip install "heqcodec[datasets]", or bring the files yourself.'
        ) from error
    makers = {DataSet.CIFAR10: datasets.CIFAR10, DataSet.STL10: datasets.STL10}
    try:
        makers[name](str(folder), download=True)
    except (OSError, RuntimeError) as error:
        raise HeqError(f"{name.value} cannot be fetched: {error}.") from error
    return load_images(folder)


def main(
    name: Annotated[DataSet, typer.Argument(metavar="NAME", help="cifar10 or stl10.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", file_okay=False)],
) -> None:
    """Fetch a data set into DIR, which --data of the training commands then takes."""
    with reported_errors():
        images = fetch_images(name, folder)
    count = f"{len(images.train):,} images to train on, {len(images.test):,} to test"
    console.print(f"{folder}: {count}. SHA-256: {images.digest()}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
