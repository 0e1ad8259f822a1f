"""True codes of the training tiles, decoded once to what PURENET takes, kept on disk.

A transform code needs no gradient, so PURENET is trained by regression on what real codes say.
Coding is done once for each tile, view and rate; an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from heqcodec.base.files import write_bytes
from heqcodec.image.patches import split_patches
from heqcodec.nqe_t.contexts import PLANES
from heqcodec.nqe_t.encoder import TransformCodeReader, TransformNqe
from numpy.typing import NDArray

from .given_weights import encoder_ids
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
        tiles: uint8 (N, S, S, 3), N at least 1, not turned yet.
        view: see `turned`.
        folder: of the files; must belong to this encoder and these tiles, see `claim_cache`.
        progress: called with the number of tiles done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole: Coded | None = None
    for start in range(0, len(tiles), CHUNK):
        stop = min(start + CHUNK, len(tiles))
        path = folder / f"view{view}_{start:06d}.npz"
        part = _stored(path, stop - start)
        if part is None:
            part = code_frames(encoder, np.ascontiguousarray(turned(tiles[start:stop], view)))
            unfinished = path.with_suffix(".part.npz")
            np.savez(unfinished, base=part.base, hints=part.hints)
            os.replace(unfinished, path)
        if whole is None:
            # Filled as it comes: at the end there would be no room for a second copy.
            whole = Coded(*(np.empty((len(tiles), *a.shape[1:]), a.dtype) for a in part))
        whole.base[start:stop], whole.hints[start:stop] = part
        progress(stop - start)
    assert whole is not None
    return whole


def claim_cache(
    folder: Path, tensors: Mapping[str, NDArray[Any]], source: dict[str, Any], resume: bool
) -> Path:
    """Empty a cache that was made with another encoder or from other tiles.

    Args:
        folder: of the cache; need not exist.
        tensors: of the encoder.
        source: what decides the tiles, JSON values.
        resume: whether a checkpoint says already that the tiles are the same; a cache without
            a note is kept then.

    Returns:
        ``folder``, with a note of what it belongs to.
    """
    note = folder / "source.json"
    mine = {**source, "encoder": encoder_ids(tensors)}
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = mine if resume else None
    if known != mine:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(note, json.dumps(mine).encode())
    return folder


def _stored(path: Path, count: int) -> Coded | None:
    """A file of ``count`` coded tiles, or None where it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            coded = Coded(stored["base"], stored["hints"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return coded if len(coded.base) == len(coded.hints) == count else None


def network_inputs(base: torch.Tensor, hints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cached values as the network takes them.

    Args:
        base: float16 (B, 3, H, W).
        hints: uint8 (B, H / 32, W / 32, zones).

    Returns:
        RGB / 255, float32 (B, 3, H, W), and hints 0..1, float32 (B, zones, H / 32, W / 32).
    """
    return base.float() / 255, hints.permute(0, 3, 1, 2).float() / PLANES
