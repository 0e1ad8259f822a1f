"""The picture of an image of which not all patches are known.

::

    known patches ──► plain inverse ──► concealment of the others ──► levels of what was filled
                                                                                  │
    levels of known patches ──────────────────────────────────────────────────────┴──► decoder

So the decoder sees a likely patch where one is lost; grey would spoil what lies around it (our
choice). See `heqcodec.purenet.concealment`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from heqcodec.base.constants import PATCH, WEIGHTED
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.purenet.concealment import conceal
from numpy.typing import NDArray

from .assembler import ImageState
from .codes import decode_codes
from .levels import Patches

if TYPE_CHECKING:
    from heqcodec.base.rate_protocols import RateDecoder

GREY = 128.0


def picture(
    image: ImageState, decoder: str | None = None, device: str = "auto"
) -> NDArray[np.uint8]:
    """Decode what is known of an image and fill the rest.

    Args:
        image: of which a start packet came.
        decoder: a decoder of the model; None for the default.
        device: as in :func:`heqcodec.decode`.

    Returns:
        uint8 (height, width, channels); mid-grey if nothing is known.

    Raises:
        HeqError: no start packet came.
    """
    valid, start = image.valid, image.start
    assert start is not None
    channels = 3 if start.gray_as_rgb else start.planes
    if not valid.any():
        return np.full((start.height, start.width, channels), int(GREY), np.uint8)
    decode = decode_codes if image.codes is not None else _decode_levels
    frame = decode(image, decoder, device)[: start.height, : start.width]
    return frame.repeat(3, axis=2) if channels > start.planes else frame


def _decode_levels(image: ImageState, decoder: str | None, device: str) -> NDArray[np.uint8]:
    """The same for levels as `decode_codes` for codes."""
    from heqcodec.models import registry

    valid, start = image.valid, image.start
    assert start is not None and image.patches is not None
    shape = start.rows, start.columns
    given = replace(image.patches, steps=image.patches.steps + WEIGHTED * start.weighted)
    steps = _steps_by_row(given, shape)
    patches = _at_steps(image.model, given, steps, start.columns)
    if not valid.all():
        plain = registry.load_rate_decoder(image.model, decoder=registry.PLAIN)
        pixels = _decode(plain, patches, steps, shape)
        filled = conceal(pixels, valid, registry.load_concealment(device))
        _requantize(image.model, patches, filled, steps, ~valid.reshape(-1), shape)
    chosen = registry.load_rate_decoder(image.model, device, decoder or registry.STRONG)
    return _decode(chosen, patches, steps, shape)


def _decode(
    decoder: RateDecoder, patches: Patches, steps: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    levels = patches.levels.reshape(*shape, -1, LEVELS)
    return decoder.decode_frame(levels, patches.transform_sizes.reshape(shape), steps)


def _steps_by_row(patches: Patches, shape: tuple[int, int]) -> NDArray[np.int64]:
    """The most frequent step of each row of patches, of all where none of a row is known."""
    steps, known = patches.steps.reshape(shape), patches.known.reshape(shape)
    usual = np.bincount(patches.steps[patches.known]).argmax()
    return np.array(
        [
            np.bincount(row[given]).argmax() if given.any() else usual
            for row, given in zip(steps, known, strict=True)
        ]
    )


def _at_steps(model: str, given: Patches, steps: NDArray[np.int64], columns: int) -> Patches:
    """A copy of the patches in which those of another step than their row's are quantized anew."""
    from heqcodec.models import registry

    patches = Patches(given.levels.copy(), given.transform_sizes.copy(), given.steps, given.known)
    other = given.known & (given.steps != steps.repeat(columns))
    if other.any():
        dequantizer = registry.load_dequantizer(model)
        for index in np.flatnonzero(other):
            one = slice(index, index + 1)
            pixels = dequantizer.pixels(
                given.levels[one], given.transform_sizes[one], given.steps[one]
            )
            whole = np.rint(pixels[:, : given.levels.shape[1]]).clip(0, 255).astype(np.uint8)
            samples = whole.transpose(0, 2, 3, 1)
            _set_levels(model, patches, samples, steps[index // columns], [int(index)])
    return patches


def _requantize(
    model: str,
    patches: Patches,
    pixels: NDArray[np.uint8],
    steps: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    shape: tuple[int, int],
) -> None:
    """Give patches the levels of a frame (32 R, 32 C, planes)."""
    rows, columns = shape
    grid = pixels.reshape(rows, PATCH, columns, PATCH, -1).swapaxes(1, 2)
    samples = grid.reshape(rows * columns, PATCH, PATCH, -1)
    for row in range(rows):
        indices = row * columns + np.flatnonzero(chosen[row * columns : (row + 1) * columns])
        if len(indices):
            _set_levels(model, patches, samples[indices], steps[row], indices.tolist())


def _set_levels(
    model: str, patches: Patches, samples: NDArray[np.uint8], step: int, indices: list[int]
) -> None:
    from heqcodec.models import registry

    encoder = registry.load_rate_encoder(model)
    made = encoder.levels(encoder.coefficients(samples), int(step))
    patches.levels[indices], patches.transform_sizes[indices] = made
