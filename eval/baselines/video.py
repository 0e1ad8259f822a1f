"""Other codecs of sequences: Motion JPEG by Pillow, H.264 by the ffmpeg of imageio-ffmpeg."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.eval.baselines.ffmpeg import run_ffmpeg
from numpy.typing import NDArray
from PIL import Image

Coded = tuple[int, NDArray[np.uint8]]
"""Bytes of a sequence, and its decoded frames, uint8 (T, H, W, 3)."""

TABLES_ALONE, IMAGE_ALONE = 1, 2
"""Pillow's ``streamtype``: JPEG's abbreviated formats."""
END_OF_IMAGE, START_OF_IMAGE = 2, 2
"""Bytes of the markers that go when tables and image are put together."""


def motion_jpeg(frames: NDArray[np.uint8], quality: int) -> Coded:
    """Each frame a JPEG image of 4:2:0, with the standard tables sent once for all.

    Args:
        frames: uint8 (T, H, W, 3).
        quality: Pillow's, 1 to 95.
    """
    tables = _jpeg(frames[0], quality, TABLES_ALONE)
    size, decoded = len(tables), []
    for frame in frames:
        image = _jpeg(frame, quality, IMAGE_ALONE)
        size += len(image)
        whole = tables[:-END_OF_IMAGE] + image[START_OF_IMAGE:]
        with Image.open(BytesIO(whole)) as opened:
            decoded.append(np.asarray(opened.convert("RGB")))
    return size, np.stack(decoded)


def _jpeg(frame: NDArray[np.uint8], quality: int, kind: int) -> bytes:
    stream = BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=quality, streamtype=kind)
    return stream.getvalue()


def h264(frames: NDArray[np.uint8], crf: int) -> Coded:
    """x264 at its preset medium, 4:2:0, one intra frame at the beginning: inter prediction, motion
    search, B frames, CABAC.

    Args:
        frames: uint8 (T, H, W, 3), H and W even.
        crf: constant rate factor, 0 to 51.

    Raises:
        HeqError: ffmpeg cannot be started or fails.
    """
    count, height, width, _ = frames.shape
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    given = [*raw, "-s", f"{width}x{height}", "-i", "-"]
    coder = ["-c:v", "libx264", "-preset", "medium", "-pix_fmt", "yuv420p", "-crf", str(crf)]
    stream = run_ffmpeg([*given, *coder, "-threads", "1", "-f", "h264", "-"], frames.tobytes())
    shown = run_ffmpeg(["-threads", "1", "-f", "h264", "-i", "-", *raw, "-"], stream)
    if len(shown) != frames.size:
        raise HeqError(f"ffmpeg gave {len(shown)} bytes for {count} frames of {width}x{height}.")
    return len(stream), np.frombuffer(shown, np.uint8).reshape(frames.shape)
