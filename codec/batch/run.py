"""A batch from its sources to its summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from heqcodec.base.errors import HeqError

from .dispatch import Engine, dispatch
from .locations import Entry, Location
from .manifest import Manifest, Past
from .names import output_names
from .shard_source import ShardSource
from .shard_writer import ShardTarget
from .work import Item, Outcome

__all__ = ["Summary", "run_batch"]

LOOK_AHEAD = 100_000
"""Items that are listed before the first is done, so that the time left is known for most runs."""
_NAMED_FAILURES = 1000


@dataclass
class Summary:
    """What a run has done so far.

    Attributes:
        items: to do in this run; None while the listing goes on.
        done, failed: of those, with and without an error.
        skipped: done by earlier runs, and unchanged.
        failed_before: failed in earlier runs, and left alone.
        changed: of the items, done again because their sources changed.
        deaths: of workers.
        input_bytes, output_bytes, pixels: of what was done.
        work_seconds: that workers spent, all together.
        failures: ``input`` and ``error`` of the first thousand.
    """

    items: int | None = None
    done: int = 0
    failed: int = 0
    skipped: int = 0
    failed_before: int = 0
    changed: int = 0
    deaths: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    pixels: int = 0
    work_seconds: float = 0.0
    failures: list[dict[str, str]] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.perf_counter() - self.started

    @property
    def rate(self) -> float:
        """Items a second."""
        return (self.done + self.failed) / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None while that or the number of items is not known."""
        if self.items is None or not self.rate:
            return None
        return (self.items - self.done - self.failed) / self.rate

    def add(self, outcome: Outcome) -> None:
        """Count an item that ended."""
        facts = outcome.facts
        self.deaths += outcome.deaths
        self.work_seconds += facts.seconds
        if facts.error is not None:
            self.failed += 1
            if len(self.failures) < _NAMED_FAILURES:
                self.failures.append({"input": outcome.item.source, "error": facts.error})
            return
        self.done += 1
        self.input_bytes += max(outcome.item.size, 0)
        self.output_bytes += (facts.bytes or 0) if outcome.item.output else 0
        self.pixels += (facts.width or 0) * (facts.height or 0)

    def as_json(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        figures = {key: value for key, value in vars(self).items() if key != "started"}
        figures["work_seconds"] = round(self.work_seconds, 3)
        return {**figures, "seconds": round(self.seconds, 3), "rate": round(self.rate, 3)}


def run_batch(
    run: dict[str, Any],
    folders: Iterator[list[Entry]],
    suffix: str,
    source: Location | ShardSource,
    target: Location | ShardTarget,
    manifest: Manifest,
    make_engine: Callable[[], Engine],
    *,
    restart: bool = False,
    retry_failed: bool = False,
    progress: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Do all that is not done.

    Args:
        run: see `heqcodec.batch.operations.described`.
        folders: the sources, those of a folder together.
        suffix: of the outputs; "" for an operation without.
        source, target: where they lie.
        manifest: of the outputs.
        make_engine: called once there is something to do.
        restart: see `Manifest.begin`.
        retry_failed: do what failed in earlier runs again, too.
        progress: called every second, and after items.

    Raises:
        HeqError: the manifest is of another run, sources cannot be listed, outputs cannot be
            written, workers cannot be started, or a source in a shard of the outputs has changed.
        OSError: the manifest cannot be written.
    """
    summary = Summary()
    try:
        shards = target if isinstance(target, ShardTarget) else None
        run = {"source": source.address, "shards": shards and shards.pattern, **run}
        first = list(islice(folders, 1))  # Before anything is written: there may be no source.
        past = manifest.begin(run, restart, shards.present() if shards else ())
        left = _left(chain(first, folders), suffix, past, retry_failed, summary, shards is None)
        ahead = list(islice(left, LOOK_AHEAD))
        if len(ahead) < LOOK_AHEAD:
            summary.items = len(ahead)
        if ahead:
            items = (_carried(item, source) for item in chain(ahead, left))
            _do(items, target, manifest, make_engine, summary, progress)
        summary.items = summary.done + summary.failed
    finally:
        manifest.close()
    return summary


def _do(
    items: Iterator[Item],
    target: Location | ShardTarget,
    manifest: Manifest,
    make_engine: Callable[[], Engine],
    summary: Summary,
    progress: Callable[[Summary], None],
) -> None:
    engine = make_engine()
    whole = False
    try:
        if isinstance(target, ShardTarget):
            target.open(manifest)
        for outcomes in dispatch(items, engine):
            for outcome in outcomes:
                summary.add(outcome)
                if isinstance(target, ShardTarget):
                    target.add(outcome)
                    continue
                if outcome.data is not None:
                    target.write(outcome.item.output, outcome.data)
                if outcome.deaths:
                    target.clean(outcome.item.output)
                manifest.append(outcome)
            manifest.tick()
            progress(summary)
        whole = True
    finally:
        engine.close()
        if isinstance(target, ShardTarget):
            target.close(publish=whole)


def _left(
    folders: Iterator[list[Entry]],
    suffix: str,
    past: Past,
    retry_failed: bool,
    summary: Summary,
    replaceable: bool,
) -> Iterator[Item]:
    """Items that are still to be done."""
    for entries in folders:
        for entry, output in zip(entries, _outputs(entries, suffix), strict=True):
            item = Item(
                entry.name,
                output,
                entry.size,
                entry.version,
                span=entry.span,
                others=() if replaceable else entry.others,
                fault=entry.fault,
            )
            state = past.state(item)
            if state == "changed" and not replaceable:
                raise HeqError(
                    f"{entry.name} has changed since it went into a shard, which is not written "
                    "again; --restart does all anew."
                )
            if state == "done":
                summary.skipped += 1
            elif state == "failed" and not retry_failed:
                summary.failed_before += 1
            else:
                summary.changed += state in ("changed", "mended")
                yield item


def _outputs(entries: list[Entry], suffix: str) -> list[str]:
    if not suffix:
        return [""] * len(entries)
    if any(entry.stem for entry in entries):
        return [(entry.stem or entry.name) + suffix for entry in entries]
    folder, _, _ = entries[0].name.rpartition("/")
    names = [entry.name.rpartition("/")[2] for entry in entries]
    try:
        outputs = output_names(names, suffix)
    except HeqError:
        outputs = [name + suffix for name in names]
    return [f"{folder}/{output}" if folder else output for output in outputs]


def _carried(item: Item, source: Location | ShardSource) -> Item:
    """The item with its data, where workers cannot read them."""
    if source.shared:
        return item
    try:
        return replace(item, data=source.read(item.source, item.span))
    except OSError:
        return item  # whose worker will say what is wrong
