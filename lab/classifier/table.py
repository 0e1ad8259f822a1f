"""``python -m heqcodec.lab.classifier.table RESULTS``: accuracies in a table, and learning curves.

Writes ``table.md``, ``curves.svg`` and ``runs.json`` into the folder of the runs; the last has what
the others are made of, so that a folder of it alone gives the same. Runs that differ in their seed
alone share a line, see `seed_table`; then there are no curves.
"""

from __future__ import annotations

import math
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

import typer
from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_bytes

from .command_options import console, reported_errors
from .learning_curves import draw
from .queue import read_list
from .recipe import ClassifierRecipe
from .run_folder import RUNS, LoggedRun, read_runs, write_runs
from .seed_table import seed_groups, seed_table

COMPARISON = "comparison.toml"
PUBLISHED = {
    "vgg-small-heq3": ("93.68", "2501.04517"),
    "vgg-small-heq5": ("93.66", "2501.04517"),
    "cpu-vgg-small-heq3": ("93.68", "2501.04517"),
    "cpu-vgg-small-heq5": ("93.66", "2501.04517"),
    "nqe-bsn-90": ("87.48", "2501.05097"),
    "nqe-bsn-fade": ("87.48", "2501.05097"),
}
"""Accuracy in percent, and the paper on arXiv; CIFAR-10 with its own training and test set."""
HEADING = (
    *("run", "what", "accuracy, %", "± of sampling", "published, %", "weight bits", "epochs"),
    "minutes",
)


def table(runs: list[LoggedRun], recipes: dict[str, ClassifierRecipe]) -> str:
    """A Markdown table, a line a run.

    Accuracy is that of the weights after the last epoch, in float32; of runs that did not end, that
    of the last epoch's line in the log. The sampling error is one standard deviation of the share
    that so many test images give; runs of other seeds differ too, see `seed_table`.

    Args:
        runs: see `read_runs`.
        recipes: by name; of runs that did not end, they tell what was asked.

    Returns:
        The text, with a line feed at its end.

    Raises:
        HeqError: a run did not end and has no recipe.
    """
    rows = [HEADING, tuple("---" for _ in HEADING), *(_cells(run, recipes) for run in runs)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cells(run: LoggedRun, recipes: dict[str, ClassifierRecipe]) -> tuple[str, ...]:
    figure, paper = PUBLISHED.get(run.name, ("", ""))
    published = f"{figure} ([{paper}](https://arxiv.org/abs/{paper}))" if figure else ""
    if run.result is None:
        if run.name not in recipes:
            raise HeqError(f"the run {run.name} did not end, and no recipe has its name.")
        asked = recipes[run.name]
        stopped = f"{run.epochs[-1]} of {asked.all_epochs}, stopped"
        return run.name, asked.about, f"({run.accuracies[-1]:.2f})", "", "", "", stopped, ""
    result: dict[str, Any] = run.result
    share = result["accuracy"] / 100
    error = 100 * math.sqrt(share * (1 - share) / result["test_images"])
    return (
        run.name,
        result["recipe"]["about"],
        f"{result['accuracy']:.2f}",
        f"{error:.2f}",
        published,
        f"{result['conv_weight_bits']:,}",
        str(result["epochs"]),
        f"{result['minutes']:.1f}",
    )


def write_table(folder: Path, order: str = COMPARISON, against: str = "") -> list[Path]:
    """Write ``table.md``, ``runs.json`` and ``curves.svg`` of a folder of runs.

    Args:
        folder: of the runs.
        order: name of the shipped list in whose order they come.
        against: see `seed_table`.

    Returns:
        The files; without curves if runs share lines.

    Raises:
        HeqError: there are no runs, or one is damaged; or there is no such list, or no run that
            others could be compared with.
    """
    shipped = files("heqcodec.weights") / "recipes" / "classify"
    with as_file(shipped) as recipes:
        listed = read_list(recipes / order)
    runs = read_runs(folder, [recipe.name for recipe in listed])
    write_runs(folder, runs)
    if against or any(len(group.results) > 1 for group in seed_groups(runs)):
        write_bytes(folder / "table.md", seed_table(runs, against).encode())
        return [folder / "table.md", folder / RUNS]
    text = table(runs, {recipe.name: recipe for recipe in listed})
    write_bytes(folder / "table.md", text.encode())
    write_bytes(folder / "curves.svg", draw(runs))
    return [folder / "table.md", folder / RUNS, folder / "curves.svg"]


def main(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", exists=True, file_okay=False)],
    order: Annotated[
        str, typer.Option("--list", help="A shipped list, in whose order runs come.")
    ] = COMPARISON,
    against: Annotated[
        str, typer.Option(help="A run, without its seed, that others are compared with.")
    ] = "",
) -> None:
    """Write the table and the learning curves of the runs in RESULTS."""
    with reported_errors():
        written = write_table(results, order, against)
    for path in written:
        console.print(str(path), highlight=False)


if __name__ == "__main__":
    typer.run(main)
