"""Training `nqe-t`: the coder's tables by counting, PURENET by regression on true codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.image.patches import split_patches
from heqcodec.nqe_t import zones as geometry
from heqcodec.nqe_t.encoder import TransformNqe
from heqcodec.nqe_t.transform import TransformStem, dct_layers
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor

from .coded_tiles import Coded, code_frames, coded_view, network_inputs
from .coder_tables import WIDE_BITS, DecisionCounts, fit_tables, frequency_order, significance_order
from .photographs import VIEW_ORDER, turned
from .recipe import TransformRecipe
from .tasks import CodeTask, crop_places, rate_indices


def fit_encoder(tiles: NDArray[np.uint8], recipe: TransformRecipe) -> dict[str, NDArray[Any]]:
    """The tensors of an `nqe-t` encoder with tables counted on random patches of the tiles."""
    patches = np.concatenate([split_patches(tile) for tile in tiles])
    order = np.random.default_rng(recipe.tables_seed).permutation(len(patches))[
        : recipe.tables_patches
    ]
    coarse, fine = dct_layers()
    stem = TransformStem(coarse, fine)
    batches = [
        stem.forward(patches[order[start : start + 1024]]) for start in range(0, len(order), 1024)
    ]
    start = DecisionCounts().tables(frequency_order())
    tables, counts = fit_tables(batches, start, WIDE_BITS)
    tables = tables._replace(order=significance_order(counts, len(order)))
    for _ in range(2):
        tables, _ = fit_tables(batches, tables, recipe.tables_bits)
    return {"coarse": coarse, "fine": fine, **tables._asdict()}


class TransformTask(CodeTask):
    """See `heqcodec.lab.training.tasks.CodeTask`.

    Args:
        recipe, frames, tensors, device: as those of `CodeTask`; the codes live there too.
        tiles: training photographs, uint8 (N, S, S, 3).
        cache: folder for the cached codes.
        progress: shows the coding of the tiles.
    """

    def __init__(
        self,
        recipe: TransformRecipe,
        tiles: NDArray[np.uint8],
        frames: list[NDArray[np.uint8]],
        tensors: dict[str, NDArray[Any]],
        device: torch.device,
        cache: Path,
        progress: Progress,
    ) -> None:
        super().__init__(recipe, frames, tensors, device, TransformNqe.rates, len(geometry.zones()))
        self._recipe, self._tiles = recipe, tiles
        self._cache, self._progress = cache, progress
        self._encoder = TransformNqe(tensors)
        self._targets: list[Tensor] = []
        self._coded: list[tuple[Tensor, Tensor]] = []
        self._held: list[Coded] = [code_frames(self._encoder, frame[None]) for frame in frames]

    def prepare(self, step: int) -> None:
        """Code all tiles in all views, or read their codes from the cache."""
        views, progress = VIEW_ORDER[: self._recipe.views], self._progress
        bar = progress.add_task("coding tiles", total=len(views) * len(self._tiles), text="")
        for view in views:
            coded = coded_view(
                self._encoder,
                self._tiles,
                view,
                self._cache,
                lambda done: progress.advance(bar, done),
            )
            base, hints = torch.from_numpy(coded.base), torch.from_numpy(coded.hints)
            self._coded.append((base.to(self._device), hints.to(self._device)))
            target = np.ascontiguousarray(turned(self._tiles, view).transpose(0, 3, 1, 2))
            self._targets.append(torch.from_numpy(target).to(self._device))
        progress.remove_task(bar)

    def batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `CodeTask`."""
        recipe, batch = self._recipe, self._recipe.batch
        rate = rate_indices(recipe.rate_weights, batch, generator)
        views = torch.randint(len(self._coded), (batch,), generator=generator).tolist()
        side = self._targets[0].shape[-1]
        places = crop_places(len(self._targets[0]), side, recipe.crop, batch, generator)
        bases, hints, targets = [], [], []
        for index, view, (tile, row, column) in zip(rate.tolist(), views, places, strict=True):
            box = (
                slice(32 * row, 32 * (row + recipe.crop)),
                slice(32 * column, 32 * (column + recipe.crop)),
            )
            base, hint = self._coded[view]
            bases.append(base[tile, index][:, box[0], box[1]])
            hints.append(hint[tile, index][row : row + recipe.crop, column : column + recipe.crop])
            targets.append(self._targets[view][tile][:, box[0], box[1]])
        base, hint = network_inputs(torch.stack(bases), torch.stack(hints))
        return base, hint, rate, torch.stack(targets).float() / 255

    def frame_inputs(self, index: int, rate: int) -> tuple[Tensor, Tensor]:
        """See `CodeTask`."""
        coded = self._held[index]
        return network_inputs(
            torch.from_numpy(coded.base[:, rate]).to(self._device),
            torch.from_numpy(coded.hints[:, rate]).to(self._device),
        )
