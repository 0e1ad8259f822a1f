"""Fetching data sets: torchvision is asked, and what it unpacked is read."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.lab.classifier import fetch
from heqcodec.lab.classifier.fetch import DataSet, fetch_images
from labelled_images import write_cifar, write_stl
from typer.testing import CliRunner


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A torchvision that writes small files of the right form in place of fetching them."""
    makers: dict[str, Any] = {}

    def made(name: str) -> Any:
        def make(root: str, download: bool) -> None:
            assert download
            makers[name](Path(root))

        return make

    datasets = types.ModuleType("torchvision.datasets")
    datasets.CIFAR10, datasets.STL10 = made("cifar10"), made("stl10")  # type: ignore[attr-defined]
    package = types.ModuleType("torchvision")
    package.datasets = datasets  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)
    makers |= {"cifar10": write_cifar, "stl10": write_stl}
    return makers


@pytest.mark.parametrize(("name", "side"), [(DataSet.CIFAR10, 32), (DataSet.STL10, 96)])
def test_what_was_fetched_is_read(
    torchvision: dict[str, Any], name: DataSet, side: int, tmp_path: Path
) -> None:
    images = fetch_images(name, tmp_path)
    assert images.side == side and len(np.unique(images.train_labels)) > 1


def one_line(result: Any) -> str:
    return " ".join(result.output.split())


def test_command(torchvision: dict[str, Any], tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(fetch.main)
    result = CliRunner().invoke(app, ["cifar10", str(tmp_path)])
    assert result.exit_code == 0 and "10 images to train on, 2 to test" in one_line(result)

    def unreachable(folder: Path) -> None:
        raise OSError("no network")

    torchvision["cifar10"] = unreachable
    failed = CliRunner().invoke(app, ["cifar10", str(tmp_path)])
    assert failed.exit_code == 1 and "cannot be fetched: no network" in one_line(failed)
    assert CliRunner().invoke(app, ["cifar100", str(tmp_path)]).exit_code == 2


def test_without_torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(HeqError, match=r"heqcodec\[datasets\]"):
        fetch_images(DataSet.STL10, tmp_path)
