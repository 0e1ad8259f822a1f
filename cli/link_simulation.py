"""``heqcodec simulate-link``: what a link that loses packets leaves of an image."""

from __future__ import annotations

from typing import Annotated

import typer

from .common.options import Decoder, Force, JsonFacts, Verbose
from .common.terminal import (
    about,
    check_output,
    print_json,
    print_table,
    reports_errors,
    usage_error,
)
from .link import Fec, Order, Quality, Size, loaded_input, packets_of_input, write_packets


@reports_errors
def simulate_link(
    source: Annotated[str, typer.Argument(metavar="IN", help="An image; - is standard input.")],
    size: Size = 222,
    quality: Quality = 25,
    fec: Fec = 0,
    order: Order = "interleaved",
    losses: Annotated[
        str, typer.Option("--losses", metavar="P,P,...", help="Percent of packets that are lost.")
    ] = "0,2,10,30",
    burst: Annotated[
        float, typer.Option("--burst", min=1, help="Mean length of a run of lost packets.")
    ] = 1,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Of each loss.")] = 20,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    decoder: Decoder = "strong",
    output: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE.pkt",
            help="Write what arrives, of the first draw at the last loss.",
        ),
    ] = None,
    force: Force = False,
    as_json: JsonFacts = False,
    verbose: Verbose = False,
) -> None:
    """Lose and reorder packets of an image, and print the PSNR of what arrives."""
    from heqcodec.eval.link import arrivals, draws_of, simulate

    if output is not None:
        check_output(source, output, force)
    percents = _percents(losses)
    loaded = loaded_input(source)
    if isinstance(loaded, bytes):
        raise usage_error("it takes an image, not a .heq file.", "IN")
    with about(source):
        packets = packets_of_input(loaded, size, quality, fec, order, 0, 0)
        rows = simulate(loaded.pixels, packets, percents, burst, draws, seed, decoder)
    if output is not None:
        last = percents[-1]
        came = arrivals(len(packets), last / 100, burst, draws_of(last, seed))
        write_packets(output, [packets[index] for index in came])
    if as_json:
        print_json({"packets": len(packets), "losses": [row._asdict() for row in rows]})
        return
    title = f"{len(packets)} packets of up to {size} bytes"
    headings = ("lost %", "PSNR dB", "worst dB", "patches %", "whole %")
    figures = [(row.psnr, row.worst, 100 * row.patches, 100 * row.whole) for row in rows]
    cells = [
        [f"{row.percent:g}", *(f"{figure:.2f}" for figure in found)]
        for row, found in zip(rows, figures, strict=True)
    ]
    print_table(title, headings, cells, left=(), plain=True)


def _percents(text: str) -> list[float]:
    try:
        percents = [float(part) for part in text.split(",")]
    except ValueError:
        percents = [-1]
    if not all(0 <= percent <= 100 for percent in percents):
        raise usage_error(f"{text!r} is not percents from 0 to 100, such as 0,2,10.", "--losses")
    return percents
