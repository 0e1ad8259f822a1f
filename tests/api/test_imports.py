"""What an import costs: torch stays out until a model is needed."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import heqcodec
import pytest


def loaded_modules(code: str) -> set[str]:
    """Modules in ``sys.modules`` after ``code`` ran in an interpreter of its own."""
    program = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import heqcodec",
        "import heqcodec.models.registry",
        "from heqcodec.container import Header\n"
        "import heqcodec\n"
        "data = Header(10, 10, 3, 64, bytes(8)).pack() + bytes(50)\n"
        "try:\n    heqcodec.decode(data)\nexcept heqcodec.HeqChecksumError:\n    pass\n"
        "else:\n    raise SystemExit('damage was not seen')",
        "import heqcodec, io\n"
        "try:\n    heqcodec.encode('x.png', bpp=3, mode='patch')\n"
        "except heqcodec.HeqError:\n    pass\n"
        "else:\n    raise SystemExit('the rate was taken')",
    ],
    ids=["import", "models", "decode-of-a-damaged-file", "encode-at-no-rate"],
)
def test_torch_is_not_imported(code: str) -> None:
    modules = loaded_modules(code)
    assert "heqcodec.api" in modules
    assert not {"torch", "safetensors", "typer", "skimage", "matplotlib"} & modules


def test_the_codec_imports_neither_command_line_nor_evaluation() -> None:
    modules = loaded_modules("import heqcodec, heqcodec.models.registry, heqcodec.image.images")
    assert not [name for name in modules if name.startswith(("heqcodec.cli", "heqcodec.eval"))]


def test_version_is_that_of_the_package() -> None:
    assert heqcodec.__version__ == version("heqcodec")


def test_errors_are_value_errors() -> None:
    errors = [name for name in heqcodec.__all__ if name.startswith("Heq")]
    assert len(errors) == 6
    for name in errors:
        assert issubclass(getattr(heqcodec, name), heqcodec.HeqError)
        assert issubclass(getattr(heqcodec, name), ValueError)
