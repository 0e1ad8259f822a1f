"""A copy of the package in which mutmut has put all mutants, each behind a switch."""

from __future__ import annotations

import difflib
import json
import os
import shutil
from pathlib import Path

import libcst
from mutmut.mutation import file_mutation

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"codec": "", "cli": "cli", "weights": "weights", "eval": "eval", "lab": "lab"}
LEFT_ALONE = ['^\\s*f?"', "raise ", "assert ", "import "]
# What makes a formula; arguments, strings and assignments are other mutants.
FORMULA = (
    libcst.BaseNumber,
    libcst.BinaryOperation,
    libcst.UnaryOperation,
    libcst.BooleanOperation,
    libcst.ComparisonTarget,
    libcst.AugAssign,
    libcst.BaseCompOp,
    libcst.IfExp,
)


def function_of(mutant: str) -> str:
    """The name of the function that a mutant is of."""
    return mutant.partition("__mutmut_")[0]


def mutate(path: Path, module: str, formulas: bool) -> dict[str, str]:
    """Put the mutants of a file into it; what each changes, by its name."""
    tree, mutations, classes, functions = file_mutation.create_mutations(
        str(path), path.read_text("utf-8")
    )
    if formulas:
        mutations = [one for one in mutations if isinstance(one.original_node, FORMULA)]
    mutated = file_mutation.combine_mutations_to_source(tree, mutations, classes, functions)
    path.write_text(mutated.code, "utf-8")
    lines = mutated.code.splitlines()

    def body(name: str) -> list[str]:
        span = mutated.line_span_by_function_name[name]
        return [line.replace(name, function) for line in lines[span.start - 1 : span.end]]

    changes = {}
    for name in mutated.mutant_names:
        function = function_of(name)
        lines_of = (body(f"{function}__mutmut_orig"), body(name))
        changes[f"{module}.{name}"] = "\n".join(
            line
            for line in list(difflib.unified_diff(*lines_of, lineterm="", n=0))[2:]
            if not line.startswith("@@")
        )
    return changes


def stage(folder: Path, rooms: list[str], formulas: bool) -> dict[str, str]:
    """The package as it is when installed, with mutants, and its tests."""
    for source, target in FOLDERS.items():
        shutil.copytree(ROOT / source, folder / "heqcodec" / target, dirs_exist_ok=True)
        # Tests look for sources where the repository has them.
        (folder / source).symlink_to(folder / "heqcodec" / target)
    for name in ("tests", "docs", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("build"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    with (folder / "pyproject.toml").open("a") as settings:
        settings.write("\n[tool.mutmut]\nsource_paths = ['heqcodec']\ntrack_dependencies = false\n")
        settings.write(f"do_not_mutate_patterns = {json.dumps(LEFT_ALONE)}\n")
    os.chdir(folder)
    made = {}
    for room in rooms:
        start = folder / "heqcodec" / room
        for path in sorted(start.rglob("*.py")) if start.is_dir() else [start.with_suffix(".py")]:
            made |= mutate(path, ".".join(path.relative_to(folder).with_suffix("").parts), formulas)
    return made
