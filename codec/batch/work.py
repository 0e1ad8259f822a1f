"""The work of one item, the same in every engine: read, convert, write, and say what was made."""

from __future__ import annotations

import errno
import hashlib
import time
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, Protocol

from heqcodec.base.errors import HeqError

from .locations import Location, Span

__all__ = ["Facts", "Item", "Operation", "Outcome", "Product", "Task", "Worker"]

_NOT_THE_ITEM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
"""Errors of writing that every other item would meet, too."""


@dataclass(frozen=True)
class Item:
    """One source and the output that it becomes.

    Attributes:
        source: its name below the location of all sources.
        output: the output's below the location of all outputs; "" for an operation without outputs.
        size, version: of the source, see `heqcodec.batch.locations.Entry`.
        data: the source itself, where workers cannot read it.
        span, others, fault: see `heqcodec.batch.locations.Entry`.
    """

    source: str
    output: str
    size: int
    version: str
    data: bytes | None = field(default=None, repr=False)
    span: Span | None = None
    others: tuple[tuple[str, Span], ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of an item after its work; None where it did not come so far.

    Attributes:
        sha256: of the source, hexadecimal.
        model: ids of encoder and coder of the ``.heq`` file, hexadecimal, with ``/`` between.
        bytes: of the output; of the source for an operation without outputs.
        output_sha256: of the output.
        bpp: 8 times the bytes of the ``.heq`` file over the pixels.
        seconds: that the work took.
        error: one sentence; None if all went well.
    """

    sha256: str | None = None
    model: str | None = None
    bytes: int | None = None
    output_sha256: str | None = None
    width: int | None = None
    height: int | None = None
    bpp: float | None = None
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class Outcome:
    """An item and what became of it.

    Attributes:
        data: the output, where the worker could not write it.
        others: further members of the sample, by extension, for outputs in shards.
        deaths: of workers that had it.
        fatal: whether ``facts.error`` is one of the location of outputs, which ends the run.
    """

    item: Item
    facts: Facts
    data: bytes | None = field(default=None, repr=False)
    others: dict[str, bytes] = field(default_factory=dict, repr=False)
    deaths: int = 0
    fatal: bool = False


@dataclass(frozen=True)
class Product:
    """What an operation makes of a source.

    Attributes:
        data: the output; None if there is none.
        heq: the ``.heq`` file, which is the output or the source.
        width, height: of the image, in pixels.
        model: see `Facts`.
    """

    data: bytes | None
    heq: bytes
    width: int
    height: int
    model: str


class Operation(Protocol):
    """What is done with the bytes of a source; see `heqcodec.batch.operations`."""

    def __call__(self, data: bytes) -> Product:
        """Convert the bytes of a source; `HeqError` if they cannot be."""
        ...


@dataclass(frozen=True)
class Task:
    """What workers are given, once.

    Attributes:
        operation: for every item.
        source, target: URLs of locations; "" for outputs that the first process writes.
        threads: for the libraries beneath, in each worker.
    """

    operation: Operation
    source: str
    target: str
    threads: int = 1


class Worker:
    """Does one item after the other, with models that stay loaded.

    Args:
        task: see `Task`.
    """

    def __init__(self, task: Task) -> None:
        self._operation = task.operation
        self._source = Location(task.source)
        location = Location(task.target) if task.target else None
        self._target = location if location is not None and location.shared else None

    def __call__(self, item: Item) -> Outcome:
        """Do an item. Whatever is wrong with it is told in the outcome, and nothing is raised."""
        start = time.perf_counter()
        facts, product, fatal = Facts(), None, False
        others: dict[str, bytes] = {}
        try:
            if item.fault:
                raise HeqError(item.fault)
            if item.size < 0:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", item.source)
            data = self._source.read(item.source, item.span) if item.data is None else item.data
            facts = Facts(sha256=_sha256(data), bytes=len(data))
            product = self._operation(data)
            facts = _facts(facts, product)
            if product.data is not None and self._target is not None:
                fatal = True
                self._target.write(item.output, product.data)
            elif item.others:
                others = {name: self._source.read("", span) for name, span in item.others}
        except Exception as error:  # a fault of one item, of whatever kind, costs that item
            fatal = fatal and isinstance(error, OSError) and error.errno in _NOT_THE_ITEM
            facts, product = replace(facts, error=_sentence(error), output_sha256=None), None
        facts = replace(facts, seconds=time.perf_counter() - start)
        unwritten = None if product is None or self._target is not None else product.data
        fatal = fatal and facts.error is not None
        return Outcome(item, facts, unwritten, others, fatal=fatal)


def _facts(facts: Facts, product: Product) -> Facts:
    made: dict[str, Any] = {}
    if product.data is not None:
        made = {"bytes": len(product.data), "output_sha256": _sha256(product.data)}
    pixels = product.width * product.height
    return replace(
        facts,
        **made,
        model=product.model,
        width=product.width,
        height=product.height,
        bpp=8 * len(product.heq) / pixels,
    )


def heq_product(data: bytes | None, heq: bytes) -> Product:
    """A product, with what the header of the ``.heq`` file says.

    Args:
        data: the output, or None.
        heq: the ``.heq`` file.
    """
    from heqcodec.container.reader import ContainerReader

    header = ContainerReader(BytesIO(heq), max_pixels=None).header
    model = f"{header.encoder_id.hex()}/{header.coder_id.hex()}"
    return Product(data, heq, header.width, header.height, model)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    if isinstance(error, MemoryError):
        return "Not enough memory for an image of this size."
    text = " ".join(str(error).split())
    if isinstance(error, HeqError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
