"""The stored tensors of the models that ship, for whoever counts or checks them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load


def stored_tensors(part: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The tensors of a part of a model.

    Args:
        part: its entry in the manifest: with a ``file``, and a ``prefix`` where parts share one.
    """
    tensors = load((files("heqcodec.weights") / part["file"]).read_bytes())
    prefix = str(part.get("prefix", ""))
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
