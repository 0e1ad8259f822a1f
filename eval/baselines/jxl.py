"""JPEG XL by imagecodecs (libjxl)."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.eval.baselines.pixels import number_setting, rgb_image


class JpegXl:
    """JPEG XL in its lossy mode, VarDCT in XYB, with libjxl's default effort.

    By imagecodecs and not pillow-jxl-plugin, because that is under the GPL and cannot be held to
    one thread when it decodes.
    """

    name = "jxl"
    setting_name = "distance"
    settings: tuple[float, ...] = (25, 20, 15, 11, 8, 5.5, 4, 3, 2, 1)
    single_threaded = True
    suffix = ".jxl"
    about = (
        "JPEG XL by imagecodecs (libjxl), lossy, effort 7, one thread; tuned for the eye and not "
        "for PSNR, and made for higher rates than most here"
    )

    def missing(self) -> str | None:
        """See ``Codec``."""
        if find_spec("imagecodecs") is None:
            return 'imagecodecs is not installed; run pip install "heqcodec[baselines]".'
        import imagecodecs

        if not imagecodecs.JPEGXL.available:
            return "this imagecodecs was built without JPEG XL; install one of its wheels."
        return None

    def version(self) -> str:
        """See ``Codec``."""
        import imagecodecs

        return f"imagecodecs {version('imagecodecs')}, {imagecodecs.jpegxl_version()}"

    def prepare(self) -> None:
        """Load the library."""
        import imagecodecs

        imagecodecs.jpegxl_version()

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """See ``Codec``; Butteraugli distance above 0, up to 25."""
        import imagecodecs

        array = np.asarray(rgb_image(pixels))
        distance = number_setting(self.name, "distance", setting, 0, 25)
        try:
            data = imagecodecs.jpegxl_encode(array, distance=distance, effort=7, numthreads=1)
        except (RuntimeError, ValueError) as error:
            raise HeqError(
                f"jxl cannot code {array.shape[1]}x{array.shape[0]} pixels: {error}."
            ) from error
        path.write_bytes(data)

    def decode(self, path: Path) -> np.ndarray:
        """See ``Codec``."""
        import imagecodecs

        try:
            pixels: np.ndarray = imagecodecs.jpegxl_decode(path.read_bytes(), numthreads=1)
        except (RuntimeError, ValueError) as error:
            raise HeqError(f"{path.name} is no file of jxl: {error}.") from error
        return pixels
