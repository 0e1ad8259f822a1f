"""Megapixels a second, all candidates in turn in one run on the same cores."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .candidate import Candidate


@dataclass(frozen=True)
class Speed:
    """Of one candidate, megapixels a second, the median of some rounds.

    networks_encode, networks_decode: without entropy coder and files; None without networks.
    files_encode, files_decode: pixels to a real file and back; None where it writes none here.
    bpp: of that file.
    """

    networks_encode: float | None = None
    networks_decode: float | None = None
    files_encode: float | None = None
    files_decode: float | None = None
    bpp: float | None = None


FIGURES = ("networks_encode", "networks_decode", "files_encode", "files_decode")


def measure_speeds(
    candidates: Sequence[Candidate],
    frame: NDArray[np.uint8],
    rounds: int,
    folder: Path,
    advance: Callable[[str], None] = lambda name: None,
) -> list[Speed]:
    """Time everything that candidates can do on a frame.

    Each round times every candidate once, one after the other, so that whatever else the machine
    does meets all of them; one round before warms up and is not counted.

    Args:
        candidates: what to time.
        frame: uint8 (H, W, 3).
        rounds: at least 1.
        folder: for the files.
        advance: called with the name of each candidate once a round.
    """
    height, width = frame.shape[:2]
    seconds: list[dict[str, list[float]]] = [{} for _ in candidates]
    for number in range(rounds + 1):
        for index, candidate in enumerate(candidates):
            advance(candidate.cost.name)
            path = folder / f"{index}{candidate.codec.suffix if candidate.codec else ''}"
            for key, call in _calls(candidate, frame, path):
                begun = time.perf_counter()
                call()
                if number:
                    seconds[index].setdefault(key, []).append(time.perf_counter() - begun)
    speeds = []
    for index, candidate in enumerate(candidates):
        figures: dict[str, float] = {
            key: width * height / 1e6 / statistics.median(values)
            for key, values in seconds[index].items()
        }
        if candidate.codec:
            size = (folder / f"{index}{candidate.codec.suffix}").stat().st_size
            figures["bpp"] = 8 * size / (width * height)
        speeds.append(Speed(**figures))
    return speeds


def _calls(
    candidate: Candidate, frame: NDArray[np.uint8], path: Path
) -> Iterator[tuple[str, Callable[[], object]]]:
    if candidate.networks:
        yield "networks_encode", candidate.networks.encode
        yield "networks_decode", candidate.networks.decode
    codec, setting = candidate.codec, candidate.setting
    if codec:
        # No part of the figures; after the first round there is nothing left to load.
        codec.prepare()
        yield "files_encode", lambda: codec.encode(frame, setting, path)
        yield "files_decode", lambda: codec.decode(path)


def ratio(speed: Speed, reference: Speed, figure: str) -> float | None:
    """A figure as so many times the reference's; None where one of them has none."""
    mine, others = getattr(speed, figure), getattr(reference, figure)
    return None if mine is None or others is None else mine / others
