"""Settings of Hypothesis: how many examples, and how long one may take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import settings

QUICK_EXAMPLES = 15
"""Of each property, where the slow tests are left out."""


def most(examples: int) -> int:
    """So many examples, and no more than others have where the slow tests are left out."""
    return min(examples, QUICK_EXAMPLES) if _is_quick() else examples


def _is_quick() -> bool:
    return settings.default.max_examples == QUICK_EXAMPLES


@contextmanager
def quick(seconds: float = 1.0) -> Iterator[None]:
    """Fails if its block takes more time of the processor, which others do not lengthen."""
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds
