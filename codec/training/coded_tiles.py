"""True codes of the training tiles, decoded once to what PURENET takes, kept on disk.

A transform code needs no gradient, so PURENET is trained by regression on what real codes say.
Coding is done once for each tile, view and rate; an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from heqcodec.nqe.contexts import PLANES
from heqcodec.nqe.transform_nqe import TransformCodeReader, TransformNqe
from heqcodec.patches import split_patches
from numpy.typing import NDArray

from .photographs import turned

CHUNK = 16
"""Tiles a file: about 25 MB."""


class Coded(NamedTuple):
    """What codes at all rates say of some frames of equal size.

    base: float16 (N, rates, 3, H, W), RGB by the plain inverse, around 0..255.
    hints: uint8 (N, rates, H / 32, W / 32, zones), planes known.
    """

    base: NDArray[np.float16]
    hints: NDArray[np.uint8]


def code_frames(encoder: TransformNqe, frames: NDArray[np.uint8]) -> Coded:
    """Encode frames (N, H, W, 3) and read the codes at every rate."""
    count, height, width, _ = frames.shape
    rows, columns = height // 32, width // 32
    reader = TransformCodeReader(encoder)
    patches = np.concatenate([split_patches(frame) for frame in frames])
    codes = encoder.encode_patches(patches, encoder.rates[-1])
    bases, hints = [], []
    for bits in encoder.rates:
        pixels, hint = reader.read(codes[:, : bits // 8], 3)
        grid = pixels.reshape(count, rows, columns, 3, 32, 32).transpose(0, 3, 1, 4, 2, 5)
        bases.append(grid.reshape(count, 3, height, width).astype(np.float16))
        planes = np.rint(hint * PLANES).astype(np.uint8)
        hints.append(planes.reshape(count, rows, columns, -1))
    return Coded(np.stack(bases, axis=1), np.stack(hints, axis=1))


def coded_view(
    encoder: TransformNqe,
    tiles: NDArray[np.uint8],
    view: int,
    folder: Path,
    progress: Callable[[int], None],
) -> Coded:
    """All tiles of a view, from disk where they were coded before.

    Args:
        encoder: whose codes are wanted.
        tiles: uint8 (N, S, S, 3), not turned yet.
        view: see `turned`.
        folder: of the files; must belong to this encoder and these tiles.
        progress: told the number of tiles done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(tiles), CHUNK):
        path = folder / f"view{view}_{start:06d}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as stored:
                parts.append(Coded(stored["base"], stored["hints"]))
        else:
            frames = np.ascontiguousarray(turned(tiles[start : start + CHUNK], view))
            parts.append(code_frames(encoder, frames))
            part = path.with_suffix(".part.npz")
            np.savez(part, base=parts[-1].base, hints=parts[-1].hints)
            os.replace(part, path)
        progress(len(parts[-1].base))
    return Coded(
        np.concatenate([part.base for part in parts]),
        np.concatenate([part.hints for part in parts]),
    )


def network_inputs(base: torch.Tensor, hints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cached values as the network takes them.

    Args:
        base: float16 (B, 3, H, W).
        hints: uint8 (B, H / 32, W / 32, zones).

    Returns:
        RGB / 255, float32 (B, 3, H, W), and hints 0..1, float32 (B, zones, H / 32, W / 32).
    """
    return base.float() / 255, hints.permute(0, 3, 1, 2).float() / PLANES
