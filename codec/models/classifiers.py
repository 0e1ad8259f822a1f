"""Classifiers that ship in ``heqcodec.weights``, and the classes of any images by them.

``classifiers.json`` says what there is; weights are checked against its SHA-256 before use. No
library of networks is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.nqe_vgg.classifier import IntegerClassifier
from numpy.typing import NDArray
from PIL import Image

from .manifest import checked_bytes, read_list

INDEX = "classifiers.json"
SIDE = 32
WHITE = 255


@dataclass(frozen=True)
class ShippedClassifier:
    """A classifier.

    name: of the classifier.  network: see there.  classes: names, in the order of the scores.
    facts: its entry of ``classifiers.json``: accuracy, protocol, recipe and so on.
    """

    name: str
    network: IntegerClassifier
    classes: tuple[str, ...]
    facts: dict[str, Any]

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Softmax of the logits.

        Args:
            pixels: uint8 (N, 32, 32, 3), RGB.

        Returns:
            float32 (N, classes); rows sum to 1.

        Raises:
            HeqError: pixels of another dtype or shape.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (SIDE, SIDE, 3):
            raise HeqError(
                f"{self.name} takes uint8 pixels (N, {SIDE}, {SIDE}, 3), not {pixels.dtype} "
                f"{pixels.shape}."
            )
        return self.network.probabilities(pixels)


@cache
def index() -> dict[str, Any]:
    """The parsed ``classifiers.json``; raises as `heqcodec.models.manifest.read_list`."""
    path = files("heqcodec.weights") / INDEX
    return read_list(path, "classifiers", "the list of the shipped classifiers")


@cache
def load_shipped(name: str | None = None) -> ShippedClassifier:
    """A shipped classifier, loaded once.

    Args:
        name: a key of ``index()["classifiers"]``, None for the default.

    Raises:
        HeqUnsupportedError: there is none of that name.
        HeqError: its weights are missing or damaged.
    """
    from safetensors.numpy import load

    known = index()["classifiers"]
    name = index()["default"] if name is None else name
    if name not in known:
        raise HeqUnsupportedError(
            f'there is no classifier "{name}"; those here are {", ".join(sorted(known))}.'
        )
    facts = known[name]
    data = checked_bytes(files("heqcodec.weights"), facts, INDEX)
    network = IntegerClassifier.from_tensors(load(data))
    return ShippedClassifier(name, network, tuple(facts["classes"]), facts)


def square(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """The centre of an image, reduced by Lanczos: uint8 (side, side, 3)."""
    image = image.convert("RGB")
    if image.size != (side, side):
        least = min(image.size)
        left, top = (image.width - least) // 2, (image.height - least) // 2
        box = (left, top, left + least, top + least)
        image = image.resize((side, side), Image.Resampling.LANCZOS, box=box)
    return np.asarray(image)


def as_seen(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image as the classifier sees it: its centre square, reduced by Lanczos to 32x32.

    Args:
        samples: uint8 (H, W, C): grey, grey and alpha, RGB, or RGB and alpha (C = 1 to 4). What
            is transparent shows white.

    Returns:
        uint8 (32, 32, 3).
    """
    colours = samples if samples.shape[2] in (1, 3) else samples[..., :-1]
    pixels = np.broadcast_to(colours, (*colours.shape[:2], 3))
    if colours.shape != samples.shape:
        alpha = samples[..., -1:].astype(np.uint32)
        blend = pixels * alpha + WHITE * (255 - alpha)
        pixels = ((blend + 127) // 255).astype(np.uint8)
    return square(Image.fromarray(np.ascontiguousarray(pixels)), SIDE)
