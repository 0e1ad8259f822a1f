"""A clock for tests of what measures time: a test moves its hands."""

from __future__ import annotations


class Clock:
    """Takes the place of the module ``time``."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
