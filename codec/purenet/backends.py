"""Which library runs PURENET, and the network that it runs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, get_args

from heqcodec.base.arguments import BackendName
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from numpy.typing import NDArray

from .config import PurenetConfig
from .features import FrameNetwork

ONNX, TORCH = "onnx", "torch"
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)
_ON_CPU = ("auto", "cpu")
OTHER_PARTS = ("dequantizer.", "trust.", "points")
"""Beginnings of the names of a decoder's tensors that are not its network's, but those of
`heqcodec.purenet.dequantizer`, `heqcodec.purenet.trust` and `heqcodec.nqe_vgg.code_reader`."""


def choose_backend(backend: str, device: str) -> str:
    """Choose the library that runs the network: `ONNX` or `TORCH`.

    Args:
        backend: one of `BACKENDS`; "auto" takes torch where the device asks for it or onnxruntime
            is not installed.
        device: "auto", "cpu", or another device of torch.

    Raises:
        HeqUnsupportedError: what was chosen is not installed, or onnx was to run on a device.
        HeqError: there is no such backend.
    """
    if backend not in BACKENDS:
        names = ", ".join(BACKENDS)
        raise HeqError(f"The backend {backend!r} is not known; choose one of {names}.")
    if backend == ONNX and device not in _ON_CPU:
        raise HeqUnsupportedError(
            f'the backend onnx runs on the CPU, not on device "{device}"; choose backend torch, or '
            "leave the device out."
        )
    automatic = backend == "auto" and device in _ON_CPU
    if backend == ONNX or (automatic and is_installed("onnxruntime")):
        return ONNX
    if not is_installed("torch"):
        if automatic:
            raise HeqUnsupportedError(
                "the network needs the package onnxruntime, which is not installed; run "
                "pip install onnxruntime, or decode without a network, by the decoder plain."
            )
        reason = "the backend torch" if backend == TORCH else f'device "{device}"'
        raise HeqUnsupportedError(
            f"{reason} needs the package torch, which is not installed; run "
            'pip install "heqcodec[torch]", or decode on the CPU with backend onnx.'
        )
    return TORCH


def network_tensors(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Those of a decoder's stored tensors that are its network's."""
    return {name: part for name, part in tensors.items() if not name.startswith(OTHER_PARTS)}


def load_network(
    tensors: Mapping[str, NDArray[Any]], config: Mapping[str, Any], device: str, backend: str
) -> FrameNetwork:
    """The network of stored tensors.

    Args:
        tensors: as `heqcodec.purenet.stored_weights` stores them.
        config: arguments of `PurenetConfig`.
        device, backend: see `choose_backend`.

    Raises:
        HeqUnsupportedError: as `choose_backend`, or the device does not exist.
    """
    sizes = PurenetConfig(**config)
    if choose_backend(backend, device) == ONNX:
        from .onnx_network import OnnxNetwork

        return OnnxNetwork(tensors, sizes)
    from .torch_network import load_torch_network

    return load_torch_network(tensors, sizes, device)


def is_installed(package: str) -> bool:
    """Whether a package is installed; it is not imported."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # an import hook, or None in sys.modules, says no
        return False
