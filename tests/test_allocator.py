"""Memory that training keeps: page faults of steps, with and without."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest
from heqcodec.training.allocator import LEFT_ALONE, keep_freed_memory

CHILD = """
import resource, torch
from heqcodec.training.allocator import keep_freed_memory
print(int(keep_freed_memory()))
def step():
    blocks = [torch.ones(4 * 2**20) for _ in range(4)]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(kept: bool) -> tuple[bool, int]:
    """Of five steps that each fill 64 MiB anew, in a process of its own; and was anything set?"""
    environment = {**os.environ, LEFT_ALONE: str(int(kept))}
    command = [sys.executable, "-c", CHILD]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    was_set, faults = done.stdout.split()
    return bool(int(was_set)), int(faults)


def test_steps_touch_the_same_pages_again() -> None:
    (left, given_back), (was_set, kept) = page_faults(False), page_faults(True)
    assert not left
    if not was_set:
        pytest.skip("the C library is not glibc")
    # The heap may still grow by a block or two; by default each is cleared in each of five steps.
    block = 16 * 2**20 // resource.getpagesize()
    assert kept <= 3 * block < given_back


def test_what_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert os.environ[LEFT_ALONE] == "0" and keep_freed_memory() is False
    monkeypatch.delenv(LEFT_ALONE)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
