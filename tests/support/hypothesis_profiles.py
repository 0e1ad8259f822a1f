"""Settings of Hypothesis for tests that decode."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick(seconds: float = 1.0) -> Iterator[None]:
    """Fails if its block takes more time of the processor, which others do not lengthen."""
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds
