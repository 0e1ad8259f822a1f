"""Options that several commands share, as types for their parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from heqcodec.base.arguments import BackendName, CoderName, ModeName, TuneName

from .terminal import check_choice

file_option = partial(typer.Option, metavar="FILE", exists=True, dir_okay=False)
"""An option that takes a file that is there."""

Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object on standard output: files, the results, and failed, each with "
        "input and error. Of a name that is not UTF-8, input_base64 has the bytes.",
    ),
]
JsonFacts = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Recursive = Annotated[
    bool,
    typer.Option(
        "-r", "--recursive", help="Look in the folders of a folder too; OUT has the same."
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print errors alone: no results, no notes, no progress.")
]
Force = Annotated[bool, typer.Option("-f", "--force", help="Replace an output that exists.")]
Threads = Annotated[
    int | None,
    typer.Option(
        "-j",
        "--threads",
        min=1,
        metavar="N",
        help="Use N threads; all granted cores by default. Encoded bytes do not depend on it.",
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        min=1,
        metavar="N",
        help="Refuse larger images; about 90 million if unset.",
    ),
]
StripRows = Annotated[
    int | None,
    typer.Option(
        "--strip-rows",
        min=1,
        max=255,
        metavar="N",
        help="Rows of patches (32 pixels) in a strip, which a damaged byte costs: 4 if unset, 1 in "
        "patch mode and with a budget, 32 if packed, often the whole image.",
    ),
]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Say more, and show where an error comes from.")
]


def _checked_device(name: str) -> str:
    check_choice(name.partition(":")[0], ["auto", "cpu", "cuda", "mps", "xpu"], "--device")
    return name


Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="D", callback=_checked_device, help="auto, cpu, cuda or cuda:1."
    ),
]
Backend = Annotated[
    BackendName,
    typer.Option(
        "--backend",
        help="What runs the network; auto: onnx, or torch for a --device such as cuda.",
    ),
]
Quality = Annotated[
    float | None,
    typer.Option("-q", "--quality", metavar="Q", help="rate mode: 1 (smallest files) to 100."),
]
BitsPerPixel = Annotated[
    float | None,
    typer.Option(
        "--bpp",
        metavar="R",
        help="Bits per pixel. rate mode: at most R, any number; patch mode: 0.0625, 0.125, "
        "0.25 (if unset) or 0.5.",
    ),
]
TargetSize = Annotated[
    int | None,
    typer.Option(
        "--target-size", min=1, metavar="BYTES", help="rate mode: the file is not larger."
    ),
]
Budget = Annotated[
    int | None,
    typer.Option(
        "--budget",
        min=1,
        metavar="BYTES",
        help="rate mode: the file is not larger, by a step for each strip, in one pass.",
    ),
]
Mode = Annotated[
    ModeName,
    typer.Option(
        "--mode",
        help="rate: as many bits as a patch needs; patch: each 32x32 patch has the same size; "
        "auto: what the other options need, else that of the model.",
    ),
]
Coder = Annotated[
    CoderName,
    typer.Option(
        "--coder",
        help="device: what a camera can run; packed: smaller files, as `heqcodec pack` makes.",
    ),
]
Tune = Annotated[
    TuneName,
    typer.Option(
        "--tune",
        help="rate mode: ssim and texture for the eye: low frequencies finer, faint detail kept.",
    ),
]
Raw = Annotated[
    str | None,
    typer.Option(
        "--raw",
        metavar="WxH:KIND",
        help="The inputs are raw dumps of an image sensor, such as 640x480:rgb565, yuyv, nv12 "
        "or srggb10p; docs/EMBEDDED.md lists kinds and options.",
    ),
]
Index = Annotated[
    bool,
    typer.Option("--index", help="rate mode: an index of the strips, for readers over a network."),
]
Progressive = Annotated[
    bool,
    typer.Option(
        "--progressive",
        help="rate mode: the lowest frequencies of the whole image come first.",
    ),
]
ByRows = Annotated[
    bool,
    typer.Option(
        "--rows",
        help="For huge frames: read TIFF, PNG, JPEG or a raw dump, or write TIFF, PNG, PPM or "
        "PGM, a band of rows at a time, in little memory, of any size if --max-pixels is unset.",
    ),
]
StripMetadata = Annotated[
    bool, typer.Option("--strip", help="Leave out ICC profile, EXIF and XMP; alpha stays.")
]


def model_names() -> list[str]:
    """What ``--model`` takes in addition to "default"."""
    from heqcodec.models import registry

    return registry.model_names()


def offered_decoders() -> list[str]:
    """Decoders that a model here has."""
    from heqcodec.models import registry

    return list(
        dict.fromkeys(
            name for model in registry.model_names() for name in registry.offered_decoders(model)
        )
    )


def choice_option(
    flag: str, metavar: str | None, offered: Callable[[], list[str]], usual: str, help: str
) -> Any:
    """An option that takes ``usual``, or a name that ``offered`` lists; only then is it called."""

    def checked(name: str) -> str:
        if name != usual:
            check_choice(name, offered(), flag)
        return name

    return typer.Option(flag, metavar=metavar, callback=checked, autocompletion=offered, help=help)


Model = Annotated[
    str,
    choice_option("--model", "M", model_names, "default", "A name that `heqcodec models` lists."),
]
Decoder = Annotated[
    str,
    choice_option(
        "--decoder",
        None,
        offered_decoders,
        "strong",
        "strong; or of files of variable rate fast, a smaller network; best, a larger one, run "
        "on four flips and turns of the frame (best-2: two, best-8: eight); plain, no "
        "network: it needs neither onnxruntime nor torch. `heqcodec models` lists a model's.",
    ),
]
HeqInputs = Annotated[
    list[str],
    typer.Argument(metavar="IN...", help=".heq files, folders or globs; - is standard input."),
]
HeqOutput = Annotated[
    str, typer.Argument(metavar="OUT", help="A .heq file, or a folder; - is standard output.")
]
Published = Annotated[
    list[str] | None,
    typer.Option(
        "--published",
        metavar="NAME",
        help="Add a published curve, as bpg444 or vtm,av1; may be given several times. "
        "An unknown name lists all.",
    ),
]
PublishedOn = Annotated[
    str,
    typer.Option("--published-on", metavar="SET", help="The images that published curves are of."),
]
Photographs = Annotated[
    Path,
    typer.Option(
        "--data", metavar="DIR", exists=True, help="Photographs to train on, or a pack of tiles."
    ),
]
TestPhotographs = Annotated[
    Path,
    typer.Option(
        "--held-out", metavar="DIR", exists=True, file_okay=False, help="Photographs to test."
    ),
]
HeldOut = Annotated[
    Path | None,
    typer.Option(
        "--held-out",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Photographs to measure on; otherwise a fiftieth of the tiles.",
    ),
]
StopAfter = Annotated[
    float | None,
    typer.Option("--minutes", min=0.0, metavar="N", help="Stop after N minutes of training."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the last checkpoint in the output folder.")
]
FloatMinutes = Annotated[
    float | None,
    typer.Option(
        "--float-minutes",
        min=0.001,
        metavar="M",
        help="Of the float baseline that all begin from.",
    ),
]
Width = Annotated[
    int, typer.Option("--width", min=4, metavar="N", help="Channels of the first layer, even.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of everything.")]
Results = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results.")]
