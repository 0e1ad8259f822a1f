"""JPEG, JPEG 2000 and WebP over Kodak against the curves that CompressAI published of them."""

from __future__ import annotations

import json
import math
import os
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from heqcodec.eval.baselines import make_codec
from heqcodec.eval.metrics import psnr
from PIL import Image

DATA = Path(os.environ.get("HEQCODEC_DATA", Path(__file__).parents[2] / "../shared/data"))
KODAK = sorted((DATA / "kodak").glob("kodim*.png"))
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(len(KODAK) != 24, reason="HEQCODEC_DATA has no Kodak images"),
]


def published(name: str) -> tuple[list[float], list[float]]:
    """Bits per pixel and PSNR, by rising rate."""
    text = (files("heqcodec.eval") / f"published/compressai/kodak/{name}.json").read_text()
    results = json.loads(text)["results"]
    pairs = sorted(zip(results["bpp"], results["psnr-rgb"], strict=True))
    return [bpp for bpp, _ in pairs], [value for _, value in pairs]


def measured(name: str, setting: float, path: Path) -> tuple[float, float]:
    """Means of bits per pixel and PSNR over all images."""
    codec = make_codec(name)
    reason = codec.missing()
    if reason:
        pytest.skip(reason)
    codec.prepare()
    rates, values = [], []
    for image in KODAK:
        with Image.open(image) as opened:
            pixels = np.array(opened.convert("RGB"))
        codec.encode(pixels, setting, path)
        rates.append(8 * path.stat().st_size / (pixels.shape[0] * pixels.shape[1]))
        values.append(psnr(pixels, codec.decode(path)))
    return float(np.mean(rates)), float(np.mean(values))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "of", "setting", "least", "most"),
    [
        # libjpeg-turbo is a little better than the IJG's libjpeg 9d of the published curve.
        ("jpeg", "jpeg", 50, 0.05, 0.15),
        ("webp", "webp", 40, -0.005, 0.005),
        # A point of the published curve itself: a file of 1/60 of the pixels' bytes.
        ("jpeg2000-ffmpeg", "jpeg2000", 24 / 60, -0.01, 0.01),
        # The published curve is of weaker options; see the class.
        ("jpeg2000", "jpeg2000", 24 / 60, 0.75, 0.9),
    ],
)
def test_the_published_curve_is_met(
    name: str, of: str, setting: float, least: float, most: float, tmp_path: Path
) -> None:
    bpp, value = measured(name, setting, tmp_path / "coded")
    rates, values = published(of)
    assert rates[0] < bpp < rates[-1]
    difference = value - np.interp(math.log(bpp), np.log(rates), values)
    assert least <= difference <= most
