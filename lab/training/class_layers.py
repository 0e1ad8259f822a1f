"""Teaches the late layers of `nqe-vgg`, and its straight path, to choose a bit allocation.

::

    patches ──► conv1 .. conv4, given and kept ──► activations 0..3
                                                       │  binary weights by straight-through signs
                conv5 ── + offset, shift ── 0..3 ──► conv6 ── + offset, shift ── 0..3 ──► bottleneck
                                                                                            │ totals
    expected regret of the softmax ◄── scores in units of a learned temperature ◄── + bias ─┤
                                                                                            │
    levels of bands ── quinary weights, begun from a linear fit ── << shift ────────────────┘

The regret of a class is how much worse it codes a patch than the best one, see
`heqcodec.lab.training.class_allocation`: patches for which classes are equally good teach nothing.
Shifts are chosen once, so that activations spread over their four levels; the offsets before them,
one integer a layer, are learned (two thirds of the activations were zero without them). An
auxiliary decision by the totals alone, with biases and a temperature of its own, keeps the
convolutions from leaving all to the straight path; it is thrown away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from heqcodec.lab.training.schedule import cosine
from heqcodec.nqe_vgg.layer import IntegerLayer
from heqcodec.nqe_vgg.layout import PIXEL_CENTRE
from heqcodec.quantizers.binary import binary_sign
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

KEPT = 4
"""Layers that are not trained."""
OFFSET_UNIT = 16.0
"""Offsets are learned in units of so much, near the size of the other parameters' steps."""
SHARPNESS = 0.08
"""Regret, in nepers, by which a class is wanted e times less than the best."""
SOFT_SHARE = 0.05
"""Weight of the cross entropy with the wanted classes; the expected regret has weight 1."""
ALONE_SHARE = 0.3
"""Weight of the auxiliary decision."""
FIT_STEPS, FIT_BATCH, FIT_RATE = 1500, 256, 2e-2
"""Of the linear fit that the weights of bands begin from."""
SCORE_UNIT = 45.0
"""Of the first temperature, which the linear fit is scaled to."""
START = 0.05
"""Magnitude of the latent weights at first."""
BATCH = 128


def kept_activations(layers: list[IntegerLayer], patches: NDArray[np.uint8]) -> Tensor:
    """Patches uint8 (N, 32, 32, 3) to activations of conv4, uint8 (N, 128, 8, 8)."""
    made = []
    with torch.inference_mode():
        for start in range(0, len(patches), BATCH):
            x = torch.from_numpy(patches[start : start + BATCH]).permute(0, 3, 1, 2).float()
            x -= PIXEL_CENTRE
            for item in layers[:KEPT]:
                x = F.conv2d(x, torch.from_numpy(item.levels).float(), padding=1)
                x = F.max_pool2d(x, 2) if item.layer.pool else x
                x = torch.floor((x + item.offset) * 2.0**-item.shift).clamp_(0, 3)
            made.append(x.to(torch.uint8))
    return torch.cat(made)


class ClassLayers(nn.Module):
    """conv5, conv6, bottleneck, weights of bands and biases, with straight-through gradients.

    Args:
        layers: the seven, in their shift form; the signs of the last ones are where training
            begins.
        probe: activations of conv4 for some patches, which the shifts are chosen on.
        levels: of bands, float32 (N, 23).
        regret: of the classes, float32 (N, 32), for the linear fit.
        generator: for it.
    """

    middle: Tensor

    def __init__(
        self,
        layers: list[IntegerLayer],
        probe: Tensor,
        levels: Tensor,
        regret: Tensor,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self._layers = layers
        self.weights = nn.ParameterList(
            nn.Parameter(START * torch.from_numpy(item.levels).float()) for item in layers[KEPT:]
        )
        self.offsets = nn.Parameter(torch.zeros(2))
        self.shifts = [0, 0]
        with torch.no_grad():
            x = probe.float()
            for index in range(2):
                total = self._total(x, index)
                self.shifts[index] = round(float(torch.log2(0.8 * total.std())))
                middle = 2.0 ** (self.shifts[index] + 1) - total.median()
                self.offsets[index] = middle / OFFSET_UNIT
                x = self._level(total, index)
        slopes, cuts = linear_fit(levels, regret, generator)
        self.band_shift = max(0, round(float(torch.log2(0.9 * SCORE_UNIT * slopes.abs().mean()))))
        self.bands = nn.Parameter(SCORE_UNIT * slopes / 2**self.band_shift)
        # The mean level is kept out of the products: weights that round must not move the biases.
        self.register_buffer("middle", levels.mean(0).round())
        self.bias = nn.Parameter(cuts + slopes @ self.middle)
        self.alone_bias = nn.Parameter(torch.zeros(len(cuts)))
        self.sharpness = nn.Parameter(torch.full((2,), -math.log(SCORE_UNIT)))

    def forward(self, x: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Scores, integers in float32 (N, 32): of both paths, and of the convolutions alone.

        Args:
            x: activations of conv4.
            levels: of bands.
        """
        for index in range(2):
            x = self._level(self._total(x, index), index)
        totals = self._total(x, 2).sum((2, 3))
        straight = (levels - self.middle) @ _quinary(self.bands).T * 2**self.band_shift
        both = totals + straight + _rounded(self.bias * SCORE_UNIT)
        return both, totals + _rounded(self.alone_bias * SCORE_UNIT)

    def loss(self, x: Tensor, levels: Tensor, regret: Tensor) -> Tensor:
        """Of both decisions: the softmax's expected regret, and a share of its cross entropy."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            both, alone = self(x, levels)
        both, alone = both * self.sharpness[0].exp(), alone * self.sharpness[1].exp()
        return decision_loss(both, regret) + ALONE_SHARE * decision_loss(alone, regret)

    @torch.no_grad()
    def integer_layers(self) -> list[IntegerLayer]:
        """All seven layers as they ship."""
        offsets = [int(o) for o in torch.round(self.offsets * OFFSET_UNIT)]
        made = list(self._layers)
        for index, weight in enumerate(self.weights):
            levels = binary_sign(weight).to(torch.int8).numpy()
            item = replace(made[KEPT + index], levels=levels)
            if index < 2:
                item = replace(item, shift=self.shifts[index], offset=offsets[index])
            made[KEPT + index] = item
        return made

    @torch.no_grad()
    def class_tensors(self) -> dict[str, NDArray[np.generic]]:
        """``bands``, ``band_shift`` and ``bias`` of `VggNqe`."""
        bands = _quinary(self.bands)
        bias = torch.round(self.bias * SCORE_UNIT) - bands @ self.middle * 2**self.band_shift
        return {
            "bands": bands.to(torch.int8).numpy(),
            "band_shift": np.array([self.band_shift], np.uint8),
            "bias": bias.to(torch.int16).numpy(),
        }

    def _total(self, x: Tensor, index: int) -> Tensor:
        layer = self._layers[KEPT + index].layer
        weight = binary_sign(self.weights[index])
        total = F.conv2d(x, weight, padding=layer.kernel // 2, groups=layer.groups)
        return (F.max_pool2d(total, 2) if layer.pool else total).float()

    def _level(self, total: Tensor, index: int) -> Tensor:
        offset = _rounded(self.offsets[index] * OFFSET_UNIT)
        y = (total + offset) * 2.0 ** -self.shifts[index]
        # The gradient passes half a level beyond either end.
        y = y.clamp(-0.5, 4.5)
        return y + (y.floor().clamp(0, 3) - y).detach()


def decision_loss(logits: Tensor, regret: Tensor) -> Tensor:
    """Expected regret of the softmax, and `SOFT_SHARE` of its cross entropy with what is wanted."""
    expected = (logits.softmax(1) * regret).sum(1).mean()
    wanted = (-regret / SHARPNESS).softmax(1)
    return expected - SOFT_SHARE * (wanted * logits.log_softmax(1)).sum(1).mean()


def linear_fit(levels: Tensor, regret: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Logits of classes by levels of bands alone: slopes (32, 23) and what to add, (32,)."""
    middle, spread = levels.mean(0), levels.std(0) + 0.1
    slopes = torch.zeros(regret.shape[1], levels.shape[1], requires_grad=True)
    added = torch.zeros(regret.shape[1], requires_grad=True)
    optimizer = torch.optim.Adam([slopes, added])
    for step in range(FIT_STEPS):
        optimizer.param_groups[0]["lr"] = FIT_RATE * (1 - step / FIT_STEPS)
        chosen = torch.randint(len(levels), (FIT_BATCH,), generator=generator)
        logits = (levels[chosen] - middle) / spread @ slopes.T + added
        optimizer.zero_grad()
        decision_loss(logits, regret[chosen]).backward()
        optimizer.step()
    found = (slopes / spread).detach()
    return found, added.detach() - found @ middle


def _rounded(x: Tensor) -> Tensor:
    """Rounded, with the gradient of the unrounded."""
    return x + (x.round() - x).detach()


def _quinary(x: Tensor) -> Tensor:
    """Rounded to -2..2; the gradient passes where that is the nearest."""
    limited = x.clamp(-2.5, 2.5)
    return limited + (x.round().clamp(-2, 2) - limited).detach()


def teach_classes(
    layers: list[IntegerLayer],
    activations: Tensor,
    levels: Tensor,
    regret: Tensor,
    steps: int,
    learning_rate: float,
    generator: torch.Generator,
    progress: Callable[[int, float], None],
) -> ClassLayers:
    """Train the late layers and the straight path.

    Args:
        layers: the seven, to begin with.
        activations: of conv4, uint8 (N, 128, 8, 8).
        levels: of bands, float32 (N, 23).
        regret: of the classes, float32 (N, 32).
        steps: of `BATCH` patches, at a learning rate that falls to zero.
        learning_rate: of Adam at first; for weights of bands 2.5 times, for offsets, biases and
            temperatures 5 times as much.
        generator: draws the batches.
        progress: called with step and loss.
    """
    model = ClassLayers(layers, activations[: 2 * BATCH], levels, regret, generator)
    groups = [
        {"params": list(model.weights), "factor": 1.0},
        {"params": [model.bands], "factor": 2.5},
        {
            "params": [model.offsets, model.bias, model.alone_bias, model.sharpness],
            "factor": 5.0,
        },
    ]
    optimizer = torch.optim.Adam(groups, lr=learning_rate, betas=(0.9, 0.99))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * group["factor"] * cosine(step, 0, steps, 30)
        chosen = torch.randint(len(activations), (BATCH,), generator=generator)
        loss = model.loss(activations[chosen].float(), levels[chosen], regret[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for weight in model.weights:
                weight.clamp_(-1, 1)
        progress(step, float(loss.detach()))
    return model
