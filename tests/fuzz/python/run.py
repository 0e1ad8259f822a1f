"""Fuzz a target by Atheris (``pip install atheris``); options and folders are libFuzzer's.

    python tests/fuzz/python/run.py container -runs=100000 NEW_CORPUS SEEDS...

What it finds ends the run and is left as ``crash-*``; ``run.py container FILE`` repeats it.
Without Atheris, and without looking at branches, seeded mutants of the seeds:

    python tests/fuzz/python/run.py progressive --mutants 100000 500000
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

PLAIN = "--mutants"
LONGEST = 1000
if PLAIN in sys.argv:
    from targets import TARGETS
else:
    import atheris

    # Libraries are left alone: their branches are not what is looked for, and counting is slow.
    with atheris.instrument_imports(include=["heqcodec"], enable_loader_override=False):
        from targets import TARGETS

from mending import mutant  # noqa: E402
from seeds import seed_files  # noqa: E402


def custom_mutator(data: bytes, most: int, seed: int) -> bytes:
    """See `mending.mutant`, with libFuzzer's own changes of bytes."""
    return mutant(data, most, seed, lambda found, size: bytes(atheris.Mutate(found, size)))


def run_mutants(name: str, count: int, first: int) -> None:
    """Run a target with so many seeded mutants; what it raises ends the run, named by its seed."""
    seeds = [path.read_bytes() for path in seed_files()]
    if name == "progressive":  # the mode, in byte 9
        seeds = [seed for seed in seeds if seed[9] == 2]
    for number in range(first, first + count):
        if name == "packets":  # Its input says what is changed.
            draw = random.Random(number)
            data = bytes(44) + draw.randbytes(draw.choice((5, 20, 40, 60, 97)))
        else:
            data = mutant(seeds[number % len(seeds)], LONGEST, number)
        try:
            TARGETS[name](data)
        except Exception:
            print(f"mutant {number}: {data.hex()}", file=sys.stderr)
            raise
    print(f"{name}: {count} mutants")


def main() -> None:
    """Run the target that is named first."""
    if sys.argv[1:] == ["--list"]:
        print("\n".join(TARGETS))
        return
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"name a target: {', '.join(TARGETS)}")
    if PLAIN in sys.argv:
        return run_mutants(sys.argv[1], int(sys.argv[3]), int(sys.argv[4]))
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target, custom_mutator=custom_mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
