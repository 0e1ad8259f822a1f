"""The plain decoder: the inverse transform alone, without a network or what runs one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from heqcodec.eval.metrics import psnr
from heqcodec.image.images import load_image
from slow_cases import quick_first
from small_models import photograph

REFUSES = """
import sys
for name in ("onnxruntime", "torch"):
    sys.modules[name] = None
import heqcodec, numpy as np
from heqcodec.cli import main
data = open(sys.argv[1], "rb").read()
np.save(sys.argv[2], heqcodec.decode(data, decoder="plain"))
sys.argv[1:] = ["decode", sys.argv[1], sys.argv[3], "--decoder", "plain"]
main()
"""


@pytest.mark.parametrize("model", quick_first(["nqe-r", "nqe-t"]))
def test_works_with_numpy_alone(model: str, tmp_path: Path) -> None:
    image = photograph()[:160, 64:224]
    data = heqcodec.encode(image, model=model)
    (tmp_path / "a.heq").write_bytes(data)
    files = [str(tmp_path / name) for name in ("a.heq", "a.npy", "a.png")]
    subprocess.run([sys.executable, "-c", REFUSES, *files], check=True, timeout=120)
    decoded = np.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(decoded, heqcodec.decode(data, decoder="plain"))
    np.testing.assert_array_equal(decoded, load_image(tmp_path / "a.png").pixels)
    # Near the image, and a little further from it than the network comes.
    assert 20 < psnr(image, decoded) < psnr(image, heqcodec.decode(data))


def test_regions_gray_and_lost_patches() -> None:
    image = photograph()[:160, :128, :1]
    data = heqcodec.encode(image, quality=60, strip_rows=1)
    whole = heqcodec.decode(data, decoder="plain")
    assert whole.shape == image.shape and psnr(image, whole) > 30
    cut = heqcodec.decode(data, region=(40, 50, 30, 20), decoder="plain")
    np.testing.assert_array_equal(cut, whole[50:70, 40:70])
    damaged = bytearray(data)
    damaged[-200] ^= 255
    found = heqcodec.decode_partial(bytes(damaged), decoder="plain")
    assert found.damaged_strips
    first = 32 * found.damaged_strips[0]
    np.testing.assert_array_equal(found.pixels[:first], whole[:first])


def test_patch_codes_have_it_too() -> None:
    image = photograph()[:64, :64]
    for model in ("nqe-t", "nqe-vgg"):
        data = heqcodec.encode(image, model=model)
        assert psnr(image, heqcodec.decode(data, decoder="plain")) > 20
