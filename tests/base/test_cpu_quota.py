"""The CPU quota of a container, by trees of files as Linux shows them in each kind of container."""

from __future__ import annotations

from pathlib import Path

import pytest
from heqcodec.base import threads
from heqcodec.base.threads import cpu_quota

V2_MOUNT = "30 25 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = (
    "33 32 0:30 {root} /sys/fs/cgroup/cpu,cpuacct ro master:11 - cgroup cgroup rw,cpu,cpuacct"
)
V1_MEMORY = "34 32 0:31 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"
V1 = "sys/fs/cgroup/cpu,cpuacct"


def tree(root: Path, memberships: str, mounts: list[str], files: dict[str, str]) -> Path:
    """A root with the two files of ``/proc/self`` and those of the groups."""
    texts = {"proc/self/cgroup": memberships, "proc/self/mountinfo": "\n".join(mounts) + "\n"}
    for name, text in (texts | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v1_files(group: str, quota: int, period: int = 100_000) -> dict[str, str]:
    return {
        f"{group}/cpu.cfs_quota_us": f"{quota}\n",
        f"{group}/cpu.cfs_period_us": f"{period}\n",
    }


class TestVersion2:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("200000 100000\n", 2.0),
            ("50000 100000\n", 0.5),
            ("150000 50000\n", 3.0),
            ("max 100000\n", None),
            ("", None),
            ("damaged\n", None),
            ("100000 0\n", None),
        ],
    )
    def test_own_root(self, tmp_path: Path, text: str, expected: float | None) -> None:
        """As docker and podman show it: a namespace of its own, whose root has the quota."""
        files = {"sys/fs/cgroup/cpu.max": text}
        assert cpu_quota(tree(tmp_path, "0::/\n", [V2_MOUNT], files)) == expected

    @pytest.mark.parametrize(
        ("quotas", "expected"),
        [
            (("max 100000", "max 100000", "300000 100000"), 3.0),
            (("max 100000", "150000 100000", "300000 100000"), 1.5),
            (("100000 100000", "max 100000", "max 100000"), 1.0),
            (("max 100000", "max 100000", "max 100000"), None),
        ],
    )
    def test_the_least_of_nested_groups(
        self, tmp_path: Path, quotas: tuple[str, str, str], expected: float | None
    ) -> None:
        """As systemd nests a service: none at the root, which has no such file."""
        groups = ("a.slice", "a.slice/b.slice", "a.slice/b.slice/c.service")
        files = {
            f"sys/fs/cgroup/{group}/cpu.max": quota + "\n"
            for group, quota in zip(groups, quotas, strict=True)
        }
        files["sys/fs/cgroup/a.slice/other/cpu.max"] = "1000 100000\n"
        root = tree(tmp_path, "0::/a.slice/b.slice/c.service\n", [V2_MOUNT], files)
        assert cpu_quota(root) == expected

    def test_a_mount_of_a_part(self, tmp_path: Path) -> None:
        mount = "30 25 0:26 /pod/box /sys/fs/my\\040groups ro - cgroup2 cgroup2 rw"
        files = {"sys/fs/my groups/in/cpu.max": "250000 100000\n"}
        assert cpu_quota(tree(tmp_path, "0::/pod/box/in\n", [mount], files)) == 2.5


class TestVersion1:
    memberships = "12:memory:/m\n4:cpu,cpuacct:{path}\n1:name=systemd:/s\n"

    @pytest.mark.parametrize(("quota", "expected"), [(150_000, 1.5), (-1, None), (0, None)])
    def test_a_container_without_a_namespace(
        self, tmp_path: Path, quota: int, expected: float | None
    ) -> None:
        """As docker shows it: the path is the host's, and its group is mounted as the root."""
        mounts = [V1_MEMORY, V1_MOUNT.format(root="/docker/12ab")]
        root = tree(
            tmp_path, self.memberships.format(path="/docker/12ab"), mounts, v1_files(V1, quota)
        )
        assert cpu_quota(root) == expected

    def test_the_least_of_nested_groups(self, tmp_path: Path) -> None:
        """As kubernetes nests a container within a pod."""
        files = (
            v1_files(V1, -1)
            | v1_files(f"{V1}/kubepods", 350_000)
            | v1_files(f"{V1}/kubepods/pod1", 100_000, 50_000)
            | v1_files(f"{V1}/kubepods/pod1/box", -1)
        )
        memberships = self.memberships.format(path="/kubepods/pod1/box")
        assert cpu_quota(tree(tmp_path, memberships, [V1_MOUNT.format(root="/")], files)) == 2.0

    def test_a_path_outside_the_mount(self, tmp_path: Path) -> None:
        memberships = self.memberships.format(path="/../other")
        mounts = [V1_MOUNT.format(root="/docker/12ab")]
        assert cpu_quota(tree(tmp_path, memberships, mounts, v1_files(V1, 300_000))) == 3.0

    def test_beside_version_2(self, tmp_path: Path) -> None:
        """Hybrid systems mount both; version 2 has no CPU controller then."""
        memberships = self.memberships.format(path="/") + "0::/\n"
        mounts = [V1_MOUNT.format(root="/"), V2_MOUNT.replace("cgroup ro", "cgroup/unified ro")]
        assert cpu_quota(tree(tmp_path, memberships, mounts, v1_files(V1, 100_000))) == 1.0


def test_without_cgroups(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "expected"), [(0.2, 1), (1.0, 1), (1.5, 2), (4.0, 4), (99.0, 8), (None, 8)]
)
def test_threads_follow_it(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, expected: int
) -> None:
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads.thread_count() == threads.processor_count() == expected
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert threads.thread_count() == 5
