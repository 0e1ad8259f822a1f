"""A decoder in a folder of weights that a command changes: manifest entry and file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_json
from heqcodec.models.manifest import decoder_entry
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from .export import store_tensors


class StoredDecoder:
    """See the module.

    Args:
        weights: folder of ``manifest.json`` and the files that it names.
        model: one of its models.
        decoder: of the model, with weights of its own.

    Attributes:
        model: what the manifest says of the model.
        entry: what it says of the decoder; changes of it are written by `store`.
        tensors: stored in the decoder's file.

    Raises:
        HeqError: a file cannot be read, or there is no such model or decoder.
    """

    def __init__(self, weights: Path, model: str, decoder: str) -> None:
        self._weights, self._path = weights, weights / "manifest.json"
        try:
            self._manifest: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            models: dict[str, dict[str, Any]] = self._manifest["models"]
        except (OSError, ValueError, KeyError) as error:
            raise HeqError(f"{self._path} cannot be read as a manifest ({error}).") from error
        if model not in models:
            raise HeqError(f'{self._path} has no model "{model}"; it has {", ".join(models)}.')
        self.model = models[model]
        try:
            self.entry = decoder_entry(self.model, decoder)
        except KeyError as error:
            raise HeqError(
                f'"{model}" has no decoder "{decoder}" with weights of its own in {self._path}.'
            ) from error
        self.file = weights / self.entry["file"]
        self.tensors = _tensors_of(self.file)

    def encoder_tensors(self) -> dict[str, NDArray[Any]]:
        """Of the model's encoder, by their names there."""
        part = self.model["encoder"]
        tensors = _tensors_of(self._weights / part["file"])
        prefix = part.get("prefix", "")
        return {name.removeprefix(prefix): value for name, value in tensors.items()}

    def store(self, tensors: dict[str, NDArray[Any]]) -> None:
        """Write the decoder's file anew, and the manifest with its hash."""
        self.entry |= store_tensors(self._weights, self.entry["file"], tensors)
        write_json(self._path, self._manifest)


def _tensors_of(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a file.

    Raises:
        HeqError: it cannot be read.
    """
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise HeqError(f"{path} cannot be read ({error}).") from error
