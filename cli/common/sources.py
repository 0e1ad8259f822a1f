"""The arguments of a command as jobs: files, folders and patterns, and where their outputs go."""

from __future__ import annotations

import glob
import mimetypes
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.batch.names import output_names

from .terminal import STANDARD, usage_error

__all__ = [
    "Job",
    "Plan",
    "Source",
    "check_heq_name",
    "check_image_name",
    "find_sources",
    "plan_jobs",
]

Accepts = Callable[[Path], bool]


@dataclass(frozen=True)
class Source:
    """An input file.

    Attributes:
        path: as it was named or found; ``-`` is standard input.
        folder: where its output goes, below the folder of all outputs.
    """

    path: str
    folder: Path = Path()


@dataclass(frozen=True)
class Job:
    """One input file and the output that it makes."""

    source: str
    target: str


@dataclass
class Plan:
    """The jobs of a command.

    Attributes:
        jobs: in the order in which they run.
        many: whether the inputs were a folder, a pattern or several files.
    """

    jobs: list[Job] = field(default_factory=list)
    many: bool = False


def find_sources(
    inputs: list[str], accepts: Accepts, recursive: bool = False, output: str = STANDARD
) -> tuple[list[Source], bool]:
    """Turn the inputs of a command into files.

    Files of a folder keep their place below it, those of a pattern below its fixed beginning:
    ``photos/**/*.png`` below ``photos``.

    Args:
        inputs: paths, folders, patterns that the shell left alone, or ``-``.
        accepts: which files of a folder are inputs; those named by the user all are. Files and
            folders whose names begin with a dot are passed over.
        recursive: also look in the folders of a folder.
        output: a folder that is not looked into.

    Returns:
        The files, each once, and whether the inputs were a folder, a pattern or several files.

    Raises:
        HeqError: a pattern or folder holds no input.
        OSError: a folder cannot be read.
    """
    sources: dict[str, Source] = {}
    many = len(inputs) > 1
    for name in inputs:
        if os.path.isdir(name):
            many = True
            found = list(_in_folder(name, accepts, recursive, output))
        elif glob.has_magic(name) and not os.path.exists(name):
            many = True
            found = list(_of_pattern(name))
        else:
            found = [Source(name)]
        if not found:
            hint = "" if recursive or not os.path.isdir(name) else "; -r looks in its folders too"
            raise HeqError(f"{name} holds no file to work on{hint}.")
        for source in found:
            sources.setdefault(source.path, source)
    return list(sources.values()), many


def _in_folder(name: str, accepts: Accepts, recursive: bool, output: str) -> Iterator[Source]:
    def stop(error: OSError) -> None:
        raise error

    def is_output(path: str) -> bool:
        return os.path.isdir(output) and os.path.samefile(path, output)

    for folder, folders, files in os.walk(name, onerror=stop):
        inner = [part for part in sorted(folders) if not part.startswith(".")]
        folders[:] = [
            part for part in inner if recursive and not is_output(os.path.join(folder, part))
        ]
        for file in sorted(files):
            path = os.path.join(folder, file)
            if not file.startswith(".") and accepts(Path(file)) and os.path.isfile(path):
                yield Source(path, Path(os.path.relpath(folder, name)))


def _of_pattern(pattern: str) -> Iterator[Source]:
    fixed = Path(*takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts))
    for path in sorted(glob.glob(pattern, recursive=True)):
        if os.path.isfile(path):
            yield Source(path, Path(path).parent.relative_to(fixed))


def plan_jobs(
    inputs: list[str],
    output: str,
    suffix: str,
    accepts: Accepts,
    check_name: Callable[[str], None],
    *,
    recursive: bool = False,
    as_json: bool = False,
) -> Plan:
    """Turn the arguments of a command into jobs.

    Args:
        inputs: see `find_sources`.
        output: a file; or a folder, which is made if it does not exist: for many inputs, or where
            the name ends in a slash.
        suffix: what the names of outputs in a folder end in.
        accepts: see `find_sources`.
        check_name: raises for an output file whose name promises another kind of file.
        recursive: see `find_sources`.
        as_json: whether the results will be printed as JSON.

    Raises:
        HeqError: see `find_sources`; or two inputs would have one output.
        OSError: a folder cannot be read or made.
        typer.BadParameter: standard streams together with many files, or standard output with
            JSON; a file where a folder is needed; or from ``check_name``.
    """
    if as_json and output == STANDARD:
        raise usage_error("standard output cannot carry the image and JSON both.", "--json")
    sources, many = find_sources(inputs, accepts, recursive, output)
    if many and (output == STANDARD or any(source.path == STANDARD for source in sources)):
        raise usage_error("'-' goes with one file only.", "OUT")
    slash = output.endswith(tuple(filter(None, (os.sep, os.altsep))))
    if not (many or slash or (output != STANDARD and os.path.isdir(output))):
        if output != STANDARD:
            check_name(output)
        return Plan([Job(sources[0].path, output)])
    if sources[0].path == STANDARD:
        raise usage_error("name a file for what comes from standard input.", "OUT")

    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise usage_error(f"{output} is a file, and this needs a folder.", "OUT")
    if not slash and not folder.exists() and _names_an_image(folder):
        raise usage_error(
            f"several inputs need a folder, and {output} is named like a file; write {output}/ "
            "for a folder of that name.",
            "OUT",
        )
    jobs = _jobs(sources, folder, suffix)
    for place in sorted({folder / source.folder for source in sources}):
        place.mkdir(parents=True, exist_ok=True)
    return Plan(jobs, many)


def _jobs(sources: list[Source], folder: Path, suffix: str) -> list[Job]:
    by_folder: dict[str, list[Source]] = {}
    for source in sources:
        by_folder.setdefault(str(source.folder).casefold(), []).append(source)
    targets: dict[str, str] = {}
    for found in by_folder.values():
        outputs = output_names([Path(source.path).name for source in found], suffix)
        for source, output in zip(found, outputs, strict=True):
            targets[source.path] = str(folder / source.folder / output)
    return [Job(source.path, targets[source.path]) for source in sources]


def check_heq_name(output: str) -> None:
    """Refuse an output whose suffix is that of another kind of image.

    Raises:
        typer.BadParameter: it is.
    """
    path = Path(output)
    if _names_an_image(path) and path.suffix.lower() != ".heq":
        raise usage_error(
            f"{output} is named like another kind of image, and this writes .heq files; write "
            f"{path.with_suffix('.heq')}.",
            "OUT",
        )


def check_image_name(output: str) -> None:
    """Refuse an output whose suffix names no image that can be written.

    Raises:
        typer.BadParameter: it is so.
    """
    from heqcodec.image.output_formats import output_format

    try:
        output_format(output)
    except HeqUnsupportedError as error:
        raise usage_error(str(error), "OUT") from error


def _names_an_image(path: Path) -> bool:
    from PIL import Image

    known = path.suffix.lower() in Image.registered_extensions()
    return known or (mimetypes.guess_type(path.name)[0] or "").startswith("image/")
