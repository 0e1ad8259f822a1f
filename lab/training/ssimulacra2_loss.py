"""A loss for decoders that are tuned for SSIMULACRA2 (Sneyers, github.com/cloudinary/ssimulacra2).

::

    RGB ──► linear light ──► halved again and again ──► XYB, made positive
                                                          │
         blur of sigma 1.5: means, spreads ◄──────────────┤
                 │                                        │
                 ▼                                        ▼
         1 - SSIM                      edges that are new, edges that are lost
                 └───────── mean and 4-norm of each ──────┘
                    weights fitted to opinions ──► distance ──► 100 - score

Differentiable; borders are those of the package ``ssimulacra2``, which measures the score itself.
Weights below 0.01, all those of the sixth scale among them, are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SQUARED_ERROR_SHARE = 5.0
"""Of the loss by squared error, which keeps the decoder near to what was photographed."""
SIGMA, RADIUS = 1.5, 5
SSIM_FLOOR = 0.0009
ABSORBANCE = (
    (0.30, 0.622, 0.078),
    (0.23, 0.692, 0.078),
    (0.24342268924547819, 0.20476744424496821, 0.5518098665095536),
)
"""Linear RGB to the three kinds of cones."""
BIAS = 0.0037930732552754493
LEAST_LINEAR = 1e-6
TINY = 1e-20
"""Added to fourth powers: the slope of their root is infinite at 0."""
X, Y, B = range(3)
WEIGHTS: tuple[dict[tuple[int, int], float], ...] = (
    {(Y, 3): 7.466890, (Y, 5): 17.445834},
    {(X, 3): 1.104173, (Y, 3): 6.683678, (Y, 5): 1.027890},
    {(X, 3): 1.842246, (X, 4): 11.441173, (Y, 0): 225.205153, (Y, 3): 19.213238},
    {
        **{(X, 3): 1.878759, (X, 4): 10.949070, (Y, 0): 176.393176, (Y, 3): 24.433010},
        **{(Y, 4): 0.285208, (B, 3): 8.826983, (B, 4): 23.192433},
    },
    {
        **{(X, 1): 0.967794, (X, 4): 0.998177, (Y, 3): 34.779063, (Y, 4): 44.835626},
        **{(B, 0): 95.108050, (B, 1): 0.986398, (B, 2): 0.983438, (B, 4): 171.266726},
        **{(B, 5): 0.980786},
    },
)
"""Of each scale, by plane and feature: mean of 1 - SSIM, of new edges, of lost ones; 4-norms."""


def ssimulacra2_distance(frame: Tensor, target: Tensor) -> Tensor:
    """How far SSIMULACRA2 is below 100, of each image.

    Args:
        frame: decoded, sRGB / 255, float32 (B, 3, H, W), H and W at least 128.
        target: what was photographed, the same shape.

    Returns:
        float32 (B,), from 0.
    """
    linear = [_linear(image.clamp(0, 1)) for image in (target, frame)]
    total = frame.new_zeros(len(frame))
    for scale, weights in enumerate(WEIGHTS):
        if scale:
            linear = [F.avg_pool2d(image, 2) for image in linear]
        features = _features(*(_positive_xyb(image) for image in linear))
        for (plane, feature), weight in weights.items():
            total = total + weight * features[feature][:, plane]
    total = total * 0.9562382616834844
    total = total * (
        2.326765642916932 - 0.020884521182843837 * total + 6.248496625763138e-05 * total**2
    )
    return 10 * (total + TINY) ** 0.6276336467831387


def ssimulacra2_loss(frame: Tensor, target: Tensor, squared: Tensor) -> Tensor:
    """Mean distance of crops in hundredths, and a little of the squared error (our choice).

    Args:
        frame, target: as `ssimulacra2_distance`.
        squared: scalar, `correction_loss` of the same batch.
    """
    return ssimulacra2_distance(frame, target).mean() / 100 + SQUARED_ERROR_SHARE * squared


def _linear(image: Tensor) -> Tensor:
    high = ((image.clamp(min=0.04) + 0.055) / 1.055) ** 2.4
    return torch.where(image > 0.04045, high, image / 12.92)


def _positive_xyb(linear: Tensor) -> Tensor:
    cones = torch.einsum("ij,bjhw->bihw", linear.new_tensor(ABSORBANCE), linear) + BIAS
    long, middle, short = (cones.clamp(min=LEAST_LINEAR) ** (1 / 3) - BIAS ** (1 / 3)).unbind(1)
    x, y = (long - middle) / 2, (long + middle) / 2
    return torch.stack([14 * x + 0.42, y + 0.01, short - y + 0.55], dim=1)


def _features(original: Tensor, decoded: Tensor) -> list[Tensor]:
    """Six features (B, 3) of planes (B, 3, H, W), in the order of `WEIGHTS`."""
    squares = original**2, decoded**2, original * decoded
    first, second, first_square, second_square, product = _blurred(
        torch.stack([original, decoded, *squares])
    )
    similarity = 2 * (product - first * second) + SSIM_FLOOR
    spreads = (first_square - first**2) + (second_square - second**2) + SSIM_FLOOR
    unlike = F.relu(1 - (1 - (first - second) ** 2) * similarity / spreads)
    edges = (1 + (decoded - second).abs()) / (1 + (original - first).abs()) - 1
    maps = unlike, F.relu(edges), F.relu(-edges)
    means = [each.mean(dim=(2, 3)) for each in maps]
    return [*means, *((each**4).mean(dim=(2, 3)).add(TINY) ** 0.25 for each in maps)]


def _blurred(planes: Tensor) -> Tensor:
    """Gaussian of `SIGMA`, zeros beyond the left and right border, mirrors beyond the others."""
    offsets = torch.arange(-RADIUS, RADIUS + 1, dtype=planes.dtype, device=planes.device)
    kernel = torch.exp(-((offsets / SIGMA) ** 2) / 2)
    kernel = kernel / kernel.sum()
    flat = planes.reshape(-1, 1, *planes.shape[-2:])
    above, below = flat[:, :, :RADIUS].flip(2), flat[:, :, -RADIUS:].flip(2)
    tall = torch.cat([above, flat, below], dim=2)
    made = F.conv2d(
        F.conv2d(tall, kernel[:, None][None, None]), kernel[None][None, None], padding=(0, RADIUS)
    )
    return made.reshape(planes.shape)
