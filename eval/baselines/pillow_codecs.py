"""Codecs that come with Pillow: JPEG, WebP and AVIF, each in one thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import PIL
from heqcodec.base.errors import HeqError
from heqcodec.eval.baselines.pixels import rgb_image, whole_setting
from PIL import Image, features


class PillowCodec:
    """What codecs by Pillow share; see ``Codec`` for the attributes."""

    name: str
    setting_name: str = "quality"
    settings: tuple[float, ...]
    single_threaded: bool = True
    suffix: str
    about: str

    format: ClassVar[str]
    """Pillow's name of the format."""
    feature: ClassVar[str]
    """Pillow's name of what must have been built into it."""
    library: ClassVar[tuple[str, str]]
    """The library that codes, and the feature whose version is its version."""

    lowest: ClassVar[int] = 0
    """The lowest quality; the highest is 100."""

    def options(self, setting: float) -> dict[str, Any]:
        """Return what ``Image.save`` is given for a setting; ``HeqError`` if there is no such."""
        return {"quality": whole_setting(self.name, "quality", setting, self.lowest, 100)}

    def missing(self) -> str | None:
        """See ``Codec``."""
        if features.check(self.feature):
            return None
        return (
            f"this Pillow ({PIL.__version__}) was built without {self.format}; install a wheel of "
            "Pillow 11.3 or newer, which has it."
        )

    def version(self) -> str:
        """See ``Codec``."""
        library, feature = self.library
        return f"Pillow {PIL.__version__}, {library} {features.version(feature)}"

    def prepare(self) -> None:
        """Load Pillow's plugins."""
        Image.init()

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """See ``Codec``."""
        self.save(rgb_image(pixels), setting, path)

    def save(self, image: Image.Image, setting: float, path: Path) -> None:
        """Write an image; ``HeqError`` for what Pillow cannot write."""
        options = self.options(setting)
        try:
            image.save(path, self.format, **options)
        except (OSError, ValueError, RuntimeError) as error:
            raise HeqError(
                f"{self.name} cannot code {image.width}x{image.height} pixels at {setting:g}: "
                f"{error}."
            ) from error

    def decode(self, path: Path) -> np.ndarray:
        """See ``Codec``."""
        try:
            with Image.open(path, formats=[self.format]) as image:
                return np.array(image.convert("RGB"))
        except (OSError, ValueError, SyntaxError, RuntimeError) as error:
            raise HeqError(f"{path.name} is no file of {self.name}: {error}.") from error


class Jpeg(PillowCodec):
    """JPEG with all of Pillow's defaults, as CompressAI measures it.

    About 0.1 dB above CompressAI's curve of Kodak at the same rate: that is of Pillow 7.1.2, whose
    wheels had the IJG's libjpeg 9d, where Pillow has libjpeg-turbo today.
    """

    name = "jpeg"
    settings = (5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 95)
    suffix = ".jpg"
    about = "JPEG by Pillow, its defaults: baseline, 4:2:0, standard Huffman tables"
    format = "JPEG"
    feature = "jpg"
    library = ("libjpeg-turbo", "libjpeg_turbo")
    lowest = 1


class WebP(PillowCodec):
    """Lossy WebP with all of Pillow's defaults, as CompressAI measures it.

    On CompressAI's curve of Kodak within 0.001 dB.
    """

    name = "webp"
    settings = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)
    suffix = ".webp"
    about = "WebP by Pillow, its defaults: lossy, 4:2:0, method 4"
    format = "WEBP"
    feature = "webp"
    library = ("libwebp", "webp")


class Avif(PillowCodec):
    """AVIF, set for what is measured.

    Our choice, because Pillow's defaults (4:2:0, speed 6, tuned to please the eye) are 0.3 to
    0.9 dB of RGB PSNR worse at the same rate, and a baseline should be at its best. One thread
    and no tiles, so that the file does not depend on the number of cores.
    """

    name = "avif"
    settings = (1, 5, 10, 15, 20, 30, 40, 50, 65)
    suffix = ".avif"
    about = "AVIF by Pillow (libaom, 4:4:4, speed 4, tuned for PSNR, one thread)"
    format = "AVIF"
    feature = "avif"
    library = ("libavif", "avif")

    def options(self, setting: float) -> dict[str, Any]:
        """See `PillowCodec`."""
        return {
            **super().options(setting),
            "codec": "aom",
            "speed": 4,
            "subsampling": "4:4:4",
            "max_threads": 1,
            "autotiling": False,
            "advanced": {"tune": "psnr"},
        }

    def prepare(self) -> None:
        """Load the plugin and hold its decoder to one thread, as the encoder is."""
        super().prepare()
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = 1
