"""Progress of a long call: from its inner loops to a callback of the caller."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

__all__ = ["Progress", "report", "reported_to"]

Progress = Callable[[int, int], None]
"""Called with the number of steps done, from 1, and of all steps."""

# Between the interface and the loops stand protocols that others implement
# (`heqcodec.base.patch_protocols`);
# a context variable keeps the callback out of their signatures, and of other threads.
_callback: ContextVar[Progress | None] = ContextVar("heqcodec_progress", default=None)


@contextlib.contextmanager
def reported_to(progress: Progress | None) -> Iterator[None]:
    """Let `report` call ``progress`` inside the block; None for nobody."""
    token = _callback.set(progress)
    try:
        yield
    finally:
        _callback.reset(token)


def report(done: int, total: int) -> None:
    """Report that ``done`` of ``total`` steps are finished."""
    progress = _callback.get()
    if progress is not None:
        progress(done, total)
