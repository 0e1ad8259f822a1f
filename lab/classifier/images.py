"""Labelled images: packed files, torchvision's local folders, folders of classes."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.models.classifiers import square
from numpy.typing import NDArray
from PIL import Image

CIFAR_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
STL_CLASSES = (
    *("airplane", "bird", "car", "cat", "deer"),
    *("dog", "horse", "monkey", "ship", "truck"),
)
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm"}
CIFAR_FOLDER, STL_FOLDER = "cifar-10-batches-py", "stl10_binary"
STL_SIDE = 96


@dataclass(frozen=True)
class LabelledImages:
    """Images to train and to test on.

    train, test: uint8 (N, side, side, 3).  train_labels, test_labels: uint8 (N,).
    classes: names, one a label.  protocol: one sentence: which images are which.
    """

    train: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    classes: tuple[str, ...]
    protocol: str

    @property
    def side(self) -> int:
        """Height and width of the images."""
        return self.train.shape[1]

    def digest(self) -> str:
        """SHA-256 of all pixels and labels, training first: 64 hexadecimal digits."""
        parts = (self.train, self.test, self.train_labels, self.test_labels)
        hashed = hashlib.sha256()
        for part in parts:
            hashed.update(np.ascontiguousarray(part).data)
        return hashed.hexdigest()


def load_images(path: Path, side: int = 32) -> LabelledImages:
    """Labelled images from whatever is there.

    Args:
        path: a packed ``.npz`` with ``images`` uint8 (N, side, side, 3), ``labels`` (N,) and
            ``train``, how many of the first images are to train on, four fifths without it; or a
            folder that holds
            torchvision's ``cifar-10-batches-py`` or ``stl10_binary``; or one with ``train/CLASS``
            and ``test/CLASS`` folders of images.
        side: images of class folders are reduced to this, by their shorter side and a centre crop.

    Raises:
        HeqError: nothing of the kind is there, or it is damaged.
    """
    try:
        if path.suffix == ".npz":
            return _packed(path)
        if (path / CIFAR_FOLDER).is_dir():
            return _cifar(path / CIFAR_FOLDER)
        if (path / STL_FOLDER).is_dir():
            return _stl(path / STL_FOLDER)
        if (path / "train").is_dir() and (path / "test").is_dir():
            return _class_folders(path, side)
    except (OSError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        if isinstance(error, HeqError):
            raise
        raise HeqError(f"the images of {path} cannot be read: {error}.") from error
    raise HeqError(
        f"{path} holds no labelled images: neither a packed .npz, nor {CIFAR_FOLDER}, nor "
        f"{STL_FOLDER}, nor the folders train and test with a folder for each class."
    )


def _packed(path: Path) -> LabelledImages:
    with np.load(path, allow_pickle=False) as stored:
        images, labels = stored["images"], stored["labels"]
        count = int(stored["train"]) if "train" in stored else len(images) * 4 // 5
    good = images.ndim == 4 and images.shape[3] == 3 and images.dtype == np.uint8
    if not good or labels.shape != images.shape[:1] or not 0 < count < len(images):
        raise HeqError(
            f"{path} must hold images (N, side, side, 3) of uint8, as many labels, and train "
            "between 1 and N - 1."
        )
    labels = labels.astype(np.uint8)
    classes = int(labels.max()) + 1
    names = CIFAR_CLASSES if classes == 10 else tuple(str(index) for index in range(classes))
    protocol = (
        f"trained on the first {count:,} images, tested on the last {len(images) - count:,} of "
        f"{len(images):,}"
    )
    return LabelledImages(
        images[:count], labels[:count], images[count:], labels[count:], names, protocol
    )


class _ArraysOnly(pickle.Unpickler):
    """A pickle may run anything; CIFAR's batches need no more than arrays of numbers."""

    _ALLOWED = ("_reconstruct", "ndarray", "dtype", "encode")

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] not in ("numpy", "_codecs") or name not in self._ALLOWED:
            raise pickle.UnpicklingError(f"a batch must not hold {module}.{name}")
        return super().find_class(module, name)


def _cifar(folder: Path) -> LabelledImages:
    def read(name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        with (folder / name).open("rb") as file:
            batch = _ArraysOnly(file, encoding="bytes").load()
        pixels = np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32)
        return pixels.transpose(0, 2, 3, 1), np.asarray(batch[b"labels"], np.uint8)

    parts = [read(f"data_batch_{index}") for index in range(1, 6)]
    test, test_labels = read("test_batch")
    return LabelledImages(
        np.concatenate([pixels for pixels, _ in parts]),
        np.concatenate([labels for _, labels in parts]),
        test,
        test_labels,
        CIFAR_CLASSES,
        "CIFAR-10: trained on its 50,000 training images, tested on its 10,000 test images",
    )


def _stl(folder: Path) -> LabelledImages:
    def read(name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        pixels = np.fromfile(folder / f"{name}_X.bin", np.uint8)
        # Stored column by column.
        images = pixels.reshape(-1, 3, STL_SIDE, STL_SIDE).transpose(0, 3, 2, 1)
        return images, np.fromfile(folder / f"{name}_y.bin", np.uint8) - np.uint8(1)

    (train, train_labels), (test, test_labels) = read("train"), read("test")
    return LabelledImages(
        train,
        train_labels,
        test,
        test_labels,
        STL_CLASSES,
        f"STL-10: trained on its {len(train):,} labelled training images, tested on its "
        f"{len(test):,} test images",
    )


def _class_folders(path: Path, side: int) -> LabelledImages:
    classes = tuple(sorted(item.name for item in (path / "train").iterdir() if item.is_dir()))
    if not 2 <= len(classes) <= 256:
        raise HeqError(f"{path / 'train'} must hold 2 to 256 folders, one for each class.")

    def files(split: str) -> Iterator[tuple[int, Path]]:
        for label, name in enumerate(classes):
            for file in sorted((path / split / name).glob("*")):
                if file.suffix.lower() in SUFFIXES:
                    yield label, file

    def read(split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        pixels, labels = [], []
        for label, file in files(split):
            with Image.open(file) as image:
                pixels.append(square(image, side))
            labels.append(label)
        if not pixels:
            raise HeqError(f"{path / split} holds no images of the classes {', '.join(classes)}.")
        return np.stack(pixels), np.array(labels, np.uint8)

    (train, train_labels), (test, test_labels) = read("train"), read("test")
    protocol = f"trained on {len(train):,} images of train/, tested on {len(test):,} of test/"
    return LabelledImages(train, train_labels, test, test_labels, classes, protocol)
