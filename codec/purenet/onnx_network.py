"""PURENET by onnxruntime, on the CPU: what `decode` runs by default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from heqcodec.onnx.session import open_session, run_options
from heqcodec.purenet.config import PurenetConfig
from heqcodec.purenet.features import Features
from numpy.typing import NDArray

from .onnx_graph import purenet_model


class OnnxNetwork:
    """A `heqcodec.purenet.features.FrameNetwork`.

    Args:
        tensors: as `heqcodec.purenet.stored_weights` stores them.
        config: sizes of the network.

    Raises:
        HeqUnsupportedError: onnxruntime is not installed.
    """

    def __init__(self, tensors: Mapping[str, NDArray[Any]], config: PurenetConfig) -> None:
        self._session = open_session(purenet_model("purenet", config, tensors))
        self.radius, self.hints = config.radius, config.hints
        self._last_shapes: tuple[tuple[int, ...], ...] = ()

    def frame(self, features: Features, rate_weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `FrameNetwork`."""
        inputs = {name: array[None] for name, array in features._asdict().items()}
        inputs["rate_weights"] = rate_weights
        shapes = tuple(array.shape for array in inputs.values())
        # Frames of one size follow each other in an archive, and tiles in a frame.
        options = run_options(keep_memory=shapes == self._last_shapes)
        self._last_shapes = shapes
        frame: NDArray[np.float32] = self._session.run(["frame"], inputs, options)[0]
        return np.ascontiguousarray(frame[0].transpose(1, 2, 0))
