"""Memory that training keeps: what is set, and where nothing is. `benchmarks/allocator.py` measures
what it is worth."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

import pytest
from heqcodec.lab.training.allocator import LEFT_ALONE, keep_freed_memory


@pytest.mark.parametrize("taken", [True, False])
def test_large_blocks_stay_on_a_heap_that_is_never_trimmed(
    monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    settings: dict[int, int] = {}

    class Glibc:
        def __init__(self, name: None) -> None:
            self.gnu_get_libc_version = True

        def mallopt(self, name: int, value: int) -> int:
            settings[name] = value
            return int(taken or name != -4)

    monkeypatch.setattr(ctypes, "CDLL", Glibc)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv(LEFT_ALONE)
    assert keep_freed_memory() is taken
    # malloc.h: M_TRIM_THRESHOLD -1, M_TOP_PAD -2, M_MMAP_MAX -4.
    assert settings == {-1: 2**31 - 1, -2: 2**28, -4: 0}


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def library(name: None) -> Any:
        return object()

    monkeypatch.setattr(ctypes, "CDLL", library)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv(LEFT_ALONE)
    assert keep_freed_memory() is False


def test_what_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert os.environ[LEFT_ALONE] == "0" and keep_freed_memory() is False
    monkeypatch.delenv(LEFT_ALONE)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
