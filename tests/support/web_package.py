"""The JavaScript package of web/, run by Node; tests are skipped where it cannot be built."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import c_compilers
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
RUNNER = ROOT / "tests" / "web" / "run_package.mjs"
_ENVIRONMENT = {**os.environ, "PYTHON": sys.executable}


@cache
def _built() -> str:
    """What keeps the package from being built, or nothing."""
    node = shutil.which("node")
    if node is None:
        return "needs node (Debian: nodejs)"
    if shutil.which("clang") is None or shutil.which("wasm-ld") is None:
        return "needs clang and lld (Debian: clang lld wasi-libc)"
    if not Path("/usr/include/wasm32-wasi").exists():
        return "needs wasi-libc (Debian: wasi-libc)"
    assets = [] if _has_bundler() else ["--assets"]
    import fcntl  # which all systems have that have wasi-libc there

    # Processes of a session write to the same folder: the first one builds, the others wait.
    with open(c_compilers.objects_folder / "web", "a+") as built:
        fcntl.flock(built, fcntl.LOCK_EX)
        if not os.fstat(built.fileno()).st_size:
            subprocess.run([node, str(WEB / "build.mjs"), *assets], check=True, env=_ENVIRONMENT)
            built.write("built")
    return ""


def _has_bundler() -> bool:
    return (WEB / "node_modules" / "esbuild").exists()


def require_package() -> None:
    """Build what the sources of the package import, or skip the test."""
    reason = _built()
    if reason:
        pytest.skip(reason)


def require_viewer() -> Path:
    """The folder of the built package, with its viewer; skips where a bundler is missing."""
    require_package()
    if not _has_bundler():
        pytest.skip("needs esbuild (npm ci in web/)")
    return WEB / "dist"


def run_package(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Decode files by the package: one result for each job, see tests/web/run_package.mjs."""
    require_package()
    done = subprocess.run(
        ["node", str(RUNNER), str(WEB / "src")],
        input=json.dumps(jobs, default=str),
        capture_output=True,
        text=True,
        check=True,
    )
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


def as_rgba(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 1, 3 or 4) to (H, W, 4)."""
    if pixels.shape[2] == 4:
        return pixels
    colours = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return np.concatenate([colours, np.full((*pixels.shape[:2], 1), 255, np.uint8)], axis=2)


def rgba_file(path: Path, result: dict[str, Any]) -> np.ndarray:
    """The RGBA that a job wrote, uint8 (H, W, 4)."""
    return np.fromfile(path, np.uint8).reshape(result["height"], result["width"], 4)
