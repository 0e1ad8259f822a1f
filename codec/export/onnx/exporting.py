"""``heqcodec export onnx``: encoder and decoders of a model as ONNX files, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.base.files import write_bytes
from heqcodec.onnx.session import open_session
from heqcodec.purenet.backends import is_installed, network_tensors
from heqcodec.purenet.config import CELLS, PurenetConfig
from heqcodec.purenet.features import BaseFeatures, CellFeatures, Features
from heqcodec.purenet.onnx_graph import purenet_model
from numpy.typing import NDArray

from .encoders import encoder_model, exact_run, transform_matrix

TOLERANCE = 1e-4
"""Largest difference of a sample of RGB / 255 from torch: a fortieth of a grey level."""
STEP_PROBES = (0, 300, 640, 1023)
"""Step indices at which levels are compared: the finest, two in use, the coarsest."""
_GRID = (3, 4)


def export_onnx(model: str, folder: Path) -> dict[str, Any]:
    """Write ``NAME.encoder.onnx`` and ``NAME.purenet.onnx``, one for each decoder.

    Every graph is run by onnxruntime before it is written, and compared: the encoder with int64,
    bit for bit, on patches that drive it to its limits; PURENET with torch.

    Args:
        model: name of a model, or "default" for that of the variable-rate mode.
        folder: made if it is not there; its parent must be. Files of these names are replaced.

    Returns:
        Bytes and the largest difference found, by file.

    Raises:
        HeqUnsupportedError: there is no such model, or torch is not installed.
        HeqError: a graph does not compute what it should, or the folder cannot be written.
    """
    from heqcodec.models import registry

    name = registry.default_model(registry.RATE_MODE) if model == "default" else model
    if not is_installed("torch"):
        raise HeqUnsupportedError(
            "an export is compared with torch, which is not installed; "
            'run pip install "heqcodec[torch]".'
        )
    graphs = {f"{name}.encoder.onnx": _checked_encoder(name)}
    for decoder in registry.decoder_names(name):
        suffix = "" if decoder == registry.STRONG else f"-{decoder}"
        tensors, config = registry.decoder_weights(name, decoder)
        graphs[f"{name}.purenet{suffix}.onnx"] = _checked_purenet(
            f"{name} {decoder}", PurenetConfig(**config), network_tensors(tensors)
        )
    try:
        folder.mkdir(exist_ok=True)
        for file, (data, _) in graphs.items():
            write_bytes(folder / file, data)
    except OSError as error:
        raise HeqError(f"{folder} cannot be written: {error.strerror}.") from error
    return {
        file: {"bytes": len(data), "largest_difference": apart}
        for file, (data, apart) in graphs.items()
    }


def _checked_encoder(name: str) -> tuple[bytes, float]:
    from heqcodec.models import registry

    encoder = registry.load_any_encoder(name)
    data = encoder_model(name, encoder)
    session = open_session(data)
    names = [item.name for item in session.get_outputs()]
    for patches in probes(encoder):
        for step in STEP_PROBES:
            inputs, expected = exact_run(encoder, patches, step)
            found = dict(zip(names, session.run(names, inputs), strict=True))
            if not all(np.array_equal(found[name], value) for name, value in expected.items()):
                raise HeqError(
                    f"the encoder of {name} as an ONNX graph is not exact by onnxruntime."
                )
            if "step" not in inputs:
                break
    return data, 0


def probes(encoder: object) -> list[NDArray[np.uint8]]:
    """Batches of patches: noise, one of each extreme, and those that make the largest sums."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    hard = (255 * rng.integers(0, 2, (4, 32, 32, 3))).astype(np.uint8)
    colours = [np.full((32, 32, 3), 255 * np.array(c), np.uint8) for c in np.ndindex(2, 2, 2)]
    batches = [noise, hard, np.stack(colours)]
    matrix = transform_matrix(encoder)
    if matrix is not None:
        # A coefficient is largest where each sample has the sign of its weight.
        waves = [np.outer(matrix[u], matrix[v]) > 0 for u, v in ((0, 1), (1, 1), (31, 31), (16, 7))]
        planes = np.stack([*waves, *(~wave for wave in waves)])
        batches.append((255 * planes[..., None] * np.ones(3, int)).astype(np.uint8))
    return batches


def _checked_purenet(
    name: str, config: PurenetConfig, tensors: dict[str, NDArray[Any]]
) -> tuple[bytes, float]:
    from heqcodec.purenet.onnx_network import OnnxNetwork
    from heqcodec.purenet.torch_network import load_torch_network

    features = _some_features(config)
    rate_weights = np.random.default_rng(2).random((_GRID[0], config.rates), np.float32)
    rate_weights /= rate_weights.sum(axis=1, keepdims=True)  # other ones in each row of patches
    expected = load_torch_network(tensors, config, "cpu").frame(features, rate_weights)
    found = OnnxNetwork(tensors, config).frame(features, rate_weights)
    apart = float(np.abs(found - expected).max())
    if not apart <= TOLERANCE:
        raise HeqError(f"PURENET of {name} by onnxruntime differs from torch by {apart:.2g}.")
    return purenet_model(name, config, tensors), apart


def _some_features(config: PurenetConfig) -> Features:
    rng, (rows, columns) = np.random.default_rng(1), _GRID
    if not config.has_base:
        shape = (config.inputs, CELLS * rows, CELLS * columns)
        return CellFeatures(rng.integers(-1, 2, shape).astype(np.float32))
    base = rng.random((3, 32 * rows, 32 * columns), dtype=np.float32)
    return BaseFeatures(base, rng.random((config.hints, rows, columns), dtype=np.float32))
