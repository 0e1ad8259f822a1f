"""``heqcodec eval sequences``: frame sequences by a patch's own past, and classes of sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from heqcodec.cli.common.options import (
    Force,
    Photographs,
    Results,
    Seed,
    TestPhotographs,
    Threads,
    Verbose,
    file_option,
)
from heqcodec.cli.common.terminal import refuse_existing, reports_errors, say, set_threads

LOSS_QUALITY = 60


@reports_errors
def sequences(
    data: Photographs,
    held_out: TestPhotographs,
    out: Results,
    cifar: Annotated[
        Path | None,
        file_option("--cifar", help="CIFAR-10, see CLASSIFY.md; without it no classes."),
    ] = None,
    photographs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Held-out photographs to make sequences of.")
    ] = 4,
    chosen_on: Annotated[
        int, typer.Option("--chosen-on", min=1, metavar="N", help="Training tiles to choose on.")
    ] = 4,
    frames: Annotated[int, typer.Option(min=2, metavar="N", help="Of a sequence.")] = 16,
    images: Annotated[
        int, typer.Option(min=1, metavar="N", help="Of CIFAR-10 to train on; half of it to test.")
    ] = 8000,
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="Of the units.")] = 30,
    seed: Seed = 1,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Of the units.")] = 2,
    threads: Threads = None,
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """Skip, refine or refresh patches by their own past, beside intra-only files, JPEG and H.264.

    A study, no mode of the codec. Sequences are made of photographs by motion, light and noise. How
    readily patches are skipped is chosen on training tiles. With --cifar, a ternary recurrent unit
    classifies moving, noisy images by the codes of the shipped classifier. Writes sequences.json,
    curves.csv and table.md.
    """
    set_threads(threads)
    refuse_existing([out / "sequences.json"], force)
    import numpy as np
    from heqcodec.base.files import write_bytes, write_json
    from heqcodec.eval.baselines.ffmpeg import run_ffmpeg
    from heqcodec.eval.report import environment
    from heqcodec.file.options import step_of_quality
    from heqcodec.lab.classifier.images import load_images
    from heqcodec.lab.sequences import comparison
    from heqcodec.lab.sequences.classification import classify_sequences
    from heqcodec.lab.sequences.patch_states import StateRules
    from heqcodec.lab.training.log_rows import append_rows
    from heqcodec.lab.training.photographs import TILE, load_frames, load_tiles

    run_ffmpeg(["-version"])  # H.264 needs it after minutes of work
    tiles, data_hash = load_tiles(data)
    held = load_frames(held_out)[:photographs]
    places = np.linspace(0, len(tiles) - 1, chosen_on).round().astype(int)
    side = TILE - 2 * comparison.PATCH
    shift, tried = comparison.choose_shift(tiles[places], max(2, frames // 2), side, seed)
    say(f"Patches are skipped by a shift of {shift}.")
    rules = StateRules(step_of_quality(LOSS_QUALITY), shift)
    rows = comparison.measure(held, rules, frames, TILE, seed, say)
    loss = comparison.lose_frame(held, rules, frames + rules.period, TILE, seed, frames // 2)
    classes: list[dict[str, Any]] = []
    hashes = {"photographs": data_hash}
    if cifar:
        labelled = load_images(cifar)
        hashes["cifar"] = labelled.digest()
        classes = classify_sequences(labelled, images, max(1, images // 2), epochs, seeds, say)
    settings = {
        "photographs": len(held),
        "chosen_on": chosen_on,
        "frames": frames,
        "images": images,
        "epochs": epochs,
        "seed": seed,
        "seeds": seeds,
        "loss_quality": LOSS_QUALITY,
        "period": rules.period,
    }
    document = {
        "settings": settings,
        "data_sha256": hashes,
        **environment(),
        "skip_shift": shift,
        "shifts": tried,
        "bd_rate": comparison.bd_rates(rows),
        "lost_frame": loss,
        "classes": classes,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "curves.csv").unlink(missing_ok=True)
    append_rows(out / "curves.csv", rows)
    text = comparison.tables(rows, loss, classes)
    write_bytes(out / "table.md", text.encode())
    write_json(out / "sequences.json", document, indent=1)
    typer.echo(text, nl=False)
    say(f"Wrote sequences.json, curves.csv and table.md to {out}.")
