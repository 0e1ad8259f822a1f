"""Fuzz a target by Atheris (``pip install atheris``); options and folders are libFuzzer's.

    python tests/fuzz/python/run.py container -runs=100000 NEW_CORPUS SEEDS...

What it finds ends the run and is left as ``crash-*``; ``run.py container FILE`` repeats it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))
# Libraries are left alone: their branches are not what is looked for, and counting them is slow.
with atheris.instrument_imports(include=["heqcodec"], enable_loader_override=False):
    from targets import TARGETS

from mending import mutant


def custom_mutator(data: bytes, most: int, seed: int) -> bytes:
    """See `mending.mutant`, with libFuzzer's own changes of bytes."""
    return mutant(data, most, seed, lambda found, size: bytes(atheris.Mutate(found, size)))


def main() -> None:
    """Run the target that is named first."""
    if sys.argv[1:] == ["--list"]:
        print("\n".join(TARGETS))
        return
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"name a target: {', '.join(TARGETS)}")
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target, custom_mutator=custom_mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
