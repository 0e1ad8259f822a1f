"""Every awkward file (damaged, hostile, unusual) loads as a sane image or gives a HeqError."""

from __future__ import annotations

import os
import re
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.image.images import LoadedImage, load_image

DATA = Path(
    os.environ.get("HEQCODEC_DATA", Path(__file__).resolve().parents[2] / ".." / "shared" / "data")
)
FILES = sorted(path for path in (DATA / "awkward").glob("*/*") if path.is_file())
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not FILES, reason="HEQCODEC_DATA has no awkward files"),
]


def load(path: Path) -> LoadedImage | None:
    """The image, or None where a HeqError says that there is none; anything else fails."""
    try:
        return load_image(path)
    except HeqError as error:
        message = str(error)
        assert path.name in message and message.endswith(".") and "\n" not in message
        return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_loads_or_says_why_not(path: Path) -> None:
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = load(path)
    assert time.process_time() - start < 5
    if image is None:
        return
    height, width, channels = image.pixels.shape
    assert height >= 1 and width >= 1 and channels in (1, 3)
    assert image.pixels.dtype == np.uint8 and image.pixels.flags.c_contiguous
    if image.alpha is not None:
        assert image.alpha.shape == (height, width) and image.alpha.dtype == np.uint8


def test_most_of_them_load() -> None:
    assert sum(load(path) is not None for path in FILES) >= 0.7 * len(FILES)


PNGSUITE = [path for path in FILES if path.parent.name == "pngsuite"]


@pytest.mark.parametrize("path", PNGSUITE, ids=lambda path: path.name)
def test_pngsuite(path: Path) -> None:
    """The names tell what a file holds: feature, interlacing, colour type, depth."""
    match = re.search(r"__(x?)(\w{2,3})([in])(\d)[gpca](\d\d)\.png$", path.name)
    image = load(path)
    if match is None:
        assert path.name.endswith("PngSuite.png") and image is not None
        return
    damaged, feature, _, kind, depth = match.groups()
    if damaged:
        # Pillow, like most viewers, does not verify the checksum of the samples (xcs).
        assert image is None or feature == "cs"
        return
    assert image is not None
    assert image.pixels.shape[2] == (1 if kind in "04" else 3)
    keyed = feature[:2] == "tb" or feature in ("tp1", "tm3")
    assert (image.alpha is not None) == (kind in "46" or keyed)
    if image.alpha is not None and keyed:
        assert (image.alpha == 0).any() and (image.alpha == 255).any()
    if re.fullmatch(r"s\d\d", feature):
        assert image.pixels.shape[:2] == (int(feature[1:]),) * 2
    assert any("16-bit" in note for note in image.notes) == (depth == "16")


def test_all_orientations_show_the_same_picture() -> None:
    paths = [path for path in FILES if path.name.startswith("Portrait_")]
    images = [load_image(path).pixels for path in paths]
    assert len(images) == 9
    for image in images:
        assert image.shape == images[0].shape
        # JPEG's losses differ between the turns; a wrong turn differs by tens of levels.
        assert np.abs(image[::8, ::8].astype(int) - images[0][::8, ::8]).mean() < 3
