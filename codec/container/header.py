"""The ``.heq`` header: one declarative list of fields, read and written by one loop.

The list is the specification: ``docs/FORMAT.md`` prints it as a table and a test compares the
two. Nothing in the header depends on later data, so a line camera writes it first.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate
from typing import Any

from heqcodec.base.constants import PATCH, STEPS
from heqcodec.base.errors import (
    HeqChecksumError,
    HeqFormatError,
    HeqLimitError,
    HeqTruncatedError,
    HeqUnsupportedError,
)

MAGIC = b"\x89HEQ\r\n\x1a\n"
"""PNG's manner: a byte above 127, the name, and line ends that a text transfer would alter."""

FORMAT_VERSION = 1
ID_LENGTH = 8
"""Bytes of a SHA-256 that name an encoder or a coder."""
NO_CODER = bytes(ID_LENGTH)

DEFAULT_MAX_PIXELS = 89_478_485
"""Pillow's limit: one GiB of RGBA, less a quarter."""
SMALL_FRAME = 1 << 20
"""Frames of whole patches up to this many pixels are never refused for their padding."""
U32_MAX = 0xFFFF_FFFF
MOST_STRIPS = 1 << 16
"""Strips of a file: their index has 16 bits. With 255 rows of patches each, an image can be
534,773,760 pixels high."""
GRAY_AS_RGB = 129
"""The byte ``channels`` of a file that is coded as grey and decodes to RGB, R = G = B."""
WEIGHTED_BIT = 64
"""Of the byte ``channels``: coefficients are weighted by frequency."""


class Mode(IntEnum):
    """Patch mode: as many bytes for each patch. Rate mode: as many for a strip as it needs; a
    progressive device file has the lowest frequencies of all its strips first."""

    PATCH = 0
    RATE = 1
    PROGRESSIVE = 2


class Coder(IntEnum):
    """The entropy coder of the payload."""

    NONE = 0
    PATCH = 1
    DEVICE = 2
    PACKED = 3


PATCH_CODERS = (Coder.NONE, Coder.PATCH)
"""The coders that give every patch the same number of bits."""
RATE_CODERS = (Coder.DEVICE, Coder.PACKED)
"""The coders of the variable-rate mode."""


@dataclass(frozen=True)
class Field:
    """One field of the header.

    Attributes:
        name: key in :class:`Header`, or the name of a fixed field.
        code: ``struct`` code, little-endian.
        type: the type as ``docs/FORMAT.md`` prints it.
    """

    name: str
    code: str
    type: str

    @property
    def size(self) -> int:
        """Bytes of the field."""
        return struct.calcsize("<" + self.code)


FIELDS: tuple[Field, ...] = (
    Field("magic", "8s", "bytes"),
    Field("version", "B", "u8"),
    Field("mode", "B", "u8"),
    Field("coder", "B", "u8"),
    Field("channels", "B", "u8"),
    Field("width", "I", "u32"),
    Field("height", "I", "u32"),
    Field("rate", "H", "u16"),
    Field("strip_rows", "B", "u8"),
    Field("device_rows", "B", "u8"),
    Field("encoder_id", "8s", "bytes"),
    Field("coder_id", "8s", "bytes"),
    Field("header_crc", "I", "u32"),
)
HEADER_LENGTH = sum(field.size for field in FIELDS)
CRC_LENGTH = FIELDS[-1].size


def field_offsets() -> dict[str, int]:
    """Byte offset of every header field, by name."""
    starts = accumulate((field.size for field in FIELDS), initial=0)
    return {field.name: start for field, start in zip(FIELDS, starts, strict=False)}


@dataclass(frozen=True)
class Header:
    """What a ``.heq`` file says about itself before any payload.

    Attributes:
        width: image width in pixels, 1 to 2^32 - 1.
        height: image height in pixels, 1 to 2^32 - 1.
        channels: that are coded, 1 (grey) or 3 (RGB).
        rate: patch mode: bits per patch, a multiple of 8; rate mode: step index of the first
            strip, 0 to 1023; each strip says its own.
        encoder_id: first 8 bytes of the SHA-256 of the encoder's weights.
        coder_id: first 8 bytes of the SHA-256 of the coder's tables; zeros for coder 0.
        coder: a :class:`Coder`.
        mode: a :class:`Mode`.
        strip_rows: patch rows in a strip, 1 to 255.
        device_rows: packed files: ``strip_rows`` of the device file that it unpacks to, 1 to 255;
            others: 0.
        gray_as_rgb: one channel is coded, and decoders repeat it into R, G and B.
        weighted: rate mode: coefficients are weighted by frequency.
    """

    width: int
    height: int
    channels: int
    rate: int
    encoder_id: bytes
    coder_id: bytes = NO_CODER
    coder: int = Coder.NONE
    mode: int = Mode.PATCH
    strip_rows: int = 1
    device_rows: int = 0
    gray_as_rgb: bool = False
    weighted: bool = False

    @property
    def constant_rate(self) -> bool:
        """Patch mode: all patches have as many bytes, so this header says where each lies."""
        return self.mode == Mode.PATCH

    @property
    def channels_byte(self) -> int:
        """Byte 11: channels, and what else it says."""
        channels = GRAY_AS_RGB if self.gray_as_rgb else self.channels
        return channels | WEIGHTED_BIT * self.weighted

    @property
    def output_channels(self) -> int:
        """Channels that decoders give, alpha aside: 1 (grey) or 3 (RGB)."""
        return 3 if self.gray_as_rgb else self.channels

    @property
    def patch_rows(self) -> int:
        """Rows of patches, edges padded to whole patches."""
        return -(-self.height // PATCH)

    @property
    def patch_columns(self) -> int:
        """Columns of patches, edges padded to whole patches."""
        return -(-self.width // PATCH)

    @property
    def patch_bytes(self) -> int:
        """Payload bytes of one patch (patch mode).

        Raises:
            HeqFormatError: in rate mode, where patches differ.
        """
        if not self.constant_rate:
            raise HeqFormatError("Patches of the variable-rate mode differ in their bytes.")
        return self.rate // 8

    @property
    def parts(self) -> int:
        """Strips that hold the same rows of patches: 2 in a progressive device file."""
        return 2 if self.mode == Mode.PROGRESSIVE and self.coder == Coder.DEVICE else 1

    @property
    def row_strips(self) -> int:
        """Strips of a part, which hold all rows of patches: strips ``i`` and ``i + row_strips`` of
        a progressive device file hold the same ones."""
        return -(-self.patch_rows // self.strip_rows)

    @property
    def strip_count(self) -> int:
        """Number of strips."""
        return self.parts * self.row_strips

    def pack(self) -> bytes:
        """The 44 bytes of this header, checked and with their CRC-32.

        Raises:
            HeqFormatError, HeqUnsupportedError: the header breaks a rule of the format.
        """
        check_header(self)
        fixed = {"magic": MAGIC, "version": FORMAT_VERSION, "channels": self.channels_byte}
        packed = b"".join(
            struct.pack("<" + field.code, fixed.get(field.name, getattr(self, field.name, None)))
            for field in FIELDS[:-1]
        )
        return packed + struct.pack("<I", zlib.crc32(packed))


def parse_header(data: bytes) -> Header:
    """Read and verify a header.

    Args:
        data: the first bytes of a file; what follows byte 43 is ignored.

    Raises:
        HeqFormatError: not a ``.heq`` file, or a rule of the format is broken.
        HeqTruncatedError: fewer than 44 bytes.
        HeqChecksumError: the header's CRC-32 does not match.
        HeqUnsupportedError: another format version, or a field value that only a later version
            defines.
    """
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        raise HeqFormatError(
            f"This is not a .heq file: it begins with {data[:8].hex(' ') or 'nothing'}, and a .heq "
            f"file begins with {MAGIC.hex(' ')}; check that the right file was given."
        )
    if len(data) < HEADER_LENGTH:
        raise HeqTruncatedError(
            f"The file ends inside its header: {len(data)} bytes found, {HEADER_LENGTH} needed; "
            "get a complete copy."
        )
    values: dict[str, Any] = {}
    position = 0
    for field in FIELDS:
        (values[field.name],) = struct.unpack_from("<" + field.code, data, position)
        position += field.size
    # The checksum comes first: a damaged version byte must not send people after an upgrade.
    expected = zlib.crc32(data[: HEADER_LENGTH - CRC_LENGTH])
    if values["header_crc"] != expected:
        raise HeqChecksumError(
            f"The header is damaged: its CRC-32 is {expected:08x}, the file says "
            f"{values['header_crc']:08x}; get another copy, or try partial decoding, which can "
            "repair one damaged byte of a header."
        )
    if values["version"] != FORMAT_VERSION:
        raise HeqUnsupportedError(
            f"The file has format version {values['version']} and this heqcodec reads version "
            f"{FORMAT_VERSION}; upgrade heqcodec."
        )
    values |= channel_values(values["channels"])
    fixed = ("magic", "version", "header_crc")
    header = Header(**{k: v for k, v in values.items() if k not in fixed})
    check_header(header)
    return header


def channel_values(byte: int) -> dict[str, Any]:
    """What byte 11 says, by the names of :class:`Header`; channels that there are not as they are.

    Args:
        byte: 0 to 255; start packets have the same one.
    """
    kind = byte & ~WEIGHTED_BIT
    gray_as_rgb = kind == GRAY_AS_RGB
    return {
        "channels": 1 if gray_as_rgb else kind,
        "gray_as_rgb": gray_as_rgb,
        "weighted": bool(byte & WEIGHTED_BIT),
    }


def check_header(header: Header) -> None:
    """Raise a typed error unless this version can read and write such a header.

    Raises:
        HeqFormatError: a value that no version allows.
        HeqUnsupportedError: a value that another version may define.
    """
    if header.mode not in tuple(Mode) or header.coder not in tuple(Coder):
        raise HeqUnsupportedError(
            f"The file has mode {header.mode} and coder {header.coder}; this version knows modes "
            f"0 to {max(Mode)} and coders 0 to {max(Coder)}; upgrade heqcodec."
        )
    coders = PATCH_CODERS if header.constant_rate else RATE_CODERS
    if header.coder not in coders:
        raise HeqFormatError(
            f"Coder {header.coder} does not go with mode {header.mode}, which takes "
            f"{' or '.join(str(int(coder)) for coder in coders)}; the file was written by a faulty "
            "program."
        )
    if header.coder == Coder.NONE and header.coder_id != NO_CODER:
        raise HeqFormatError(
            f"Coder 0 has no tables, so its coder_id must be zeros and not "
            f"{header.coder_id.hex()}; the file was written by a faulty program."
        )
    if header.coder == Coder.PACKED:
        if not 1 <= header.device_rows <= 255:
            raise HeqFormatError(
                f"The packed file says {header.device_rows} patch rows for a strip of its device "
                "file; 1 to 255 were expected."
            )
    elif header.device_rows != 0:
        raise HeqUnsupportedError(
            f"Header byte 23 is {header.device_rows} and version {FORMAT_VERSION} knows 0 only, "
            "packed files aside; upgrade heqcodec."
        )
    if header.channels not in (1, 3):
        raise HeqFormatError(
            f"The file has {header.channels} channels; 1 (grey), 3 (RGB) or {GRAY_AS_RGB} (grey, "
            "given back as RGB) were expected."
        )
    if header.weighted and header.constant_rate:
        raise HeqFormatError("Of a constant rate no coefficients are weighted.")
    if header.gray_as_rgb and header.channels != 1:
        raise HeqFormatError(f"Of grey one channel is coded, not {header.channels}.")
    if not (1 <= header.width <= U32_MAX and 1 <= header.height <= U32_MAX):
        raise HeqFormatError(
            f"The image is {header.width} x {header.height} pixels; both sides must be 1 to "
            f"{U32_MAX}."
        )
    if not 1 <= header.strip_rows <= 255:
        raise HeqFormatError(f"A strip has {header.strip_rows} patch rows; 1 to 255 were expected.")
    if header.constant_rate:
        _check_patch_rate(header)
    elif not 0 <= header.rate < STEPS:
        raise HeqFormatError(f"The step index is {header.rate}; 0 to {STEPS - 1} were expected.")
    if header.strip_count > MOST_STRIPS:
        raise HeqFormatError(
            f"The image of {header.height} rows of pixels has {header.strip_count} strips of "
            f"{header.strip_rows} rows of patches, and a file has at most {MOST_STRIPS}; more rows "
            "per strip make fewer."
        )
    if len(header.encoder_id) != ID_LENGTH or len(header.coder_id) != ID_LENGTH:
        raise HeqFormatError(
            f"encoder_id and coder_id must have {ID_LENGTH} bytes, not {len(header.encoder_id)} "
            f"and {len(header.coder_id)}."
        )


def _check_patch_rate(header: Header) -> None:
    if header.rate < 8 or header.rate > 0xFFFF or header.rate % 8:
        raise HeqFormatError(
            f"The rate is {header.rate} bits per patch; a multiple of 8 from 8 to 65528 was "
            "expected."
        )
    if header.strip_rows * header.patch_columns * header.patch_bytes > U32_MAX:
        raise HeqFormatError(
            f"One strip of this image would need {header.strip_rows} x {header.patch_columns} "
            f"patches of {header.patch_bytes} bytes, more than its 32-bit length can say; use "
            "fewer rows per strip."
        )


def enough_strip_rows(strip_rows: int, height: int, parts: int = 1) -> int:
    """Rows of patches in a strip: as requested, or more where there would be too many strips.

    Args:
        strip_rows: 1 to 255.
        height: of the image, in pixels.
        parts: strips that hold the same rows.
    """
    patch_rows = -(-height // PATCH)
    return max(strip_rows, -(-patch_rows * parts // MOST_STRIPS))


def padded_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the frame of whole patches that holds an image, in pixels."""
    return -(-width // PATCH) * PATCH, -(-height // PATCH) * PATCH


def check_pixels(width: int, height: int, max_pixels: int | None) -> None:
    """Raise unless an image of this size may be coded: the one limit of encoder and decoder.

    Work and memory follow the frame of whole patches (an image one pixel wide pads to 32), so the
    pixels of that frame are what counts. Frames of up to `SMALL_FRAME` pixels always pass, so that
    no small image is refused for its padding.

    Args:
        width, height: pixels.
        max_pixels: largest number of pixels; None for no limit.

    Raises:
        HeqLimitError: the padded frame is too large.
    """
    if max_pixels is None:
        return
    pixels = width * height
    padded_width, padded_height = padded_size(width, height)
    padded = padded_width * padded_height
    if pixels > max_pixels:
        raise HeqLimitError(
            f"The image has {width} x {height} = {pixels} pixels and the limit is {max_pixels}; "
            "if you trust it, raise max_pixels."
        )
    if padded > max(max_pixels, SMALL_FRAME):
        raise HeqLimitError(
            f"The image of {width} x {height} pixels pads to {padded_width} x {padded_height} = "
            f"{padded} pixels in whole patches and the limit is {max_pixels}; if you trust it, "
            f"raise max_pixels to {padded}."
        )
