"""From tensors of the shipped weights to the decoder of a patch-constant model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heqcodec.base.patch_protocols import PatchEncoder
from heqcodec.nqe_t.encoder import TransformCodeReader, TransformNqe
from heqcodec.purenet.backends import load_network
from heqcodec.purenet.decoder import PurenetDecoder
from heqcodec.purenet.patch_readers import BinaryReader, Reader, TransformReader
from numpy.typing import NDArray


def make_decoder(
    encoder: PatchEncoder,
    tensors: Mapping[str, NDArray[Any]],
    config: Mapping[str, Any],
    device: str,
    backend: str | None,
) -> PurenetDecoder:
    """The decoder of an encoder's codes.

    Args:
        encoder: whose codes are read.
        tensors: of the network.
        config: of the network.
        device, backend: see `heqcodec.purenet.backends.choose_backend`; no backend is no network,
            the plain inverse alone, of codes that have one.

    Raises:
        HeqUnsupportedError: the backend or the device is not here.
    """
    reader: Reader
    if isinstance(encoder, TransformNqe):
        reader = TransformReader(TransformCodeReader(encoder))
    else:
        reader = BinaryReader()
    network = load_network(tensors, config, device, backend) if backend else None
    return PurenetDecoder(reader, network, encoder.rates)
