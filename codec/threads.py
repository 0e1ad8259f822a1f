"""How many threads the libraries beneath may use: one number for all of them."""

from __future__ import annotations

import os
import sys

_VARIABLE = "OMP_NUM_THREADS"


def thread_count() -> int:
    """Threads for a library that has to be told: what `limit_threads` or OMP_NUM_THREADS says,
    else one for each processor that this process may use."""
    told = os.environ.get(_VARIABLE, "")
    if told.isdigit() and int(told):
        return int(told)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads(count: int) -> None:
    """Let numpy's BLAS, onnxruntime and torch use so many threads in this process.

    Networks that are loaded already keep the number that they were loaded with.
    """
    from threadpoolctl import threadpool_limits

    os.environ[_VARIABLE] = str(count)  # torch, when it is imported, and `thread_count`
    threadpool_limits(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
