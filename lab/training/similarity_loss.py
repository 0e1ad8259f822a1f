"""A loss for decoders that are tuned for MS-SSIM."""

from __future__ import annotations

from heqcodec.base.errors import HeqError
from torch import Tensor

SQUARED_ERROR_SHARE = 5.0
"""Of the loss by squared error: MS-SSIM alone is blind to a shift of all samples."""
LEAST_DISTANCE = 1e-4
"""40 dB of MS-SSIM: beyond, crops count alike."""


def similarity_loss(frame: Tensor, target: Tensor, squared: Tensor) -> Tensor:
    """Mean logarithm of 1 - MS-SSIM, and a little of the squared error (our choice).

    The logarithm because figures are means of decibels, as in `correction_loss`.

    Args:
        frame: decoded, RGB / 255, float32 (B, 3, S, S), S at least 161 for five scales.
        target: the photographs, the same shape.
        squared: scalar, `correction_loss` of the same batch.

    Raises:
        HeqError: pytorch-msssim is not installed.
    """
    try:
        from pytorch_msssim import ms_ssim
    except ModuleNotFoundError as error:
        raise HeqError(
            'the loss "ms-ssim" needs the package pytorch-msssim; pip install "heqcodec[train]".'
        ) from error

    similarity: Tensor = ms_ssim(frame, target, data_range=1.0, size_average=False)
    return (1 - similarity + LEAST_DISTANCE).log().mean() + SQUARED_ERROR_SHARE * squared
