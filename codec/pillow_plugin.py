"""Pillow plugin: after ``import heqcodec``, ``Image.open`` and ``Image.save`` know ``.heq``."""

from __future__ import annotations

from typing import IO, Any, BinaryIO, cast

import numpy as np
from heqcodec import metadata
from heqcodec.container.header import MAGIC
from heqcodec.errors import HeqError
from PIL import Image, ImageFile

__all__ = ["HeqImageFile", "register"]

FORMAT = "HEQ"
EXTENSION = ".heq"
MIME_TYPE = "image/x-heq"

_ENCODE_OPTIONS = (
    "bpp",
    "quality",
    "target_size",
    "mode",
    "coder",
    "model",
    "strip",
    "strip_rows",
)


class HeqImageFile(ImageFile.ImageFile):
    """A ``.heq`` file as Pillow sees it.

    Opening reads header and metadata and passes over the strips, so size and mode cost little;
    a model loads when the pixels are first asked for. Modes: L, LA, RGB or RGBA.
    """

    format = FORMAT
    format_description = "heqcodec image"

    def _open(self) -> None:
        from heqcodec.container import chunks
        from heqcodec.container.reader import ContainerReader

        stream = _opened(self)
        if not _accept(stream.read(len(MAGIC))):
            raise SyntaxError("not a .heq file")
        stream.seek(0)
        try:
            # No limit here: Pillow checks the size against its own once _open has told it. And
            # partial, because as with other formats damage is for load() to report.
            reader = ContainerReader(stream, max_pixels=None, partial=True)
            present = {chunk.type: chunk.data for chunk in reader.read_chunks()}
        except HeqError as error:
            raise OSError(str(error)) from error
        header = reader.header
        alpha = "A" if chunks.ALPHA in present else ""
        self._size = (header.width, header.height)
        self._mode = ("L" if header.output_channels == 1 else "RGB") + alpha
        if chunks.ICC in present:
            self.info["icc_profile"] = present[chunks.ICC]
        if chunks.EXIF in present:
            self.info["exif"] = metadata.EXIF_PREFIX + present[chunks.EXIF]
        if chunks.XMP in present:
            self.info["xmp"] = present[chunks.XMP]
        self.tile = []  # None in older versions of Pillow, which then refuse to load
        self._loaded = False

    def load(self) -> Any:
        """Decode the pixels, once; what is intact of them if Pillow's own switch for damaged
        files, ``ImageFile.LOAD_TRUNCATED_IMAGES``, is set.

        Raises:
            OSError: the file is damaged or needs a model that is not here.
        """
        if not self._loaded:
            from heqcodec.api import decode

            stream = _opened(self)
            stream.seek(0)
            try:
                pixels = decode(stream, partial=ImageFile.LOAD_TRUNCATED_IMAGES, max_pixels=None)
            except HeqError as error:
                raise OSError(str(error)) from error
            if self.mode == "LA":
                pixels = pixels[..., [0, -1]]
            # Not through a "raw" tile, as other plugins do: Pillow would map the file on disk
            # in place of the decoded samples wherever that is large enough.
            data = np.ascontiguousarray(pixels).tobytes()
            self.im = Image.frombytes(self.mode, self.size, data).im
            self._loaded = True
            if self._exclusive_fp:
                stream.close()
            self.fp = None
        return super().load()


def _opened(image: ImageFile.ImageFile) -> BinaryIO:
    if image.fp is None:
        raise ValueError("Operation on closed image")  # Pillow's own words for it
    return cast("BinaryIO", image.fp)


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    from heqcodec.api import encode

    given: dict[str, Any] = getattr(image, "encoderinfo", {})
    source = image
    replaced = {key: given[key] for key in ("icc_profile", "exif", "xmp") if key in given}
    if replaced:
        # In the copy's info, so that an orientation in the EXIF given here is applied like any.
        source = image.copy()
        for key, value in replaced.items():
            source.info.pop(key, None)
            if value:
                source.info[key] = value.tobytes() if isinstance(value, Image.Exif) else value
    options = {key: given[key] for key in _ENCODE_OPTIONS if key in given}
    # The pixels are in memory, so a limit would guard nothing.
    stream.write(encode(source, **options, max_pixels=None))


def register() -> None:
    """Make Pillow open and save ``.heq``; calling it again changes nothing.

    ``image.save("x.heq", quality=...)`` takes the options of :func:`heqcodec.encode`, and
    Pillow's ``icc_profile``, ``exif`` and ``xmp``; what is not given is taken from
    ``image.info``. A bad option or image raises :class:`heqcodec.HeqError`, a ``ValueError``.
    """
    Image.register_open(FORMAT, HeqImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, MIME_TYPE)
