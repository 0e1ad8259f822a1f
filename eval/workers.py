"""Processes that measure: one job at a time each, and a job that kills its process fails alone.

Not ``concurrent.futures``: there one process that dies, as a codec's library may make it, takes
all jobs with it, and Ctrl-C has to wait for those that run.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.base.threads import limit_threads
from heqcodec.eval.baselines.codec import Codec
from heqcodec.eval.measurement import Measurement

SEED = 0
"""Of Python's, NumPy's and torch's generators before each job: results depend on no order."""
WARM_UP = 64
"""Side in pixels of the corner that a process codes before its first job with a codec."""
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Job:
    """One image, to be coded with one codec at one setting."""

    codec: str
    setting: float
    image: Path
    coded: Path | None = None  # where the file is kept
    decoded: Path | None = None  # where the decoded image is kept, as PNG


@dataclass(frozen=True)
class Outcome:
    """What came of a job: a row, or one sentence that says what went wrong."""

    job: Job
    row: Measurement | None = None
    failure: str = ""
    trace: str = ""  # of an error that no codec should raise


class Workers:
    """Some processes, to be used in a ``with`` block; leaving it ends them at once.

    Args:
        count: how many processes.
        one_thread: whether libraries in them are held to one thread.
        make_codec: a function of a module, which gives the codec of a name in each process.
        folder: for files in work.
    """

    def __init__(
        self, count: int, one_thread: bool, make_codec: Callable[[str], Codec], folder: Path
    ) -> None:
        self._count = count
        self._one_thread = one_thread
        self._make_codec = make_codec
        self._folder = folder
        self._processes: dict[Connection, BaseProcess] = {}
        self._busy: dict[Connection, Job] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.terminate()
        for connection, process in self._processes.items():
            process.join()
            connection.close()
        self._processes.clear()
        self._busy.clear()

    def outcomes(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Do the jobs; yield what came of each as it ends, in no order."""
        waiting = deque(jobs)
        while waiting or self._busy:
            while waiting and len(self._busy) < self._count:
                self._give(waiting.popleft())
            for ready in wait(list(self._busy)):
                assert isinstance(ready, Connection)
                job = self._busy.pop(ready)
                try:
                    outcome = ready.recv()
                except (EOFError, OSError):
                    process = self._processes.pop(ready)
                    process.join()
                    ready.close()
                    outcome = Outcome(job, failure=_death(process.exitcode))
                yield outcome

    def _give(self, job: Job) -> None:
        idle = [connection for connection in self._processes if connection not in self._busy]
        connection = idle[0] if idle else self._start()
        with contextlib.suppress(OSError):  # It died; `outcomes` will read its end.
            connection.send(job)
        self._busy[connection] = job

    def _start(self) -> Connection:
        ours, theirs = _CONTEXT.Pipe()
        # A daemon is ended with this process, should it end in an odd way.
        process = _CONTEXT.Process(
            target=_serve,
            args=(theirs, self._make_codec, self._folder, self._one_thread),
            daemon=True,
        )
        with _held_interrupts(), _one_thread_environment(self._one_thread):
            process.start()
        theirs.close()
        self._processes[ours] = process
        return ours


@contextlib.contextmanager
def _held_interrupts() -> Iterator[None]:
    """Let a new process start with Ctrl-C held back, so that only this one hears it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _one_thread_environment(wanted: bool) -> Iterator[None]:
    """Set what numeric libraries read when they are loaded, for processes started meanwhile."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    if wanted:
        os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"the process that coded it ended with code {code}."
    name = signal.Signals(-code).name
    reason = "; perhaps there was not enough memory" if name == "SIGKILL" else ""
    return f"the process that coded it was ended by {name}{reason}."


def _serve(
    connection: Connection, make_codec: Callable[[str], Codec], folder: Path, one_thread: bool
) -> None:
    """Do jobs until the other end is closed; runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if one_thread:
        limit_threads(1)
    codecs: dict[str, Codec | HeqError] = {}
    with contextlib.suppress(EOFError, OSError):
        while True:
            job = connection.recv()
            connection.send(_outcome(job, codecs, make_codec, folder))


def _outcome(
    job: Job, codecs: dict[str, Codec | HeqError], make_codec: Callable[[str], Codec], folder: Path
) -> Outcome:
    try:
        return Outcome(job, row=_measured(job, codecs, make_codec, folder))
    except HeqError as error:
        return Outcome(job, failure=_line(error))
    # A library may raise anything for one image; hours of other measurements must not be lost.
    except Exception as error:
        message = f"{type(error).__name__}: {_line(error)}"
        return Outcome(job, failure=message, trace=traceback.format_exc())


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no reason given"


def _measured(
    job: Job, codecs: dict[str, Codec | HeqError], make_codec: Callable[[str], Codec], folder: Path
) -> Measurement:
    from heqcodec.eval.measure import measure

    pixels = _pixels(job.image)
    if job.codec not in codecs:
        codecs[job.codec] = _prepared(make_codec, job.codec)
        _warm_up(codecs[job.codec], job.setting, pixels, folder)
    codec = codecs[job.codec]
    if isinstance(codec, HeqError):
        raise codec
    _seed()
    path = folder / f"{os.getpid()}{codec.suffix}"
    try:
        row = measure(codec, job.setting, job.image.name, pixels, path)
        if job.decoded:
            _keep_decoded(codec.decode(path), job.decoded, folder)
        if job.coded:
            job.coded.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, job.coded)
    finally:
        path.unlink(missing_ok=True)
    return row


def _prepared(make_codec: Callable[[str], Codec], name: str) -> Codec | HeqError:
    """A codec, or why there is none: loading may be slow, and is tried once."""
    try:
        codec = make_codec(name)
        codec.prepare()
    except HeqError as error:
        return error
    return codec


@lru_cache(maxsize=1)
def _pixels(path: Path) -> np.ndarray:
    """Return an image as codecs take it, uint8 (H, W, 3); grey in three equal channels."""
    from heqcodec.eval.folder import read_pixels

    pixels = read_pixels(path)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _warm_up(codec: Codec | HeqError, setting: float, pixels: np.ndarray, folder: Path) -> None:
    """Code a corner of the image, so that first calls are in nobody's seconds."""
    if isinstance(codec, HeqError):
        return
    path = folder / f"{os.getpid()}-first{codec.suffix}"
    # What a codec says of so small an image is of no interest.
    with contextlib.suppress(HeqError):
        codec.encode(np.ascontiguousarray(pixels[:WARM_UP, :WARM_UP]), setting, path)
        codec.decode(path)
    path.unlink(missing_ok=True)


def _seed() -> None:
    random.seed(SEED)
    np.random.seed(SEED)
    # Only a codec that has imported torch can have random numbers from it.
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(SEED)


def _keep_decoded(pixels: np.ndarray, target: Path, folder: Path) -> None:
    from PIL import Image

    target.parent.mkdir(parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}.decoded.png"
    Image.fromarray(pixels).save(path)
    os.replace(path, target)
