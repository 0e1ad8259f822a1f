"""This project's codec, through the same public functions that everyone has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
from heqcodec.api import BITS_PER_PIXEL, CoderName, DecoderName, ModeName
from heqcodec.base.arguments import OWN_CODER
from heqcodec.base.files import write_bytes
from heqcodec.eval.baselines.pixels import rgb_image
from heqcodec.models import registry
from heqcodec.models.manifest import decoder_entry
from heqcodec.nqe_r.coders import CODERS


class _Heq:
    """What both modes share; see ``Codec`` for the attributes.

    On the CPU also where there is a graphics card, as the codecs it is compared with.
    """

    single_threaded = False
    suffix = ".heq"

    def decode(self, path: Path) -> np.ndarray:
        """See ``Codec``."""
        return heqcodec.decode(path, max_pixels=None, device="cpu")


class HeqPatch(_Heq):
    """The patch-constant mode: as many bits for each 32 x 32 patch.

    Args:
        model: a name of ``heqcodec models``; the default model of the mode for "".
    """

    setting_name = "bpp"
    settings: tuple[float, ...] = tuple(sorted(BITS_PER_PIXEL))

    def __init__(self, model: str = "") -> None:
        self._model = model or registry.default_model("patch")
        self.name = f"heq-patch-{model}" if model else "heq-patch"
        self.about = f"heqcodec, as many bits for each 32x32 patch, model {self._model}"

    def missing(self) -> str | None:
        """See ``Codec``; it is always here."""
        return None

    def version(self) -> str:
        """See ``Codec``: weights make files and pictures as much as the program does."""
        entry = registry.manifest()["models"][self._model]
        return (
            f"heqcodec {heqcodec.__version__}, {self._model}, "
            f"encoder {entry['encoder']['encoder_id']}, coder {entry['encoder']['coder_id']}, "
            f"decoder {entry['decoder']['sha256'][:16]}"
        )

    def prepare(self) -> None:
        """Load encoder and decoder."""
        encoder = registry.load_encoder(self._model)
        registry.load_decoder(encoder.encoder_id, encoder.coder_id, "cpu")

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """See ``Codec``."""
        image = np.asarray(rgb_image(pixels))
        data = heqcodec.encode(image, bpp=setting, model=self._model, max_pixels=None)
        write_bytes(path, data)


class HeqRate(_Heq):
    """The variable-rate mode, as a device writes it."""

    name = "heq"
    mode: ModeName = "rate"
    setting_name = "quality"
    settings: tuple[float, ...] = (8, 15, 25, 35, 45, 55, 65, 75, 85)
    about = "heqcodec, variable rate, device coder"
    coder: CoderName = OWN_CODER
    decoder: DecoderName = registry.STRONG

    def missing(self) -> str | None:
        """See ``Codec``."""
        if not registry.model_names(self.mode):
            return "this version of heqcodec has no model of variable rate; use heq-patch."
        always = (registry.STRONG, *registry.VIEWS)
        if self.decoder not in always and self.decoder not in self._entry().get("decoders", {}):
            return f"the model {registry.default_model(self.mode)} has no decoder {self.decoder}."
        return None

    def _entry(self) -> dict[str, Any]:
        entry: dict[str, Any] = registry.manifest()["models"][registry.default_model(self.mode)]
        return entry

    def version(self) -> str:
        """See ``Codec`` and ``HeqPatch``."""
        if self.missing():
            return f"heqcodec {heqcodec.__version__}"
        entry, model = self._entry(), registry.default_model(self.mode)
        decoder = decoder_entry(entry, registry.decoder_with_weights(model, self.decoder))
        return (
            f"heqcodec {heqcodec.__version__}, {model}, "
            f"encoder {entry['encoder']['encoder_id']}, "
            f"{self.coder} coder {entry['coders'][self.coder]['coder_id']}, "
            f"decoder {decoder['sha256'][:16]}"
        )

    def prepare(self) -> None:
        """Load encoder, coder and decoder."""
        model = registry.default_model(self.mode)
        registry.load_rate_encoder(model)
        registry.load_strip_coder(model, CODERS[self.coder].number)
        registry.load_rate_decoder(model, "cpu", self.decoder)

    def decode(self, path: Path) -> np.ndarray:
        """See ``Codec``."""
        return heqcodec.decode(path, max_pixels=None, device="cpu", decoder=self.decoder)

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """See ``Codec``."""
        image = np.asarray(rgb_image(pixels))
        data = heqcodec.encode(
            image, quality=setting, mode=self.mode, coder=self.coder, max_pixels=None
        )
        write_bytes(path, data)


class HeqRatePacked(HeqRate):
    """The same levels and pictures in the smaller files of a server."""

    name = "heq-packed"
    about = "heqcodec, variable rate, packed coder"
    coder = "packed"


class HeqRateFast(HeqRatePacked):
    """The same files through the fast decoder."""

    name = "heq-packed-fast"
    about = "heqcodec, variable rate, packed coder, fast decoder"
    decoder = registry.FAST


class HeqRateBest(HeqRatePacked):
    """The same files through the best decoder, the mean of four views of the frame."""

    name = "heq-packed-best"
    about = "heqcodec, variable rate, packed coder, best decoder"
    decoder = registry.BEST


class HeqRateBest2(HeqRatePacked):
    """The same files through the network of the best decoder on two views of the frame."""

    name = "heq-packed-best-2"
    about = "heqcodec, variable rate, packed coder, best decoder on two views"
    decoder = "best-2"
