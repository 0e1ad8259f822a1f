"""Write the networks as ONNX graphs: python graphs.py FOLDER. `build.mjs` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

from heqcodec.models import registry
from heqcodec.purenet.backends import network_tensors
from heqcodec.purenet.config import PurenetConfig
from heqcodec.purenet.onnx_graph import purenet_model


def main(folder: Path) -> None:
    """One graph for each decoder of each model, MODEL.DECODER.onnx."""
    for model in registry.model_names():
        for decoder in registry.decoder_names(model):
            tensors, config = registry.decoder_weights(model, decoder)
            sizes = PurenetConfig(**config)
            graph = purenet_model(f"{model} {decoder}", sizes, network_tensors(tensors))
            (folder / f"{model}.{decoder}.onnx").write_bytes(graph)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
