"""MCUCoder's class as a codec: a small encoder, Huffman codes, and a strong decoder."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_bytes
from heqcodec.eval.baselines.compressai_weights import CheckpointWeights, checkpoint_ladder
from heqcodec.eval.baselines.pixels import rgb_image, whole_setting
from heqcodec.eval.baselines.string_file import StringFile

if TYPE_CHECKING:
    from heqcodec.eval.peers.latent_code import LatentCode
    from heqcodec.eval.peers.mcucoder import McuCoder

CHANNELS = 12
REDUCTION = 8


class McuCoderCodec:
    """A trained MCUCoder (see ``heqcodec.eval.peers.mcucoder``), on the CPU, into real files.

    The setting is how many of the twelve latent channels are sent. A file holds one string for each
    of them, so that a file of fewer channels is a beginning of the strings of one of more. The
    encoder runs in float32, where a microcontroller would run it in 8-bit integers.

    Args:
        checkpoint: a file that ``heqcodec eval train-peer`` exported, as ``PATH`` or ``NAME=PATH``;
            None for a codec that can only say that it needs one.

    Raises:
        HeqError: there is no such file.
    """

    setting_name = "channels"
    settings: tuple[float, ...] = (1, 2, 3, 4, 6, 8, 10, 12)
    single_threaded = False
    suffix = ".mcu"
    about = "encoder of MCUCoder's class (10.5 K parameters), trained here"

    def __init__(self, checkpoint: str | None = None) -> None:
        self._weights: CheckpointWeights | None = None
        self._loaded: tuple[McuCoder, LatentCode] | None = None
        self.name = "mcucoder"
        if checkpoint is not None:
            label, ladder = checkpoint_ladder(checkpoint)
            if len(ladder) > 1:
                raise HeqError("mcucoder takes one file of weights: its rates are in it.")
            self._weights = ladder[0]
            self.name = label if label.startswith("mcucoder") else f"mcucoder-{label}"

    def missing(self) -> str | None:
        """See ``Codec``."""
        if self._weights is None:
            return (
                "mcucoder needs weights; train them with `heqcodec eval train-peer "
                "mcucoder.toml` and name the file, as mcucoder@FILE.safetensors."
            )
        if find_spec("torch") is None:
            return "torch is not installed; run pip install heqcodec."
        return self._weights.missing()

    def version(self) -> str:
        """See ``Codec``."""
        identity = self._weights.identity.hex() if self._weights else "none"
        return f"torch {version('torch')}, weights {identity}"

    def prepare(self) -> None:
        """Load the weights; ``HeqError`` if they cannot be used."""
        self._model()

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """See ``Codec``; sides are padded to multiples of 8 by their last row and column."""
        import torch

        image = np.array(rgb_image(pixels))
        kept = whole_setting(self.name, self.setting_name, setting, 1, CHANNELS)
        network, code = self._model()
        height, width = image.shape[:2]
        around = ((0, -height % REDUCTION), (0, -width % REDUCTION), (0, 0))
        padded = np.pad(image, around, mode="edge")
        frame = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            latents = network.encoder(frame)
            strings = code.encode(latents, kept)
        rows, columns = latents.shape[2:]
        write_bytes(path, StringFile(self._identity, width, height, rows, columns, strings).pack())

    def decode(self, path: Path) -> np.ndarray:
        """See ``Codec``."""
        import torch

        network, code = self._model()
        file = StringFile.parse(path.read_bytes())
        if file.identity != self._identity:
            raise HeqError(f"{path.name} was coded with other weights than those of {self.name}.")
        shape = -(-file.height // REDUCTION), -(-file.width // REDUCTION)
        if (file.rows, file.columns) != shape:
            raise HeqError(
                f"{path.name} has {file.rows}x{file.columns} latents, which is no shape for "
                f"{file.width}x{file.height} pixels; it is damaged."
            )
        with torch.inference_mode():
            frame = network.decoder(code.decode(file.strings, *shape))
        levels = (frame[0, :, : file.height, : file.width] * 255).round().clamp(0, 255).byte()
        return np.ascontiguousarray(levels.permute(1, 2, 0).numpy())

    @property
    def _identity(self) -> bytes:
        if self._weights is None:
            raise HeqError(str(self.missing()))
        return self._weights.identity

    def _model(self) -> tuple[McuCoder, LatentCode]:
        """The networks and the code of the latents, loaded once."""
        if self._loaded is None:
            from heqcodec.eval.peers.latent_code import LatentCode
            from heqcodec.eval.peers.load import load_peer
            from heqcodec.eval.peers.mcucoder import McuCoder

            reason = self.missing()
            if reason or self._weights is None:
                raise HeqError(str(reason))
            network, tensors = load_peer(self._weights.path)
            if not isinstance(network, McuCoder):
                raise HeqError(
                    f"{self._weights.path} holds a {network.architecture}; give an mcucoder's "
                    "weights."
                )
            self._loaded = network, LatentCode.from_tensors(tensors)
        return self._loaded
