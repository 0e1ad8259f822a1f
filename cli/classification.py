"""``heqcodec classify``: what images show, by the encoder as a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from heqcodec.cli.decoding import is_heq
from heqcodec.cli.encoding import is_image

from .common.jobs import run_jobs
from .common.options import Json, MaxPixels, Quiet, Recursive, Threads, Verbose
from .common.sources import Job, Plan, find_sources
from .common.terminal import about, read_input, reports_errors, say, set_threads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@reports_errors
def classify(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES...",
            help="Images, .heq files, folders or globs; - is standard input.",
        ),
    ],
    max_pixels: MaxPixels = None,
    threads: Threads = None,
    recursive: Recursive = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Print the class of each image, one of CIFAR-10's ten, and its probability.

    The classifier sees 32x32 pixels: of any other image the centre square, reduced by Lanczos; .heq
    files are decoded first. It knows ten kinds of animals and vehicles, and names one of them
    whatever it is shown.
    """
    sources, many = find_sources(inputs, lambda path: is_image(path) or is_heq(path), recursive)
    set_threads(threads)

    from heqcodec.container.header import DEFAULT_MAX_PIXELS
    from heqcodec.models.classifiers import SIDE, as_seen, load_shipped

    classifier = load_shipped()
    if verbose:
        facts = classifier.facts
        say(f"{classifier.name}: {facts['accuracy']:.2f} % right, {facts['protocol']}.")
        say(f"Kernel: {classifier.network.encoder.kernel}.")

    def work(job: Job, _: object) -> dict[str, Any]:
        samples = _samples(job.source, max_pixels or DEFAULT_MAX_PIXELS)
        probabilities = classifier.probabilities(as_seen(samples)[None])[0]
        best = int(probabilities.argmax())
        height, width = samples.shape[:2]
        whole = (width, height) == (SIDE, SIDE)
        return {
            "input": job.source,
            "class": classifier.classes[best],
            "probability": round(float(probabilities[best]), 6),
            "probabilities": {
                name: round(float(probability), 6)
                for name, probability in zip(classifier.classes, probabilities, strict=True)
            },
            "width": width,
            "height": height,
            "seen": "all of it" if whole else f"centre square, Lanczos to {SIDE}x{SIDE}",
            "classifier": classifier.name,
        }

    plan = Plan([Job(source.path, "") for source in sources], many)
    run_jobs(plan, work, _line, "classifying", as_json=as_json, quiet=quiet)


def _samples(source: str, max_pixels: int) -> NDArray[np.uint8]:
    """uint8 (H, W, 1 to 4) of an image file or a .heq file."""
    import numpy as np
    from heqcodec import api
    from heqcodec.container.header import MAGIC
    from heqcodec.image.images import load_image

    data = read_input(source)
    with about(source):
        if data.startswith(MAGIC):
            return api.decode(data, max_pixels=max_pixels)
        image = load_image(data, max_pixels)
    if image.alpha is None:
        return image.pixels
    return np.concatenate([image.pixels, image.alpha[..., None]], axis=2)


def _line(result: dict[str, Any]) -> str:
    size = f"{result['width']}x{result['height']}"
    percent = 100 * result["probability"]
    return f"{result['input']}: {result['class']}, {percent:.1f} % ({size}, {result['seen']})"
