"""Decoders in JavaScript, written from the pages of docs/ alone, run by Node."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import heqcodec
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "conformance"
PAGE = (ROOT / "docs" / "DECODER.md").read_text("utf-8")
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs node")


def run_page_decoder(decoder: Path, *jobs: str | Path) -> subprocess.CompletedProcess[str]:
    """Of each job the file, and where its levels or values and its pixels go."""
    command = [str(NODE), str(decoder), str(ROOT / "weights"), *map(str, jobs)]
    return subprocess.run(command, capture_output=True, text=True)


def decode_by_page(decoder: Path, files: Sequence[Path], out: Path) -> list[Path]:
    """The levels or values of each file, as a decoder writes them; its pixels are the plain ones
    but for rounding."""
    made = [(out / f"{file.stem}.levels", out / f"{file.stem}.pixels") for file in files]
    jobs = (path for file, pair in zip(files, made, strict=True) for path in (file, *pair))
    done = run_page_decoder(decoder, *jobs)
    assert done.returncode == 0, done.stderr
    for file, (_, pixels) in zip(files, made, strict=True):
        own = heqcodec.decode(file.read_bytes(), decoder="plain")
        given = np.fromfile(pixels, np.uint8).reshape(own.shape)
        assert np.abs(given.astype(int) - own).max() <= 1, file.name
        assert (given == own).mean() > 0.99, file.name
    return [levels for levels, _ in made]
