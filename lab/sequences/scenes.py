"""Frame sequences made of photographs by motion, light and noise: known motion, any length."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from heqcodec.base.errors import HeqError
from numpy.typing import NDArray

NOISE = 2.0
"""Deviation of the noise of a frame, in grey levels, fresh in each."""


class Scene(NamedTuple):
    """How the frames of a sequence differ.

    Attributes:
        pan: motion of the camera, in pixels a frame (down, right).
        thing: motion of a square of `THING` pixels before a still background, None for no such.
        light: factor of all values in the last frame; 1 in the first, linear between them.
    """

    pan: tuple[int, int] = (0, 0)
    thing: tuple[int, int] | None = None
    light: float = 1.0


THING = 64
SCENES = {
    "static": Scene(),
    "object": Scene(thing=(1, 3)),
    "light": Scene(light=0.75),
    "pan": Scene(pan=(1, 2)),
}
"""A fixed camera: alone, with a moving square, with falling light; and a camera that pans."""


def make_sequence(
    photograph: NDArray[np.uint8], scene: Scene, count: int, side: int, seed: int
) -> NDArray[np.uint8]:
    """Frames of a scene, cut from the middle of a photograph.

    Args:
        photograph: uint8 (H, W, 3).
        scene: of the sequence.
        count: of frames, 2 or more.
        side: of a frame in pixels.
        seed: of the noise.

    Returns:
        uint8 (count, side, side, 3).

    Raises:
        HeqError: the photograph is too small for the motion.
    """
    height, width = photograph.shape[:2]
    reach = [side + (count - 1) * abs(step) for step in scene.pan]
    if reach[0] > height or reach[1] > width:
        raise HeqError(
            f"a photograph of {width} x {height} pixels is too small for a sequence, which needs "
            f"{reach[1]} x {reach[0]}."
        )
    top, left = (height - reach[0]) // 2, (width - reach[1]) // 2
    random = np.random.default_rng(seed)
    square = photograph[:THING, :THING].astype(np.float64)
    frames = []
    for index in range(count):
        row, column = top + index * scene.pan[0], left + index * scene.pan[1]
        clean = photograph[row : row + side, column : column + side].astype(np.float64)
        if scene.thing:
            down, right = (((side - THING) // 2 + index * step) for step in scene.thing)
            down, right = (min(place, side - THING) for place in (down, right))
            clean[down : down + THING, right : right + THING] = square
        clean *= 1 + (scene.light - 1) * index / (count - 1)
        noisy = clean + random.normal(0, NOISE, clean.shape)
        frames.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    return np.stack(frames)


DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))
"""In which moving images go, pixels a frame times `PACE`: down and right."""
PACE = 2
COARSE_NOISE = 30.0
LIGHTS = (0.5, 1.5)


def moving_images(
    images: NDArray[np.uint8], count: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Small images as sequences: each moves one way, through changing light and strong noise.

    An image goes `PACE` pixels a frame through its middle, over its mirrored borders; light is
    linear between two factors out of `LIGHTS`; noise has the deviation `COARSE_NOISE`.

    Args:
        images: uint8 (N, S, S, 3).
        count: of frames, 2 or more.
        seed: of directions, light and noise.

    Returns:
        Frames uint8 (N, count, S, S, 3); and which of `DIRECTIONS` each goes, int64 (N,).
    """
    random = np.random.default_rng(seed)
    side, reach = images.shape[1], PACE * (count - 1) // 2 + 1
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    ways = random.integers(len(DIRECTIONS), size=len(images))
    light = random.uniform(*LIGHTS, size=(2, len(images), 1, 1, 1))
    frames = np.empty((len(images), count, *images.shape[1:]), dtype=np.uint8)
    for index in range(count):
        along = PACE * (2 * index - (count - 1)) // 2
        for way, (down, right) in enumerate(DIRECTIONS):
            own = ways == way
            top, left = reach + along * down, reach + along * right
            frames[own, index] = padded[own, top : top + side, left : left + side]
        share = index / (count - 1)
        clean = frames[:, index] * ((1 - share) * light[0] + share * light[1])
        noisy = clean + random.normal(0, COARSE_NOISE, clean.shape)
        frames[:, index] = np.clip(np.rint(noisy), 0, 255)
    return frames, ways
