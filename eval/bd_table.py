"""Tables of Bjontegaard's deltas: every curve against an anchor, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from heqcodec.base.errors import HeqError
from heqcodec.eval.bjontegaard import Delta, Range, compare
from heqcodec.eval.curves import Curve
from heqcodec.eval.markdown import markdown_table

QUALITIES = {"psnr": "PSNR over RGB", "psnr_luma": "PSNR over luma", "ms_ssim_db": "MS-SSIM in dB"}
"""Measures of a point that a curve can be compared in, and what they are called."""
NOTHING = "n/a"
"""Stands where two curves have nothing in common."""
COLUMNS = (
    "measure", "anchor", "codec", "range", "bd_rate_percent", "bd_quality_db",
    "quality_low_db", "quality_high_db", "rate_low_bpp", "rate_high_bpp",
)  # fmt: skip
"""Of the CSV table."""
HEADINGS = ("codec", "BD-rate %", "BD dB", "over dB", "over bpp")


@dataclass(frozen=True)
class Row:
    """One curve against an anchor in one measure."""

    measure: str  # of ``QUALITIES``
    anchor: Curve
    curve: Curve
    delta: Delta

    def cells(self) -> list[str]:
        """Text for ``HEADINGS``, rounded for readers."""
        delta = self.delta
        return [
            self.curve.label,
            NOTHING if delta.rate is None else f"{delta.rate:+.1f}",
            NOTHING if delta.quality is None else f"{delta.quality:+.2f}",
            NOTHING if delta.qualities is None else "{:.2f} to {:.2f}".format(*delta.qualities),
            NOTHING if delta.rates is None else "{:.3f} to {:.3f}".format(*delta.rates),
        ]


def parse_range(text: str) -> Range | None:
    """Read ``full`` as None and ``LO,HI`` as bits per pixel. Raises ``HeqError`` for others."""
    if text == "full":
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if not 0 <= low < high < float("inf"):
        raise HeqError(
            f"{text} is no range; give full, or two rates in bits per pixel as 0.1,1, the lower "
            "first."
        )
    return low, high


def range_text(rates: Range | None) -> str:
    """Say which range the deltas are of."""
    if rates is None:
        return "full range"
    return f"{rates[0]:g} to {rates[1]:g} bpp of the anchor"


def bd_rows(anchor: Curve, curves: Sequence[Curve], rates: Range | None) -> list[Row]:
    """Compare all ``curves`` but the anchor itself with it, in each measure that the anchor has.

    A curve without that measure is left out of it; one that does not overlap is not, and its
    deltas are None.
    """
    rows = []
    for measure in QUALITIES:
        reference = anchor.pairs(measure)
        for curve in curves:
            own = curve.pairs(measure)
            if reference and own and curve.key != anchor.key:
                rows.append(Row(measure, anchor, curve, compare(reference, own, rates)))
    return rows


def groups(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Split into one table for each anchor and measure, each with its heading."""
    tables: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        tables.setdefault((row.anchor.key, row.measure), []).append(row)
    return [
        (f"{QUALITIES[measure]}, against {group[0].anchor.label}", group)
        for (_, measure), group in tables.items()
    ]


def csv_text(rows: Sequence[Row], rates: Range | None) -> str:
    """One line for each row, numbers with six digits; ``n/a`` for what is not there."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        delta = row.delta
        numbers = [delta.rate, delta.quality]
        numbers += [*(delta.qualities or (None, None)), *(delta.rates or (None, None))]
        cells = [NOTHING if number is None else f"{number:.6f}" for number in numbers]
        scope = "full" if rates is None else f"{rates[0]:g} to {rates[1]:g} bpp"
        writer.writerow([row.measure, row.anchor.key, row.curve.key, scope, *cells])
    return buffer.getvalue()


def markdown(rows: Sequence[Row], rates: Range | None) -> str:
    """A page with one table for each anchor and measure, and how to read them."""
    lines = [
        "# BD-rate",
        "",
        f"Range: {range_text(rates)}. BD-rate is the mean difference of rate at equal quality, "
        "negative where bits are saved; BD dB the mean difference of quality at equal rate. Both "
        f"by PCHIP in log rate, over the intervals given; {NOTHING} where curves do not overlap.",
    ]
    for title, group in groups(rows):
        table = markdown_table(HEADINGS, [row.cells() for row in group], names=1)
        lines += ["", f"## {title}", "", table.rstrip("\n")]
    return "\n".join(lines) + "\n"
