"""CoDeQ's dead zone on the coefficients of `nqe-r`, against the codec's own thresholds.

    python -m heqcodec.lab.comparison.dead_zone DIR --train PHOTOGRAPHS --out NAME

CoDeQ (arXiv 2512.12981) puts a level of 0 where |c| < d / 2 and steps of equal width s beyond, so
that level k begins at d / 2 + (k - 1) s; d is learned. Here s is the codec's step, which sets the
rate, and d is learned on PHOTOGRAPHS, in the first two ways for each octave of the step:

* by gradient, one d for all: CoDeQ's own straight-through gradients of the squared error, and of
  the bits of levels by their counts;
* by entropy, one d for all or one for each size, colour plane and class of frequency: the sixteenth
  of a step with the least squared error plus lambda times the entropy of levels, band by band;
* by files, one d for all octaves too: the sixteenth with the lowest BD-rate over tiles of
  PHOTOGRAPHS, coded into real files.

Lambda is 0.14 s^2 a bit, by which the codec's cost layer was trained. Then DIR is coded into real
files by the shipped coder with each of them, with fixed thresholds, and with the cost layer, and
decoded by the plain inverse transform with points of reconstruction fitted to PHOTOGRAPHS for each.
Prints BD-rates against the cost layer; writes NAME.json and NAME.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import heqcodec
import numpy as np
import torch
import typer
from heqcodec.eval.bjontegaard import compare
from heqcodec.eval.markdown import markdown_table
from heqcodec.image.images import load_image
from heqcodec.image.patches import split_patches
from heqcodec.lab.training.photographs import image_files, load_tiles
from heqcodec.models import registry
from heqcodec.models.manifest import stored_tensors
from heqcodec.nqe_r.coders import CODERS, OWN
from heqcodec.nqe_r.layout import SUBS
from heqcodec.nqe_r.quantizer import LARGEST, OCTAVE, choose_transform_sizes
from heqcodec.purenet.dequantizer import band_zones
from heqcodec.quantizers.codeq import DeadZoneQuantizer
from numpy.typing import NDArray

from .ablation import (
    QUALITIES,
    RATES,
    cells,
    encoders,
    measure,
    plain_decoder,
    write_results,
)

LAMBDA = 0.14
SIXTEENTHS = range(6, 25)
"""Half widths d / 2 that the search tries, in sixteenths of a step; 8 is plain rounding."""
FILE_SIXTEENTHS = range(8, 16)
FILE_TILES = 12
OCTAVE_STEPS = (320, 448, 576, 704, 832)
"""The middles of the octaves in which the qualities lie."""
TOP = 15
"""The largest magnitude with a count of its own; larger ones share one."""
CODEQ_BITS = 8
GRADIENT_STEPS, GRADIENT_RATE = 250, 0.02
GRADIENT_SAMPLE = 400_000
ANCHOR = "cost layer (shipped)"
Widths = dict[int, NDArray[np.int32]]
"""By octave, int32 (2, 3, 1024): half widths in sixteenths of a step."""


def band_classes() -> NDArray[np.int64]:
    """The class of frequency of each level, int64 (1024,)."""
    return np.repeat(band_zones(), SUBS)


def codeq_levels(encoder: Any, widths: Widths) -> Callable[..., Any]:
    """Levels by CoDeQ's thresholds, a function as `measure` takes it."""

    def levels_of(coefficients: NDArray[np.int32], step: int) -> Any:
        steps, planes = encoder.integer_steps(step), coefficients.shape[2]
        transform_sizes, _ = choose_transform_sizes(coefficients, steps)
        # An octave that nothing was learned for is only met where points are fitted.
        nearest = min(widths, key=lambda octave: abs(octave - step // OCTAVE))
        half = widths[nearest][transform_sizes, :planes]
        chosen = coefficients[np.arange(len(transform_sizes)), transform_sizes]
        unit = 16 * steps[transform_sizes][:, :planes, None]
        beyond = 16 * np.abs(chosen) - half * (unit // 16) + unit
        magnitude = np.clip(beyond // unit, 0, LARGEST)
        return np.where(chosen < 0, -magnitude, magnitude).astype(np.int16), transform_sizes

    return levels_of


def in_steps(encoder: Any, coefficients: NDArray[np.int32], step: int) -> Any:
    """Transform sizes, and coefficients in them over their steps, float32 (N, 3, 1024)."""
    steps = encoder.integer_steps(step)
    transform_sizes, _ = choose_transform_sizes(coefficients, steps)
    chosen = coefficients[np.arange(len(transform_sizes)), transform_sizes]
    return (chosen / steps[transform_sizes][:, :, None]).astype(np.float32), transform_sizes


def entropies(levels: NDArray[np.int64], bands: NDArray[np.int64]) -> float:
    """Bits of magnitudes by their counts in each band, and of signs."""
    counts = np.bincount(bands * (TOP + 1) + np.minimum(levels, TOP), minlength=256 * (TOP + 1))
    table = counts.reshape(256, TOP + 1)
    totals = table.sum(axis=1, keepdims=True)
    fractions = np.divide(table, totals, out=np.ones(table.shape), where=table > 0)
    return float(-(table * np.log2(fractions)).sum() + np.count_nonzero(levels))


def distortion(x: NDArray[np.float32], levels: NDArray[np.int64]) -> float:
    """Squared error with the best point of reconstruction for levels of 1, 2, and 3 or more."""
    rest = x - levels
    total = float((x[levels == 0] ** 2).sum())
    for kind in (1, 2, 3):
        part = rest[levels == kind] if kind < 3 else rest[levels >= 3]
        total += float(((part - part.mean()) ** 2).sum()) if len(part) else 0.0
    return total


def cost(x: NDArray[np.float32], bands: NDArray[np.int64], sixteenths: int) -> float:
    """Squared error plus lambda times bits, of magnitudes in steps."""
    levels = np.maximum(np.floor(x - sixteenths / 16).astype(np.int64) + 1, 0)
    return distortion(x, levels) + LAMBDA * entropies(levels, bands)


def searched(encoder: Any, coefficients: NDArray[np.int32], one: bool) -> Widths:
    """The half widths of least cost, one for all or one a class."""
    classes, band_of = band_classes(), np.arange(1024) // 4
    widths: Widths = {}
    for step in OCTAVE_STEPS:
        scaled, transform_sizes = in_steps(encoder, coefficients, step)
        scaled = np.abs(scaled)
        table = np.zeros((2, 3, 1024), dtype=np.int32)
        sums = np.zeros(len(SIXTEENTHS))
        for size, plane, kind in np.ndindex(2, 3, int(classes.max()) + 1):
            places = np.flatnonzero(classes == kind)
            x = scaled[transform_sizes == size, plane][:, places]
            bands = np.broadcast_to(band_of[places], x.shape).ravel()
            costs = np.array([cost(x.ravel(), bands, k) for k in SIXTEENTHS])
            table[size, plane, places] = SIXTEENTHS[int(costs.argmin())]
            sums += costs
        if one:
            table[:] = SIXTEENTHS[int(sums.argmin())]
        widths[step // OCTAVE] = table
    return widths


def by_gradient(encoder: Any, coefficients: NDArray[np.int32]) -> Widths:
    """One half width an octave, learned by `DeadZoneQuantizer` from squared error and bits.

    The range of CoDeQ follows the dead zone, so that its step stays that of the codec.
    """
    widths: Widths = {}
    top = 2 ** (CODEQ_BITS - 1) - 1
    for step in OCTAVE_STEPS:
        scaled, _ = in_steps(encoder, coefficients, step)
        kinds = np.broadcast_to(band_classes(), scaled.shape).ravel()
        drawn = np.random.default_rng(0).choice(scaled.size, GRADIENT_SAMPLE, replace=False)
        x, kind = torch.from_numpy(scaled.ravel()[drawn]), torch.from_numpy(kinds[drawn])
        quantizer = DeadZoneQuantizer(bits=CODEQ_BITS)
        optimizer = torch.optim.Adam([quantizer.dead_zone_logit], lr=GRADIENT_RATE)
        for _ in range(GRADIENT_STEPS):
            share = 1 - float(quantizer.dead_zone_logit.detach().tanh().abs())
            quantizer.magnitude.fill_((top - 0.5) / (1 - share))
            offset = quantizer.dead_zone() / 2 - 0.5
            made = quantizer(x)
            level = made.abs() - offset * (made != 0)
            with torch.no_grad():
                whole = level.round().long().clamp(0, TOP)
                counts = torch.bincount(kind * (TOP + 1) + whole, minlength=8 * (TOP + 1))
                table = (counts.view(8, -1) + 0.5).double()
                bits = -(table / table.sum(1, keepdim=True)).log2()
                bits[:, 1:] += 1
                # What one level less would save.
                saved = (bits[kind, whole] - bits[kind, (whole - 1).clamp(min=0)]).float()
            loss = (made - x).square().mean() + LAMBDA * (saved * level).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        half = round(16 * float(quantizer.dead_zone().detach()) / 2)
        widths[step // OCTAVE] = np.full((2, 3, 1024), half, dtype=np.int32)
    return widths


def by_files(
    encoder: Any,
    coefficients: NDArray[np.int32],
    strips: Any,
    images: list[NDArray[np.uint8]],
    anchor: Callable[..., Any],
) -> tuple[Widths, dict[str, float]]:
    """One half width for all, of the lowest BD-rate in real files of some images.

    Returns:
        It, and the BD-rate against ``anchor`` of each that was tried, by half width in steps.
    """

    def curve(levels_of: Callable[..., Any]) -> list[tuple[float, float]]:
        decode = plain_decoder(encoder, levels_of, coefficients)
        return measure(encoder, levels_of, strips, decode, images)

    base, found = curve(anchor), {}
    for sixteenths in FILE_SIXTEENTHS:
        rate = compare(base, curve(codeq_levels(encoder, uniform(sixteenths))), RATES).rate
        assert rate is not None  # the curves overlap
        found[sixteenths] = round(rate, 2)
    best = min(found, key=lambda sixteenths: found[sixteenths])
    return uniform(best), {f"{k / 16:g}": rate for k, rate in found.items()}


def uniform(sixteenths: int) -> Widths:
    """One half width everywhere."""
    return {4: np.full((2, 3, 1024), sixteenths, dtype=np.int32)}


def reported_widths(widths: Widths) -> dict[str, Any]:
    """Half widths in steps, by octave: the least, the mean over all levels, and the largest."""
    return {
        str(octave): [round(float(f(table)) / 16, 3) for f in (np.min, np.mean, np.max)]
        for octave, table in widths.items()
    }


def main(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)],
    train: Annotated[Path, typer.Option("--train", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option("--out", help="Name of the results, without suffix.")],
    coder: Annotated[str, typer.Option("--coder", help=f"{' or '.join(CODERS)}.")] = OWN.name,
    tiles: Annotated[int, typer.Option("--tiles", min=1, help="To learn from.")] = 48,
) -> None:
    """Print and write the table; see the module's text."""
    images = [load_image(path).pixels for path in image_files(folder)]
    loaded, digest = load_tiles(train)
    drawn = np.random.default_rng(0).permutation(len(loaded))[:tiles]
    model = registry.default_model("rate")
    shipped: Any = registry.load_rate_encoder(model)
    given = shipped.coefficients(np.concatenate([split_patches(loaded[index]) for index in drawn]))
    entry = registry.manifest()["models"][model]["encoder"]
    own = encoders(shipped, stored_tensors(entry))
    strips = registry.load_strip_coder(model, CODERS[coder].number)
    # Tiles that no point of reconstruction was fitted to.
    others = np.random.default_rng(0).permutation(len(loaded))[tiles : tiles + FILE_TILES]
    tried, tries = by_files(
        shipped, given, strips, [loaded[index] for index in others], own["shipped"]
    )
    learned = {
        "CoDeQ, by gradient": by_gradient(shipped, given),
        "CoDeQ, one d by files": tried,
        "CoDeQ, one d by entropy": searched(shipped, given, one=True),
        "CoDeQ, a d a class by entropy": searched(shipped, given, one=False),
    }
    variants = {
        ANCHOR: own["shipped"],
        "fixed, 1 from 11/16 and 2 from 25/16": own["dead zone"],
        "plain rounding": codeq_levels(shipped, uniform(8)),
        **{name: codeq_levels(shipped, widths) for name, widths in learned.items()},
    }
    rows: list[dict[str, Any]] = []
    for name, levels_of in variants.items():
        decode = plain_decoder(shipped, levels_of, given)
        curve = measure(shipped, levels_of, strips, decode, images)
        rows.append({"name": name, "bpp": [p[0] for p in curve], "psnr": [p[1] for p in curve]})
        base = list(zip(rows[0]["bpp"], rows[0]["psnr"], strict=True))
        rows[-1]["bd_rate"] = None if name == ANCHOR else compare(base, curve, RATES).rate
        rows[-1]["half_widths"] = reported_widths(learned[name]) if name in learned else None
        print(json.dumps(rows[-1]), flush=True)
    results = {
        "images": len(images),
        "folder": folder.name,
        "qualities": QUALITIES,
        "bd_rate_between_bpp": RATES,
        "coder": coder,
        "lambda": LAMBDA,
        "learned_on_tiles": len(drawn),
        "bd_rate_by_half_width_on_tiles": tries,
        "train_sha256": digest,
        "heqcodec": heqcodec.__version__,
        "encoder_id": entry["encoder_id"],
        "command": f"python -m heqcodec.lab.comparison.dead_zone {folder.name} "
        f"--train {train.name} --coder {coder} --tiles {tiles}",
        "rows": rows,
    }
    write_results(out, results, markdown(results))


def markdown(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    intro = (
        f"{results['images']} images, real files of the {results['coder']} coder, plain inverse "
        "transform, PSNR over RGB; BD-rate between 0.1 and 1 bpp: how many more bits than with the "
        f"cost layer at equal PSNR. Made by `{results['command']}`.\n\n"
    )
    rows = [(row["name"], *cells(row)) for row in results["rows"]]
    return intro + markdown_table(("levels", "BD-rate", "bpp", "PSNR, dB"), rows)


if __name__ == "__main__":
    typer.run(main)
