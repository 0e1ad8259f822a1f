"""``heqcodec search``: the encoder's precision, layer by layer, within a budget."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .common.options import (
    Device,
    FloatMinutes,
    Force,
    HeldOut,
    Photographs,
    Results,
    Seed,
    Threads,
    Verbose,
    Width,
)
from .common.terminal import print_table, refuse_existing, reports_errors, say, set_threads

if TYPE_CHECKING:
    from heqcodec.lab.precision.exploration import Explored
    from heqcodec.lab.precision.space import NqeSpace


@reports_errors
def search(
    data: Photographs,
    out: Results,
    budget_bits: Annotated[
        int, typer.Option("--budget-bits", min=1, metavar="N", help="Most bits of weights.")
    ] = 2**20,
    budget_macs: Annotated[
        int | None,
        typer.Option(
            "--budget-macs",
            min=1,
            metavar="N",
            help="Most multiply-accumulates a patch, each counted times the bits of its weight.",
        ),
    ] = None,
    held_out: HeldOut = None,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.001, metavar="M", help="Of the elastic training.")
    ] = 5.0,
    float_minutes: FloatMinutes = None,
    samples: Annotated[
        int, typer.Option("--samples", min=5, metavar="N", help="Subnets to fit the predictor to.")
    ] = 200,
    distribution_loss: Annotated[
        float,
        typer.Option(
            "--distribution-loss",
            min=0.0,
            metavar="W",
            help="Weight of EQ-Net's loss that draws weights to a uniform distribution.",
        ),
    ] = 0.0,
    guidance: Annotated[
        bool,
        typer.Option(
            "--guidance", help="Train three subnets a step, each guided by a more precise one."
        ),
    ] = False,
    width: Width = 16,
    seed: Seed = 1,
    device: Device = "auto",
    threads: Threads = None,
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """Search the precision of each layer of nqe-vgg: binary to 8 bits, granularity, symmetry.

    An elastic network of a reduced width is trained for --minutes; a predictor learns from subnets
    of it, a genetic search asks the predictor, and what it finds is measured. Prints the front,
    and writes search.json, front.png and searched.toml, a recipe for `heqcodec train`.
    """
    set_threads(threads)
    from heqcodec.lab.networks.reduced import require_even

    require_even(width)
    refuse_existing([out / "search.json"], force)
    from heqcodec.eval.report import environment
    from heqcodec.lab.precision.exploration import SearchSettings, explore
    from heqcodec.lab.precision.results import write_search
    from heqcodec.lab.precision.space import NqeSpace
    from heqcodec.lab.precision.supernet import ElasticCodec, ElasticLosses
    from heqcodec.lab.training.run_start import run_photographs
    from heqcodec.purenet.device import find_device

    words = [f"heqcodec search --budget-bits {budget_bits}"]
    words += [f"--budget-macs {budget_macs}"] if budget_macs else []
    words += [f"--data {data.resolve().name}"]
    words += [f"--held-out {held_out.resolve().name}"] if held_out else []
    words += [f"--minutes {minutes:g}"]
    words += [f"--float-minutes {float_minutes:g}"] if float_minutes else []
    words += [f"--distribution-loss {distribution_loss:g}"] if distribution_loss else []
    words += ["--guidance"] if guidance else []
    words += [f"--samples {samples} --width {width} --seed {seed} --out {out.name}"]
    command = " ".join(words)
    where = find_device(device)
    tiles, frames, data_hash = run_photographs(data, held_out)
    settings = SearchSettings(
        (float(budget_bits), float(budget_macs or math.inf)),
        minutes,
        minutes if float_minutes is None else float_minutes,
        samples,
        seed=seed,
    )
    losses = ElasticLosses(distribution_loss, guidance)
    task = ElasticCodec(tiles, frames, width, where, seed, losses)
    explored = explore(task, frames, settings, where, say)
    run = {
        "settings": {
            **asdict(settings),
            **asdict(losses),
            "budget": [budget_bits, budget_macs],
            "width": width,
        },
        "data_sha256": data_hash,
        **environment(),
    }
    write_search(out, explored, run, command)
    _print_front(explored, NqeSpace())
    say(f"Wrote search.json, front.png and searched.toml to {out}.")


def _print_front(explored: Explored, space: NqeSpace) -> None:
    from heqcodec.nqe_vgg.layout import VGG_LAYERS

    rows = []
    for candidate in explored.front:
        precision = space.precision(candidate.genes)
        rows.append(
            [
                "-".join(map(str, precision.bits)),
                f"{precision.granularity}{'' if precision.symmetric else ', offset'}",
                f"{candidate.score:.2f}",
                f"{explored.predicted[candidate.genes]:.2f}",
                f"{candidate.costs[0] / 1000:.1f}",
                f"{candidate.costs[1] / 1e6:.1f}",
            ]
        )
    layers = ", ".join(layer.name for layer in VGG_LAYERS)
    title = f"Subnets that no other one measured dominates; bits of {layers}"
    headings = ("bits", "form", "PSNR", "predicted", "kbit", "bit op., M")
    print_table(title, headings, rows, left=(0, 1))
