"""One image through one codec and a real file, with everything the suite reports of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from heqcodec.base.errors import HeqError
from heqcodec.eval import blockiness, metrics
from heqcodec.eval.baselines.codec import Codec
from heqcodec.eval.measurement import Measurement

_T = TypeVar("_T")
_SELF = Path("/proc/self")
_RESET_PEAK = "5"
"""What makes Linux forget the peak of a process' resident memory (proc(5), clear_refs)."""


def measure(
    codec: Codec, setting: float, image_name: str, pixels: np.ndarray, path: Path
) -> Measurement:
    """Encode an image to ``path``, decode it from there, and compare.

    The rate is of the file as it lies there, all of it. Seconds are of the wall clock, from
    pixels in memory to the written file and back; call ``codec.prepare`` before, so that loading
    is in nobody's seconds. Peaks are of the resident memory of this whole process, interpreter
    and libraries included; None where the system does not tell, and where a child process did
    the work, whose memory is not seen.

    Args:
        codec: what encodes and decodes.
        setting: a number of the codec's ladder.
        image_name: for the row and for messages.
        pixels: uint8 (H, W, 3), or (H, W, 1) or (H, W), which are coded as RGB of equal channels.
        path: of the file to write; it stays there.

    Returns:
        The row, figures unrounded; None for a measure that the image does not have.

    Raises:
        HeqError: of the codec; or it wrote no file, or gave back another shape or type.
    """
    original = metrics.as_image(pixels, "original")
    if original.shape[2] == 1:
        original = np.repeat(original, 3, axis=2)
    height, width = original.shape[:2]
    # A codec gets its own copy: one that wrote into it would be compared with itself.
    given = original.copy()

    _, encode_seconds, encode_peak = _watched(lambda: codec.encode(given, setting, path))
    if not path.is_file():
        raise HeqError(f"{codec.name} wrote no file for {image_name} at {setting:g}.")
    size = path.stat().st_size
    decoded, decode_seconds, decode_peak = _watched(lambda: codec.decode(path))
    decoded = np.asarray(decoded)
    if decoded.dtype != np.uint8 or decoded.shape != original.shape:
        raise HeqError(
            f"{codec.name} gave {image_name} of shape {original.shape} back as {decoded.dtype} of "
            f"shape {decoded.shape}."
        )
    large = min(width, height) >= metrics.MS_SSIM_MIN_SIDE
    return Measurement(
        codec=codec.name,
        setting=setting,
        image=image_name,
        width=width,
        height=height,
        bytes=size,
        bpp=8 * size / (width * height),
        psnr_rgb=_finite(metrics.psnr(original, decoded)),
        psnr_luma=_finite(metrics.psnr_luma(original, decoded)),
        ms_ssim=metrics.ms_ssim(original, decoded) if large else None,
        psnr_b8=_finite(blockiness.psnr_b(original, decoded, 8)),
        psnr_b32=_finite(blockiness.psnr_b(original, decoded, blockiness.PATCH)),
        bef8=blockiness.blocking_effect_factor(decoded, 8),
        bef32=blockiness.blocking_effect_factor(decoded, blockiness.PATCH),
        border_ratio=_border_ratio(original, decoded),
        encode_seconds=encode_seconds,
        decode_seconds=decode_seconds,
        encode_peak_bytes=encode_peak,
        decode_peak_bytes=decode_peak,
    )


def _border_ratio(original: np.ndarray, decoded: np.ndarray) -> float | None:
    if max(original.shape[:2]) <= blockiness.PATCH:
        return None
    return _finite(blockiness.relative_border_step_ratio(original, decoded))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _watched(call: Callable[[], _T]) -> tuple[_T, float, int | None]:
    """Return what ``call`` returns, its seconds, and the peak memory while it ran."""
    children = _children_faults()
    watching = _reset_peak()
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    alone = _children_faults() == children
    return result, seconds, _peak_bytes() if watching and alone else None


def _reset_peak() -> bool:
    try:
        (_SELF / "clear_refs").write_text(_RESET_PEAK)
    except OSError:  # not Linux, or a kernel that does not allow it
        return False
    return True


def _peak_bytes() -> int | None:
    try:
        lines = (_SELF / "status").read_text().splitlines()
    except OSError:
        return None
    peaks = [line.split() for line in lines if line.startswith("VmHWM:")]
    return int(peaks[0][1]) * 1024 if peaks else None


def _children_faults() -> int:
    """Page faults of all child processes that have ended; each that runs adds some."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_minflt + usage.ru_majflt
