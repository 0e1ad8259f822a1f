"""A loss on the borders of patches that remain visible."""

from __future__ import annotations

import torch
from torch import Tensor

STEP_FLOOR = 0.25 / 255
"""Added to mean steps: where there are hardly any, their ratio says nothing."""


def border_loss(frame: Tensor, target: Tensor) -> Tensor:
    """Steps across patch borders relative to other steps, as far as the photograph's are smaller.

    Squared error alone leaves borders visible: inside a patch a poor code gives a smooth picture,
    and the steps that remain are those between patches.

    Args:
        frame, target: (B, 3, S, S), S a multiple of 32.

    Returns:
        Mean over the batch of the squared log of the ratio of ratios. (Punishing excess alone makes
        borders too smooth by as much: what varies from crop to crop is then pushed down.)
    """
    excess = _border_ratio(frame).log() - _border_ratio(target).log()
    return excess.square().mean()


def _border_ratio(frame: Tensor) -> Tensor:
    """Mean absolute step across borders over that elsewhere, (B,)."""
    across, inside = [], []
    for axis in (2, 3):
        steps = frame.diff(dim=axis).abs().mean(dim=(1, 5 - axis))
        is_border = torch.arange(1, steps.shape[1] + 1, device=frame.device) % 32 == 0
        across.append(steps[:, is_border])
        inside.append(steps[:, ~is_border])
    step = torch.cat(across, 1).mean(1) + STEP_FLOOR
    return step / (torch.cat(inside, 1).mean(1) + STEP_FLOOR)
