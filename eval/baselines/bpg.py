"""BPG by Fabrice Bellard's programs ``bpgenc`` and ``bpgdec``, as CompressAI runs them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.eval.baselines.pixels import rgb_image, whole_setting
from PIL import Image

ENCODER, DECODER = "bpgenc", "bpgdec"


class Bpg:
    """BPG with x265, 8 bits and YCbCr.

    The programs take and give files only, so the seconds hold a PNG that is written and read
    again, and the programs' start.

    Args:
        chroma: "420" or "444".
    """

    setting_name = "QP"
    settings: tuple[float, ...] = (47, 42, 37, 32, 27, 22, 17, 12)
    # x265 uses all cores.
    single_threaded = False
    suffix = ".bpg"

    def __init__(self, chroma: str) -> None:
        self.name = f"bpg{chroma}"
        self._chroma = chroma
        shown = ":".join(chroma)
        self.about = f"BPG by bpgenc and bpgdec: x265, {shown}, 8 bits, YCbCr; seconds with PNG"

    def missing(self) -> str | None:
        """See ``Codec``."""
        absent = [program for program in (ENCODER, DECODER) if shutil.which(program) is None]
        if not absent:
            return None
        return (
            f"{' and '.join(absent)} {'are' if absent[1:] else 'is'} not on the PATH; build libbpg "
            "0.9.8 from bellard.org/bpg with x265, or draw the published curve bpg444 instead."
        )

    def version(self) -> str:
        """See ``Codec``; bpgenc tells its version in its help only."""
        # It ends with 1 after its help.
        help_text = _output([ENCODER, "-h"], ends_with=(0, 1))
        found = re.search(r"version\s+(\S+)", help_text)
        return f"BPG {found.group(1)}" if found else "BPG of unknown version"

    def prepare(self) -> None:
        """Nothing to load: each call starts a program."""

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """See ``Codec``; QP 0 to 51, smaller is better."""
        image = rgb_image(pixels)
        qp = whole_setting(self.name, "QP", setting, 0, 51)
        with tempfile.TemporaryDirectory(prefix="heqcodec-") as folder:
            source = Path(folder) / "image.png"
            image.save(source, compress_level=1)
            options = ["-q", str(qp), "-f", self._chroma, "-e", "x265", "-c", "ycbcr", "-b", "8"]
            _output([ENCODER, "-o", str(path.absolute()), *options, str(source)])
        if not path.exists():
            raise HeqError(f"bpgenc ended without an error and wrote no {path.name}.")

    def decode(self, path: Path) -> np.ndarray:
        """See ``Codec``."""
        with tempfile.TemporaryDirectory(prefix="heqcodec-") as folder:
            target = Path(folder) / "image.png"
            _output([DECODER, "-o", str(target), str(path.absolute())])
            try:
                with Image.open(target, formats=["PNG"]) as image:
                    return np.array(image.convert("RGB"))
            except OSError as error:
                raise HeqError(f"bpgdec gave no image for {path.name}: {error}.") from error


def _output(command: Sequence[str], ends_with: Sequence[int] = (0,)) -> str:
    """Run a program; return what it printed. ``HeqError`` if it is not there or fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        raise HeqError(f"{command[0]} cannot be started: {error}.") from error
    if done.returncode not in ends_with:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        said = f": {lines[-1]}" if lines else ""
        raise HeqError(f"{command[0]} ended with code {done.returncode}{said}.")
    return done.stdout + done.stderr
