"""``heqcodec eval datasets``: list the usual sets of test images, fetch one, check one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from heqcodec.cli.common.options import JsonFacts, Verbose
from heqcodec.cli.common.terminal import print_json, reports_errors, usage_error

if TYPE_CHECKING:
    from heqcodec.eval.datasets import Dataset


@reports_errors
def datasets(
    fetch: Annotated[
        str | None,
        typer.Option("--fetch", metavar="NAME", help="Download a set from its official address."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder for the images fetched.")
    ] = None,
    verify: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            "--verify", metavar="NAME DIR", help="Compare a folder with what was published."
        ),
    ] = None,
    as_json: JsonFacts = False,
    verbose: Verbose = False,
) -> None:
    """List sets of test images with their licences, addresses and sums.

    Nothing is fetched unless --fetch says so.
    """
    from heqcodec.eval.datasets import DATASETS
    from heqcodec.eval.datasets import verify as verify_set

    if (fetch is None) != (out is None):
        raise usage_error("--fetch NAME and --out DIR go together.", "--fetch")
    wanted = _named(fetch, "--fetch") if fetch else None
    requested = [_named(verify[0], "--verify")] if verify else []
    if wanted and out:
        _fetch(wanted, out)
        typer.echo(verify_set(wanted, out))
    for dataset in requested:
        assert verify
        typer.echo(verify_set(dataset, verify[1]))
    if wanted or requested:
        return
    if as_json:
        print_json({"datasets": [_entry(dataset) for dataset in DATASETS]})
        return
    for dataset in DATASETS:
        typer.echo(_text(dataset))


def _named(name: str, option: str) -> Dataset:
    from heqcodec.eval.datasets import DATASETS

    for dataset in DATASETS:
        if dataset.name == name:
            return dataset
    known = ", ".join(dataset.name for dataset in DATASETS)
    raise usage_error(f"there is no set {name}; choose from {known}.", option)


def _fetch(dataset: Dataset, folder: Path) -> None:
    from heqcodec.eval.download import fetch
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns,
        TransferSpeedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task(dataset.name, total=dataset.archive_bytes)
        fetch(dataset, folder, lambda count: progress.advance(task, count))


def _entry(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "title": dataset.title,
        "images": dataset.images,
        "licence": dataset.licence,
        "page": dataset.page,
        "address": dataset.address,
        "sha256": dataset.sha256,
        "archive_sha256": dataset.archive_sha256,
        "archive_bytes": dataset.archive_bytes,
        "files": dict(dataset.sums),
    }


def _text(dataset: Dataset) -> str:
    lines = [
        f"{dataset.name}: {dataset.title}, {dataset.images} images",
        f"  licence  {dataset.licence}",
        f"  page     {dataset.page}",
        f"  address  {dataset.address}",
    ]
    if dataset.sha256:
        lines.append(f"  SHA-256  {dataset.sha256} (of the set)")
    if dataset.archive_sha256:
        lines.append(f"  SHA-256  {dataset.archive_sha256} (of the archive)")
    if not (dataset.sha256 or dataset.archive_sha256):
        lines.append("  SHA-256  not known")
    return "\n".join(lines)
