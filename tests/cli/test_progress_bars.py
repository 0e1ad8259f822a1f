"""Bars of the commands: on a terminal's standard error, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_runner import run

pty = pytest.importorskip("pty", reason="needs pseudo-terminals")

COMMAND = Path(__file__).parents[1] / "support" / "light_command.py"


def run_at_a_terminal(
    *arguments: str | Path, to_terminal: bool = False
) -> tuple[int, bytes, bytes]:
    """Exit code, what went to standard output, and what the terminal saw.

    Args:
        to_terminal: whether standard output is that terminal too, else a pipe.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs if to_terminal else subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # EIO: nobody holds the other end any more
            break
        if not part:
            break
        seen += part
    os.close(ours)
    out = process.stdout.read() if process.stdout is not None else b""
    return process.wait(), out, seen


@pytest.fixture
def folder(photo: Path) -> Path:
    folder = photo.parent / "in"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(photo.read_bytes())
    return folder


def test_results_of_a_batch_go_to_a_redirected_output(folder: Path, tmp_path: Path) -> None:
    code, out, seen = run_at_a_terminal("encode", folder, tmp_path / "out")
    assert code == 0
    assert [line.split(b":")[0][-5:] for line in out.splitlines()] == [b"a.heq", b"b.heq"]
    assert b"\x1b" not in out
    assert b"encoding" in seen and b"2/2" in seen and b"a.heq" not in seen


@pytest.mark.slow
def test_both_streams_on_one_terminal(folder: Path, tmp_path: Path) -> None:
    code, _, seen = run_at_a_terminal("encode", folder, tmp_path / "out", to_terminal=True)
    assert code == 0
    assert b"encoding" in seen and b"a.heq" in seen and b"b.heq" in seen


def test_a_single_file_shows_its_rows(photo: Path) -> None:
    code, out, seen = run_at_a_terminal("encode", photo, photo.with_suffix(".heq"))
    assert code == 0 and len(out.splitlines()) == 1
    assert b"encoding" in seen and b"3/3" in seen


@pytest.mark.slow
def test_quiet_shows_no_bar(folder: Path, tmp_path: Path) -> None:
    assert run_at_a_terminal("encode", folder, tmp_path / "out", "--quiet") == (0, b"", b"")


@pytest.mark.usefixtures("light")
def test_no_bar_without_a_terminal(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = run("encode", folder, tmp_path / "out")
    assert done.exit_code == 0 and done.stderr == "" and len(done.stdout.splitlines()) == 2
