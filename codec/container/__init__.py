"""The ``.heq`` container, as specified in ``docs/FORMAT.md``."""

from heqcodec.base.constants import PATCH
from heqcodec.container.chunks import Chunk
from heqcodec.container.reader import ContainerReader
from heqcodec.container.strips import patch_offset, strip_offset, total_size
from heqcodec.container.writer import ContainerWriter

from .header import (
    DEFAULT_MAX_PIXELS,
    FORMAT_VERSION,
    HEADER_LENGTH,
    MAGIC,
    Coder,
    Header,
    Mode,
    parse_header,
)

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "FORMAT_VERSION",
    "HEADER_LENGTH",
    "MAGIC",
    "PATCH",
    "Chunk",
    "Coder",
    "ContainerReader",
    "ContainerWriter",
    "Header",
    "Mode",
    "parse_header",
    "patch_offset",
    "strip_offset",
    "total_size",
]
