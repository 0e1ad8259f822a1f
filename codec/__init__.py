"""heqcodec: a learned image codec whose encoder needs only additions, shifts and comparisons.

After ``import heqcodec``, Pillow opens and saves ``.heq`` files too. :func:`decode` runs its
network by onnxruntime, and by torch where a device asks for it; nothing else here imports torch.
"""

from typing import Any

from heqcodec.base.interrupts import begin_imports

begin_imports()

# ruff: noqa: E402 - all other imports take a while.
# isort: split
from heqcodec import pillow_plugin
from heqcodec.api import (
    FileInfo,
    Metadata,
    PartialImage,
    decode,
    decode_partial,
    encode,
    info,
    pack,
    read_metadata,
    unpack,
)
from heqcodec.base.errors import (
    HeqChecksumError,
    HeqError,
    HeqFormatError,
    HeqLimitError,
    HeqTruncatedError,
    HeqUnsupportedError,
)
from heqcodec.base.version import __version__
from heqcodec.container.header import DEFAULT_MAX_PIXELS, FORMAT_VERSION

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "FORMAT_VERSION",
    "FileInfo",
    "HeqChecksumError",
    "HeqError",
    "HeqFormatError",
    "HeqLimitError",
    "HeqTruncatedError",
    "HeqUnsupportedError",
    "Metadata",
    "PacketAssembler",
    "PartialImage",
    "StreamDecoder",
    "__version__",
    "decode",
    "decode_partial",
    "encode",
    "info",
    "pack",
    "packetize",
    "read_metadata",
    "unpack",
]

pillow_plugin.register()


def __getattr__(name: str) -> Any:
    """Packets and growing files are imported when they are used: most files need neither."""
    if name == "StreamDecoder":
        from heqcodec.file.stream_decoding import StreamDecoder

        return StreamDecoder
    if name in ("PacketAssembler", "packetize"):
        from heqcodec import packets

        return getattr(packets, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
