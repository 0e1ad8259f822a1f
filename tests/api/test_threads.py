"""One number of threads for all libraries."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from heqcodec.base.threads import run_batches, thread_count
from numpy.typing import NDArray


def test_count_is_what_was_told_or_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_count() == 3
    for nothing in ("", "0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", nothing)
        assert 1 <= thread_count() <= (os.cpu_count() or 1)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert 1 <= thread_count() <= (os.cpu_count() or 1)


@pytest.mark.slow
def test_limit_reaches_every_library() -> None:
    code = """
import numpy, threadpoolctl
from heqcodec.base.threads import limit_threads, thread_count
limit_threads(1)
import torch
from heqcodec.onnx.graph import Graph
from heqcodec.onnx.session import open_session
graph = Graph("same", "")
graph.output("out", graph.input("in", "float32", (1,)), "float32", (1,))
options = open_session(graph.model()).get_session_options()
blas = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
print(thread_count(), torch.get_num_threads(), options.intra_op_num_threads, *set(blas))
"""
    environment = {key: value for key, value in os.environ.items() if "NUM_THREADS" not in key}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert result.stdout.split() == ["1"] * 4, result.stderr


@pytest.mark.parametrize("threads", ["1", "3"])
def test_batches_cover_every_item_once_and_pass_errors_on(
    monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    for count in (0, 1, 7, 8, 9, 30):
        visits = np.zeros(count, int)

        def visit(part: slice, visits: NDArray[np.int64] = visits) -> None:
            assert 0 < part.stop - part.start <= 8
            visits[part] += 1

        run_batches(visit, count, 8)
        assert (visits == 1).all()

    def fail_at_the_end(part: slice) -> None:
        if part.stop == 30:
            raise ValueError("the last one")

    with pytest.raises(ValueError, match="the last one"):
        run_batches(fail_at_the_end, 30, 8)
