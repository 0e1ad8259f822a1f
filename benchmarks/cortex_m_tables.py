"""Tables and the plot of benchmarks/cortex_m_peers.py, from its JSON.

python benchmarks/cortex_m_tables.py peers.json --nanojoule 0.3 --plot peers.png
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

TARGETS = (28, 31, 34)
OURS = ("nqe-r", "nqe-t")
Table = dict[str, Any]


class Radio(NamedTuple):
    """A link, by figures of data sheets as recalled; nothing here was measured.

    Attributes:
        name: in table and plot.
        milliwatts: while it transmits.
        bits: of payload a second.
    """

    name: str
    milliwatts: float
    bits: float

    @property
    def microjoule(self) -> float:
        """Of a byte."""
        return self.milliwatts * 1000 * 8 / self.bits


RADIOS = (
    Radio("LoRa SF12, 125 kHz, 14 dBm", 145, 290),
    Radio("LoRa SF7, 125 kHz, 14 dBm", 145, 5_470),
    Radio("802.15.4, 250 kbit/s, 0 dBm", 20, 120_000),
    Radio("Wi-Fi, 20 dBm", 700, 10_000_000),
    Radio("BLE, 1 Mbit/s, 0 dBm", 15, 700_000),
)


def mean_bytes(table: Table, encoder: str, target: int) -> tuple[float, int] | None:
    """Mean bytes of the images that reach a PSNR, and their number."""
    reached = list(table["bytes"][encoder][str(target)].values())
    return (float(np.mean(reached)), len(reached)) if reached else None


def instructions(table: Table, row: Table, target: int) -> float | None:
    """Instructions a pixel, the mean of the counted images that reach a PSNR."""
    entry = row["targets"].get(str(target), {})
    reached = [value[0] for value in entry.values() if value is not None]
    return float(np.mean(reached)) / table["pixels"] if reached else None


def break_even(ours: Table, theirs: Table, target: int, nanojoule: float) -> float | None:
    """Microjoule a byte, over the counted images that both reach.

    Returns:
        What the instructions taken more cost, by the bytes saved; None where none are.
    """
    own, other = ours["targets"][str(target)], theirs["targets"][str(target)]
    both = [name for name in own if own[name] is not None and other[name] is not None]
    more = sum(own[name][0] - other[name][0] for name in both)
    fewer = sum(other[name][1] - own[name][1] for name in both)
    return more * nanojoule / 1000 / fewer if fewer > 0 else None


def table_text(table: Table, nanojoule: float) -> str:
    """All tables, as Markdown."""
    parts = [_bytes_table(table), _device_table(table)]
    if set(table["bytes"]) - set(OURS):
        parts.append(_energy_table(table, nanojoule))
    return "\n\n".join(parts)


def _bytes_table(table: Table) -> str:
    images = len(table["images"])
    lines = [
        "| bytes at | " + " | ".join(f"{target} dB" for target in TARGETS) + " |",
        "|---|" + "---|" * len(TARGETS),
    ]
    for encoder in table["bytes"]:
        cells = []
        for target in TARGETS:
            mean = mean_bytes(table, encoder, target)
            if mean is None:
                cells.append("not reached")
            else:
                some = "" if mean[1] == images else f" ({mean[1]} of {images})"
                cells.append(f"{mean[0]:,.0f}{some}")
        lines.append(f"| {encoder} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _device_table(table: Table) -> str:
    lines = [
        "| | processor | instructions a pixel at "
        + ", ".join(str(target) for target in TARGETS)
        + " dB, largest files | kpixel/s at 1 MHz, 31 dB | flash `-O2` (`-Os`) | state | heap "
        "| stack | strip |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table["rows"]:
        counts = [instructions(table, row, target) for target in TARGETS]
        counts.append(row["largest_files"])
        cells = ", ".join("-" if count is None else f"{count:,.0f}" for count in counts)
        middle = "-" if counts[1] is None else f"{1000 / counts[1]:.2f}"
        lines.append(
            f"| {row['encoder']} | {row['processor']} | {cells} | {middle} | {row['flash_O2']:,} "
            f"({row['flash_Os']:,}) | {row['state']:,} | {row['heap']:,} | {row['stack']:,} | "
            f"{row['longest_strip']:,} |"
        )
    return "\n".join(lines)


def _energy_table(table: Table, nanojoule: float) -> str:
    lines = [
        f"| break-even, uJ a byte at {nanojoule} nJ a cycle | against | "
        + " | ".join(f"{target} dB" for target in TARGETS)
        + " |",
        "|---|---|" + "---|" * len(TARGETS),
    ]
    rows = {(row["encoder"], row["processor"]): row for row in table["rows"]}
    for encoder, processor in rows:
        if encoder not in OURS:
            continue
        for peer in table["bytes"]:
            if peer in OURS or (peer, processor) not in rows:
                continue
            values = [
                break_even(rows[encoder, processor], rows[peer, processor], target, nanojoule)
                for target in TARGETS
            ]
            if any(value is not None for value in values):
                cells = " | ".join("-" if value is None else f"{value:.1f}" for value in values)
                lines.append(f"| {encoder}, {processor} | {peer} | {cells} |")
    return "\n".join([*lines, "", _radio_table()])


def _radio_table() -> str:
    lines = ["| link (data sheets as recalled) | mW | bit/s | uJ a byte |", "|---|---|---|---|"]
    lines += [
        f"| {radio.name} | {radio.milliwatts:,.0f} | {radio.bits:,.0f} | "
        f"{float(f'{radio.microjoule:.2g}'):,g} |"
        for radio in RADIOS
    ]
    return "\n".join(lines)


def draw(table: Table, nanojoule: float, path: Path) -> None:
    """Break-even of nqe-r at 31 dB by the energy of a cycle, and what a byte costs on links."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = {(row["encoder"], row["processor"]): row for row in table["rows"]}
    peer = next(name for name in reversed(list(table["bytes"])) if name not in OURS)
    cycles = np.geomspace(0.03, 3, 50)
    figure, axes = pyplot.subplots(figsize=(7.5, 4.5))
    dashes = iter(("-", "-", (0, (4, 4)), (0, (4, 4))))  # two and two are nearly equal
    for encoder, processor in rows:
        if encoder != "nqe-r":
            continue
        value = break_even(rows[encoder, processor], rows[peer, processor], 31, 1.0)
        if value is not None:
            axes.plot(cycles, value * cycles, linestyle=next(dashes, ":"), label=processor)
    for radio in RADIOS:
        axes.axhline(radio.microjoule, color="0.6", linewidth=0.8)
        axes.text(cycles[0], radio.microjoule, f" {radio.name}", fontsize=7, va="bottom")
    axes.axvline(nanojoule, color="0.8", linestyle=":")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="nanojoule a cycle",
        ylabel="microjoule a byte",
        title=f"Above its line a link is worth nqe-r instead of {peer}, at 31 dB",
    )
    axes.legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(
    results: Annotated[Path, typer.Argument(help="JSON of benchmarks/cortex_m_peers.py.")],
    nanojoule: Annotated[float, typer.Option(help="Of a cycle.")] = 0.3,
    plot: Annotated[Path | None, typer.Option(help="Image of break-even by nanojoule.")] = None,
) -> None:
    """Print the tables again, with another energy of a cycle."""
    table = json.loads(results.read_text("utf-8"))
    typer.echo(table_text(table, nanojoule))
    if plot:
        draw(table, nanojoule, plot)


if __name__ == "__main__":
    typer.run(main)
