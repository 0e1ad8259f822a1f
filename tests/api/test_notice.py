"""``NOTICE`` credits every photograph that the weights saw, by its source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from heqcodec.weights.notice import count_photographs, notice

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("HEQCODEC_DATA", ROOT / "../shared/data"))

MANIFEST = [
    "set\tfile\tsource\n",
    "train\tt1.avif\thist_owner_some_pictures/abc_one.jpg\n",
    "train\tt2.avif\thist_owner_some_pictures/abc_one.jpg\n",
    "train\tt3.avif\tkde/two.jpg\n",
    "val\tv0.avif\thist_KDE_plasma-workspace-wallpapers/three.jpg\n",
    "train\tt4.avif\telsewhere/four.jpg\n",
]


def test_photographs_count_once_and_names_of_one_repository_are_joined() -> None:
    assert count_photographs(MANIFEST) == {
        "owner/some_pictures": (1, 0),
        "KDE/plasma-workspace-wallpapers": (1, 1),
        "elsewhere": (1, 0),
    }


def test_the_largest_source_comes_first_and_the_sum_last() -> None:
    lines = [line.split() for line in notice(MANIFEST).splitlines()]
    table = lines[lines.index(["source", "training", "validation"]) + 1 :]
    assert table == [
        ["KDE/plasma-workspace-wallpapers", "1", "1"],
        ["elsewhere", "1", "0"],
        ["owner/some_pictures", "1", "0"],
        ["all", "3", "1"],
    ]


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "train-manifest.tsv").exists(), reason="needs HEQCODEC_DATA")
def test_the_file_is_what_the_manifest_gives() -> None:
    with (DATA / "train-manifest.tsv").open(encoding="utf-8") as manifest:
        assert (ROOT / "NOTICE").read_text(encoding="utf-8") == notice(manifest)
