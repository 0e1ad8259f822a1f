"""Labelled images from files as data sets come, and batches of them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.lab.classifier.batches import CUT_VALUE, DeviceImages
from heqcodec.lab.classifier.images import CIFAR_CLASSES, STL_CLASSES, load_images, square
from labelled_images import easy_images, some_pixels, write_cifar, write_stl
from PIL import Image

CPU = torch.device("cpu")


def test_cifar_batches(tmp_path: Path) -> None:
    written = write_cifar(tmp_path)
    images = load_images(tmp_path)
    assert np.array_equal(images.train, written[:10])
    assert np.array_equal(images.test, written[10:])
    assert images.train_labels.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert images.test_labels.tolist() == [5, 6]
    assert images.classes == CIFAR_CLASSES and images.side == 32


def test_a_batch_that_would_run_something_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "made"),)

    write_cifar(tmp_path)
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    batch.write_bytes(pickle.dumps({b"data": Hostile()}))
    with pytest.raises(HeqError, match=r"must not hold .*mkdir"):
        load_images(tmp_path)
    assert not (tmp_path / "made").exists()


def test_a_missing_batch(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "test_batch").unlink()
    with pytest.raises(HeqError, match="cannot be read"):
        load_images(tmp_path)


def test_stl_files(tmp_path: Path) -> None:
    written = write_stl(tmp_path, 3)
    images = load_images(tmp_path)
    assert np.array_equal(images.train, written[:3])
    assert np.array_equal(images.test, written[3:])
    assert images.train_labels.tolist() == [0, 1, 2]
    assert images.classes == STL_CLASSES and images.side == 96


def test_packed_file(tmp_path: Path) -> None:
    pixels, labels = some_pixels(6, 32, 1), np.array([0, 1, 2, 0, 1, 2])
    path = tmp_path / "packed.npz"
    np.savez(path, images=pixels, labels=labels, train=4)
    images = load_images(path)
    assert np.array_equal(images.train, pixels[:4]) and np.array_equal(images.test, pixels[4:])
    assert images.test_labels.tolist() == [1, 2]
    assert images.classes == ("0", "1", "2")
    assert images.protocol == "trained on the first 4 images, tested on the last 2 of 6"
    assert images.digest() == load_images(path).digest() and len(images.digest()) == 64
    np.savez(path, images=pixels, labels=labels, train=6)
    with pytest.raises(HeqError, match="between 1 and N - 1"):
        load_images(path)
    np.savez(path, images=pixels, train=4)
    with pytest.raises(HeqError, match="cannot be read"):
        load_images(path)


def test_folders_of_classes(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name, colour in {"cats": "orange", "dogs": "brown"}.items():
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            Image.new("RGB", (60, 40), colour).save(folder / "a.png")
            (folder / "notes.txt").write_text("no image")
    images = load_images(tmp_path, side=16)
    assert images.classes == ("cats", "dogs")
    assert images.train.shape == (2, 16, 16, 3) and images.train_labels.tolist() == [0, 1]
    assert np.array_equal(images.train[0, 5, 5], [255, 165, 0])
    (tmp_path / "test" / "cats" / "a.png").unlink()
    (tmp_path / "test" / "dogs" / "a.png").unlink()
    with pytest.raises(HeqError, match="holds no images"):
        load_images(tmp_path)


def test_nothing_of_the_kind(tmp_path: Path) -> None:
    with pytest.raises(HeqError, match="no labelled images"):
        load_images(tmp_path)


def test_square_takes_the_centre() -> None:
    image = Image.new("RGB", (96, 32), "red")
    image.paste("blue", (32, 0, 64, 32))
    assert (square(image, 32) == [0, 0, 255]).all()


def test_epochs_follow_from_their_seed() -> None:
    images = DeviceImages(easy_images(), CPU)
    first, again, other = (
        torch.cat([pixels for pixels, _ in images.epoch(24, seed)]) for seed in (1, 1, 2)
    )
    assert first.shape == (96, 3, 32, 32) and first.dtype == torch.uint8
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_without_moves_an_epoch_is_all_images_once() -> None:
    given = easy_images()
    images = DeviceImages(given, CPU, padding=0)
    seen = [p.permute(0, 2, 3, 1).numpy() for p, _ in images.epoch(24, 1, flip=False)]
    assert {i.tobytes() for i in np.concatenate(seen)} == {i.tobytes() for i in given.train}


def test_cutout_cuts_a_square() -> None:
    given = easy_images()
    given.train[:] = 0
    images = DeviceImages(given, CPU)
    pixels = torch.cat([p for p, _ in images.epoch(24, 3, cutout=8)])
    cut = (pixels == CUT_VALUE).sum(dim=(1, 2, 3)) // 3
    assert int(cut.max()) == 64 and int(cut.min()) >= 16
