"""Codecs to compare with, by name: each is one class of the protocol in ``codec.py``.

Importing this imports none of them, and none of their libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from heqcodec.base.errors import HeqError
from heqcodec.models.registry import model_names

if TYPE_CHECKING:
    from heqcodec.eval.baselines.codec import Codec

__all__ = ["CodecMaker", "codec_names", "make_codec", "matching_specs"]

_CHECKPOINT = "@"
_TAKING_CHECKPOINTS = ("compressai-", "mcucoder")

_ZOO = (
    "bmshj2018-factorized",
    "bmshj2018-hyperprior",
    "mbt2018-mean",
    "mbt2018",
    "cheng2020-anchor",
    "cheng2020-attn",
)


@cache
def _codecs() -> dict[str, tuple[str, ...]]:
    """Name -> module in this package, its class, and what the constructor is given."""
    return {
        "heq": ("heq", "HeqRate"),
        "heq-packed": ("heq", "HeqRatePacked"),
        "heq-packed-fast": ("heq", "HeqRateFast"),
        "heq-packed-best": ("heq", "HeqRateBest"),
        "heq-packed-best-2": ("heq", "HeqRateBest2"),
        "heq-patch": ("heq", "HeqPatch"),
        **{f"heq-patch-{model}": ("heq", "HeqPatch", model) for model in model_names("patch")},
        "jpeg": ("pillow_codecs", "Jpeg"),
        "jpeg2000": ("jpeg2000", "Jpeg2000"),
        "jpeg2000-ffmpeg": ("jpeg2000", "Jpeg2000AsFfmpeg"),
        "webp": ("pillow_codecs", "WebP"),
        "avif": ("pillow_codecs", "Avif"),
        "heic": ("heic", "Heic"),
        "heic444": ("heic", "Heic444"),
        "jxl": ("jxl", "JpegXl"),
        "vvc": ("vvc", "Vvc"),
        "bpg420": ("bpg", "Bpg", "420"),
        "bpg444": ("bpg", "Bpg", "444"),
        "patch-jpeg2000": ("patch.jpeg2000", "TileJpeg2000"),
        "patch-jpeg2000-bare": ("patch.jpeg2000", "BareTileJpeg2000"),
        "patch-klt": ("patch.klt", "KltBlockCode"),
        "patch-dct": ("patch.dct", "BitPlaneDct"),
        "patch-cs": ("patch.sensing", "RandomSensing"),
        "patch-cs-learned": ("patch.sensing", "LearnedSensing"),
        **{f"compressai-{zoo}": ("compressai_models", "CompressAIModel", zoo) for zoo in _ZOO},
        "mcucoder": ("mcucoder", "McuCoderCodec"),
    }


def codec_names() -> list[str]:
    """Return all names, in the order in which lists show them."""
    return list(_codecs())


def matching_specs(pattern: str) -> list[str]:
    """Return what :func:`make_codec` takes for one word of a command line.

    Args:
        pattern: a name, a pattern of names as ``compressai-*``, or ``NAME@CHECKPOINTS``, which is
            its own and only match; see :func:`make_codec`.

    Raises:
        HeqError: no codec has such a name.
    """
    if _CHECKPOINT in pattern:
        _entry(pattern)
        return [pattern]
    found = [name for name in _codecs() if fnmatchcase(name, pattern)]
    if not found:
        raise _unknown(pattern)
    return found


def make_codec(spec: str) -> Codec:
    """Return the codec of a name, ready to say whether it can run here; no weights are loaded.

    Args:
        spec: one of :func:`codec_names`; or ``compressai-ARCHITECTURE@CHECKPOINTS`` for trained
            weights of one's own, see ``compressai_weights.checkpoint_ladder``. The name of such a
            codec is not its spec: names stand in results, where no path of a machine belongs.

    Raises:
        HeqError: no codec has such a name, or the checkpoints are not there.
    """
    module, kind, *arguments = _entry(spec)
    if _CHECKPOINT in spec:
        arguments.append(spec.partition(_CHECKPOINT)[2])
    codec: Codec = getattr(import_module(f"{__name__}.{module}"), kind)(*arguments)
    return codec


@dataclass(frozen=True)
class CodecMaker:
    """Makes the codecs of a run by their names, in any process: it can be sent to one.

    specs: name of a codec -> its spec, for those where the two differ.
    """

    specs: Mapping[str, str]

    def __call__(self, name: str) -> Codec:
        """As :func:`make_codec`, for the codec that has this name."""
        return make_codec(self.specs.get(name, name))


def _entry(spec: str) -> tuple[str, ...]:
    name = spec.partition(_CHECKPOINT)[0]
    if name not in _codecs():
        raise _unknown(name)
    if _CHECKPOINT in spec and not name.startswith(_TAKING_CHECKPOINTS):
        raise HeqError(
            f"{name} takes no checkpoints; only trained models do, as "
            "compressai-bmshj2018-factorized@FOLDER."
        )
    return _codecs()[name]


def _unknown(name: str) -> HeqError:
    return HeqError(f"There is no codec {name}; choose from {', '.join(_codecs())}.")
