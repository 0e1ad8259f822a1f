"""Weights for CompressAI's models: of its zoo, or checkpoints of one's own."""

from __future__ import annotations

import hashlib
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from heqcodec.base.errors import HeqError

if TYPE_CHECKING:
    from torch import Tensor

ZOO_QUALITIES = {
    "bmshj2018-factorized": 8,
    "bmshj2018-hyperprior": 8,
    "mbt2018-mean": 8,
    "mbt2018": 8,
    "cheng2020-anchor": 6,
    "cheng2020-attn": 6,
}
"""Architectures of CompressAI's zoo -> qualities, counted from 1."""
SUFFIX = ".safetensors"
_PATIENCE = 5.0  # seconds


class Weights(Protocol):
    """Weights of one rate."""

    @property
    def identity(self) -> bytes:
        """4 bytes that name them in files."""
        ...

    def missing(self) -> str | None:
        """What is wrong, and what to do, where they cannot be had at once; None if they can."""
        ...

    def load(self) -> dict[str, Tensor]:
        """Return the state dict; ``HeqError`` where it cannot be had."""
        ...


@dataclass(frozen=True)
class ZooWeights:
    """Weights that CompressAI's zoo offers, trained for squared error.

    They lie in torch's cache, or are fetched from CompressAI's server when they are first asked
    for. Never through an unpickler that runs code: tensors only.
    """

    architecture: str
    quality: int

    @cached_property
    def url(self) -> str:
        """Where they come from, as CompressAI has it."""
        from compressai.zoo.image import model_urls

        return str(model_urls[self.architecture]["mse"][self.quality])

    @property
    def cached(self) -> Path:
        """Where torch keeps the file."""
        import torch

        return Path(torch.hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]

    @property
    def identity(self) -> bytes:
        """The start of the file's SHA-256, which its name ends with."""
        return bytes.fromhex(self.url.rpartition("-")[2][:8])

    def missing(self) -> str | None:
        """See ``Weights``; tells whether the server answers where the file is not cached."""
        if self.cached.is_file():
            return None
        reason = _unreachable(self.url.split("/")[2])
        if reason is None:
            return None
        return self._absent(reason)

    def load(self) -> dict[str, Tensor]:
        """See ``Weights``."""
        from compressai.zoo.pretrained import load_pretrained
        from torch.hub import load_state_dict_from_url

        try:
            state = load_state_dict_from_url(
                self.url, map_location="cpu", progress=False, check_hash=True, weights_only=True
            )
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise HeqError(self._absent(str(error))) from error
        except Exception as error:  # torch raises what the file's damage leads to
            reason = " ".join(str(error).split())[:200]
            raise HeqError(f"{self.cached} cannot be used ({reason}); delete it.") from error
        loaded: dict[str, Tensor] = load_pretrained(state)
        return loaded

    def _absent(self, reason: str) -> str:
        return (
            f"its pretrained weights are not in torch's cache and cannot be fetched ({reason}); "
            f"put {self.url} into {self.cached.parent}, or give checkpoints of your own as "
            f"compressai-{self.architecture}@FILE{SUFFIX}."
        )


@dataclass(frozen=True)
class CheckpointWeights:
    """A state dict of one's own, in a safetensors file."""

    path: Path

    @cached_property
    def identity(self) -> bytes:
        """The start of the file's SHA-256."""
        digest = hashlib.sha256()
        with open(self.path, "rb") as stream:
            while part := stream.read(1 << 20):
                digest.update(part)
        return digest.digest()[:4]

    def missing(self) -> str | None:
        """See ``Weights``."""
        return None if self.path.is_file() else f"there is no file {self.path}."

    def load(self) -> dict[str, Tensor]:
        """See ``Weights``."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(self.path)
        except (OSError, SafetensorError) as error:
            raise HeqError(f"{self.path} cannot be read as safetensors: {error}.") from error


def checkpoint_ladder(text: str) -> tuple[str, tuple[CheckpointWeights, ...]]:
    """Read what stands behind the @ of a codec's name.

    Args:
        text: ``PATH,PATH...`` or ``LABEL=PATH,PATH...``, files by rising rate; or one folder,
            whose safetensors files are taken by name. Without a label, the name of the folder or
            of the first file is taken.

    Returns:
        The label, of lower case letters, digits and hyphens, and the weights.

    Raises:
        HeqError: there is no such file, or no safetensors file in the folder, or no label.
    """
    label, equals, listed = text.rpartition("=")
    paths = [Path(part) for part in listed.split(",") if part]
    if not paths:
        raise HeqError("No checkpoint is given; name files or a folder behind the @.")
    label = label if equals else paths[0].resolve().name.removesuffix(SUFFIX)
    label = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
    if not label:
        raise HeqError(f"{text} gives no name for results; put one before it, as @NAME=PATH.")
    if len(paths) == 1 and paths[0].is_dir():
        folder = paths[0]
        paths = sorted(folder.glob(f"*{SUFFIX}"))
        if not paths:
            raise HeqError(f"There is no {SUFFIX} file in {folder}.")
    for path in paths:
        if path.suffix != SUFFIX:
            raise HeqError(
                f"{path} is no {SUFFIX} file; checkpoints are read from such files only, which "
                "safetensors.torch.save_file(model.state_dict(), PATH) writes."
            )
        if not path.is_file():
            raise HeqError(f"There is no file {path}.")
    return label, tuple(CheckpointWeights(path) for path in paths)


def named_as_installed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict with the names that the installed CompressAI has.

    Since 1.2.7 the densities' tensors are named ``matrices.0`` and no longer ``_matrix0``. It reads
    the old names itself; this gives an older one the names that it knows.
    """
    from compressai.entropy_models import EntropyBottleneck

    if hasattr(EntropyBottleneck(1), "matrices"):
        return state
    old = {"matrices": "_matrix", "biases": "_bias", "factors": "_factor"}
    return {
        re.sub(
            r"\b(matrices|biases|factors)\.(\d)$", lambda found: old[found[1]] + found[2], name
        ): tensor
        for name, tensor in state.items()
    }


@lru_cache
def _unreachable(host: str) -> str | None:
    """Why a server does not answer, or None if it does; asked once."""
    try:
        request = urllib.request.Request(f"https://{host}/", method="HEAD")
        with urllib.request.urlopen(request, timeout=_PATIENCE):
            return None
    except urllib.error.HTTPError:
        return None  # An answer: the root of a server of files is not for reading.
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return f"{host}: {reason}"
