"""The command in a process of its own: what is imported, and streams that are not files."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import heqcodec
import pytest
from command_runner import names, run
from heqcodec.models.registry import DECODERS, SSIMULACRA2
from PIL import Image
from slow_cases import quick_first, slow

COMMAND = Path(__file__).parents[1] / "support" / "light_command.py"
ROOT = Path(__file__).parents[2]
START = "from heqcodec_command import main; main()"


class TestProcess:
    def command(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, *arguments], capture_output=True, timeout=60, **options
        )

    @pytest.mark.parametrize(
        "arguments", quick_first([["encode", "--help"], ["--help"], ["--version"]])
    )
    def test_help_and_version_import_neither_torch_nor_numpy_users(
        self, arguments: list[str]
    ) -> None:
        code = (
            "import sys, atexit\n"
            "atexit.register(lambda: print('LOADED', *sys.modules))\n"
            f"sys.argv[1:] = {arguments!r}\n"
            "from heqcodec.cli import main\n"
            "main()\n"
        )
        done = self.command("-c", code)
        assert done.returncode == 0, done.stderr
        loaded = done.stdout.decode().split("LOADED")[1].split()
        assert "heqcodec.cli.application" in loaded
        assert not {"torch", "safetensors", "skimage", "matplotlib"} & set(loaded)

    def test_version_names_package_and_format(self) -> None:
        expected = f"heqcodec {heqcodec.__version__}, format version {heqcodec.FORMAT_VERSION}\n"
        assert run("--version").stdout == expected

    @pytest.mark.slow
    def test_pipes(self, photo: Path) -> None:
        encoded = self.command(str(COMMAND), "encode", "-", "-", input=photo.read_bytes())
        assert encoded.returncode == 0, encoded.stderr
        assert heqcodec.info(encoded.stdout)["width"] == 100
        decoded = self.command(str(COMMAND), "decode", "-", "-", input=encoded.stdout)
        assert decoded.returncode == 0
        assert Image.open(io.BytesIO(decoded.stdout)).size == (100, 70)

    def test_a_reader_that_stops_early_hears_nothing(self) -> None:
        command = [sys.executable, "-m", "heqcodec", "models"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout and process.stderr
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 1

    def test_an_error_is_one_sentence_without_traceback(self, tmp_path: Path) -> None:
        done = self.command(str(COMMAND), "encode", "none.png", "out.heq", cwd=tmp_path)
        assert done.returncode == 1 and done.stdout == b""
        assert done.stderr.decode().splitlines() == [
            "heqcodec: none.png: No such file or directory."
        ]

    @pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
    def test_ctrl_c_leaves_nothing(self, photo: Path) -> None:
        import signal

        process = subprocess.Popen(
            [sys.executable, str(COMMAND), "encode", "-", str(photo.with_suffix(".heq"))],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        # More than a pipe holds, so when it is written the command reads: it waits for the rest.
        process.stdin.write(photo.read_bytes()[:100] + bytes(1 << 22))
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 130
        assert b"Traceback" not in errors
        assert names(photo.parent) == ["photo.png"]

    @pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
    @pytest.mark.parametrize(
        "begin", [["-c", START], slow(["-m", "heqcodec"])], ids=["command", "module"]
    )
    @pytest.mark.parametrize(
        "module", ["rich.console", slow("heqcodec.api"), slow("heqcodec.cli.common.sources")]
    )
    def test_ctrl_c_while_modules_are_imported(
        self, module: str, begin: list[str], tmp_path: Path
    ) -> None:
        import signal

        # Python imports a module of this name before anything else.
        (tmp_path / "sitecustomize.py").write_text(f"""
import sys
class Waits:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            print("there", flush=True)
            sys.stdin.read()
sys.meta_path.insert(0, Waits())
""")
        process = subprocess.Popen(
            [sys.executable, *begin, "models"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        )
        assert process.stdout is not None and process.stdout.readline().strip() == b"there"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert process.returncode in (-signal.SIGINT, 130)
        assert errors in (b"", b"heqcodec: Interrupted.\n")

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("heqcodec decode --decoder ", {*DECODERS} - {SSIMULACRA2}),
            slow("heqcodec dec", {"decode"}),
            slow("heqcodec encode --model nqe-t", {"nqe-t"}),
        ],
    )
    def test_completion(self, words: str, expected: set[str]) -> None:
        count = str(len(words.split(" ")) - 1)
        done = self.command(
            *("-m", "heqcodec"),
            env={
                **os.environ,
                "_HEQCODEC_COMPLETE": "complete_bash",
                "COMP_WORDS": words,
                "COMP_CWORD": count,
            },
        )
        assert set(done.stdout.decode().split()) == expected, done.stderr
