"""Peers by architecture, and from files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from heqcodec.base.errors import HeqError
from safetensors import SafetensorError, safe_open

from .factorized import Factorized
from .mcucoder import McuCoder
from .mean_scale import MeanScale
from .peer import Peer

ARCHITECTURES: dict[str, type[Peer]] = {
    kind.architecture: kind for kind in (Factorized, MeanScale, McuCoder)
}
EXTRA = "code."
"""Names of tensors in a file that belong to the coder and not to the network begin so."""


def build(architecture: str, sizes: dict[str, int]) -> Peer:
    """A peer with fresh weights from torch's generator.

    Raises:
        HeqError: there is no such architecture, or it has no such sizes.
    """
    kind = ARCHITECTURES.get(architecture)
    if kind is None:
        raise HeqError(
            f'there is no peer "{architecture}"; those here are {", ".join(ARCHITECTURES)}.'
        )
    try:
        return kind(**sizes)
    except TypeError as error:
        raise HeqError(f"the sizes {sizes} are not those of {architecture}: {error}.") from error


def load_peer(path: Path) -> tuple[Peer, dict[str, torch.Tensor]]:
    """A trained peer, in evaluation mode, and what its file holds for the coder.

    Args:
        path: safetensors, as ``heqcodec eval train-peer`` exports them.

    Raises:
        HeqError: the file cannot be read, or is not such a file.
    """
    try:
        with safe_open(path, framework="pt") as stored:
            header = stored.metadata() or {}
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
        network = build(header["architecture"], json.loads(header["sizes"]))
        extra = {
            key.removeprefix(EXTRA): tensors.pop(key) for key in [*tensors] if key.startswith(EXTRA)
        }
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise HeqError(
            f"{path} does not hold a trained peer ({type(error).__name__}: {reason}); give a file "
            "that `heqcodec eval train-peer` exported."
        ) from error
    return network.eval(), extra
