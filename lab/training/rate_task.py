"""Training `nqe-r`: PURENET by regression on true levels of any step.

::

    random crops of tiles, any place, flip and turn; a random step each
        │  RateFrames: the integer encoder and its plain inverse
        ▼
    base, hints, step ──► Purenet ──► frame ── squared error ◄── crop
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from heqcodec.image.patches import split_patches
from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
from heqcodec.purenet.dequantizer import fit_places
from heqcodec.purenet.network import Purenet, PurenetConfig
from heqcodec.purenet.rate_decoder import INPUTS, KNOTS
from heqcodec.purenet.torch_network import decode_base
from numpy.typing import NDArray
from torch import Tensor, nn

from .cost_fit import fit_cost_layer
from .given_weights import read_purenet
from .photographs import CropSource, FrameGroups
from .rate_frames import RateFrames
from .recipe import RateRecipe
from .ssimulacra2_loss import ssimulacra2_loss
from .tasks import ModelTask, correction_loss, decibel_loss, psnr, purenet_of

FIGURE_STEP_INDICES = (425, 553, 681, 830)
"""Steps of 20, 40, 80 and 180: about 1, 0.5, 0.25 and 0.1 bit per pixel."""
JPEG_BLOCK = 8
"""Half of the crops begin on this grid, as images that were JPEG files do."""
PLACES_PATCHES = 6000
PLACES_STEP_INDICES = range(64, 1024, 128)


def fit_rate_encoder(
    tiles: NDArray[np.uint8], recipe: RateRecipe, report: Callable[[str], None]
) -> dict[str, NDArray[Any]]:
    """The tensors of an encoder whose cost layer is trained on the tiles."""
    stem = stem_tensors()
    layer = fit_cost_layer(RateNqe(stem), tiles, recipe.tables_seed, recipe.cost_iterations, report)
    return {**stem, **layer}


def fit_reconstruction(
    encoder: RateNqe, tiles: NDArray[np.uint8], seed: int
) -> NDArray[np.float32]:
    """Reconstruction points on random patches of the tiles; see `fit_places`."""
    each = len(split_patches(tiles[0]))
    order = np.random.default_rng(seed).permutation(each * len(tiles))[:PLACES_PATCHES]
    patches = np.stack([split_patches(tiles[at // each])[at % each] for at in order])
    return fit_places(encoder, encoder.coefficients(patches), list(PLACES_STEP_INDICES))


class RateTask(ModelTask):
    """See `heqcodec.lab.training.tasks.ModelTask`.

    Args:
        recipe: of the run.
        tiles: training photographs, uint8 (N, S, S, 3).
        frames: held-out photographs, uint8 (H, W, 3) each, by group.
        tensors: of the encoder, from `fit_rate_encoder` or given.
        device: where the networks live.
        start: safetensors of a PURENET to begin from; its reconstruction points are kept.
        places: the points that a run began with, where it is resumed.
    """

    figure_name = "psnr at step {}"

    def __init__(
        self,
        recipe: RateRecipe,
        tiles: NDArray[np.uint8],
        frames: FrameGroups,
        tensors: dict[str, NDArray[Any]],
        device: torch.device,
        start: Path | None = None,
        places: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__(recipe)
        self._recipe, self._device = recipe, device
        self._crops, self._frames = CropSource(tiles, device), frames
        self._tensors = tensors
        self.encoder = RateNqe(self._tensors)
        torch.manual_seed(recipe.seed)
        config = PurenetConfig(inputs=INPUTS, has_base=True, rates=KNOTS, **recipe.purenet)
        network = Purenet(config)
        given = read_purenet(start, network) if start else places
        self.places = (
            fit_reconstruction(self.encoder, tiles, recipe.tables_seed) if given is None else given
        )
        self._codec = RateFrames(self.encoder, self.places).to(device)
        self.networks: dict[str, nn.Module] = {"purenet": network}
        self._code: Callable[..., tuple[Tensor, Tensor]] = self._codec
        self._decode: Callable[..., Tensor] = decode_base
        if device.type == "cuda":
            # Fused, since there the time goes into memory traffic; a CPU gains nothing.
            self._code, self._decode = torch.compile(self._codec), torch.compile(decode_base)
            torch.backends.cudnn.benchmark = True

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """As `ModelTask`; with new blocks and the rest as two groups where the recipe has them."""
        made = super().optimizers()
        if self._recipe.start_learning_rate is not None:
            (whole,) = made["purenet"].param_groups
            named = dict(purenet_of(self.networks).named_parameters())
            new = [each for name, each in named.items() if self._is_new(name)]
            whole["params"] = new
            rest = [each for name, each in named.items() if not self._is_new(name)]
            made["purenet"].add_param_group({"params": rest})
        return made

    def learning_rates(self, step: int) -> dict[str, Sequence[float]]:
        """Of the new blocks, or all parameters; then of the rest."""
        (peak,) = super().learning_rates(step)["purenet"]
        rest = self._recipe.start_learning_rate
        both = () if rest is None else (peak * rest / self._recipe.learning_rate,)
        return {"purenet": (peak, *both)}

    def _is_new(self, parameter: str) -> bool:
        """Whether a parameter, such as "mid.3.first.weight", is of a new block."""
        stage, block, *_ = parameter.split(".")
        first = self._recipe.new_blocks.get(stage)
        return first is not None and block.isdecimal() and int(block) >= first

    def batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random crops uint8 (batch, 3, S, S), and a step index for each, int64 (batch,)."""
        recipe = self._recipe
        count, crop = recipe.batch, 32 * recipe.crop
        low, high = recipe.quantizer_steps
        steps = torch.randint(low, high + 1, (count,), generator=generator)
        pixels = self._crops(crop, count, generator, JPEG_BLOCK).contiguous()
        return pixels, steps.to(self._device)

    def loss(self, generator: torch.Generator) -> Tensor:
        """See `correction_loss`, `decibel_loss` and `ssimulacra2_loss`."""
        pixels, steps = self.batch(generator)
        base, hints = self._code(pixels, steps)
        target = pixels.float() / 255
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            frame = self._decode(purenet_of(self.networks), base, hints, steps).float()
        of_crops = decibel_loss if self._recipe.loss == "psnr" else correction_loss
        loss = of_crops(frame, base, target, self._recipe.border)
        tuned = self._recipe.loss == "ssimulacra2"
        return ssimulacra2_loss(frame, target, loss) if tuned else loss

    @torch.inference_mode()
    def held_out(
        self, networks: dict[str, nn.Module], images: int | None, ship: bool = False
    ) -> dict[int | str, float]:
        """Mean PSNR by step index and group, such as "553" and "553 camera"; see `ModelTask`."""
        network, figures = purenet_of(networks), {}
        for group, frames in self._frames.items():
            for step in FIGURE_STEP_INDICES:
                index = torch.tensor([step], device=self._device)
                values = []
                for truth in frames[:images]:
                    frame = torch.from_numpy(truth).to(self._device).permute(2, 0, 1)[None]
                    base, hints = self._codec(frame.contiguous(), index)
                    values.append(psnr(decode_base(network, base, hints, index)[0], truth))
                figures[f"{step} {group}" if group else step] = float(np.mean(values))
        return figures

    def encoder_tensors(self, networks: dict[str, nn.Module]) -> dict[str, NDArray[Any]]:
        """The encoder as it was given."""
        return self._tensors
