"""Tests in processes of their own, with one mutant switched on."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import IO, Any, NamedTuple, cast

import pytest
from _pytest.runner import runtestprotocol
from mutmut.mutation import trampoline
from mutmut.state import state


@dataclass
class Test:
    """One test: the functions that it reaches, and its seconds of the processor."""

    item: pytest.Item
    reached: set[str]
    seconds: float


def run_tests(tests: list[Test], begun: IO[str]) -> str | None:
    """The first test that fails, if one does. Each may take three times as long as it did."""
    following = [*(test.item for test in tests[1:]), None]
    for test, next_item in zip(tests, following, strict=True):
        most = round(time.process_time() + 3 * test.seconds) + 2
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
        # A test that only waits takes no time of the processor; others get little of it for hours.
        signal.alarm(100 * most + 300)
        print(test.item.nodeid, file=begun, flush=True)
        reports = runtestprotocol(test.item, log=False, nextitem=next_item)
        if any(report.failed for report in reports):
            return test.item.nodeid
    return None


class Switch(NamedTuple):
    """Where a function of the package stands, as mutmut wrapped it: in a module or a class."""

    owner: Any
    name: str
    wrapped: Any


def switches() -> dict[str, list[Switch]]:
    """All places of functions that mutmut wrapped and that are not replaced yet, by name."""
    found: dict[str, list[Switch]] = {}
    folder = os.getcwd()
    modules = [
        m for m in sys.modules.values() if str(getattr(m, "__file__", "")).startswith(folder)
    ]
    for module in modules:
        classes = [one for one in vars(module).values() if isinstance(one, type)]
        own = [one for one in classes if one.__module__ == module.__name__]
        for owner in (module, *own):
            for name, value in vars(owner).items():
                code = getattr(value, "__code__", None)
                file = code.co_filename if code else ""
                if file == trampoline.__file__ and hasattr(value, "__wrapped__"):
                    *cls, function = value.__qualname__.split(".")
                    mangled = f"xǁ{cls[0]}ǁ{function}" if cls else f"x_{function}"
                    key = f"{value.__module__}.{mangled}"
                    found.setdefault(key, []).append(Switch(owner, name, value))
    return found


def recorder(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, which notes that it was called; some times quicker than mutmut's."""
    called = state()._stats

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        called.add(name)
        return function(*arguments, **named)

    return call


class Outcome(NamedTuple):
    """What a forked process did: the test that failed, if one did; the functions of the package
    that it called; its seconds of the processor; the modules that it imported."""

    failed: str | None
    reached: set[str]
    seconds: float
    modules: list[str]


def in_child(mutant: str, tests: list[Test], places: Sequence[Switch] = ()) -> Outcome:
    """Run tests in a forked process, with these functions wrapped again."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.environ["MUTANT_UNDER_TEST"] = mutant
        trampoline.get_mutant_under_test = lambda: mutant
        pytest.Item.repr_failure = lambda *_: ""  # type: ignore[assignment,method-assign]
        for place in places:
            setattr(*place)
        before = set(sys.modules)
        with os.fdopen(writing, "w") as pipe:
            failed = run_tests(tests, pipe)
            modules = [name for name in sys.modules if name not in before]
            json.dump([failed, sorted(state()._stats), time.process_time(), modules], pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        *begun, answer = pipe.read().split("\n")
    _, status = os.waitpid(child, 0)
    if not answer:
        late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM)
        how = "time" if late else f"process ended with {status}"
        return Outcome(f"{how}: {begun[-1] if begun else ''}", set(), 0.0, [])
    failed, reached, seconds, modules = json.loads(answer)
    return Outcome(failed, set(reached), seconds, modules)


# Processes that import the package anew are forked from one that has imported the rest.
FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(["__main__", "numpy", "safetensors.numpy", "PIL.Image", "torch"])


class Failures:
    """A plugin of pytest that keeps which tests failed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.names.append(report.nodeid)


def run_by_name(mutant: str, names: list[str], seconds: int, answer: Connection) -> None:
    """Run tests in a process that has not imported the package, and send which failed first."""
    os.environ["MUTANT_UNDER_TEST"] = mutant
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    failures = Failures()
    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *names], plugins=[failures])
    answer.send(None if code == 0 else (failures.names or ["an import"])[0])


def in_new_process(mutant: str, tests: list[Test]) -> str | None:
    """What failed where modules are imported with the mutant: their constants depend on it."""
    names = [test.item.nodeid for test in tests]
    seconds = 30 + round(3 * sum(test.seconds for test in tests))
    reading, writing = FRESH.Pipe(duplex=False)
    process = FRESH.Process(target=run_by_name, args=(mutant, names, seconds, writing))
    process.start()
    writing.close()
    try:
        return cast("str | None", reading.recv())
    except EOFError:
        process.join()
        return f"process ended with {process.exitcode}"
    finally:
        process.join()
