"""CompressAI's learned codecs, run live: its own models and entropy coder, into real files."""

from __future__ import annotations

import warnings
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_bytes
from heqcodec.eval.baselines.compressai_weights import (
    ZOO_QUALITIES,
    Weights,
    ZooWeights,
    checkpoint_ladder,
    named_as_installed,
)
from heqcodec.eval.baselines.pixels import rgb_image, whole_setting
from heqcodec.eval.baselines.string_file import StringFile

if TYPE_CHECKING:
    from torch import Tensor

_PAD = 64
# Pixels a latent, in each direction, of the string that says the shape: y or z.
_REDUCTIONS = (16, 64)


class CompressAIModel:
    """A model of CompressAI's zoo, on the CPU.

    Padding is CompressAI's: zeros about the image, to sides that are multiples of 64.
    Encoder and decoder compute the probabilities of latents in floating point, so a file is for
    the machine, the libraries and the number of threads that wrote it.

    Args:
        architecture: a key of ``ZOO_QUALITIES``.
        checkpoints: weights of one's own instead of the zoo's, see ``checkpoint_ladder``.

    Raises:
        HeqError: the checkpoints are not there.
    """

    # Not that it could not be: the zoo's autoregressive models are slow enough with all cores.
    single_threaded = False
    suffix = ".strings"

    def __init__(self, architecture: str, checkpoints: str | None = None) -> None:
        self._architecture = architecture
        self._models: dict[int, Any] = {}
        self._ladder: tuple[Weights, ...]
        if checkpoints is None:
            count = ZOO_QUALITIES[architecture]
            self._ladder = tuple(ZooWeights(architecture, n + 1) for n in range(count))
            self.name = f"compressai-{architecture}"
            self.setting_name = "quality"
            self.about = f"{architecture} of CompressAI, trained by CompressAI for squared error"
        else:
            label, self._ladder = checkpoint_ladder(checkpoints)
            self.name = f"compressai-{architecture}-{label}"
            self.setting_name = "checkpoint"
            self.about = f"{architecture} of CompressAI with weights of one's own: {label}"
        self.settings: tuple[float, ...] = tuple(range(1, len(self._ladder) + 1))

    def missing(self) -> str | None:
        """See ``Codec``."""
        if find_spec("compressai") is None:
            return (
                'compressai is not installed; run pip install "heqcodec[compressai]", in an '
                "environment of its own, since it wants NumPy 1 and Python 3.12 or older."
            )
        try:
            _load_library()
        except Exception as error:  # torchvision raises a RuntimeError with another torch
            reason = " ".join(str(error).split())[:200]
            return (
                f"compressai cannot be imported ({reason}); install torch and torchvision that "
                "were built for each other."
            )
        reasons = [weights.missing() for weights in self._ladder]
        return reasons[0] if all(reasons) else None

    def version(self) -> str:
        """See ``Codec``: weights make files and pictures as much as the program does."""
        try:
            installed = version("compressai")
        except PackageNotFoundError:
            installed = "from no package"
        identities = " ".join(weights.identity.hex() for weights in self._ladder)
        return f"CompressAI {installed}, weights {identities}"

    def prepare(self) -> None:
        """Load all weights that can be had; ``HeqError`` if none can."""
        _load_library()
        failures = []
        for place in range(len(self._ladder)):
            try:
                self._model(place)
            except HeqError as error:
                failures.append(error)
        if len(failures) == len(self._ladder):
            raise failures[0]

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """See ``Codec``; the quality of the zoo, or the place of a checkpoint from 1."""
        import torch
        from compressai.ops import compute_padding
        from torch.nn.functional import pad

        image = np.array(rgb_image(pixels))
        place = whole_setting(self.name, self.setting_name, setting, 1, len(self._ladder)) - 1
        model = self._model(place)
        height, width = image.shape[:2]
        frame = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        padding, _ = compute_padding(height, width, min_div=_PAD)
        with torch.inference_mode():
            coded = model.compress(pad(frame, padding))
        rows, columns = coded["shape"]
        strings = tuple(strings[0] for strings in coded["strings"])
        identity = self._ladder[place].identity
        write_bytes(path, StringFile(identity, width, height, rows, columns, strings).pack())

    def decode(self, path: Path) -> np.ndarray:
        """See ``Codec``."""
        import torch
        from compressai.ops import compute_padding
        from torch.nn.functional import pad

        file = StringFile.parse(path.read_bytes())
        model = self._model(self._place(file.identity, path))
        frame_sides = [-(-side // _PAD) * _PAD for side in (file.height, file.width)]
        if [file.rows, file.columns] not in [
            [side // reduction for side in frame_sides] for reduction in _REDUCTIONS
        ]:
            raise HeqError(
                f"{path.name} has {file.rows}x{file.columns} latents, which is no shape for "
                f"{file.width}x{file.height} pixels; it is damaged."
            )
        _, cropping = compute_padding(file.height, file.width, min_div=_PAD)
        try:
            with torch.inference_mode():
                decoded = model.decompress(
                    [[string] for string in file.strings], (file.rows, file.columns)
                )
                frame = pad(decoded["x_hat"], cropping)
        except (AssertionError, IndexError, RuntimeError, ValueError) as error:
            raise HeqError(f"{path.name} is no file of {self.name}: {error}.") from error
        return _pixels(frame)

    def _place(self, identity: bytes, path: Path) -> int:
        for place, weights in enumerate(self._ladder):
            if weights.identity == identity:
                return place
        raise HeqError(f"{path.name} was coded with weights that are not of {self.name}.")

    def _model(self, place: int) -> Any:
        """Return the model of one rate, loaded once."""
        if place not in self._models:
            from compressai.zoo.image import model_architectures

            state = named_as_installed(self._ladder[place].load())
            try:
                model = model_architectures[self._architecture].from_state_dict(state)
            except (AttributeError, IndexError, KeyError, RuntimeError, ValueError) as error:
                reason = " ".join(str(error).split())[:200]
                raise HeqError(
                    f"Weights {place + 1} of {self.name} do not fit {self._architecture} "
                    f"({type(error).__name__}: {reason})."
                ) from error
            # Tables of the entropy coder, where the state dict has none: the zoo's has.
            model.update()
            self._models[place] = model.eval()
        return self._models[place]


def _load_library() -> None:
    """Import CompressAI without its warnings about torch: nobody who measures can act on them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import compressai.zoo  # noqa: F401


def _pixels(frame: Tensor) -> np.ndarray:
    """Return RGB in 0..1, (1, 3, H, W), as uint8 (H, W, 3), rounded as CompressAI does it."""
    levels = (frame[0] * 255).clamp(0, 255).round().byte()
    return np.ascontiguousarray(levels.permute(1, 2, 0).numpy())
