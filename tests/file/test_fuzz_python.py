"""The fuzz targets as plain functions: seeds and some hundred mutants of each do no harm."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import heqcodec
import pytest
from heqcodec.container import ContainerReader
from slow_cases import slow

FUZZ = Path(__file__).parents[1] / "fuzz"
sys.path.insert(0, str(FUZZ / "python"))

from mending import mend, mutant, records  # noqa: E402
from seeds import CORPUS, LARGEST, seed_files  # noqa: E402
from targets import TARGETS, CountedFile, read_all  # noqa: E402

SEEDS = [path.read_bytes() for path in seed_files()]
LONGEST = 1000
MUTANTS = {"patch_coder": 30, "packed_coder": 200, "metadata": 150}
"""Of each target: the slow ones get fewer."""
QUICK = ("container", "packed_coder", "info")


@pytest.mark.parametrize("name", [name if name in QUICK else slow(name) for name in TARGETS])
def test_seeds_and_mutants_do_no_harm(name: str) -> None:
    # The patch coder takes a tenth of a second for each file that it decodes.
    stride = 3 if name == "patch_coder" else 1
    for seed in SEEDS[::stride]:
        TARGETS[name](seed)
    # Byte 9 is the mode: only such seeds give progressive files.
    seeds = [seed for seed in SEEDS if seed[9] == 2] if name == "progressive" else SEEDS
    for number in range(MUTANTS.get(name, 300)):
        TARGETS[name](mutant(seeds[number % len(seeds)], LONGEST, number))


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.iterdir()) < 8000
    assert max(map(len, SEEDS)) <= 800 and len(SEEDS) > 30
    assert LARGEST < LONGEST


def test_mended_mutants_reach_what_is_behind_the_checksums() -> None:
    read = {}
    for mended in (False, True):
        whole = 0
        for number in range(400):
            seed = bytearray(SEEDS[number % len(SEEDS)])
            seed[45 + number % (len(seed) - 60)] ^= 1 + number % 255
            whole += read_all(mend(bytes(seed)) if mended else bytes(seed), False) is not None
        read[mended] = whole
    assert read[False] < 20 and read[True] > 200


def test_mending_alters_no_file_that_is_whole() -> None:
    for seed in SEEDS:
        try:
            heqcodec.info(seed)
        except heqcodec.HeqError:
            continue
        assert mend(seed) == seed


def test_mending_makes_all_checksums_right() -> None:
    packed = next(seed for seed in SEEDS if seed[10] == 3)
    changed = bytearray(packed)
    start, stop = records(packed)[0]
    changed[20] ^= 3  # the step
    changed[stop - 6] ^= 0x55  # of the last slice
    made = mend(bytes(changed))
    assert zlib.crc32(made[:40]) == struct.unpack_from("<I", made, 40)[0]
    assert zlib.crc32(made[start : stop - 4]) == struct.unpack_from("<I", made, stop - 4)[0]
    cut = mend(packed[: stop - 20])
    (length,) = struct.unpack_from("<I", cut, start + 4)
    assert start + 12 + length == len(cut)
    # Six slices are found by their checks, as the coder looks for them.
    target = TARGETS["packed_coder"]
    target(made)
    from heqcodec.nqe_r.packed_coder.slices import split_slices

    slices, rest = split_slices(made[start + 8 : stop - 4])
    assert len(slices) == 6 and rest == 0


def test_mutants_are_seeded_and_differ() -> None:
    seed = SEEDS[0]
    made = [mutant(seed, LONGEST, number) for number in range(200)]
    assert made == [mutant(seed, LONGEST, number) for number in range(200)]
    assert len(set(made)) > 150 and max(map(len, made)) <= LONGEST
    assert all(len(mutant(seed, 50, number)) <= 50 for number in range(50))


def test_a_target_fails_where_reading_does_not_end_with_the_file() -> None:
    file = CountedFile(bytes(100))
    for _ in range(300):
        file.seek(0)
        file.read(1)
    with pytest.raises(AssertionError, match="300 reads"):
        file.check(2)
    with pytest.raises(AssertionError, match="more bytes"):
        file.read(101)
    with pytest.raises(AssertionError, match="not compared"):
        file.read(-1)


def test_a_target_fails_where_another_error_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: ContainerReader, index: int) -> bytes | None:
        raise IndexError(index)

    monkeypatch.setattr(ContainerReader, "read_strip", broken)
    for name in ("container", "info", "device_coder"):
        with pytest.raises(IndexError):
            TARGETS[name](next(seed for seed in SEEDS if seed[10] == 2))
