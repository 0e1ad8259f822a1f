"""Files of results: one CSV line an image, and one JSON a model in CompressAI's schema."""

from __future__ import annotations

import csv
import io
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from heqcodec.base.threads import thread_count
from heqcodec.eval.patch_table import Summary

_PACKAGES = ("heqcodec", "onnxruntime", "torch", "numpy", "pillow")


def csv_text(results: Sequence[Any]) -> str:
    """Return a CSV table of dataclasses of one kind, a line each, at least one."""
    buffer = io.StringIO()
    names = [field.name for field in fields(results[0])]
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    for result in results:
        writer.writerow(asdict(result))
    return buffer.getvalue()


def compressai_json(
    model: str, summaries: Sequence[Summary], description: str, run: dict[str, Any]
) -> str:
    """Return the curve of one model as JSON that ``python -m compressai.utils.plot`` reads.

    ``{"name", "description", "results": {"bpp", "psnr-rgb", "ms-ssim-rgb", "encoding_time",
    "decoding_time"}}``, lists with one mean a rate, by rising bpp; seconds. What CompressAI does
    not have (blockiness, target rates, ``run``: versions, command, data hash, model ids)
    stands under "heqcodec". A mean that not every image has is ``null``.
    """
    own = sorted((s for s in summaries if s.model == model), key=lambda s: s.bpp)
    document = {
        "name": f"heqcodec-{model}-patch",
        "description": description,
        "results": {
            "bpp": [s.bpp for s in own],
            "psnr-rgb": [s.psnr for s in own],
            "ms-ssim-rgb": [s.ms_ssim for s in own],
            "encoding_time": [s.encode_seconds for s in own],
            "decoding_time": [s.decode_seconds for s in own],
        },
        "heqcodec": {
            **run,
            "images": [s.images for s in own],
            "rates": [s.rate for s in own],
            "bpp-max": [s.bpp_max for s in own],
            "border-step-ratio": [s.border_ratio for s in own],
            "border-step-ratio-worst": [s.border_ratio_worst for s in own],
        },
    }
    return json.dumps(document, indent=2, allow_nan=False, default=_plain) + "\n"


def environment() -> dict[str, Any]:
    """Return what the figures may depend on: versions, processor type, threads, device.

    A program that has not imported torch computes nothing by it, on no graphics card.
    """
    torch: Any = sys.modules.get("torch")
    versions: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "versions": {"python": platform.python_version(), **versions},
        "machine": platform.machine(),
        "threads": torch.get_num_threads() if torch else thread_count(),
        "device": torch.cuda.get_device_name() if torch and torch.cuda.is_available() else "cpu",
    }


def _plain(value: Any) -> Any:
    """Serialize what ``describe_models`` may hold: ids as hex, NumPy scalars, paths."""
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "item"):
        return value.item()
    return str(value)
