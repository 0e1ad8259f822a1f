"""Sessions of onnxruntime, and what to say where it is missing."""

from __future__ import annotations

from typing import Any

from heqcodec.base.errors import HeqUnsupportedError
from heqcodec.base.threads import thread_count

_ERRORS_ONLY = 3


def open_session(model: bytes) -> Any:
    """An ``InferenceSession`` on the CPU, of as many threads as `heqcodec.base.threads` says.

    Raises:
        HeqUnsupportedError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise HeqUnsupportedError(
            "the backend onnx needs the package onnxruntime, which cannot be imported here "
            f"({error}); run pip install onnxruntime."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    options.log_severity_level = _ERRORS_ONLY
    # A plan of memory for each shape of tiles takes 90 MB more (fast at 16 megapixels) and saves no
    # time.
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_options(keep_memory: bool = False) -> Any:
    """Options of a run.

    Args:
        keep_memory: for the next run, which saves a tenth of the time; else the run gives it back:
            tiles of each shape would add to it.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.log_severity_level = _ERRORS_ONLY
    if not keep_memory:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options
