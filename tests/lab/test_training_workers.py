"""Two processes that train one network: the mean gradient, the first one's clock."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from heqcodec.lab.training.workers import Workers

PROGRAM = """
import sys, torch
from heqcodec.lab.training.workers import Workers
workers = Workers()
net = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
torch.manual_seed(workers.rank)
for parameter in net.parameters():
    parameter.grad = torch.randn(parameter.shape).contiguous(
        memory_format=torch.channels_last if parameter.ndim == 4 else torch.contiguous_format
    )
minutes, stop = workers.average([net], 3.5 + workers.rank, workers.rank == 1)
grads = [p.grad.contiguous() for p in net.parameters()]
workers.close()
assert not torch.distributed.is_initialized()
torch.save((workers.first, minutes, stop, grads), sys.argv[1])
"""


@pytest.mark.slow
def test_gradients_are_averaged(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / str(rank))],
            env={**os.environ, **shared, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
        )
        for rank in (0, 1)
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    first, second = (torch.load(tmp_path / str(rank), weights_only=True) for rank in (0, 1))
    assert (first[:3], second[:3]) == ((True, 3.5, True), (False, 3.5, True))
    shapes = [(4, 3, 3, 3), (4,)]
    wanted = []
    for rank in (0, 1):
        torch.manual_seed(rank)
        wanted.append([torch.randn(shape) for shape in shapes])
    for place in (0, 1):
        mean = (wanted[0][place] + wanted[1][place]) / 2
        torch.testing.assert_close(first[3][place], mean)
        torch.testing.assert_close(second[3][place], mean)


def test_one_process_is_a_group_of_its_own() -> None:
    workers = Workers()
    net = torch.nn.Linear(2, 2)
    net.weight.grad = torch.ones(2, 2)
    assert workers.first and workers.count == 1
    assert workers.average([net], 1.5, False) == (1.5, False)
    assert (net.weight.grad == 1).all()
    workers.close()
