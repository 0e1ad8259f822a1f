"""What a decoder's network adds to the plain inverse transform, image by image.

A decoder that has learned one kind of image can be worse than no network at all on another. The
ladder makes other kinds of each image: with noise, and from JPEG files.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import heqcodec
import numpy as np
from heqcodec.eval.folder import read_pixels
from heqcodec.eval.metrics import psnr
from heqcodec.models.registry import PLAIN
from numpy.typing import NDArray
from PIL import Image

NOISE = (2, 4, 8)
"""Standard deviations of the ladder's noise, in samples."""
JPEG = (50, 60, 75, 90)
"""Qualities of the ladder's JPEG files."""
ORIGINAL = "original"


@dataclass(frozen=True)
class Gain:
    """One decoded file.

    image: name of the file.
    version: of the image: `ORIGINAL`, or one of the ladder's, such as "noise 4" or "jpeg 60".
    quality: that it was encoded with.
    decoder: name.
    bpp: of the file.
    plain: PSNR of the plain inverse in dB.
    gain: PSNR of the decoder minus that, in dB; 0 where both are exact.
    """

    image: str
    version: str
    quality: float
    decoder: str
    bpp: float
    plain: float
    gain: float


def versions(
    pixels: NDArray[np.uint8], name: str, ladder: bool
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """An image and, with ``ladder``, its versions with noise and from JPEG files.

    Args:
        pixels: uint8 (H, W, 1) or (H, W, 3).
        name: of the image; with the version's it seeds the noise.
        ladder: whether there are versions.
    """
    yield ORIGINAL, pixels
    if not ladder:
        return
    for deviation in NOISE:
        rng = np.random.default_rng([deviation, zlib.crc32(name.encode())])
        noise = rng.standard_normal(pixels.shape) * deviation
        yield f"noise {deviation}", np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)
    for quality in JPEG:
        kept = io.BytesIO()
        Image.fromarray(pixels.squeeze()).save(kept, "JPEG", quality=quality)
        yield f"jpeg {quality}", np.asarray(Image.open(kept)).reshape(pixels.shape)


def measure(
    files: Sequence[Path],
    model: str,
    decoders: Sequence[str],
    qualities: Sequence[float],
    ladder: bool,
) -> Iterator[Gain]:
    """Encode, and decode by each decoder and without one.

    Args:
        files: images.
        model: of variable rate.
        decoders: of the model.
        qualities: 1 to 100.
        ladder: see `versions`.

    Raises:
        HeqError: a file cannot be read, or the model has no such decoder.
    """
    for path in files:
        for version, pixels in versions(read_pixels(path), path.name, ladder):
            for quality in qualities:
                data = heqcodec.encode(pixels, quality=quality, model=model)
                plain = psnr(pixels, heqcodec.decode(data, decoder=PLAIN))
                bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
                for decoder in decoders:
                    found = psnr(pixels, heqcodec.decode(data, decoder=decoder))  # type: ignore[arg-type]
                    gain = 0.0 if found == plain else found - plain
                    yield Gain(path.name, version, quality, decoder, bpp, plain, gain)
