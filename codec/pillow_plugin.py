"""Pillow plugin: after ``import heqcodec``, ``Image.open`` and ``Image.save`` know ``.heq``."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, cast

import numpy as np
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.container.header import MAGIC, SMALL_FRAME, padded_size
from heqcodec.image import metadata
from numpy.typing import NDArray
from PIL import Image, ImageFile

__all__ = ["HeqImageFile", "register"]

FORMAT = "HEQ"
EXTENSION = ".heq"
MIME_TYPE = "image/x-heq"

_ENCODE_OPTIONS = (
    "bpp",
    "quality",
    "target_size",
    "budget",
    "mode",
    "coder",
    "model",
    "strip_metadata",
    "strip_rows",
    "strip",
)


class HeqImageFile(ImageFile.ImageFile):
    """A ``.heq`` file as Pillow sees it.

    Opening reads header and metadata and passes over the strips, so size and mode cost little;
    a model loads when the pixels are first read. Modes: L, LA, RGB or RGBA. Pixels are upright
    and the EXIF has no orientation, as after ``ImageOps.exif_transpose``.

    Pillow's limits hold, a warning above ``Image.MAX_IMAGE_PIXELS`` and an error above twice as
    many: for the image, and for the frame of whole patches of 32 x 32 that it is decoded in.
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
        with _os_errors():
            # No limit here: Pillow's own follows. And partial, because as with other formats
            # damage is for load() to report.
            reader = ContainerReader(stream, max_pixels=None, partial=True)
            present = {chunk.type: chunk.data for chunk in reader.read_chunks()}
        header = reader.header
        _check_frame(header.width, header.height)
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
        self._reducible = not header.constant_rate
        self._scale = 1
        self._loaded = False

    def verify(self) -> None:
        """Check every checksum, without a model; as elsewhere in Pillow the image is to be opened
        anew afterwards.

        Raises:
            OSError: the file is damaged.
        """
        from heqcodec.api import info

        try:
            stream = _opened(self)
            stream.seek(0)
            with _os_errors():
                info(stream)
        finally:
            super().verify()

    def draft(
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[int, int, float, float]] | None:
        """Have ``load`` decode at 1/2, 1/4 or 1/8, not smaller than ``size`` and without the
        network; ``Image.thumbnail`` calls this. Files of the patch mode are decoded whole.

        Returns:
            The mode, and the box of the image within the smaller one; None if nothing changes.
        """
        if size is None or self._loaded or self._scale > 1 or not self._reducible:
            return None
        from heqcodec.file.reduced import SCALES

        largest = min(self.width // max(size[0], 1), self.height // max(size[1], 1))
        self._scale = next((scale for scale in SCALES if scale <= largest), 1)
        if self._scale == 1:
            return None
        box = (0, 0, self.width / self._scale, self.height / self._scale)
        self._size = -(-self.width // self._scale), -(-self.height // self._scale)
        return self.mode, box

    def load(self) -> Any:
        """Decode the pixels, once; what is intact of them if Pillow's own switch for damaged
        files, ``ImageFile.LOAD_TRUNCATED_IMAGES``, is set.

        Raises:
            OSError: the file is damaged, needs a model that is not here, or more memory.
        """
        if not self._loaded:
            stream = _opened(self)
            stream.seek(0)
            if self._exclusive_fp:
                # Closed here and now, whatever decoding says; after an error it may be repeated.
                with stream:
                    self.fp = io.BytesIO(stream.read())
                self._exclusive_fp = False
            with _os_errors():
                pixels = self._decoded(_opened(self))
            if self.mode == "LA":
                pixels = pixels[..., [0, -1]]
            # Not through a "raw" tile, as other plugins do: Pillow would map the file on disk
            # in place of the decoded samples wherever that is large enough.
            data = np.ascontiguousarray(pixels).tobytes()
            self.im = Image.frombytes(self.mode, self.size, data).im
            self._loaded = True
            self.fp = None
        return super().load()

    def _decoded(self, stream: BinaryIO) -> NDArray[np.uint8]:
        partial = ImageFile.LOAD_TRUNCATED_IMAGES
        if self._scale > 1:
            from heqcodec.file.reduced import decode_reduced

            return decode_reduced(stream, self._scale, partial)
        from heqcodec.api import decode

        return decode(stream, partial=partial, max_pixels=None)


@contextlib.contextmanager
def _os_errors() -> Iterator[None]:
    """Errors of the codec as Pillow's users expect them."""
    try:
        yield
    except HeqError as error:
        raise OSError(str(error)) from error
    except MemoryError as error:
        raise OSError("Not enough memory for an image of this size.") from error


def _check_frame(width: int, height: int) -> None:
    """Pillow's limits, for the padded frame: Pillow itself knows the image alone.

    Raises:
        DecompressionBombError: the frame has more than twice ``Image.MAX_IMAGE_PIXELS``.
    """
    limit = Image.MAX_IMAGE_PIXELS
    pixels = math.prod(padded_size(width, height))
    if limit is None or pixels <= max(limit, SMALL_FRAME):
        return
    size_text = f"The image pads to a frame of {pixels} pixels"
    if pixels > 2 * limit:
        raise Image.DecompressionBombError(
            f"{size_text}, more than the limit of {2 * limit}: it could be a decompression bomb."
        )
    if width * height <= limit:  # else Pillow warns
        warnings.warn(
            f"{size_text}, more than {limit}: it could be a decompression bomb.",
            Image.DecompressionBombWarning,
            stacklevel=2,
        )


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


def _save_all(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    given: dict[str, Any] = getattr(image, "encoderinfo", {})
    frames = getattr(image, "n_frames", 1) + len(list(given.get("append_images") or ()))
    if frames > 1:
        raise HeqUnsupportedError(
            f"A .heq file holds one image, not {frames}; leave save_all and append_images out to "
            "save this frame, or save each under a name of its own."
        )
    _save(image, stream, filename)


def register() -> None:
    """Make Pillow open and save ``.heq``; calling it again changes nothing.

    ``image.save("x.heq", quality=...)`` takes the options of :func:`heqcodec.encode`, and
    Pillow's ``icc_profile``, ``exif`` and ``xmp``; what is not given is taken from
    ``image.info``. An orientation in the EXIF is applied to the pixels and its tag left out, as by
    ``ImageOps.exif_transpose``; so the size may change, and whoever has turned the pixels
    without removing the tag saves with ``exif=None``. A bad option or image raises
    :class:`heqcodec.HeqError`, a ``ValueError``, and so do several frames.
    """
    Image.register_open(FORMAT, HeqImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_save_all(FORMAT, _save_all)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, MIME_TYPE)
