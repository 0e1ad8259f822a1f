"""What the patch-constant peers share: an image to patches, codes of equal size, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_bytes
from heqcodec.eval.baselines.pixels import rgb_image
from heqcodec.image.patches import patch_batches
from numpy.typing import NDArray

from .cost import EncoderCost
from .patch_file import PatchFile, patch_grid
from .planes import PIXELS, SIDE

LADDER = (0.0625, 0.125, 0.25, 0.5)
"""64, 128, 256 and 512 bits a patch."""
BATCH = 1024
"""Patches in work at once: some 25 MB for each array of coefficients in float64."""


class PatchCodec(ABC):
    """A codec that gives each patch the same number of bytes; see ``Codec`` for the attributes.

    An image whose sides are no multiples of 32 is padded by repeating its last row and column,
    and cropped after decoding.
    """

    name: str
    setting_name: str = "bpp"
    settings: tuple[float, ...] = LADDER
    single_threaded: bool = True
    suffix: str = ".heqp"
    about: str

    kind: ClassVar[int]
    """Number of the codec in its files."""

    @property
    @abstractmethod
    def cost(self) -> EncoderCost:
        """What the encoder needs on a small device."""

    @abstractmethod
    def encode_patches(self, patches: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
        """uint8 (N, 32, 32, 3) -> uint8 (N, bits // 8), each patch by itself."""

    @abstractmethod
    def decode_patches(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (N, bits // 8) -> uint8 (N, 32, 32, 3), each patch by itself, from any bytes."""

    def tables(self) -> bytes:
        """4 bytes that name the fitted tables; zeros where there are none."""
        return bytes(4)

    def missing(self) -> str | None:
        """See ``Codec``."""
        return None

    def version(self) -> str:
        """See ``Codec``."""
        import heqcodec

        return f"heqcodec {heqcodec.__version__}, NumPy {np.__version__}"

    def prepare(self) -> None:
        """Code a patch once, at each setting, so that all that is made once is there."""
        for setting in self.settings:
            patch = np.zeros((1, SIDE, SIDE, 3), np.uint8)
            self.decode_patches(self.encode_patches(patch, self.bits(setting)))

    def bits(self, setting: float) -> int:
        """Bits of a patch at a setting of the ladder.

        Raises:
            HeqError: the ladder has no such setting.
        """
        if setting not in self.settings:
            ladder = ", ".join(f"{bpp:g}" for bpp in self.settings)
            raise HeqError(f"{self.name} takes a bpp of {ladder}, and not {setting:g}.")
        return round(setting * PIXELS)

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """See ``Codec``."""
        bits = self.bits(setting)
        codes = self.image_codes(pixels, bits)
        height, width = pixels.shape[:2]
        write_bytes(path, PatchFile(self.kind, self.tables(), width, height, codes).pack())

    def decode(self, path: Path) -> np.ndarray:
        """See ``Codec``."""
        file = PatchFile.parse(Path(path).read_bytes(), self.kind, self.tables())
        if 8 * file.codes.shape[1] not in [self.bits(setting) for setting in self.settings]:
            raise HeqError(f"{path} has {8 * file.codes.shape[1]} bits a patch, not of the ladder.")
        return self.image_pixels(file.codes, file.width, file.height)

    def image_codes(self, pixels: np.ndarray, bits: int) -> NDArray[np.uint8]:
        """Codes of all patches of an image, row by row, uint8 (patches, bits // 8).

        Raises:
            HeqError: ``pixels`` are not uint8 (H, W, 3).
        """
        image = np.asarray(rgb_image(pixels))
        batches = [self.encode_patches(batch, bits) for batch in patch_batches(image, BATCH)]
        return np.concatenate(batches)

    def image_pixels(self, codes: NDArray[np.uint8], width: int, height: int) -> np.ndarray:
        """uint8 (height, width, 3) of the codes of all patches."""
        rows, columns = patch_grid(width, height)
        image = np.empty((rows * SIDE, columns * SIDE, 3), np.uint8)
        for start in range(0, len(codes), BATCH):
            patches = self.decode_patches(codes[start : start + BATCH])
            for place, patch in enumerate(patches, start):
                row, column = divmod(place, columns)
                image[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = patch
        return image[:height, :width].copy()
