"""What does each ingredient of the variable-rate mode bring, in bits at equal PSNR?

    python -m heqcodec.lab.comparison.ablation DIR --train PHOTOGRAPHS --out NAME

Codes every image of DIR at five qualities into real files with the shipped model, and again with
one ingredient left out at a time, and prints BD-rates (PSNR over RGB, mean of the images) against
the whole. Ingredients of the encoder are judged by the plain inverse transform, whose points of
reconstruction are fitted to PHOTOGRAPHS for each: coders and networks were trained for the shipped
encoder alone, so what is left out costs a little less than the table says.

Writes NAME.json and NAME.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import heqcodec
import numpy as np
import typer
from heqcodec.base.files import write_bytes, write_json
from heqcodec.container.strips import Strip
from heqcodec.eval.bjontegaard import compare
from heqcodec.eval.markdown import markdown_table
from heqcodec.eval.metrics import psnr
from heqcodec.file.encoding import joined_file, rate_header
from heqcodec.file.options import step_of_quality
from heqcodec.image.images import load_image
from heqcodec.image.patches import patch_batches, split_patches
from heqcodec.lab.training.photographs import image_files, load_tiles
from heqcodec.models import registry
from heqcodec.models.manifest import stored_tensors
from heqcodec.nqe_r.coders import CODERS, OWN, PACKED
from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
from heqcodec.nqe_r.layout import LEVELS
from heqcodec.nqe_r.levels import StripLevels, regrouped
from heqcodec.nqe_r.quantizer import quantize
from heqcodec.purenet.dequantizer import Dequantizer, fit_places
from numpy.typing import NDArray

QUALITIES = (12, 26, 40, 54, 68)
PLAIN = "plain"
WHOLE = "the whole"
INVERSE = "no network, the plain inverse"
RATES = (0.1, 1.0)
"""Bits per pixel between which BD-rates are taken."""


@dataclass(frozen=True)
class Variant:
    """One way of coding.

    encoder: a name of `encoders`.  coder: a name of `CODERS`.  decoder: of the model, or `PLAIN`.
    anchor: the variant that it is compared with; "" for none.
    """

    name: str
    encoder: str = "shipped"
    coder: str = PACKED.name
    decoder: str = PLAIN
    anchor: str = INVERSE


VARIANTS = (
    Variant(WHOLE, decoder="strong", anchor=""),
    Variant("device coder", coder=OWN.name, decoder="strong", anchor=WHOLE),
    Variant("fast decoder", decoder="fast", anchor=WHOLE),
    Variant(INVERSE, anchor=WHOLE),
    Variant("no cost layer: thresholds of 11/16", "dead zone", anchor=INVERSE),
    Variant("no dead zone: thresholds of 1/2", "half"),
    Variant("32 points alone", "large"),
    Variant("16 points and a second stage alone", "small"),
)


def encoders(shipped: RateNqe, tensors: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    """For each encoder: coefficients and a step index to levels and transform sizes."""
    blank = {**tensors, **{k: v for k, v in stem_tensors().items() if k not in ("layers", "steps")}}
    half = {**blank, "bias": np.zeros_like(blank["bias"])}

    def one_size(size: int) -> Callable[..., Any]:
        def levels(coefficients: NDArray[np.int32], step: int) -> Any:
            steps = shipped.integer_steps(step)[size]
            made = quantize(coefficients[:, size], steps, shipped.costs, size)
            return made, np.full(len(coefficients), size, dtype=np.uint8)

        return levels

    return {
        "shipped": shipped.levels,
        "dead zone": RateNqe(blank).levels,
        "half": RateNqe(half).levels,
        "large": one_size(0),
        "small": one_size(1),
    }


class Fitted:
    """The shipped transform with other levels, for `fit_places`."""

    def __init__(self, shipped: RateNqe, levels: Callable[..., Any]) -> None:
        self.levels, self.integer_steps = levels, shipped.integer_steps


def points(
    variant: Variant, images: Sequence[NDArray[np.uint8]], train: NDArray[np.int32]
) -> list[tuple[float, float]]:
    """Mean bits per pixel and PSNR at each quality."""
    model = registry.default_model("rate")
    shipped: Any = registry.load_rate_encoder(model)
    levels_of = encoders(shipped, stored_tensors(registry.manifest()["models"][model]["encoder"]))[
        variant.encoder
    ]
    coder = registry.load_strip_coder(model, CODERS[variant.coder].number)
    if variant.decoder == PLAIN:
        decode = plain_decoder(shipped, levels_of, train)
    else:
        decode = registry.load_rate_decoder(model, "cpu", variant.decoder).decode_frame
    return measure(shipped, levels_of, coder, decode, images)


def plain_decoder(
    shipped: RateNqe, levels_of: Callable[..., Any], train: NDArray[np.int32]
) -> Callable[..., NDArray[np.uint8]]:
    """The plain inverse transform with points of reconstruction fitted to these levels."""
    fitted: Any = Fitted(shipped, levels_of)
    plain = Dequantizer(shipped, fit_places(fitted, train, list(range(64, 1024, 128))))

    def decode(
        levels: NDArray[np.int16], transform_sizes: NDArray[np.uint8], steps: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        rows, columns = transform_sizes.shape
        pixels = plain.pixels(
            levels.reshape(-1, *levels.shape[2:]),
            transform_sizes.reshape(-1),
            steps.repeat(columns),
        )
        grid = pixels.reshape(rows, columns, 3, 32, 32).transpose(0, 3, 1, 4, 2)
        frame = np.clip(np.rint(grid.reshape(32 * rows, 32 * columns, 3)), 0, 255)
        return frame.astype(np.uint8)

    return decode


def measure(
    shipped: RateNqe,
    levels_of: Callable[..., Any],
    coder: Any,
    decode: Callable[..., NDArray[np.uint8]],
    images: Sequence[NDArray[np.uint8]],
) -> list[tuple[float, float]]:
    """Mean bits per pixel of real files, and PSNR, at each of `QUALITIES`.

    Args:
        shipped: whose coefficients are coded.
        levels_of: coefficients int32 (N, 2, C, 1024), step index -> levels, transform sizes.
        coder: of strips.
        decode: levels (R, columns, C, 1024), transform sizes (R, columns), steps (R,) -> frame.
        images: uint8 (H, W, C) each.
    """
    found = []
    for quality in QUALITIES:
        step = step_of_quality(quality)
        rates, decibels = [], []
        for image in images:
            height, width, channels = image.shape
            rows, columns = -(-height // 32), -(-width // 32)
            parts = [
                levels_of(shipped.coefficients(part), step) for part in patch_batches(image, 1024)
            ]
            flat = np.concatenate([levels for levels, _ in parts])
            transform_sizes = np.concatenate([size for _, size in parts]).reshape(rows, columns)
            levels = flat.reshape(rows, columns, channels, LEVELS)
            header = rate_header(image.shape, step, shipped.encoder_id, coder)
            strips = regrouped([StripLevels(levels, transform_sizes, step)], header.strip_rows)
            coded = (Strip(step, coder.encode(*strip)) for strip in strips)
            data = joined_file(header, coded, [])
            frame = decode(levels, transform_sizes, np.full(rows, step))
            rates.append(8 * len(data) / (height * width))
            decibels.append(psnr(image, frame[:height, :width]))
        found.append((float(np.mean(rates)), float(np.mean(decibels))))
    return found


def main(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False)],
    train: Annotated[Path, typer.Option("--train", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option("--out", help="Name of the results, without suffix.")],
) -> None:
    """Print and write the table; see the module's text."""
    images = [load_image(path).pixels for path in image_files(folder)]
    tiles, digest = load_tiles(train)
    drawn = np.random.default_rng(0).permutation(len(tiles))[:96]
    model = registry.default_model("rate")
    encoder = registry.load_rate_encoder(model)
    given = encoder.coefficients(np.concatenate([split_patches(tiles[index]) for index in drawn]))
    entry = registry.manifest()["models"][model]
    has_fast = "fast" in entry.get("decoders", {})
    curves: dict[str, list[tuple[float, float]]] = {}
    rows = []
    for variant in VARIANTS:
        if variant.decoder == "fast" and not has_fast:
            continue
        curves[variant.name] = points(variant, images, given)
        delta = None
        if variant.anchor:
            delta = compare(curves[variant.anchor], curves[variant.name], RATES)
        rows.append(
            {
                **asdict(variant),
                "bd_rate": delta and delta.rate,
                "bpp": [rate for rate, _ in curves[variant.name]],
                "psnr": [decibel for _, decibel in curves[variant.name]],
            }
        )
        print(variant.name, rows[-1]["bd_rate"], flush=True)
    record = {
        "images": len(images),
        "folder": folder.name,
        "qualities": QUALITIES,
        "bd_rate_between_bpp": RATES,
        "train_sha256": digest,
        "heqcodec": heqcodec.__version__,
        "encoder_id": entry["encoder"]["encoder_id"],
        "decoder_sha256": entry["decoder"]["sha256"],
        "command": f"python -m heqcodec.lab.comparison.ablation {folder.name} --train {train.name}",
        "rows": rows,
    }
    write_results(out, record, table(record))


def write_results(out: Path, record: dict[str, Any], text: str) -> None:
    """Write figures and their table, as ``out`` with the suffixes .json and .md."""
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out.with_suffix(".json"), record)
    write_bytes(out.with_suffix(".md"), text.encode())


def cells(row: dict[str, Any]) -> tuple[str, str, str]:
    """BD-rate, rates and PSNR of a row of results, for a table."""
    delta = "" if row["bd_rate"] is None else f"{row['bd_rate']:+.1f} %"
    bpp = ", ".join(f"{value:.3f}" for value in row["bpp"])
    psnr = ", ".join(f"{value:.2f}" for value in row["psnr"])
    return delta, bpp, psnr


def table(record: dict[str, Any]) -> str:
    """The results as Markdown."""
    intro = (
        f"{record['images']} images, real files, PSNR over RGB; BD-rate between 0.1 and 1 bpp of "
        "the anchor: how many more bits at equal PSNR. Made by\n"
        f"`{record['command']}`.\n\n"
    )
    headings = ("", "coder", "decoder", "BD-rate", "against", "bpp", "PSNR, dB")
    rows = []
    for row in record["rows"]:
        delta, *figures = cells(row)
        rows.append((row["name"], row["coder"], row["decoder"], delta, row["anchor"], *figures))
    return intro + markdown_table(headings, rows)


if __name__ == "__main__":
    typer.run(main)
