"""Outputs appear whole or not at all, also when the process that writes them is killed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_runner import names
from heqcodec.base import files
from heqcodec.base.files import replaced_file, write_bytes
from slow_cases import quick_first

COMMAND = Path(__file__).parents[1] / "support" / "light_command.py"
WRITER = """
import os, sys
from heqcodec.base.files import replaced_file

def stop():
    print("there", flush=True)
    sys.stdin.read()

point, target = sys.argv[1:]
if point == "before the rename":
    os.replace = lambda *_: stop()
with replaced_file(target) as stream:
    if point == "half written":
        stream.write(bytes(100_000))
        stream.flush()
    if point != "before the rename":
        stop()
"""
POINTS = ("opened", "half written", "before the rename")
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals and locks")


@pytest.fixture(autouse=True)
def forget_folders() -> None:
    files._sweep.cache_clear()


def started(*arguments: str | Path, at: bytes = b"there\n") -> subprocess.Popen[bytes]:
    """A process that has come to its point, and waits there."""
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == at
    return process


@posix
class TestKilled:
    @pytest.mark.parametrize("point", POINTS)
    def test_a_later_run_sweeps_what_a_killed_one_left(self, point: str, tmp_path: Path) -> None:
        target = tmp_path / "out.bin"
        target.write_bytes(b"precious")
        process = started("-c", WRITER, point, target)
        process.kill()
        process.communicate()
        left = [name for name in names(tmp_path) if name != "out.bin"]
        assert len(left) == 1 and target.read_bytes() == b"precious"
        write_bytes(tmp_path / "another", b"1")
        assert names(tmp_path) == ["another", "out.bin"]

    @pytest.mark.parametrize("point", quick_first(POINTS))
    def test_what_a_running_one_writes_stays(self, point: str, tmp_path: Path) -> None:
        process = started("-c", WRITER, point, tmp_path / "out.bin")
        before = names(tmp_path)
        write_bytes(tmp_path / "another", b"1")
        assert names(tmp_path) == [*before, "another"]
        process.communicate(b"")
        assert process.returncode == 0
        if point != "before the rename":  # which never came there
            assert names(tmp_path) == ["another", "out.bin"]

    @pytest.mark.parametrize("number", quick_first(["SIGTERM", "SIGHUP", "SIGINT"]))
    def test_the_command_cleans_up_when_it_is_ended(
        self, number: str, photo: Path, tmp_path: Path
    ) -> None:
        # What started the tests may ignore the signal, as nohup does, and children inherit that.
        default = "default_int_handler" if number == "SIGINT" else "SIG_DFL"
        code = f"""
import os, runpy, signal, sys
signal.signal(signal.{number}, signal.{default})
sys.path.insert(0, {str(COMMAND.parent)!r})
def stop(*_):
    print("there", flush=True)
    sys.stdin.read()
os.fsync = stop
runpy.run_path({str(COMMAND)!r}, run_name="__main__")
"""
        process = started("-c", code, "encode", photo, photo.with_suffix(".heq"))
        assert len(names(tmp_path)) == 2
        process.send_signal(getattr(signal, number))
        _, errors = process.communicate()
        assert process.returncode == 128 + getattr(signal, number)
        assert b"Traceback" not in errors
        assert names(tmp_path) == ["photo.png"]

    def test_ignored_signals_stay_ignored(self) -> None:
        code = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
import sys
sys.argv = ["heqcodec", "--version"]
from heqcodec.cli import main
try:
    main()
except SystemExit:
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    print("checked")
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert done.stdout.endswith(b"checked\n"), done.stderr

    def test_a_file_that_was_swept_before_its_lock_is_made_anew(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import fcntl

        locked = []

        def lock_after_a_sweep(handle: int, how: int) -> None:
            if not locked:
                (path,) = tmp_path.iterdir()
                path.unlink()
            locked.append(how)

        monkeypatch.setattr(fcntl, "flock", lock_after_a_sweep)
        write_bytes(tmp_path / "out.bin", b"whole")
        assert (tmp_path / "out.bin").read_bytes() == b"whole" and len(locked) == 2


def test_an_error_of_the_disk_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError) as found, replaced_file(tmp_path / "out.heq"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert found.value.filename == str(tmp_path / "out.heq")


def test_other_files_stay(tmp_path: Path) -> None:
    kept = [".heqcodec-notes.tmp", ".heqcodec-0123456789ab.tmp.bak", "heqcodec-0123456789ab.tmp"]
    for name in kept:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".heqcodec-0123456789ab.tmp").mkdir()
    write_bytes(tmp_path / "out.bin", b"1")
    assert names(tmp_path) == sorted([*kept, ".heqcodec-0123456789ab.tmp", "out.bin"])


def test_the_bytes_are_on_the_disk_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, calls = tmp_path / "out.bin", []
    sync, replace = os.fsync, os.replace

    def note_sync(handle: int) -> None:
        calls.append(("sync", os.fstat(handle).st_size))
        sync(handle)

    def note_replace(source: str, target: str) -> None:
        calls.append(("replace", os.stat(source).st_size))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    with replaced_file(target) as stream:
        stream.write(b"12345")
    assert calls[:2] == [("sync", 5), ("replace", 5)]
    if os.name == "posix":
        assert [name for name, _ in calls] == ["sync", "replace", "sync"]  # then the folder


def test_without_locks_only_old_ones_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "fcntl", None)
    fresh, old = (tmp_path / f".heqcodec-{digit * 12}.tmp" for digit in "ab")
    for path in (fresh, old):
        path.write_bytes(b"")
    past = old.stat().st_mtime - 2 * 86_400
    os.utime(old, (past, past))
    write_bytes(tmp_path / "out.bin", b"1")
    assert names(tmp_path) == [fresh.name, "out.bin"]
    assert (tmp_path / "out.bin").read_bytes() == b"1"
