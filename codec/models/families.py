"""The families of encoders: what each has, and what makes its parts of stored tensors.

A new family has a folder of its own, like `heqcodec.nqe_r`, and an entry in `FAMILIES`. Imports
wait until a part is wanted: `encode` needs neither a decoder nor its network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from heqcodec.base.arguments import DecoderName
from heqcodec.base.patch_protocols import FrameDecoder, PatchEncoder
from heqcodec.base.rate_protocols import RateDecoder, RateEncoder
from numpy.typing import NDArray

if TYPE_CHECKING:
    from heqcodec.purenet.features import FrameNetwork

Tensors = Mapping[str, NDArray[Any]]
TRANSFORM = "transform"
VGG = "vgg"
VGG_CLASS = "vgg-class"
RATE = "rate"
PATCH_MODE, RATE_MODE = "patch", "rate"
STRONG: Final = "strong"
FAST: Final = "fast"
BEST: Final = "best"
"""Without weights of its own those of the strong one; run several times, see `VIEWS`."""
VIEWS: dict[DecoderName, int] = {"best-2": 2, BEST: 4, "best-8": 8}
"""Runs of the network by name; see `heqcodec.purenet.self_ensemble`."""
SSIMULACRA2: Final = "ssimulacra2"
PLAIN: Final = "plain"
"""The inverse transform without a network."""
DECODERS: tuple[DecoderName, ...] = get_args(DecoderName)
"""Decoders that a model may have; the strong one is always there."""


@dataclass(frozen=True)
class Family:
    """What a family of models has, whatever the model.

    Attributes:
        mode: `PATCH_MODE` or `RATE_MODE`, of its files.
        derived_decoders: those that need no weights beyond the strong one's.
        make_encoder: the encoder of its tensors.
        make_decoder: the decoder of an encoder's codes or levels. Its arguments are the encoder;
            the stored tensors of the decoder, those of its network among them; and that network,
            None for the plain inverse alone.
    """

    mode: str
    derived_decoders: tuple[DecoderName, ...]
    make_encoder: Callable[[Tensors], PatchEncoder | RateEncoder]
    make_decoder: Callable[[Any, Tensors, FrameNetwork | None], FrameDecoder | RateDecoder]


def encoder_ids(encoder: PatchEncoder | RateEncoder) -> dict[str, str]:
    """``encoder_id`` in hexadecimal digits, and ``coder_id`` of an encoder that codes itself."""
    names = ("encoder_id", "coder_id")
    return {name: getattr(encoder, name).hex() for name in names if hasattr(encoder, name)}


def _rate_encoder(tensors: Tensors) -> RateEncoder:
    from heqcodec.nqe_r.encoder import RateNqe

    return RateNqe(tensors)


def _rate_decoder(encoder: Any, tensors: Tensors, network: FrameNetwork | None) -> RateDecoder:
    from heqcodec.purenet.dequantizer import stored_dequantizer
    from heqcodec.purenet.rate_decoder import PurenetRateDecoder
    from heqcodec.purenet.trust import PREFIX, Trust

    trust = Trust(tensors) if any(name.startswith(PREFIX) for name in tensors) else None
    return PurenetRateDecoder(encoder, stored_dequantizer(encoder, tensors), network, trust)


def _transform_encoder(tensors: Tensors) -> PatchEncoder:
    from heqcodec.nqe_t.encoder import TransformNqe

    return TransformNqe(tensors)


def _transform_decoder(
    encoder: Any, tensors: Tensors, network: FrameNetwork | None
) -> FrameDecoder:
    from heqcodec.nqe_t.encoder import TransformCodeReader
    from heqcodec.purenet.decoder import PurenetDecoder
    from heqcodec.purenet.patch_readers import TransformReader

    return PurenetDecoder(TransformReader(TransformCodeReader(encoder)), network, encoder.rates)


def _vgg_encoder(tensors: Tensors) -> PatchEncoder:
    from heqcodec.nqe_vgg.integer import IntegerVgg

    return IntegerVgg.from_tensors(tensors)


def _vgg_decoder(encoder: Any, tensors: Tensors, network: FrameNetwork | None) -> FrameDecoder:
    from heqcodec.purenet.decoder import PurenetDecoder
    from heqcodec.purenet.patch_readers import BinaryReader

    assert network  # it has no plain inverse
    return PurenetDecoder(BinaryReader(), network, encoder.rates)


def _class_encoder(tensors: Tensors) -> PatchEncoder:
    from heqcodec.nqe_vgg.encoder import VggNqe

    return VggNqe(tensors)


def _class_decoder(encoder: Any, tensors: Tensors, network: FrameNetwork | None) -> FrameDecoder:
    from heqcodec.nqe_vgg.code_reader import POINTS, ClassCodeReader
    from heqcodec.purenet.decoder import PurenetDecoder
    from heqcodec.purenet.patch_readers import ClassReader

    reader = ClassReader(ClassCodeReader(encoder, tensors[POINTS]))
    return PurenetDecoder(reader, network, encoder.rates)


FAMILIES = {
    RATE: Family(RATE_MODE, (*VIEWS, PLAIN), _rate_encoder, _rate_decoder),
    TRANSFORM: Family(PATCH_MODE, (PLAIN,), _transform_encoder, _transform_decoder),
    VGG: Family(PATCH_MODE, (), _vgg_encoder, _vgg_decoder),
    VGG_CLASS: Family(PATCH_MODE, (PLAIN,), _class_encoder, _class_decoder),
}
