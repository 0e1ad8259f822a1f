"""The program ffmpeg that imageio-ffmpeg brings."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from heqcodec.base.errors import HeqError


def run_ffmpeg(options: Sequence[str], given: bytes = b"") -> bytes:
    """What ffmpeg wrote to its standard output.

    Args:
        options: of the command line.
        given: its standard input.

    Raises:
        HeqError: imageio-ffmpeg is missing, or ffmpeg cannot be started or fails.
    """
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError as error:
        raise HeqError(
            'imageio-ffmpeg is not installed; run pip install "heqcodec[baselines]".'
        ) from error
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *options]
    try:
        done = subprocess.run(command, input=given, capture_output=True)
    except OSError as error:
        raise HeqError(f"ffmpeg cannot be started: {error}.") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise HeqError(f"ffmpeg ended with code {done.returncode}: {lines[-1] if lines else ''}.")
    return done.stdout
