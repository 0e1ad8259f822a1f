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
import gc
import importlib
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import hypothesis
import pytest
import typer
from mutation.processes import (
    Switch,
    Test,
    in_child,
    in_new_process,
    recorder,
    switches,
)
from mutation.staging import ROOT, function_of, stage
from mutmut.state import state

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
HURRY = 10
"""Every mutant first meets this share of the seconds of tests; those that live meet them all."""
LONGEST = 3.0
"""Seconds of a test; longer ones are left out."""
KILLED, SURVIVED, UNREACHED = "killed", "survived", "unreached"


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
