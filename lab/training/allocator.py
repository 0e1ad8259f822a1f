"""Memory of training on a CPU: kept for the next step instead of given back to the system."""

from __future__ import annotations

import ctypes
import os
import sys

TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
"""Names of glibc's ``malloc.h`` (M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX)."""
NEVER = 2**31 - 1
LEFT_ALONE = "HEQCODEC_KEEP_MEMORY"
"""An environment variable: with 0 the allocator is left as it is."""
PAD = 256 * 2**20
"""Bytes by which the heap grows at once."""


def keep_freed_memory() -> bool:
    """Let freed memory stay with this process, where the C library is glibc.

    By default glibc maps each large tensor on its own and unmaps it when it is freed, and the
    system clears every page when it is touched again. A training step frees and allocates all its
    maps, which costs as much as computing them (``benchmarks/allocator.py``). Our choice to do it
    only in programs that train: the process keeps the most memory that it ever had.

    Returns:
        Whether anything was set; elsewhere, or with `LEFT_ALONE`, nothing is done.
    """
    if os.environ.get(LEFT_ALONE) == "0" or not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = ((MMAP_MAX, 0), (TRIM_THRESHOLD, NEVER), (TOP_PAD, PAD))
    return all([library.mallopt(name, value) == 1 for name, value in settings])
