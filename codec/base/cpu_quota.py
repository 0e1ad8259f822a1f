"""How many processors' time a container's cgroups grant to this process, by Linux's files.

A quota limits time and not processors: ``sched_getaffinity`` shows all of a machine inside a
container that may use two of them. Each group from the process's own up to the root of what is
mounted can have one, and the least of them holds. See the kernel's admin-guide/cgroup-v2 and
scheduler/sched-bwc.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


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
