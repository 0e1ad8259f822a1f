"""How many threads the libraries beneath may use: one number for all of them."""

from __future__ import annotations

import os
import sys
from math import ceil

from .cpu_quota import cpu_quota

_VARIABLE = "OMP_NUM_THREADS"


def processor_count() -> int:
    """Processors that this process can keep busy: those it may run on, and no more than the CPU
    quota of its container is worth, rounded up; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        there = len(os.sched_getaffinity(0))
    else:
        there = os.cpu_count() or 1
    quota = cpu_quota()
    return there if quota is None else max(1, min(there, ceil(quota)))


def thread_count() -> int:
    """Threads for a library that has to know: what `limit_threads` or OMP_NUM_THREADS says,
    else one for each of `processor_count`."""
    setting = os.environ.get(_VARIABLE, "")
    if setting.isdigit() and int(setting):
        return int(setting)
    return processor_count()


def limit_threads(count: int) -> None:
    """Let numpy's BLAS, onnxruntime and torch use so many threads in this process.

    Networks that are loaded already keep the number that they were loaded with.
    """
    from threadpoolctl import threadpool_limits

    os.environ[_VARIABLE] = str(count)  # torch, when it is imported, and `thread_count`
    threadpool_limits(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
