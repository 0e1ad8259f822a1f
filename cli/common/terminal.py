"""What the commands share: messages, standard streams, exit codes."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import typer
from heqcodec.base.errors import HeqError

from . import names

if TYPE_CHECKING:
    from rich.progress import Progress

P = ParamSpec("P")

STANDARD = "-"
"""The path that means standard input or output."""
DATA_ERROR = 1
EXTRAS = {
    **{"torch": "torch", "matplotlib": "eval"},
    **dict.fromkeys(("starlette", "uvicorn", "paho", "serial"), "receive"),
    **{"fsspec": "batch", "pyarrow": "batch", "ray": "ray", "tifffile": "tiff"},
    **{"pyvips": "vips"},
    **{"webdataset": "shards", "braceexpand": "shards"},
}
"""Packages that only some commands need, and what installs them."""
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
_ARGUMENTS = re.compile(r"\b(max_pixels|(?<=with )partial|(?<=leave )slices|(?<=\()strip(?=\)))\b")
"""Of functions, in messages for users of the command, to whom they are options."""
_WIDEST_TABLE = 1000


def reports_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Decorate a command: a bad file becomes one sentence on stderr and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except BrokenPipeError:
            # Whoever reads has seen enough, as `head` has; typer ends without a word.
            raise
        except (HeqError, OSError, MemoryError, ModuleNotFoundError) as error:
            if isinstance(error, ModuleNotFoundError) and error.name not in EXTRAS:
                raise
            if kwargs.get("verbose"):
                traceback.print_exc()
            say(f"heqcodec: {sentence(error)}")
            raise typer.Exit(DATA_ERROR) from error
        except KeyboardInterrupt as error:
            say("heqcodec: Interrupted.")
            raise typer.Exit(INTERRUPTED) from error

    return wrapped


def sentence(error: BaseException) -> str:
    """One line that tells a user what an exception means."""
    if isinstance(error, HeqError):
        return re.sub(_ARGUMENTS, r"--\g<0>", _line(error)).replace("--max_", "--max-")
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    if isinstance(error, MemoryError):
        return "Not enough memory for an image of this size."
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        return (
            f"This needs the package {error.name}, which is not installed; "
            f'run pip install "heqcodec[{EXTRAS[error.name]}]".'
        )
    return _line(error)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def say(text: str) -> None:
    """Print a line on standard error."""
    print(names.shown(text), file=sys.stderr, flush=True)


def tell(text: str = "") -> None:
    """Print a line on standard output."""
    print(names.shown(text), flush=True)


@contextlib.contextmanager
def about(path: str) -> Iterator[None]:
    """Put the file's name before an error of the codec, which sees bytes without a name."""
    name = "standard input" if path == STANDARD else path
    try:
        yield
    except HeqError as error:
        raise type(error)(f"{name}: {error}") from error


def print_json(value: Any) -> None:
    """Print a JSON value on standard output."""
    print(names.as_json(value), flush=True)


def print_table(
    title: str | None,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    left: Collection[int] = (0,),
    plain: bool = False,
) -> None:
    """Print a table whole, on lines longer than the terminal where it must be: a figure that lost
    digits is another figure.

    Args:
        title: over it.
        headings: of its columns.
        rows: their cells; an empty row is a line across.
        left: places of the columns that stand to the left, as names do; numbers to the right.
        plain: without a frame.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE if plain else box.HEAVY_HEAD)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place in left else "right")
    for row in rows:
        if row:
            table.add_row(*row)
        else:
            table.add_section()
    console = Console()
    wide = console.options.update(max_width=_WIDEST_TABLE)
    console.width = max(console.width, console.measure(table, options=wide).maximum)
    console.print(table)


def usage_error(text: str, option: str) -> typer.BadParameter:
    """The exception for a wrong command; typer prints it and exits with 2."""
    return typer.BadParameter(names.shown(text), param_hint=f"'{option}'")


def check_choice(name: str, offered: list[str], option: str) -> None:
    """Refuse a name that is not offered, as a wrong command."""
    if name not in offered:
        raise usage_error(f"{name!r} is not one of {', '.join(offered)}.", option)


def optional(value: float | None, form: str) -> str:
    """A figure in a format; "-" where there is none."""
    return "-" if value is None else format(value, form)


def refuse_existing(paths: Iterable[Path], force: bool) -> None:
    """Refuse to write over results, unless ``force`` is set.

    Raises:
        HeqError: one of the files is there.
    """
    existing = [path for path in paths if path.exists()]
    if existing and not force:
        raise HeqError(f"{existing[0]} exists; give another --out, or -f to replace it.")


def measuring_bar() -> Progress:
    """A bar for measurements, which are counted, on standard error."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def set_threads(threads: int | None) -> None:
    """Limit all libraries to this many threads; None leaves one for each core, or as many as the
    CPU quota of a container is worth."""
    from heqcodec.base.threads import cpu_quota, limit_threads, thread_count

    if threads is not None or cpu_quota() is not None:
        limit_threads(threads or thread_count())


def read_input(path: str) -> bytes:
    """All bytes of a file, or of standard input for ``-``.

    Raises:
        HeqError: it cannot be read.
    """
    if path == STANDARD:
        return sys.stdin.buffer.read()
    try:
        if "://" in path:
            from heqcodec.container.source import open_source

            with about(path), open_source(path) as stream:
                return stream.read()
        return Path(path).read_bytes()
    except OSError as error:
        raise HeqError(f"{path} cannot be read: {error.strerror}.") from error


def check_output(source: str, target: str, force: bool) -> None:
    """Refuse to write over something, before any work is done.

    Raises:
        HeqError: the target exists and ``force`` is not set, is the source, is a folder, or its
            folder does not exist; or standard output is a terminal.
    """
    if target == STANDARD:
        if sys.stdout.isatty():
            raise HeqError("Standard output is a terminal and the image is binary; redirect it.")
        return
    path = Path(target)
    if not path.parent.is_dir():
        if path.parent.exists():
            raise HeqError(f"{path.parent} is a file, and no folder for {path.name}.")
        raise HeqError(f"The folder {path.parent} does not exist; make it first.")
    if path.is_dir():
        raise HeqError(f"{target} is a folder; name a file in it.")
    same = source != STANDARD and path.exists() and os.path.exists(source)
    if same and os.path.samefile(source, path):
        raise HeqError(f"{target} is the input itself; name another output.")
    if path.is_file() and not force:
        raise HeqError(f"{target} exists; add -f to replace it.")


def write_output(path: str, data: bytes) -> None:
    """Write a file whole or not at all, or to standard output for ``-``.

    Raises:
        HeqError: it cannot be written.
    """
    from heqcodec.base.files import write_bytes

    try:
        if path == STANDARD:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            write_bytes(path, data)
    except OSError as error:
        raise HeqError(f"{path} cannot be written: {error.strerror}.") from error
