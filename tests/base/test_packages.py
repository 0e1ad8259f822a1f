"""The list of packages in ``pyproject.toml``: an installation from it has every folder."""

from __future__ import annotations

from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib")  # Python 3.11
ROOT = Path(__file__).parents[2]


def test_every_folder_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = {folder: package for package, folder in listed["package-dir"].items()}
    found = {
        ".".join((package, *place.relative_to(ROOT / folder).parts[:-1]))
        for folder, package in folders.items()
        for place in (ROOT / folder).rglob("__init__.py")
    }
    assert len(listed["packages"]) == len(set(listed["packages"]))
    assert set(listed["packages"]) == found
