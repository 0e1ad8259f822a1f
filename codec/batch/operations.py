"""The five operations of a batch, on bytes: they can be sent to other processes and machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from typing import Any, Literal

from heqcodec.container.header import DEFAULT_MAX_PIXELS
from heqcodec.file.options import EncodeOptions

from .work import Product, heq_product

__all__ = ["Decode", "Encode", "Repack", "Verify", "described"]


def described(name: str, operation: Encode | Decode | Repack | Verify) -> dict[str, Any]:
    """What a manifest holds a run to: the operation, its options, and ids of what encodes.

    Args:
        name: of the operation.
        operation: with its options, which are checked here.

    Raises:
        HeqError: options of no model that is here, or that contradict each other.
    """
    models: dict[str, str] = {}
    if isinstance(operation, Encode):
        from heqcodec.models import registry

        model = operation.options.resolved(registry).model
        entry = registry.manifest()["models"][model]
        models = {"model": model, "encoder": entry["encoder"]["encoder_id"]}
        coders = entry.get("coders", {}).items()
        models |= {f"coder {coder}": part["coder_id"] for coder, part in coders}
    return {"operation": name, "options": asdict(operation), "models": models}


@dataclass(frozen=True)
class Encode:
    """Images to ``.heq`` files; see `heqcodec.encode`.

    Attributes:
        options: mode, model and size.
        strip_metadata, raw, max_pixels: as arguments of `heqcodec.encode`.
    """

    options: EncodeOptions = field(default_factory=EncodeOptions)
    strip_metadata: bool = False
    raw: str | None = None
    max_pixels: int | None = DEFAULT_MAX_PIXELS

    def __call__(self, data: bytes) -> Product:
        """See `heqcodec.batch.work.Operation`."""
        from heqcodec.api import encode

        coded = encode(
            data,
            **asdict(self.options),
            strip_metadata=self.strip_metadata,
            raw=self.raw,
            max_pixels=self.max_pixels,
        )
        return heq_product(coded, coded)


@dataclass(frozen=True)
class Decode:
    """``.heq`` files to images; see `heqcodec.decode`.

    Attributes:
        format: of the outputs, as Pillow names it.
        scale: 1, or 2, 4 or 8 for images of 1/2, 1/4 or 1/8, without a network.
        decoder, backend, device, max_pixels: as arguments of `heqcodec.decode`.
    """

    format: str = "PNG"
    scale: int = 1
    decoder: str = "strong"
    backend: str = "auto"
    device: str = "auto"
    max_pixels: int | None = DEFAULT_MAX_PIXELS

    def __call__(self, data: bytes) -> Product:
        """See `heqcodec.batch.work.Operation`."""
        from heqcodec.api import read_metadata
        from heqcodec.file.decoding import decode_file
        from heqcodec.file.reduced import decode_reduced
        from heqcodec.image.output_formats import save_image

        if self.scale > 1:
            pixels, metadata = decode_reduced(data, self.scale), read_metadata(data)
        else:
            chosen: Any = {"decoder": self.decoder, "backend": self.backend}
            image = decode_file(data, None, False, self.max_pixels, self.device, **chosen)
            pixels, metadata = image.pixels, image.metadata
        written = BytesIO()
        kept = metadata if self.scale == 1 else replace(metadata, geo=None)  # for other pixels
        save_image(pixels, written, self.format, **vars(kept))
        return heq_product(written.getvalue(), data)


@dataclass(frozen=True)
class Repack:
    """Device files to packed files and back; see `heqcodec.pack`.

    Attributes:
        direction: "pack" or "unpack".
        strip_rows: of packed files.
        max_pixels: as an argument of `heqcodec.pack`.
    """

    direction: Literal["pack", "unpack"]
    strip_rows: int | None = None
    max_pixels: int | None = DEFAULT_MAX_PIXELS

    def __call__(self, data: bytes) -> Product:
        """See `heqcodec.batch.work.Operation`."""
        from heqcodec.api import pack, unpack

        if self.direction == "pack":
            made = pack(data, self.strip_rows, max_pixels=self.max_pixels)
        else:
            made = unpack(data, max_pixels=self.max_pixels)
        return heq_product(made, made)


@dataclass(frozen=True)
class Verify:
    """Check every checksum of ``.heq`` files; see `heqcodec.info`."""

    def __call__(self, data: bytes) -> Product:
        """See `heqcodec.batch.work.Operation`."""
        from heqcodec.api import info

        info(data)
        return heq_product(None, data)
