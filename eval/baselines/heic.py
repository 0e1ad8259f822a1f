"""HEIC, which is HEVC intra by x265 in a HEIF file, by pillow-heif as a plugin of Pillow."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from heqcodec.eval.baselines.pillow_codecs import PillowCodec
from heqcodec.eval.baselines.pixels import whole_setting


class Heic(PillowCodec):
    """HEIC with pillow-heif's defaults, but in one thread.

    Its defaults are 4:2:0 and x265's "slow", tuned for SSIM.
    """

    name = "heic"
    settings = (1, 5, 10, 15, 20, 25, 30, 40, 50, 60)
    suffix = ".heic"
    about = (
        "HEIC (HEVC intra by x265) by pillow-heif, its defaults, one thread; the wheels of "
        "pillow-heif bundle x265, which is under the GPL"
    )
    format = "HEIF"
    subsampling = "4:2:0"
    tune = "ssim"

    def missing(self) -> str | None:
        """See ``Codec``."""
        if find_spec("pillow_heif") is None:
            return (
                'pillow-heif is not installed; run pip install "heqcodec[baselines]" (its wheels '
                "bundle x265, which is under the GPL)."
            )
        import pillow_heif

        if not pillow_heif.libheif_info()["HEIF"]:
            return "this pillow-heif was built without an HEVC encoder; install one of its wheels."
        return None

    def version(self) -> str:
        """See ``Codec``."""
        import pillow_heif

        built = pillow_heif.libheif_info()
        return f"pillow-heif {version('pillow-heif')}, libheif {built['libheif']}, {built['HEIF']}"

    def prepare(self) -> None:
        """Load the plugin and hold its decoder to one thread, as the encoder is."""
        import pillow_heif

        super().prepare()
        pillow_heif.register_heif_opener(decode_threads=1)

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """See ``Codec``."""
        self.prepare()
        super().encode(pixels, setting, path)

    def decode(self, path: Path) -> np.ndarray:
        """See ``Codec``."""
        self.prepare()
        return super().decode(path)

    def options(self, setting: float) -> dict[str, Any]:
        """Quality 0 to 100."""
        return {
            "quality": whole_setting(self.name, "quality", setting, 0, 100),
            "subsampling": self.subsampling,
            "enc_params": {"tune": self.tune, "x265:pools": "none", "x265:frame-threads": "1"},
        }


class Heic444(Heic):
    """HEIC set for what is measured, PSNR of RGB, as ``avif`` is."""

    name = "heic444"
    about = (
        "HEIC (HEVC intra by x265) by pillow-heif, 4:4:4, slow, tuned for PSNR, one thread; the "
        "wheels of pillow-heif bundle x265, which is under the GPL"
    )
    subsampling = "4:4:4"
    tune = "psnr"
