"""Change formulas one at a time and see which changes no test notices: mutmut 3 on a copy.

    pip install mutmut
    python tests/mutants.py container --share 0.2 --seed 23
    python tests/mutants.py quantizers nqe_r/device_coder --share 0.1

A copy, because mutmut names modules by their folders, and ours are mapped to a package. Tests are
those of the rooms, without the slow ones. Lines that raise errors, or hold text, are left alone.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"codec": "", "cli": "cli", "weights": "weights", "eval": "eval", "lab": "lab"}
LEFT_ALONE = ['^\\s*f?"', "raise ", "assert ", "import "]


def stage(folder: Path, rooms: list[str]) -> None:
    """The package as it is when installed, its tests, and mutmut's settings."""
    for source, target in FOLDERS.items():
        shutil.copytree(ROOT / source, folder / "heqcodec" / target, dirs_exist_ok=True)
    for name in ("tests", "docs"):
        shutil.copytree(ROOT / name, folder / name)
    settings: dict[str, object] = {
        "source_paths": ["heqcodec"],
        "only_mutate": [f"heqcodec/{room}/*" for room in rooms],
        "pytest_add_cli_args_test_selection": [f"tests/{room.split('/')[0]}" for room in rooms],
        "pytest_add_cli_args": ["-m", "not slow and not data"],
        "also_copy": ["docs"],
        # Torch does not bear being forked once it has computed.
        "process_isolation": "forkserver" if "quantizers" in rooms else "fork",
        "do_not_mutate_patterns": LEFT_ALONE,
        "track_dependencies": False,
        "use_git_change_detection": False,
        "timeout_multiplier": 2.0,
        "timeout_constant": 15.0,
    }
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    pytest_part = text[text.index("[tool.pytest.ini_options]") :].split("\n\n", 1)[0]
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (folder / "pyproject.toml").write_text(
        "\n".join([pytest_part, "[tool.mutmut]", *lines, ""]), encoding="utf-8"
    )


def results(folder: Path) -> dict[str, int | None]:
    """Exit code of the tests by mutant, None where none were run: 0 survived."""
    found: dict[str, int | None] = {}
    for file in sorted((folder / "mutants").rglob("*.meta")):
        found |= json.loads(file.read_text("utf-8"))["exit_code_by_key"]
    return dict(sorted(found.items()))


def main(
    rooms: Annotated[list[str], typer.Argument(help="Folders of codec/.")],
    share: Annotated[float, typer.Option(help="Of the mutants, drawn at random.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 23,
) -> None:
    """Run a sample of the mutants of some rooms and print those that survive."""
    single = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    mutmut = [sys.executable, "-m", "mutmut"]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        stage(folder, rooms)

        def run(*words: str) -> str:
            command = [*mutmut, *words]
            environment = {**os.environ, **single}
            return subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True
            ).stdout

        # Of no mutant, so that all are made and it is known which tests reach what.
        run("run", "--max-children", "1", "none")
        names = list(results(folder))
        if not names:
            sys.exit("no mutants were made: mutmut did not run, or there is no such room")
        sample = random.Random(seed).sample(names, max(1, round(share * len(names))))
        run("run", "--max-children", "1", *sample)
        codes = results(folder)
        done = [name for name in sample if codes[name] is not None]
        alive = [name for name in done if codes[name] == 0]
        print(f"{len(names)} mutants, {len(done)} run, {len(done) - len(alive)} killed")
        for name in alive:
            print(run("show", name))


if __name__ == "__main__":
    typer.run(main)
