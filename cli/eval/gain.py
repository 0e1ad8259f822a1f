"""``heqcodec eval gain``: what decoders add to the plain inverse, image by image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from heqcodec.cli.common.options import Force, Threads, Verbose
from heqcodec.cli.common.terminal import (
    DATA_ERROR,
    check_choice,
    print_table,
    refuse_existing,
    reports_errors,
    say,
    set_threads,
    tell,
)

if TYPE_CHECKING:
    from heqcodec.eval.gain import Gain


@reports_errors
def gain(
    data: Annotated[Path, typer.Option(help="Folder of test images.")],
    model: Annotated[
        str | None, typer.Option(help="A model of variable rate; the default one when left out.")
    ] = None,
    decoder: Annotated[
        list[str] | None,
        typer.Option(
            help="Decoder, may be given several times; all of the model for PSNR when left out."
        ),
    ] = None,
    quality: Annotated[
        list[float] | None,
        typer.Option(help="May be given several times; 20, 45, 65 and 85 when left out."),
    ] = None,
    ladder: Annotated[
        bool,
        typer.Option(
            "--ladder", help="Each image also with noise (sigma 2, 4, 8) and from JPEG (50 to 90)."
        ),
    ] = False,
    least: Annotated[
        float, typer.Option(metavar="DB", help="Exit with 1 where a gain is below.")
    ] = -0.05,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a CSV file of all figures.")
    ] = None,
    threads: Threads = None,
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """PSNR of each decoder minus that of the plain inverse transform, image by image.

    Exits with 1 where a decoder is worse than no network at all by more than --least.
    """
    set_threads(threads)
    _gain(data, model, decoder or [], quality or [20, 45, 65, 85], ladder, least, out, force)


def _gain(
    data: Path,
    model: str | None,
    decoders: list[str],
    qualities: list[float],
    ladder: bool,
    least: float,
    out: Path | None,
    force: bool,
) -> None:
    from heqcodec.base.files import write_bytes
    from heqcodec.eval.folder import image_files, readable_files
    from heqcodec.eval.gain import measure
    from heqcodec.eval.report import csv_text
    from heqcodec.models import registry

    name = model or registry.default_model(registry.RATE_MODE)
    registry.check_mode(name, registry.RATE_MODE)
    offered = [one for one in registry.offered_decoders(name) if one != registry.PLAIN]
    for one in decoders:
        check_choice(one, offered, "--decoder")
    refuse_existing([out] if out else [], force)
    for_psnr = [one for one in offered if one != registry.SSIMULACRA2]
    wanted = list(dict.fromkeys(decoders)) or for_psnr
    files, unreadable = readable_files(image_files(data))
    found: list[Gain] = []
    for row in measure(files, name, wanted, list(dict.fromkeys(qualities)), ladder):
        found.append(row)
        if row.gain < least:
            say(
                f"{row.image}, {row.version}: {row.decoder} at quality {row.quality:g} is "
                f"{-row.gain:.3f} dB below the plain inverse"
            )
    if out:
        write_bytes(out, csv_text(found).encode())
    _print_table(found)
    worst = min(found, key=lambda row: row.gain)
    tell(f"Worst: {worst.gain:+.3f} dB, {worst.image}, {worst.version}, {worst.decoder}.")
    for line in unreadable:
        say(f"heqcodec: not among these: {line}")
    if unreadable or worst.gain < least:
        raise typer.Exit(DATA_ERROR)


def _print_table(found: list[Gain]) -> None:
    """A row for each version of an image, a column for each decoder and quality; then means."""
    columns = list(dict.fromkeys((one.decoder, one.quality) for one in found))
    keys = list(dict.fromkeys((one.image, one.version) for one in found))
    gains = {((one.image, one.version), (one.decoder, one.quality)): one.gain for one in found}
    headings = ["image", "version", *(f"{decoder} {quality:g}" for decoder, quality in columns)]
    rows = [[*key, *(f"{gains[key, column]:+.3f}" for column in columns)] for key in keys]
    rows.append([])
    for version in dict.fromkeys(version for _, version in keys):
        own = [key for key in keys if key[1] == version]
        means = [sum(gains[key, column] for key in own) / len(own) for column in columns]
        rows.append(["mean", version, *(f"{mean:+.3f}" for mean in means)])
    print_table("PSNR minus that of the plain inverse, dB", headings, rows, left=(0, 1))
