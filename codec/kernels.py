"""What computes the encoders and entropy coders: C where it is built, else numpy."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def native_extension() -> Any:
    """The module ``heqcodec._native``, or None: heqcodec was installed without a C compiler."""
    try:
        return import_module("heqcodec._native")
    except ImportError:
        return None


def kernels_told() -> str:
    """One sentence for people: what computes here. The bytes do not depend on it."""
    extension = native_extension()
    if extension is None:
        return (
            "Encoding by numpy, which is slower: heqcodec was installed without a C compiler, so "
            "its C extension is not there."
        )
    kind = "vector" if extension.kernel() == "fast" else "scalar"
    return f"Encoding by the C extension, {kind} kernels."
