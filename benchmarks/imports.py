"""``python benchmarks/imports.py [IMAGE]``: which files of heqcodec an encode and a decode enter.

Each runs by the default model in a process of its own, which reports the modules of heqcodec that
it imported and the files of heqcodec of which a function ran (``sys.setprofile``), those of the
command line apart. A body of a module or a class is no function; a function or a generator
expression that such a body calls is one, so a file whose tables are computed on import counts.
Few files, and none of another codec, are what a reader has to know.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

TRACED = """
import json, sys
entered = set()
FUNCTION = 1  # CO_OPTIMIZED: what bodies of modules and classes have not
sys.setprofile(
    lambda frame, event, arg: frame.f_code.co_flags & FUNCTION
    and entered.add(frame.f_code.co_filename)
)
try:
    {call}
except SystemExit as end:
    assert not end.code, end.code
sys.setprofile(None)
import heqcodec
from pathlib import Path
modules = {{
    name: str(Path(module.__file__))
    for name, module in sys.modules.items()
    if name.split(".")[0] == "heqcodec" and getattr(module, "__file__", None)
}}
ours = {{path: name for name, path in modules.items()}}
print(json.dumps({{
    "modules": sorted(modules), "entered": sorted(ours[path] for path in entered if path in ours)
}}))
"""

CALLS = {
    "encode, Python": "import heqcodec; heqcodec.encode({image!r})",
    "decode, Python": "import heqcodec; heqcodec.decode({file!r})",
    "encode, command": "from heqcodec.cli import main; "
    "sys.argv = ['heqcodec', 'encode', '-f', {image!r}, {out!r}]; main()",
    "decode, command": "from heqcodec.cli import main; "
    "sys.argv = ['heqcodec', 'decode', '-f', {file!r}, {back!r}]; main()",
}


def traced(call: str) -> dict[str, Any]:
    """Modules imported and files entered by a call, in a new interpreter."""
    run = subprocess.run(
        [sys.executable, "-c", TRACED.format(call=call)], check=True, capture_output=True, text=True
    )
    return dict(json.loads(run.stdout.splitlines()[-1]))


def rooms(names: list[str]) -> str:
    """Modules by the package that they are in, as ``base 7, container 9``."""
    counts = Counter(name.split(".")[1] if "." in name else "-" for name in names)
    return ", ".join(f"{room} {count}" for room, count in sorted(counts.items()))


def main(
    image: Annotated[Path | None, typer.Argument(help="Any image; a gradient if left out.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="List the files.")] = False,
) -> None:
    """Count the files."""
    import heqcodec
    import numpy as np
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "image.png"
        if image is None:
            ramp = np.arange(64 * 96 * 3, dtype=np.uint32).reshape(64, 96, 3) // 72
            Image.fromarray(ramp.astype(np.uint8)).save(photo)
        else:
            Image.open(image).convert("RGB").save(photo)
        file = photo.with_suffix(".heq")
        file.write_bytes(heqcodec.encode(photo))
        names = {
            "image": str(photo),
            "file": str(file),
            "out": str(photo.with_name("out.heq")),
            "back": str(photo.with_name("back.png")),
        }
        for title, call in CALLS.items():
            found = traced(call.format(**names))
            own = [name for name in found["entered"] if not name.startswith("heqcodec.cli")]
            typer.echo(
                f"{title}: {len(found['modules'])} modules imported, {len(found['entered'])} files "
                f"entered, {len(own)} of them outside the command line ({rooms(own)})"
            )
            if verbose:
                typer.echo("  " + "\n  ".join(found["entered"]))


if __name__ == "__main__":
    typer.run(main)
