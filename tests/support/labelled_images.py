"""Labelled images for tests: small sets that can be learned, and files as data sets come."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from heqcodec.lab.classifier import LabelledImages
from numpy.typing import NDArray

CLASSES = ("dark", "red", "stripes")


def easy_images(train: int = 96, test: int = 48, seed: int = 7) -> LabelledImages:
    """Three kinds of noise that any network tells apart."""
    random = np.random.default_rng(seed)
    labels = np.arange(train + test, dtype=np.uint8) % 3
    images = random.integers(90, 150, (train + test, 32, 32, 3))
    images[labels == 0] -= 80
    images[labels == 1, :, :, 0] += 90
    images[labels == 2, :, ::4] += 100
    pixels = images.astype(np.uint8)
    return LabelledImages(
        pixels[:train], labels[:train], pixels[train:], labels[train:], CLASSES, "three kinds"
    )


def some_pixels(count: int, side: int, seed: int) -> NDArray[np.uint8]:
    """Noise, uint8 (count, side, side, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def write_cifar(folder: Path, count: int = 2) -> NDArray[np.uint8]:
    """CIFAR-10's Python batches as torchvision keeps them; the images of the six, in order."""
    batches = folder / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    kept = []
    for index, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        images = some_pixels(count, 32, index)
        rows = images.transpose(0, 3, 1, 2).reshape(count, 3072)
        labels = [(index + i) % 10 for i in range(count)]
        values = {
            b"batch_label": b"one of 6",
            b"labels": labels,
            b"data": rows,
            b"filenames": [b"a.png"],
        }
        (batches / name).write_bytes(pickle.dumps(values, protocol=2))
        kept.append(images)
    return np.concatenate(kept)


def write_stl(folder: Path, count: int = 2) -> NDArray[np.uint8]:
    """STL-10's binary files, column by column, labels from 1; the training images, then those to
    test on."""
    binary = folder / "stl10_binary"
    binary.mkdir(parents=True)
    kept = []
    for index, name in enumerate(("train", "test")):
        images = some_pixels(count, 96, 20 + index)
        images.transpose(0, 3, 2, 1).tofile(binary / f"{name}_X.bin")
        (np.arange(count, dtype=np.uint8) % 10 + 1).tofile(binary / f"{name}_y.bin")
        kept.append(images)
    return np.concatenate(kept)
