"""Change formulas one at a time and see which changes no test notices.

    pip install mutmut
    python tests/mutants.py container --minutes 20 --out container.jsonl
    python tests/mutants.py quantizers nqe_r/device_coder --formulas

mutmut makes the mutants, all in one copy of the package with a switch in each function. The tests
are collected once; each mutant then runs in a forked process those tests that reach its function,
the quickest first, until one fails; slow tests follow once all mutants have met the quick ones.
Mutants come in a seeded random order, so that a run that is stopped has drawn a sample. A function
that an import calls is tested in a process of its own. Lines that raise errors, or hold text, are
left alone.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import gc
import importlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Annotated, Any, NamedTuple, cast

import hypothesis
import libcst
import pytest
import typer
from _pytest.runner import runtestprotocol
from mutmut.mutation import file_mutation, trampoline
from mutmut.state import state

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"codec": "", "cli": "cli", "weights": "weights", "eval": "eval", "lab": "lab"}
LEFT_ALONE = ['^\\s*f?"', "raise ", "assert ", "import "]
# The tests that hold a room, where they are not those of its own folder.
TESTS = {
    "container": [
        "tests/container",
        "tests/file/test_damage.py",
        "tests/file/test_rate_damage.py",
        "tests/file/test_url_region.py",
    ],
    "nqe_r": ["tests/nqe_r", "tests/file/test_conformance.py", "tests/purenet/test_guard.py"],
    "nqe_t": ["tests/nqe_t", "tests/file/test_conformance.py", "tests/purenet/test_guard.py"],
}
# What makes a formula; arguments, strings and assignments are other mutants.
FORMULA = (
    libcst.BaseNumber,
    libcst.BinaryOperation,
    libcst.UnaryOperation,
    libcst.BooleanOperation,
    libcst.ComparisonTarget,
    libcst.AugAssign,
    libcst.BaseCompOp,
    libcst.IfExp,
)
HURRY = 10
"""Every mutant first meets this share of the seconds of tests; those that live meet them all."""
LONGEST = 3.0
"""Seconds of a test; longer ones are left out."""
KILLED, SURVIVED, UNREACHED = "killed", "survived", "unreached"


def function_of(mutant: str) -> str:
    """The name of the function that a mutant is of."""
    return mutant.partition("__mutmut_")[0]


def mutate(path: Path, module: str, formulas: bool) -> dict[str, str]:
    """Put the mutants of a file into it; what each changes, by its name."""
    tree, mutations, classes, functions = file_mutation.create_mutations(
        str(path), path.read_text("utf-8")
    )
    if formulas:
        mutations = [one for one in mutations if isinstance(one.original_node, FORMULA)]
    mutated = file_mutation.combine_mutations_to_source(tree, mutations, classes, functions)
    path.write_text(mutated.code, "utf-8")
    lines = mutated.code.splitlines()

    def body(name: str) -> list[str]:
        span = mutated.line_span_by_function_name[name]
        return [line.replace(name, function) for line in lines[span.start - 1 : span.end]]

    changes = {}
    for name in mutated.mutant_names:
        function = function_of(name)
        lines_of = (body(f"{function}__mutmut_orig"), body(name))
        changes[f"{module}.{name}"] = "\n".join(
            line
            for line in list(difflib.unified_diff(*lines_of, lineterm="", n=0))[2:]
            if not line.startswith("@@")
        )
    return changes


def stage(folder: Path, rooms: list[str], formulas: bool) -> dict[str, str]:
    """The package as it is when installed, with mutants, and its tests."""
    for source, target in FOLDERS.items():
        shutil.copytree(ROOT / source, folder / "heqcodec" / target, dirs_exist_ok=True)
        # Tests look for sources where the repository has them.
        (folder / source).symlink_to(folder / "heqcodec" / target)
    for name in ("tests", "docs", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("build"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    with (folder / "pyproject.toml").open("a") as settings:
        settings.write("\n[tool.mutmut]\nsource_paths = ['heqcodec']\ntrack_dependencies = false\n")
        settings.write(f"do_not_mutate_patterns = {json.dumps(LEFT_ALONE)}\n")
    os.chdir(folder)
    made = {}
    for room in rooms:
        start = folder / "heqcodec" / room
        for path in sorted(start.rglob("*.py")) if start.is_dir() else [start.with_suffix(".py")]:
            made |= mutate(path, ".".join(path.relative_to(folder).with_suffix("").parts), formulas)
    return made


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


class Loop:
    """A plugin of pytest that runs every mutant in place of the tests once."""

    def __init__(
        self, mutants: list[str], minutes: float, most: float, out: Path, imports: bool
    ) -> None:
        self.mutants, self.minutes, self.most, self.out = mutants, minutes, most, out
        self.imports = imports
        self.tests: list[Test] = []
        self.imported: set[str] = set()  # Functions that imports call.
        self.kills: dict[str, Counter[str]] = {}  # Of each function, by test.
        self.switches: dict[str, list[Switch]] = {}

    def tell(self, **words: Any) -> None:
        """A line of the results."""
        with self.out.open("a") as out:
            print(json.dumps(words), file=out)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Failed("tests cannot be collected")
        end = time.monotonic() + 60 * self.minutes
        self.keep_imported()
        for item in session.items:
            test = self.measured(item)
            if isinstance(test, str):
                self.tell(left_out=item.nodeid, why=test)
            elif test.seconds > LONGEST:
                self.tell(left_out=item.nodeid, why=f"{test.seconds:.1f} s")
            elif test.reached:
                self.tests.append(test)
        self.tests.sort(key=lambda test: test.seconds)
        self.tell(tests=len(self.tests), seconds=sum(test.seconds for test in self.tests))
        os.environ["MUTANT_UNDER_TEST"] = ""
        gc.collect()
        gc.freeze()  # So that children share what there is.
        # Those that need a process of their own come last.
        waiting = sorted(self.mutants, key=lambda name: function_of(name) in self.imported)
        if not self.imports:
            waiting = [name for name in waiting if function_of(name) not in self.imported]
        for most in (self.most / HURRY, self.most):
            waiting = [
                name for name in waiting if time.monotonic() < end and self.lives(name, most)
            ]
        return True

    def keep_imported(self) -> None:
        """What this process has called so far, it has called by imports.

        A function that mutmut wrapped is several times slower: only the one under test stays so.
        """
        for name, places in switches().items():
            self.switches.setdefault(name, []).extend(places)
            for place in places:
                setattr(place.owner, place.name, recorder(name, place.wrapped.__wrapped__))
        self.imported |= state()._stats
        state()._stats.clear()

    def measured(self, item: pytest.Item) -> Test | str:
        """A test with what it reaches and takes, or why it cannot be used.

        What it imports is imported here, and it runs again, so that no other child has to.
        """
        for _ in range(2):
            outcome = in_child("stats", [Test(item, set(), 100)])
            if outcome.failed:
                return outcome.failed
            for name in outcome.modules:
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
            self.keep_imported()
            if not outcome.modules:
                break
        return Test(item, outcome.reached, outcome.seconds)

    def lives(self, name: str, seconds: float) -> bool:
        """Run a mutant for so many seconds of tests; is it to meet more?"""
        function, folder = function_of(name), name.rpartition(".")[0].rpartition(".")[0]
        kills = self.kills.setdefault(function, Counter())
        by_import = function in self.imported
        reaching = [
            test
            for test in self.tests
            if function in test.reached
            or (by_import and any(one.startswith(folder) for one in test.reached))
        ]
        # What has noticed most of this function's mutants for its seconds goes first.
        reaching.sort(key=lambda test: -kills[test.item.nodeid] / (test.seconds + 0.02))
        chosen: list[Test] = []
        for test in reaching:
            if not chosen or sum(one.seconds for one in chosen) < seconds:
                chosen.append(test)
        failed = None
        if chosen:
            places = self.switches.get(function, ())
            failed = (
                in_new_process(name, chosen) if by_import else in_child(name, chosen, places).failed
            )
        if failed:
            kills[failed] += 1
        elif len(chosen) < len(reaching) and seconds < self.most:
            self.tell(waiting=name, tests=f"{len(chosen)} of {len(reaching)}")
            return True
        self.tell(
            mutant=name,
            result=UNREACHED if not chosen else KILLED if failed else SURVIVED,
            by=failed,
            tests=f"{len(chosen)} of {len(reaching)}",
        )
        return False


def report(out: Path, changes: dict[str, str]) -> None:
    """Counts by module, and the changes that no test noticed."""
    rows = map(json.loads, out.open())
    found = {row["mutant"]: row for row in rows if row.get("mutant") in changes}
    module_of = {name: name.rpartition(".")[0].partition(".")[2] for name in changes}
    total = Counter(module_of.values())
    counts = Counter((module_of[name], row["result"]) for name, row in found.items())
    print("| module | mutants | run | killed | survived | not reached |")
    print("|---|---|---|---|---|---|")
    for module in sorted(total):
        results = [counts[module, result] for result in (KILLED, SURVIVED, UNREACHED)]
        print("|", " | ".join(map(str, [module, total[module], sum(results), *results])), "|")
    for name, row in sorted(found.items()):
        if row["result"] != KILLED:
            print(f"\n{name}: {row['result']}, {row['tests']} tests\n{changes[name]}")


def main(
    rooms: Annotated[list[str], typer.Argument(help="Folders or modules of codec/.")],
    formulas: Annotated[bool, typer.Option(help="Numbers, operators, conditions alone.")] = False,
    tests: Annotated[list[str] | None, typer.Option(help="In place of the room's.")] = None,
    share: Annotated[float, typer.Option(help="Of the mutants, drawn at random.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of their order.")] = 23,
    minutes: Annotated[float, typer.Option(help="After which no mutant is begun.")] = 600.0,
    most: Annotated[float, typer.Option(help="Seconds of tests for a mutant.")] = 30.0,
    imports: Annotated[bool, typer.Option(help="Also functions that imports call.")] = True,
    out: Annotated[Path, typer.Option(help="Results; mutants in it are done.")] = Path(
        "mutants.jsonl"
    ),
) -> None:
    """Run the mutants of some rooms and print those that survive."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"  # A process that has other threads does not bear being forked.
    out = out.resolve()
    out.touch()
    done = {json.loads(line).get("mutant") for line in out.open()}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        changes = stage(folder, rooms, formulas)
        names = sorted(changes)
        random.Random(seed).shuffle(names)
        drawn = [name for name in names[: round(share * len(names))] if name not in done]
        sys.path[:0] = [str(folder)]
        os.environ["PYTHONPATH"] = str(folder)
        os.environ["MUTANT_UNDER_TEST"] = "stats"
        # The first failure is enough, and nobody reads of it.
        hypothesis.settings.register_profile(
            "mutants", phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate), database=None
        )
        hypothesis.settings.load_profile("mutants")
        chosen = tests or [
            test for room in rooms for test in TESTS.get(room.split("/")[0], ["tests/" + room])
        ]
        options = [
            "-x",
            "--assert=plain",
            "-m",
            "not data",
            "-p",
            "no:cacheprovider",
            f"--basetemp={made}/tmp",
        ]
        code = pytest.main(
            [*dict.fromkeys(chosen), *options], plugins=[Loop(drawn, minutes, most, out, imports)]
        )
        os.chdir(ROOT)
        if code != 0:
            sys.exit(f"pytest ended with {code}")
    report(out, changes)


if __name__ == "__main__":
    typer.run(main)
