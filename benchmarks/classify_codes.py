"""Can images be classified from their compressed codes?

    python benchmarks/classify_codes.py cifar.npz [--images 1000] [--out DIR]

Three ways to the class of a coded image of 32x32 pixels, side by side in one run: at each rate of
nqe-vgg heads on the bits of its code, without decoding (linear, and with one hidden layer, trained
on the codes of all training images); the shipped classifier on what decoders show, of each model at
several rates; and the same classifier on the pixels themselves. Test images had no part in the
training of any of them. Bits of an image are 8 times the bytes of its real file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

MODEL = "nqe-vgg"
HIDDEN = 512
EPOCHS, BATCH, RATE, DECAY = 12, 256, 2e-3, 1e-2
DROPOUT = 0.3
QUALITIES = (10, 25, 45, 70, 90)


def codes_of(pixels: NDArray[np.uint8], bits: int) -> NDArray[np.float32]:
    """Images uint8 (N, 32, 32, 3) -> bits of their codes as -1 and 1, float32 (N, bits)."""
    from heqcodec.models import registry

    payload = registry.load_encoder(MODEL).encode_patches(pixels, bits)
    return np.unpackbits(payload, axis=1).astype(np.float32) * 2 - 1


def head_accuracy(
    train: NDArray[np.float32],
    train_labels: NDArray[np.uint8],
    test: NDArray[np.float32],
    test_labels: NDArray[np.uint8],
    hidden: int,
) -> float:
    """Percent of the test codes that a head trained on the others classifies right.

    Args:
        train, test: codes.
        train_labels, test_labels: of each.
        hidden: width of the hidden layer, 0 for a linear head.
    """
    import torch
    from torch import nn

    torch.manual_seed(1)
    bits, classes = train.shape[1], int(train_labels.max()) + 1
    layers: list[nn.Module] = [nn.Linear(bits, classes)]
    if hidden:
        layers = [nn.Linear(bits, hidden), nn.ReLU(), nn.Dropout(DROPOUT)]
        layers.append(nn.Linear(hidden, classes))
    head = nn.Sequential(*layers)
    steps = EPOCHS * (len(train) // BATCH)
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    inputs, labels = torch.from_numpy(train), torch.from_numpy(train_labels.astype(np.int64))
    for _ in range(EPOCHS):
        for picks in torch.randperm(len(inputs)).split(BATCH):
            if len(picks) < BATCH:
                continue
            loss = nn.functional.cross_entropy(head(inputs[picks]), labels[picks])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    head.eval()
    with torch.inference_mode():
        found = head(torch.from_numpy(test)).argmax(1).numpy()
    return 100 * float((found == test_labels).mean())


def coded(
    pixels: NDArray[np.uint8], model: str, rate: dict[str, float]
) -> tuple[NDArray[np.uint8], float]:
    """Images after coding into real files and decoding, same shape; and mean bits of a file."""
    import heqcodec

    files = [heqcodec.encode(image, model=model, strip_metadata=True, **rate) for image in pixels]
    bits = 8 * float(np.mean([len(file) for file in files]))
    return np.stack([heqcodec.decode(file) for file in files]), bits


def rates_of(model: str) -> list[dict[str, float]]:
    """Some rates of a model, as `heqcodec.encode` takes them."""
    from heqcodec.models import registry

    if registry.mode_of(model) == registry.RATE_MODE:
        return [{"quality": quality} for quality in QUALITIES]
    return [{"bpp": bits / 1024} for bits in registry.load_encoder(model).rates]


def main(
    data: Annotated[Path, typer.Argument(metavar="CIFAR", exists=True)],
    images: Annotated[
        int, typer.Option("--images", min=1, help="To be decoded; heads are tested on all.")
    ] = 1000,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for classify-codes.json.")] = (
        None
    ),
) -> None:
    """Print the table."""
    from heqcodec.eval.report import environment
    from heqcodec.lab.classifier import load_images
    from heqcodec.models import registry
    from heqcodec.models.classifiers import load_shipped

    found = load_images(data)
    classifier = load_shipped().network

    def right(pixels: NDArray[np.uint8]) -> float:
        best = classifier.scores(pixels).argmax(axis=1)
        return 100 * float((best == found.test_labels[: len(pixels)]).mean())

    heads: list[dict[str, Any]] = []
    for bits in registry.load_encoder(MODEL).rates:
        train, test = codes_of(found.train, bits), codes_of(found.test, bits)
        accuracies = [
            head_accuracy(train, found.train_labels, test, found.test_labels, hidden)
            for hidden in (0, HIDDEN)
        ]
        heads.append({"bits": bits, "linear": accuracies[0], "hidden": accuracies[1]})
        typer.echo(json.dumps(heads[-1]))
    files: list[dict[str, Any]] = []
    for model in registry.model_names():
        for rate in rates_of(model):
            shown, bits_of_file = coded(found.test[:images], model, rate)
            row = {"model": model, **rate, "bits_of_file": round(bits_of_file, 1)}
            files.append({**row, "accuracy": right(shown)})
            typer.echo(json.dumps(files[-1]))
    pixels = {"all": right(found.test), "coded_ones": right(found.test[:images])}
    typer.echo(
        f"On the pixels themselves {pixels['all']:.2f} % of all, {pixels['coded_ones']:.2f} % of "
        f"the {images} that were coded."
    )
    typer.echo(f"| bits of {MODEL}'s code | linear head, % | one hidden layer, % |\n|---|---|---|")
    for row in heads:
        typer.echo(f"| {row['bits']} | {row['linear']:.1f} | {row['hidden']:.1f} |")
    typer.echo("| decoded | rate | bits of a file | right, % |\n|---|---|---|---|")
    for row in files:
        rate = f"quality {row['quality']}" if "quality" in row else f"{row['bpp']} bpp"
        cells = f"{row['bits_of_file']:,.0f} | {row['accuracy']:.1f}"
        typer.echo(f"| {row['model']} | {rate} | {cells} |")
    if out:
        out.mkdir(parents=True, exist_ok=True)
        cells = {"images_sha256": found.digest(), "images": images, "seed": 1, "model": MODEL}
        cells |= {"pixels": pixels, "heads": heads, "files": files, **environment()}
        (out / "classify-codes.json").write_text(json.dumps(cells, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
