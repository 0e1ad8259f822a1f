"""Memory that training keeps: page faults of steps, with and without."""

from __future__ import annotations

import resource
import sys

import pytest
from heqcodec.training.allocator import keep_freed_memory

CHILD = """
import resource, torch
from heqcodec.training.allocator import keep_freed_memory
assert {kept} is False or keep_freed_memory()
def step():
    blocks = [torch.ones(4 * 2**20) for _ in range(4)]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(kept: bool) -> int:
    """Of five steps that each fill 64 MiB anew, in a process of its own."""
    import subprocess

    command = [sys.executable, "-c", CHILD.format(kept=kept)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not keep_freed_memory(), reason="the C library is not glibc")
def test_steps_touch_the_same_pages_again() -> None:
    # The heap may still grow by one block; by default every block is cleared in each of five steps.
    block = 16 * 2**20 // resource.getpagesize()
    given_back, kept = page_faults(False), page_faults(True)
    assert kept <= block < given_back


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
