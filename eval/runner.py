"""A run over codecs, settings and images: what is left to do, done on all cores, and kept."""

from __future__ import annotations

import contextlib
import platform
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heqcodec.base.threads import processor_count
from heqcodec.eval.baselines.codec import Codec
from heqcodec.eval.kept_files import coded_file, decoded_file, setting_text
from heqcodec.eval.store import Store
from heqcodec.eval.summary import Claim
from heqcodec.eval.workers import SEED, Job, Outcome, Workers

_IN_WORK = ".in-work-"


@dataclass(frozen=True)
class Ladder:
    """A codec and the settings to run it at."""

    codec: Codec
    settings: tuple[float, ...]


def claim_of(ladder: Ladder, processes: int, command: str) -> Claim:
    """Return what the rows of a codec measured now are claimed to be made with."""
    from heqcodec.eval.report import environment

    codec = ladder.codec
    here: dict[str, Any] = environment()
    return Claim(
        codec=codec.name,
        version=codec.version(),
        about=codec.about,
        setting_name=codec.setting_name,
        settings=ladder.settings,
        record={
            **here,
            "processor": _processor(),
            "cores": processor_count(),
            "threads": 1 if codec.single_threaded else here["threads"],
            "processes": processes if codec.single_threaded else 1,
            "command": command,
            "seed": SEED,
        },
    )


def left_jobs(store: Store, ladder: Ladder, files: Sequence[Path], keep: bool) -> list[Job]:
    """Return what is not finished. With ``keep`` a job without its kept files is not.

    An image at all settings, then the next, since the processes hold the last one.
    """
    name, suffix = ladder.codec.name, ladder.codec.suffix
    jobs = []
    for path in files:
        for setting in ladder.settings:
            job = Job(name, setting, path)
            if keep:
                coded = coded_file(store.folder, name, setting, path.name, suffix)
                decoded = decoded_file(store.folder, name, setting, path.name)
                job = Job(name, setting, path, coded, decoded)
            kept = not (job.coded and job.decoded) or (job.coded.exists() and job.decoded.exists())
            if not (kept and store.has(name, setting, path.name)):
                jobs.append(job)
    return jobs


def run(
    store: Store,
    ladders: Sequence[Ladder],
    files: Sequence[Path],
    processes: int,
    keep: bool,
    make_codec: Callable[[str], Codec],
) -> Generator[Outcome, None, None]:
    """Do what is left; yield what came of each job when its row is on the disk.

    Codecs of one thread share ``processes`` processes; each of the others runs alone, in one
    process with all threads. A generator that is not run to its end must be closed.
    """
    alone = [[ladder] for ladder in ladders if not ladder.codec.single_threaded]
    together = [ladder for ladder in ladders if ladder.codec.single_threaded]
    with _folder_in_work(store.folder) as folder:
        for group in ([together] if together else []) + alone:
            one_thread = group is together
            jobs = [job for ladder in group for job in left_jobs(store, ladder, files, keep)]
            count = min(processes if one_thread else 1, len(jobs))
            with Workers(count, one_thread, make_codec, folder) as workers:
                for outcome in workers.outcomes(jobs):
                    if outcome.row:
                        store.add(outcome.row)
                    yield outcome


def failures_text(outcomes: Sequence[Outcome]) -> list[str]:
    """Return one line for each image, codec and reason, with the settings that failed."""
    settings: dict[tuple[str, str, str], list[float]] = {}
    for outcome in outcomes:
        key = (outcome.job.image.name, outcome.job.codec, outcome.failure)
        settings.setdefault(key, []).append(outcome.job.setting)
    return [
        f"{image}, {codec} at {', '.join(setting_text(s) for s in sorted(failed))}: {reason}"
        for (image, codec, reason), failed in sorted(settings.items())
    ]


@contextlib.contextmanager
def _folder_in_work(parent: Path) -> Iterator[Path]:
    """A folder for files in work, beside the results, so that they can be moved there whole."""
    for left in parent.glob(f"{_IN_WORK}*"):  # By a run that was killed.
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_IN_WORK, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _processor() -> str | None:
    """Return the processor's name where the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None
