"""The C extension of the encoders and entropy coders, where it is built."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def native_extension() -> Any:
    """The module ``heqcodec._native``, or None: heqcodec was installed without a C compiler."""
    try:
        return import_module("heqcodec._native")
    except ImportError:
        return None
