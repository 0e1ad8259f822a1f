"""``heqcodec eval complexity``: weights, operations, memory and speed of learned codecs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from heqcodec.cli.common.options import Force, Threads, Verbose, file_option
from heqcodec.cli.common.terminal import (
    measuring_bar,
    print_table,
    refuse_existing,
    reports_errors,
    say,
    set_threads,
)

if TYPE_CHECKING:
    from heqcodec.eval.complexity.candidate import Candidate
    from heqcodec.eval.complexity.speed import Speed
    from numpy import ndarray

JSON_FILE, MARKDOWN_FILE = "complexity.json", "complexity.md"


@reports_errors
def complexity(
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help=f"Folder for {JSON_FILE} and {MARKDOWN_FILE}."),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        file_option(
            "--weights",
            help="A trained peer (safetensors of train-peer), so that it writes real files; may "
            "be given several times.",
        ),
    ] = None,
    image: Annotated[
        Path | None,
        file_option(
            "--image",
            help="The photograph to measure on; a fixed pattern of 768x512 when left out.",
        ),
    ] = None,
    rounds: Annotated[
        int,
        typer.Option("--rounds", min=0, metavar="N", help="Timings of each codec; 0 counts only."),
    ] = 3,
    threads: Threads = None,
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """Count what learned codecs cost, and time all of them in one run on the same cores.

    For each model of heqcodec and each baseline network: bits of weights, operations a pixel and
    memory of encoder, entropy coder and decoder; megapixels a second, and how many times those of
    CompressAI's factorized architecture.
    """
    set_threads(threads)
    _complexity(out, weights or [], image, rounds, force)


def _complexity(
    out: Path | None, weights: list[Path], image: Path | None, rounds: int, force: bool
) -> None:
    from heqcodec.base.files import write_bytes
    from heqcodec.eval.complexity import tables
    from heqcodec.eval.complexity.classical import classical_candidates
    from heqcodec.eval.complexity.frame import noise_frame, photograph_frame
    from heqcodec.eval.complexity.models import our_candidates
    from heqcodec.eval.complexity.peers import peer_candidates, zoo_candidates

    targets = [out / JSON_FILE, out / MARKDOWN_FILE] if out else []
    refuse_existing(targets, force)
    frame = photograph_frame(image) if image else noise_frame()
    with _counting() as begin:
        candidates = [
            *our_candidates(frame, begin),
            *peer_candidates(frame, weights, begin),
            *zoo_candidates(frame, begin),
            *classical_candidates(),
        ]
    speeds = _speeds(candidates, frame, rounds) if rounds else []
    shown = tables.work_tables(candidates)
    if speeds:
        shown.append(tables.speed_table(candidates, speeds))
    for table in shown:
        print_table(table.title, table.headings, table.rows)
    notes = tables.remarks(candidates, speeds)
    for note in notes:
        say(note)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        run = _run(frame, weights, image, rounds)
        write_bytes(targets[0], tables.document(candidates, speeds, run).encode())
        text = "\n".join([*map(tables.markdown, shown), *(f"- {note}" for note in notes)])
        write_bytes(targets[1], f"{text}\n".encode())
        say(f"Wrote {targets[0]} and {targets[1]}.")


@contextlib.contextmanager
def _counting() -> Iterator[Callable[[str], None]]:
    """Name each codec when its counting begins, which takes up to minutes."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda name: say(f"heqcodec: counting {name}.")
        return
    with console.status("counting") as status:
        yield lambda name: status.update(f"counting {name}")


def _speeds(candidates: list[Candidate], frame: ndarray, rounds: int) -> list[Speed]:
    import tempfile

    from heqcodec.eval.complexity.speed import measure_speeds

    with tempfile.TemporaryDirectory() as folder, measuring_bar() as progress:
        task = progress.add_task("timing", total=(rounds + 1) * len(candidates))
        return measure_speeds(
            candidates,
            frame,
            rounds,
            Path(folder),
            lambda name: progress.update(task, advance=1, description=name),
        )


def _run(frame: ndarray, weights: list[Path], image: Path | None, rounds: int) -> dict[str, Any]:
    """What the figures may depend on. Names without folders: the record is published."""
    from heqcodec.eval.report import environment

    options = [f"--weights {path.name}" for path in weights]
    options += [f"--image {image.name}"] if image else []
    command = " ".join(["heqcodec eval complexity", *options, f"--rounds {rounds}"])
    height, width = frame.shape[:2]
    frame_info = {
        "width": width,
        "height": height,
        "source": image.name if image else "fixed pattern",
    }
    return {**environment(), "command": command, "frame": frame_info, "rounds": rounds}
