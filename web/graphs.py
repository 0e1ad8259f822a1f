"""Write the networks of nqe-r as ONNX graphs: python graphs.py FOLDER. `build.mjs` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

from heqcodec.models import registry
from heqcodec.purenet.backends import network_tensors
from heqcodec.purenet.config import PurenetConfig
from heqcodec.purenet.onnx_graph import purenet_model

MODEL = "nqe-r"


def main(folder: Path) -> None:
    """One graph for each decoder, NAME.onnx."""
    for decoder in (registry.STRONG, registry.FAST):
        tensors, config = registry.decoder_weights(MODEL, decoder)
        graph = purenet_model(
            f"{MODEL} {decoder}", PurenetConfig(**config), network_tensors(tensors)
        )
        (folder / f"{MODEL}.{decoder}.onnx").write_bytes(graph)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
