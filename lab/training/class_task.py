"""Training `nqe-vgg`: allocations by counting, classes by regret, PURENET on true codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from heqcodec.image.patches import split_patches
from heqcodec.models import registry
from heqcodec.nqe_t.transform import TransformStem, dct_layers
from heqcodec.nqe_vgg.allocation import CLASSES, Allocation
from heqcodec.nqe_vgg.bands import band_levels
from heqcodec.nqe_vgg.code_reader import ClassCodeReader
from heqcodec.nqe_vgg.encoder import VggNqe
from heqcodec.nqe_vgg.packing import pack_layers, unpack_layers
from heqcodec.nqe_vgg.payload import RATES
from heqcodec.purenet.features import base_frame
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor

from .class_allocation import Distortions, expected_magnitudes, fit_allocation, regrets
from .class_layers import kept_activations, teach_classes
from .photographs import turned
from .recipe import ClassRecipe
from .tasks import CodeTask, crop_places, rate_indices


def fit_class_encoder(
    tiles: NDArray[np.uint8], recipe: ClassRecipe, progress: Progress
) -> dict[str, NDArray[Any]]:
    """The tensors of an `nqe-vgg` encoder.

    Args:
        tiles: uint8 (N, S, S, 3).
        recipe: of the run.
        progress: shows the steps of the convolutions.

    Raises:
        HeqError: the model that the convolutions begin with has none.
    """
    stored = registry.encoder_tensors(recipe.convolutions)
    if "conv1" not in stored:
        raise HeqError(f"{recipe.convolutions} has no convolutions to begin with.")
    layers = unpack_layers(stored)
    coarse, fine = dct_layers()
    stem = TransformStem(coarse, fine)
    patches = _some_patches(tiles, recipe.class_patches, recipe.seed)
    coefficients = np.concatenate(
        [stem.forward(patches[start : start + 1024]) for start in range(0, len(patches), 1024)]
    )
    allocated = fit_allocation(coefficients[: recipe.fit_patches], recipe.fit_rounds, recipe.seed)
    measure = Distortions(Allocation(allocated), expected_magnitudes(allocated["cuts"]))
    regret = torch.cat(
        [
            regrets(measure(coefficients[start : start + 512]))
            for start in range(0, len(coefficients), 512)
        ]
    )
    bar = progress.add_task("classes", total=recipe.class_steps, text="")
    learned = teach_classes(
        layers,
        kept_activations(layers, patches),
        torch.from_numpy(band_levels(coefficients)).float(),
        regret,
        recipe.class_steps,
        recipe.class_learning_rate,
        torch.Generator().manual_seed(recipe.seed),
        lambda step, loss: progress.update(bar, completed=step + 1, text=f"loss {loss:.4f}"),
    )
    progress.remove_task(bar)
    return {
        **pack_layers(learned.integer_layers()),
        **learned.class_tensors(),
        "coarse": coarse,
        "fine": fine,
        **allocated,
    }


def _some_patches(tiles: NDArray[np.uint8], count: int, seed: int) -> NDArray[np.uint8]:
    """Random patches in random views, uint8 (count, 32, 32, 3)."""
    random = np.random.default_rng(seed)
    side = tiles.shape[1] // 32
    made = np.empty((count, 32, 32, 3), dtype=np.uint8)
    for index in range(count):
        tile = tiles[random.integers(len(tiles))]
        row, column = 32 * random.integers(0, side, 2)
        patch = tile[None, row : row + 32, column : column + 32]
        made[index] = turned(patch, int(random.integers(8)))[0]
    return made


class ClassTask(CodeTask):
    """See `heqcodec.lab.training.tasks.CodeTask`; ``tiles`` are training photographs, uint8
    (N, S, S, 3)."""

    def __init__(
        self,
        recipe: ClassRecipe,
        tiles: NDArray[np.uint8],
        frames: list[NDArray[np.uint8]],
        tensors: dict[str, NDArray[Any]],
        device: torch.device,
    ) -> None:
        super().__init__(recipe, frames, tensors, device, RATES, CLASSES)
        self._recipe, self._tiles = recipe, tiles
        self._encoder = VggNqe(tensors)
        self.points = expected_magnitudes(tensors["cuts"])
        self._reader = ClassCodeReader(self._encoder, self.points)

    def batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See `CodeTask`; crops are coded as they come."""
        recipe = self._recipe
        rate = rate_indices(recipe.rate_weights, recipe.batch, generator)
        views = torch.randint(8, (recipe.batch,), generator=generator).tolist()
        side, size = self._tiles.shape[1], 32 * recipe.crop
        places = crop_places(len(self._tiles), side, recipe.crop, recipe.batch, generator)
        crops = []
        for view, (tile, row, column) in zip(views, places, strict=True):
            part = self._tiles[tile, 32 * row : 32 * row + size, 32 * column : 32 * column + size]
            crops.append(turned(part[None], view)[0])
        pairs = [self._inputs(crop, RATES[k]) for crop, k in zip(crops, rate.tolist(), strict=True)]
        base, hints = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        target = torch.from_numpy(np.stack(crops)).to(self._device).permute(0, 3, 1, 2) / 255
        return base, hints, rate, target

    def frame_inputs(self, index: int, rate: int) -> tuple[Tensor, Tensor]:
        """See `CodeTask`."""
        return self._inputs(self._frames[index], RATES[rate])

    def _inputs(self, frame: NDArray[np.uint8], bits: int) -> tuple[Tensor, Tensor]:
        """A frame (H, W, 3) through its code: base (1, 3, H, W) and hints (1, 32, R, C)."""
        rows, columns = frame.shape[0] // 32, frame.shape[1] // 32
        codes = self._encoder.encode_patches(split_patches(frame), bits)
        pixels = self._reader.pixels(self._reader.coefficients(codes, 3))
        base = base_frame(pixels, np.ones((rows, columns), dtype=bool))
        hints = self._reader.hints_of(codes).reshape(rows, columns, -1).transpose(2, 0, 1)
        made = (torch.from_numpy(np.ascontiguousarray(part))[None] for part in (base, hints))
        first, second = (part.to(self._device) for part in made)
        return first, second
