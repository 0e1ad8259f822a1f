"""Trust: the weight of the network's correction, for each patch.

::

    hints of a patch ───────────────────────┐
      mean over it and the 8 around it ─────┼──► 48 ──► weight, 0 to 1.2
    place of the step                       │
    energy of the network's correction ─────┘
    plain inverse + weight * (network - plain inverse) ──► frame

A network tends to remove noise and JPEG blocks that the source image has; its correction then costs
more than it gains. Statistics of a patch's levels (`level_hints`) and the size of
the correction in steps separate such patches from others (our choice; with one weight for all, a
decoder trained on clean photographs was 0.16 dB below its plain inverse on camera images at fine
steps, with these 0.05 above it, and clean photographs gained 0.03 dB). Noise lies on the neighbours
of a patch too, detail often does not, so their hints count. Fitted by
`heqcodec.lab.training.trust_fit`.

What the levels of a patch say about the picture under them:

::

    levels (N, planes, 1024), in order of rising frequency
      luma   │ 0..23 │ 24..95 │ 96..255 │ 256..511 │ 512..1023 │   fractions of levels not 0, and of
                                                                  2 or more: 5 + 5 hints
      chroma │ 0..47 │ 48..255 │ 256..1023 │                      fractions not 0: 3 + 3 hints

Noise and fine detail look alike to a network of few layers, and want the opposite of it. Noise
fills all frequencies alike with levels of 1; detail has a few large levels and few at the top. The
hints say which of them a patch has (our choice: they cost no bit and a millionth of the decoder's
work). Each is the square root of its fraction, since most fractions are small. They depend on one
patch alone, so tiles and regions see the same. A gray file has no chroma levels: its hints there
are 0, as they are where all chroma levels of a colour image are 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from heqcodec.base.constants import PATCH, STEPS
from heqcodec.nqe_r.layout import BANDS, SUBS
from heqcodec.nqe_r.quantizer import step_size
from heqcodec.nqe_r.weighting import step_of
from numpy.typing import NDArray

LUMA_ENDS = (6, 24, 64, 128, BANDS)
"""Where the groups of luma end, in bands."""
CHROMA_ENDS = (12, 64, BANDS)
LEVEL_HINTS = 2 * len(LUMA_ENDS) + 2 * len(CHROMA_ENDS)
"""Hints of a patch."""
PREFIX = "trust."
"""Of the tensors' names in the file of the network's weights."""
HIDDEN = 48
PATCH_HINTS = 1 + LEVEL_HINTS
"""Size of the transform of a patch, and hints of its levels."""
TRUST_INPUTS = 1 + 2 * PATCH_HINTS + 1
"""Place of the step, hints of the patch and of its neighbourhood, energy."""
MOST = 1.2
"""The largest weight: a correction may also be too small."""
TENSORS = {
    "first": (HIDDEN, TRUST_INPUTS),
    "first_bias": (HIDDEN,),
    "second": (HIDDEN,),
    "second_bias": (),
}
LEAST_ENERGY = 1e-4
LEAST = PREFIX + "least"
"""Tensor that may be missing: a correction of less than so many grey levels and less than so many
steps, both root mean squares, is dropped. Where the plain inverse is exact, as in flat parts of
pixel art, a network that is nearly so still moves one sample in ten by 1; elsewhere nobody misses
such a correction (our choice)."""


_SLACK = 1.002
"""Hints are fractions of small numbers: the next one is 1 % away, also in the mean of nine."""


def group_means(ends: tuple[int, ...]) -> NDArray[np.float32]:
    """Weights by which bands are averaged in groups, float32 (BANDS, groups): columns of sum 1."""
    group = np.searchsorted(np.array(ends), np.arange(BANDS), side="right")
    member = (group[:, None] == np.arange(len(ends))).astype(np.float32)
    return member / member.sum(axis=0)


def level_hints(levels: NDArray[np.int16]) -> NDArray[np.float32]:
    """The hints of patches.

    Args:
        levels: int16 (N, planes, 1024), planes 1 or 3.

    Returns:
        float32 (N, LEVEL_HINTS), 0..1.
    """
    count, planes = levels.shape[:2]
    magnitude = np.abs(levels.astype(np.int32)).reshape(count, planes, BANDS, SUBS)
    luma, chroma = group_means(LUMA_ENDS) / SUBS, group_means(CHROMA_ENDS) / SUBS
    fractions = np.zeros((count, LEVEL_HINTS), dtype=np.float32)
    coded = np.count_nonzero(magnitude, axis=3).astype(np.float32)
    several = np.count_nonzero(magnitude[:, 0] > 1, axis=2).astype(np.float32)
    parts = [coded[:, 0] @ luma, several @ luma]
    parts += [coded[:, plane] @ chroma for plane in range(1, planes)]
    made = np.concatenate(parts, axis=1)
    fractions[:, : made.shape[1]] = np.sqrt(np.minimum(made, 1))
    return fractions


class Trust:
    """The small network that gives the weights.

    Args:
        tensors: floats by the names of `TENSORS`, each behind `PREFIX`, and maybe `LEAST`; others
            are not looked at.

    Attributes:
        tensors: float32, by the names of `TENSORS`.
        least: grey levels and steps of `LEAST`, squared, float32 (2,).

    Raises:
        KeyError: one is missing.
        ValueError: one has another shape.
    """

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        found = {name: tensors[PREFIX + name].astype(np.float32) for name in TENSORS}
        for name, shape in TENSORS.items():
            if found[name].shape != shape:
                raise ValueError(f"{PREFIX}{name} has the shape {found[name].shape}, not {shape}")
        self.tensors = found
        least = tensors.get(LEAST, np.zeros(2)).astype(np.float32)
        if least.shape != (2,):
            raise ValueError(f"{LEAST} has the shape {least.shape}, not (2,)")
        self.least = least**2

    def of_patches(
        self, hints: NDArray[np.float32], steps: NDArray[np.int64], energies: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Weights of the patches of a window, (R, C).

        Args:
            hints: (PATCH_HINTS, R, C), 0..1.
            steps: indices of the rows' quantizers, int64 (R,).
            energies: from `patch_energy`, (R, C).
        """
        steps = step_of(steps)
        around = with_neighbours(hints)
        flat = around.reshape(2 * len(hints), -1).T
        squares = [(255 / step_size(step)) ** 2 for step in steps.tolist()]
        relative = energies * np.array(squares, np.float32)[:, None]
        by_patch = steps.repeat(energies.shape[1])
        weights = self.weights(trust_inputs(flat, by_patch, relative.reshape(-1)))
        dropped = (255**2 * energies < self.least[0]) & (relative < self.least[1])
        dropped |= flat_quarters(around[len(hints) :])
        return np.where(dropped, np.float32(0), weights.reshape(energies.shape))

    def weights(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inputs (N, TRUST_INPUTS), from `trust_inputs`, to weights (N,), 0 to `MOST`."""
        first, bias, second, second_bias = self.tensors.values()
        hidden = np.maximum(inputs @ first.T + bias, 0)
        weights: NDArray[np.float32] = np.clip(hidden @ second + second_bias, 0, MOST)
        return weights


def with_neighbours(hints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hints (H, R, C), then their means over 3 x 3 patches, (2 H, R, C).

    Outside of the window lies what lies at its border.
    """
    rows, columns = hints.shape[1:]
    around = np.pad(hints, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = around[..., :columns] + around[..., 1:-1] + around[..., 2:]
    summed = across[:, :rows] + across[:, 1:-1] + across[:, 2:]
    return np.concatenate([hints, summed / np.float32(9)])


def flat_quarters(means: Any) -> Any:
    """Where the file says that a drawing is flat in squares of 16 or more, bool.

    No patch of 3 x 3 has a level but its mean or the means of its quarters, and one has quarters.
    Then edges lie where quarters meet and the plain inverse is right: what a network adds is wrong
    there. In photographs that happens in one patch of 900 (our choice: learned weights alone do not
    tell it from skies).

    Args:
        means: of the hints over 3 x 3 patches, an array of NumPy or torch, (PATCH_HINTS, ...).
    """
    quarters = means[0]
    flat, first = quarters > 0, 1
    for ends, planes in ((LUMA_ENDS, 1), (LUMA_ENDS, 1), (CHROMA_ENDS, 2)):
        one = (
            _SLACK * (ends[0] * SUBS) ** -0.5
        )  # A patch of quarters has four means: twice the root.
        for _ in range(planes):
            flat = flat & (means[first] <= one * (1 + quarters))
            for place in range(first + 1, first + len(ends)):
                flat = flat & (means[place] == 0)
            first += len(ends)
    return flat


def trust_inputs(
    hints: NDArray[np.float32], steps: NDArray[np.int64] | int, energy: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Inputs of the weights' network, float32 (N, TRUST_INPUTS).

    Args:
        hints: of patches and their neighbourhoods, (N, 2 * PATCH_HINTS), 0..1.
        steps: index of each patch, int64 (N,), or of all.
        energy: mean squared correction of a sample, in squared steps, (N,).
    """
    scaled = np.log10(LEAST_ENERGY + energy) / 2 + 1
    place = np.broadcast_to(2 * np.asarray(steps) / STEPS - 1, len(hints))[:, None]
    return np.concatenate([place, 2 * hints - 1, scaled[:, None]], axis=1).astype(np.float32)


def between_patches(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights of patches (R, C) to pixels (32 R, 32 C), linear between the middles of patches."""
    return _along(_along(weights).T).T


def _along(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """(M, N) to (M, 32 N)."""
    around = np.pad(weights, ((0, 0), (1, 1)), mode="edge")[:, :, None]
    place = (np.arange(PATCH, dtype=np.float32) + 0.5) / PATCH - 0.5
    before, after = np.maximum(-place, 0), np.maximum(place, 0)
    own = around[:, 1:-1] * (1 - before - after)
    mixed = own + around[:, :-2] * before + around[:, 2:] * after
    return mixed.reshape(len(weights), -1)


def patch_energy(frame: NDArray[np.float32], plain: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean squared difference of each patch of frames (32 R, 32 C, C), within 0..1: (R, C)."""
    apart = np.clip(frame, 0, 1) - np.clip(plain, 0, 1)
    rows, columns = (side // PATCH for side in frame.shape[:2])
    grid = apart.reshape(rows, PATCH, columns, -1)
    mean: NDArray[np.float32] = np.einsum("rpcx,rpcx->rc", grid, grid) / (PATCH * grid.shape[3])
    return mean
