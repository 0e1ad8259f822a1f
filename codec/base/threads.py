"""How many threads the libraries beneath may use: one number for all of them.

A container's quota limits time and not processors: ``sched_getaffinity`` shows all of a machine
inside one that may use two of them. Each cgroup from the process's own up to the root of what is
mounted can have a quota, and the least of them holds. See the kernel's admin-guide/cgroup-v2 and
scheduler/sched-bwc.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path, PurePosixPath

_VARIABLE = "OMP_NUM_THREADS"


def processor_count() -> int:
    """Processors that this process can keep busy: those it may run on, and no more than the CPU
    quota of its container is worth, rounded up; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        there = len(os.sched_getaffinity(0))
    else:
        there = os.cpu_count() or 1
    quota = cpu_quota()
    return there if quota is None else max(1, min(there, ceil(quota)))


def thread_count() -> int:
    """Threads for a library that has to know: what `limit_threads` or OMP_NUM_THREADS says,
    else one for each of `processor_count`."""
    setting = os.environ.get(_VARIABLE, "")
    if setting.isdigit() and int(setting):
        return int(setting)
    return processor_count()


def limit_threads(count: int) -> None:
    """Let numpy's BLAS, onnxruntime and torch use so many threads in this process.

    Networks that are loaded already keep the number that they were loaded with.
    """
    from threadpoolctl import threadpool_limits

    os.environ[_VARIABLE] = str(count)  # torch, when it is imported, and `thread_count`
    threadpool_limits(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def run_batches(run: Callable[[slice], None], count: int, batch: int) -> None:
    """Run a function on slices of ``batch`` of ``count`` items, by `thread_count` threads.

    Args:
        run: writes what it makes of a slice where no other slice's goes; it should spend its time
            in numpy or C, which let go of Python's lock.
        count: of items.
        batch: items in a slice; in the last one fewer.
    """
    parts = [slice(first, min(first + batch, count)) for first in range(0, count, batch)]
    threads = min(thread_count(), len(parts))
    if threads < 2:
        for part in parts:
            run(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        # A list, so that an error of any slice is raised here.
        list(pool.map(run, parts))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Processors that the CPU quota amounts to, such as 1.5; None without one or without cgroups.

    Args:
        root: where ``proc`` and the cgroup file systems lie; tests give another.
    """
    quotas = [quota for group in _groups(root) for quota in _quotas_of(group)]
    return min(quotas, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the groups that hold this process, in each hierarchy with quotas, and above."""
    try:
        memberships = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return
    own = {}
    for line in memberships:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            own["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            own["cgroup"] = path
    for line in mounts:
        # ID, parent, device, root, mount point, options, more fields, "-", type, source, options.
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in own:
            continue
        if kind[0] == "cgroup" and "cpu" not in kind[2].split(","):
            continue
        mounted, place = _unescaped(fields[3]), root / _unescaped(fields[4]).lstrip("/")
        group = PurePosixPath(own[kind[0]])
        # Without a cgroup namespace the path is the host's, of which the container's is mounted; a
        # path outside what is mounted is of the mount's own root at best.
        inside = group.relative_to(mounted).parts if group.is_relative_to(mounted) else ()
        for depth in range(len(inside), -1, -1):
            yield place.joinpath(*inside[:depth])


def _quotas_of(group: Path) -> Iterator[float]:
    """The quota of one group in processors, of either version, if it has one."""
    both = _read(group / "cpu.max").split()
    split = [_read(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    for quota, period in (both, split) if len(both) == 2 else (split,):
        # "max" (version 2) and -1 (version 1) say that there is none.
        if quota.isdigit() and period.isdigit() and int(quota) and int(period):
            yield int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _unescaped(field: str) -> str:
    """A path of mountinfo, in which blanks stand as ``\\040``."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
