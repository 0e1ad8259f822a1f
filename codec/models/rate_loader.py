"""From tensors of the shipped weights to the parts of a model of variable rate.

Where a part lives is known here alone. Imports wait until a part is wanted: `encode` needs neither
the decoder nor its network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from heqcodec.base.rate_protocols import RateDecoder, RateEncoder, StripCoder
from heqcodec.container.header import Coder
from numpy.typing import NDArray

if TYPE_CHECKING:
    from heqcodec.purenet.dequantizer import Dequantizer

Tensors = Mapping[str, NDArray[Any]]
PLACES = "dequantizer.places"
"""Tensor beside the network's: where in its interval each level is put."""


def make_encoder(tensors: Tensors) -> RateEncoder:
    """The encoder of its tensors."""
    from heqcodec.nqe_r.encoder import RateNqe

    return RateNqe(tensors)


def make_strip_coder(coder: int, tables: Tensors) -> StripCoder:
    """The device coder or the packed coder of its tables.

    Args:
        coder: `Coder.DEVICE` or `Coder.PACKED`.
        tables: trained tables, integers.
    """
    if coder == Coder.DEVICE:
        from heqcodec.nqe_r.device_coder.coder import DeviceCoder

        return DeviceCoder(dict(tables))
    from heqcodec.nqe_r.packed_coder.coder import PackedCoder

    return PackedCoder(dict(tables))


def make_dequantizer(encoder: RateEncoder, tensors: Tensors) -> Dequantizer:
    """The plain inverse of an encoder.

    Args:
        encoder: from `make_encoder`, whose steps and transform are inverted.
        tensors: of a decoder, `PLACES` among them.
    """
    from heqcodec.nqe_r.encoder import RateNqe
    from heqcodec.purenet.dequantizer import Dequantizer

    assert isinstance(encoder, RateNqe)
    return Dequantizer(encoder, tensors[PLACES].astype(np.float32))


def network_tensors(tensors: Tensors) -> dict[str, NDArray[Any]]:
    """Those of a decoder's tensors that are its network's."""
    from heqcodec.purenet.trust import PREFIX

    return {
        name: tensor
        for name, tensor in tensors.items()
        if name != PLACES and not name.startswith(PREFIX)
    }


def make_decoder(
    encoder: RateEncoder,
    tensors: Tensors,
    config: Mapping[str, Any],
    device: str,
    backend: str | None,
    self_ensemble: bool = False,
) -> RateDecoder:
    """The decoder of the levels of an encoder.

    Args:
        encoder: from `make_encoder`, whose steps and transform the decoder inverts.
        tensors: of the network, `PLACES`, and where they were fitted those of
            `heqcodec.purenet.trust`.
        config: of the network.
        device, backend: see `heqcodec.purenet.backends.choose_backend`; no backend is no network,
            the plain inverse alone.
        self_ensemble: run the network twice, see `heqcodec.purenet.self_ensemble`.
    """
    from heqcodec.nqe_r.encoder import RateNqe
    from heqcodec.purenet.backends import load_network
    from heqcodec.purenet.rate_decoder import PurenetRateDecoder
    from heqcodec.purenet.self_ensemble import SelfEnsemble
    from heqcodec.purenet.trust import Trust

    assert isinstance(encoder, RateNqe)
    stored = network_tensors(tensors)
    network = load_network(stored, config, device, backend) if backend else None
    if network and self_ensemble:
        network = SelfEnsemble(network)
    trust = Trust(tensors) if len(stored) + 1 < len(tensors) else None
    return PurenetRateDecoder(encoder, make_dequantizer(encoder, tensors), network, trust)
