"""File names of any bytes: nothing of them acts on a terminal, and JSON stays JSON."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_runner import run
from heqcodec.cli.common.names import as_json, shown
from slow_cases import quick_first

COMMAND = Path(__file__).parents[1] / "support" / "light_command.py"
LATIN = b"caf\xe9.png"
JAPANESE = "日本.png".encode()
ESCAPE = b"\x1b]0;title\x07\x1b[31mred\xc2\x9b.png"


def command(*arguments: bytes | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, COMMAND, *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )


class TestShown:
    def test_escapes(self) -> None:
        assert shown("a\x1b[31m\r\n\x7f\x9b") == r"a\x1b[31m\x0d\x0a\x7f\x9b"
        assert shown(os.fsdecode(LATIN)) == r"caf\xe9.png"
        assert shown("a\u202egnp.exe\u2028\ud83d") == r"a\u202egnp.exe\u2028\ud83d"

    def test_other_text_stays(self) -> None:
        text = "Übung 日本語\u3000🎞️ 'x' \\x1b"
        assert shown(text) == text

    def test_json_is_ascii_and_keeps_the_bytes_of_names(self) -> None:
        value = {"files": [{"input": os.fsdecode(LATIN), "output": "é\x1b", "n": [1, None]}]}
        text = as_json(value)
        assert text.isascii() and "\x1b" not in text
        (entry,) = json.loads(text)["files"]
        assert entry["input"] == r"caf\xe9.png"
        assert base64.b64decode(entry["input_base64"]) == LATIN
        assert entry["output"] == "é\x1b" and "output_base64" not in entry
        assert entry["n"] == [1, None]
        assert not re.search(r"\\ud[89a-f]", as_json(os.fsdecode(LATIN)))


@pytest.mark.skipif(sys.platform != "linux", reason="file systems of other systems refuse them")
class TestCommands:
    @pytest.fixture
    def folder(self, photo: Path) -> bytes:
        folder = os.fsencode(photo.parent / "in")
        os.mkdir(folder)
        for name in (LATIN, ESCAPE, JAPANESE):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(photo.read_bytes())
        with open(os.path.join(folder, b"bad\x1b\xff.png"), "wb") as file:
            file.write(b"no image")
        return folder

    @pytest.mark.parametrize("encoding", quick_first(["ascii", "utf-8", "latin-1"]))
    def test_a_batch(self, folder: bytes, encoding: str, tmp_path: Path) -> None:
        done = command("encode", folder, tmp_path / "out", PYTHONIOENCODING=encoding)
        assert done.returncode == 1 and b"Traceback" not in done.stderr
        assert len(done.stdout.splitlines()) == 3
        for stream in (done.stdout, done.stderr):
            assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", stream)
        assert rb"caf\xe9.heq" in done.stdout and rb"\x1b[31mred\x9b.heq" in done.stdout
        assert rb"bad\x1b\xff.png" in done.stderr
        assert sorted(os.listdir(os.fsencode(tmp_path / "out"))) == sorted(
            name.replace(b".png", b".heq") for name in (LATIN, ESCAPE, JAPANESE)
        )

    @pytest.mark.usefixtures("light")
    def test_json(self, folder: bytes, tmp_path: Path) -> None:
        done = run("encode", os.fsdecode(folder), tmp_path / "out", "--json")
        report = json.loads(done.stdout_bytes.decode("ascii"))
        found = {
            base64.b64decode(entry["input_base64"])
            if "input_base64" in entry
            else os.fsencode(entry["input"])
            for entry in [*report["files"], *report["failed"]]
        }
        assert found == {os.path.join(folder, name) for name in os.listdir(folder)}

    @pytest.mark.parametrize(
        "arguments",
        [
            (b"info", ESCAPE),
            (b"info", b"a.heq", ESCAPE),
            (b"encode", ESCAPE, b"x.heq", b"--\x1b[31m", b"-"),
            (b"encode", ESCAPE, b"\x1b[31m.jpg"),
            (ESCAPE,),
            (b"decode", ESCAPE, b"\x1b[31m.gif"),
        ],
        ids=range(6),
    )
    @pytest.mark.usefixtures("light")
    def test_wrong_commands(self, arguments: tuple[bytes, ...]) -> None:
        done = run(*map(os.fsdecode, arguments))
        assert done.exit_code in (1, 2) and done.stderr
        assert "\x1b]" not in done.stderr and "\x1b[31m" not in done.stderr
