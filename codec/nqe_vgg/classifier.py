"""The 1 Mb encoder as a classifier, in integers: a code of 256 bits, and one sum for each class.

pixels 3x32x32
  |  the encoder of `nqe-vgg` with weights for this task (arXiv 2501.05097: one encoder, two uses)
  v
code, 16 channels of 4x4 bits
  |  score = bias + sum of w where the bit is 1 - sum of w where it is 0       int8 w, int32
  v
the class of the largest score
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from heqcodec.base.constants import BUDGET_BITS, PATCH
from heqcodec.base.errors import HeqError, HeqFormatError

from .integer import IntegerVgg
from .payload import CODE_CHANNELS

CODE_BITS = 256
"""Of the channels of `nqe-vgg` the first half; the others repeat them and are not looked at."""
LARGEST_WEIGHT = 127
HEAD = ("head.weight", "head.bias", "head.scale")


class IntegerClassifier:
    """Classes of images by additions, shifts and comparisons.

    Encoder and head together are at most 2^20 bits. The same scores for every batch size, thread
    count and processor.

    Args:
        encoder: whose codes are classified.
        weight: int8 (classes, 256), of the code's bits as +1 and -1, in their order.
        bias: int32 (classes,).
        scale: logits per score, above 0; for probabilities alone.

    Raises:
        HeqFormatError: arrays of other types or shapes, or a scale that is none.
        HeqError: more than 2^20 bits.
    """

    def __init__(
        self, encoder: IntegerVgg, weight: np.ndarray, bias: np.ndarray, scale: float
    ) -> None:
        right = weight.dtype == np.int8 and weight.ndim == 2 and weight.shape[1] == CODE_BITS
        if not right or bias.dtype != np.int32 or bias.shape != weight.shape[:1]:
            raise HeqFormatError(
                f"the head of a classifier is int8 (classes, {CODE_BITS}) and int32 (classes,), "
                f"not {weight.dtype} {weight.shape} and {bias.dtype} {bias.shape}."
            )
        if not (np.isfinite(scale) and scale > 0):
            raise HeqFormatError(f"the scale of a classifier is above 0, not {scale}.")
        self.encoder, self.weight, self.bias, self.scale = encoder, weight, bias, float(scale)
        self.bits = encoder.bits + 8 * (weight.nbytes + bias.nbytes)
        if self.bits > BUDGET_BITS:
            raise HeqError(
                f"encoder and head take {self.bits} bits, more than {BUDGET_BITS}; give it fewer "
                "classes."
            )

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.bias)

    def codes(self, pixels: np.ndarray) -> np.ndarray:
        """Images uint8 (N, 32, 32, C), C 1 or 3 -> codes, uint8 (N, 256) of 0 and 1.

        Raises:
            ValueError: images of another shape or dtype.
        """
        return np.unpackbits(self.encoder.encode_patches(pixels, CODE_BITS), axis=1)

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """Images as for ``codes`` -> int32 (N, classes); the class is that of the largest."""
        signs = 2 * self.codes(pixels).astype(np.int32) - 1
        return np.asarray(signs @ self.weight.T.astype(np.int32) + self.bias, dtype=np.int32)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Softmax of scores times scale: float32 (N, classes), rows sum to 1."""
        logits = self.scale * self.scores(pixels).astype(np.float64)
        probabilities = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(
            probabilities / probabilities.sum(axis=1, keepdims=True), dtype=np.float32
        )

    def packed(self) -> dict[str, np.ndarray]:
        """The encoder's tensors, see `heqcodec.nqe_vgg.packing.pack_layers`, and `HEAD`."""
        head = self.weight, self.bias, np.array([self.scale], np.float32)
        return {**self.encoder.packed(), **dict(zip(HEAD, head, strict=True))}

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, np.ndarray], native: bool = True
    ) -> IntegerClassifier:
        """The classifier of tensors as ``packed`` gives them.

        Args:
            tensors: by name.
            native: see `IntegerVgg`.

        Raises:
            HeqFormatError: they do not make one.
        """
        from .packing import unpack_layers

        try:
            encoder = IntegerVgg(unpack_layers(tensors), native)
            weight, bias, scale = (tensors[name] for name in HEAD)
        except KeyError as error:
            raise HeqFormatError(f"a classifier's tensor {error} is missing.") from error
        return cls(encoder, weight, bias, float(scale[0]) if scale.size == 1 else float("nan"))


assert CODE_CHANNELS * (PATCH // 8) ** 2 == 2 * CODE_BITS
