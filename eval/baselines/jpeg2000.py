"""JPEG 2000 by Pillow (OpenJPEG): at its best, and as CompressAI's published curve was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from heqcodec.eval.baselines.pillow_codecs import PillowCodec
from heqcodec.eval.baselines.pixels import number_setting, rgb_image
from PIL import Image


class Jpeg2000(PillowCodec):
    """JPEG 2000 with the irreversible 9/7 wavelet and the irreversible colour transform.

    That is what the standard has for lossy coding. Over Kodak it is 0.6 to 1.4 dB better than
    ``jpeg2000-ffmpeg``, CompressAI's curve.
    """

    name = "jpeg2000"
    setting_name = "bpp"
    settings = (0.0625, 0.125, 0.25, 0.375, 0.5, 0.75, 1, 1.5, 2)
    suffix = ".jp2"
    about = "JPEG 2000 by Pillow (OpenJPEG): 9/7 wavelet, irreversible colour transform, one layer"
    format = "JPEG2000"
    feature = "jpg_2000"
    library = ("OpenJPEG", "jpg_2000")

    _irreversible = True
    _colour_transform = True

    def options(self, setting: float) -> dict[str, Any]:
        """Bits per pixel that the file may have, above 0, up to 24."""
        bpp = number_setting(self.name, "bpp", setting, 0, 24)
        return {
            "quality_mode": "rates",
            "quality_layers": [24 / bpp],
            "irreversible": self._irreversible,
            "mct": int(self._colour_transform),
        }


class Jpeg2000AsFfmpeg(Jpeg2000):
    """JPEG 2000 as CompressAI ran it: ffmpeg with ``-pix_fmt yuv444p -c:v libopenjpeg``.

    There ffmpeg turns RGB into 8-bit YCbCr of BT.601 with narrow range, and its OpenJPEG options
    stay at the reversible 5/3 wavelet without colour transform. Done here with Pillow, it gives
    the published curve of Kodak within 0.003 dB, which is the reason found for its distance from
    ``jpeg2000``.
    """

    name = "jpeg2000-ffmpeg"
    about = (
        "JPEG 2000 as CompressAI measured it through ffmpeg: reversible 5/3 wavelet over 8-bit "
        "narrow-range YCbCr 4:4:4; done with Pillow (OpenJPEG)"
    )

    _irreversible = False
    _colour_transform = False

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """See ``Codec``."""
        rgb = np.asarray(rgb_image(pixels), np.float64)
        ycbcr = np.clip(np.rint(rgb @ _TO_YCBCR.T + _YCBCR_ZERO), 0, 255).astype(np.uint8)
        # Pillow is given RGB: it must store the three planes as they are.
        self.save(Image.fromarray(ycbcr), setting, path)

    def decode(self, path: Path) -> np.ndarray:
        """See ``Codec``."""
        ycbcr = super().decode(path).astype(np.float64)
        return np.clip(np.rint((ycbcr - _YCBCR_ZERO) @ _TO_RGB.T), 0, 255).astype(np.uint8)


# ITU-R BT.601 for 8 bits: luma 16 to 235, chroma 16 to 240 about 128.
_TO_YCBCR = (
    np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
    / 255
)
_YCBCR_ZERO = np.array([16.0, 128.0, 128.0])
_TO_RGB = np.linalg.inv(_TO_YCBCR)
