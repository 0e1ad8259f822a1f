"""One number of threads for all libraries."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from heqcodec.base.threads import thread_count


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
