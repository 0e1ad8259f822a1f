"""Names of outputs, after those of their sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from heqcodec.base.errors import HeqError

__all__ = ["output_names"]


def output_names(names: Sequence[str], suffix: str) -> list[str]:
    """Names of the outputs of the files of one folder.

    ``photo.png`` and ``photo.jpg`` would both become ``photo.heq``; then both keep their suffix,
    whatever their order.

    Args:
        names: of the files, without folders.
        suffix: what outputs end in, such as ``.heq``.

    Raises:
        HeqError: two of them would have one output, on file systems that do not tell case.
    """
    paths = [PurePosixPath(name) for name in names]
    stems = Counter(path.stem.casefold() for path in paths)
    outputs = [
        (path.name if stems[path.stem.casefold()] > 1 else path.stem) + suffix for path in paths
    ]
    taken = Counter(output.casefold() for output in outputs)
    clash = [output for output in outputs if taken[output.casefold()] > 1]
    if clash:
        raise HeqError(f"Several inputs would be written to {clash[0]}; run them apart.")
    return outputs
