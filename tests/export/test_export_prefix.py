"""Prefixes of the exported C: two models in one program, no name without a prefix."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import heqcodec
import pytest
from c_compilers import COMPILERS, build, needs_compiler
from heqcodec.export.c_project import export_c
from heqcodec.export.layouts import renamed
from heqcodec.export.vectors import scene

pytestmark = needs_compiler
MODELS = {"near": "nqe-r", "far": "nqe-t"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of two models, by prefix."""
    root = tmp_path_factory.mktemp("two")
    for prefix, model in MODELS.items():
        export_c(model, root / prefix, prefix=prefix)
    return {prefix: root / prefix for prefix in MODELS}


def test_two_models_in_one_program(folders: dict[str, Path], tmp_path: Path) -> None:
    sources = [
        Path(__file__).parents[1] / "support" / "two_models.c",
        *(folder / f"{prefix}_encoder.c" for prefix, folder in folders.items()),
    ]
    flags = [f"-I{folder}" for folder in folders.values()]
    program = build(COMPILERS[-1], flags, sources, tmp_path / "both")
    pixels = scene(100, 70, 3)
    files = [tmp_path / f"{prefix}.heq" for prefix in MODELS]
    subprocess.run([program, "70", "100", *files], input=pixels.tobytes(), check=True)
    for file, model in zip(files, MODELS.values(), strict=True):
        assert file.read_bytes() == heqcodec.encode(pixels, model=model, strip_metadata=True)


@pytest.mark.parametrize("prefix", MODELS)
def test_external_symbols_and_macros(folders: dict[str, Path], prefix: str) -> None:
    folder = folders[prefix]
    compiler = COMPILERS[0]
    source, made = folder / f"{prefix}_encoder.c", folder / "encoder.o"
    subprocess.run([compiler, "-std=c99", "-c", source, "-o", made], check=True)
    listed = subprocess.run(
        ["nm", "--defined-only", "--extern-only", made], capture_output=True, text=True, check=True
    ).stdout
    symbols = [line.split()[-1] for line in listed.splitlines()]
    assert len(symbols) >= 5
    assert [name for name in symbols if not name.lstrip("_").startswith(f"{prefix}_")] == []

    def macros(text: str) -> set[str]:
        done = subprocess.run(
            [compiler, f"-I{folder}", "-dM", "-E", "-x", "c", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        return set(re.findall(r"^#define (\w+)", done.stdout, flags=re.MULTILINE))

    own = macros(f'#include "{prefix}_encoder.h"\n')
    own -= macros("#include <stddef.h>\n#include <stdint.h>\n")
    assert f"{prefix.upper()}_PATCH" in own
    assert [name for name in own if not name.startswith(f"{prefix.upper()}_")] == []
    for path in folder.iterdir():
        if path.suffix in (".c", ".h", ".txt") or path.name == "Makefile":
            assert re.findall(r"\b(?:heq|HEQ)_\w*", path.read_text("utf-8")) == []


def test_renaming() -> None:
    text = 'heq_begin(HEQ_OK, "heq_encoder.h"); CONFIG_HEQ_ENCODER heqcodec heqenc .heq xheq_'
    assert renamed(text, "heq") == text
    # A prefix that begins as the default does is put in once.
    assert renamed(text, "heq_far") == (
        'heq_far_begin(HEQ_FAR_OK, "heq_far_encoder.h"); CONFIG_HEQ_FAR_ENCODER heqcodec heqenc '
        ".heq xheq_"
    )
