"""From tensors of the shipped weights to the decoder of a patch-constant model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heqcodec.backend import PatchEncoder
from heqcodec.nqe.transform_nqe import TransformCodeReader, TransformNqe
from numpy.typing import NDArray

from .decoder import BinaryReader, PurenetDecoder, Reader, TransformReader
from .device import find_device
from .network import Purenet, PurenetConfig
from .stored_weights import restored_weights


def make_decoder(
    encoder: PatchEncoder,
    tensors: Mapping[str, NDArray[Any]],
    config: Mapping[str, Any],
    device: str,
) -> PurenetDecoder:
    """The decoder of an encoder's codes.

    Args:
        encoder: whose codes are read.
        tensors: of the network.
        config: of the network.
        device: "auto" or a torch device.

    Raises:
        HeqUnsupportedError: the device does not exist.
    """
    target = find_device(device)
    reader: Reader
    if isinstance(encoder, TransformNqe):
        reader = TransformReader(TransformCodeReader(encoder))
    else:
        reader = BinaryReader()
    network = Purenet(PurenetConfig(**config))
    network.load_state_dict(restored_weights(tensors))
    return PurenetDecoder(reader, network, encoder.rates, target)
