"""``heqcodec packetize`` and ``assemble``: packets for links that lose some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from heqcodec.base.arguments import TuneName
from heqcodec.base.errors import HeqError

from .common.options import Force, JsonFacts, Quiet, Tune, Verbose
from .common.terminal import (
    about,
    check_output,
    print_json,
    read_input,
    reports_errors,
    say,
    tell,
    usage_error,
    write_output,
)

if TYPE_CHECKING:
    from heqcodec.image.arrays import LoadedImage
    from heqcodec.packets.assembler import ImageState

MOST_PACKETS = 65535

Size = Annotated[
    int,
    typer.Option("--size", min=32, max=1400, metavar="BYTES", help="Most bytes of a packet."),
]
Quality = Annotated[
    float | None, typer.Option("-q", "--quality", metavar="Q", help="1 to 100, of an image.")
]
Fec = Annotated[
    float,
    typer.Option(
        "--fec",
        min=0,
        max=100,
        metavar="PERCENT",
        help="Parity packets, in percent of the others; who receives needs the extra link.",
    ),
]
Order = Annotated[
    str,
    typer.Option(
        "--order", metavar="ORDER", help="interleaved: lost packets leave neighbours; or rows."
    ),
]


@reports_errors
def packetize(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="An image or a .heq file; - is standard input.")
    ],
    output: Annotated[
        str, typer.Argument(metavar="OUT", help="A .pkt file; - is standard output.")
    ],
    size: Size = 222,
    quality: Quality = None,
    tune: Tune = "psnr",
    fec: Fec = 0,
    order: Order = "interleaved",
    most: Annotated[
        int | None,
        typer.Option(
            "--packets",
            min=1,
            max=MOST_PACKETS,
            metavar="N",
            help="The best quality of an image that takes at most N packets, parity packets "
            "included.",
        ),
    ] = None,
    sender: Annotated[int, typer.Option("--sender", min=0, max=65535)] = 0,
    image: Annotated[int, typer.Option("--image", min=0, max=255)] = 0,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Cut an image into packets, of which each stands alone.

    OUT has each packet behind its length in two bytes, the higher one first.
    """
    if source != "-":
        check_output(source, output, force)
    if most is not None and quality is not None:
        raise usage_error("it chooses the quality; leave --quality out.", "--packets")
    loaded = loaded_input(source)
    with about(source):
        packets = packets_of_input(loaded, size, quality, fec, order, sender, image, most, tune)
        unsent = _not_sent(loaded)
    if unsent and not quiet:
        say(f"{source}: packets carry neither alpha nor metadata; left out: {', '.join(unsent)}.")
    write_packets(output, packets)
    if not quiet and output != "-":
        tell(f"{output}: {len(packets)} packets, {sum(map(len, packets)):,} bytes")


@reports_errors
def assemble(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="IN... [OUT]",
            help="Files of packets (.pkt, KISS) or folders with a packet a file, - for standard "
            "input; then OUT.png for the picture as far as it is known, or OUT.heq.",
        ),
    ],
    sender: Annotated[int | None, typer.Option("--sender", help="Where there are several.")] = None,
    image: Annotated[int | None, typer.Option("--image", help="Where there are several.")] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Print the numbers of the packets that did not come.")
    ] = False,
    force: Force = False,
    as_json: JsonFacts = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Put packets together: the picture so far, or the .heq file once all have come.

    Without OUT it says what is there, and what is missing.
    """
    from heqcodec.packets import PacketAssembler

    inputs, output = _outputs(paths)
    if output is not None:
        check_output(inputs[0], output, force)
    assembler = PacketAssembler()
    for path in inputs:
        assembler.feed_all(_read_packets(path))
    if assembler.replaced and not quiet:
        say(
            f"Images replaced by later ones of the same numbers: {assembler.replaced}; assemble "
            "their packets apart."
        )
    with about(", ".join(inputs)):
        found = _chosen(assembler.images(), sender, image)
    if output is not None:
        _write(found, output)
    known = int(found.valid.sum())
    facts = {
        "sender": found.sender,
        "image": found.image,
        "patches": int(found.valid.size),
        "known": known,
        "missing": found.missing(),
        "refused": assembler.refused,
        "replaced": assembler.replaced,
    }
    if as_json:
        print_json(facts)
    elif missing:
        tell(" ".join(map(str, found.missing())))
    elif not quiet:
        tell(f"{known} of {found.valid.size} patches, {len(found.missing())} packets missing")


def loaded_input(source: str) -> bytes | LoadedImage:
    """The bytes of a .heq file, or another image."""
    from heqcodec.container.header import MAGIC
    from heqcodec.image.images import load_image

    data = read_input(source)
    if data.startswith(MAGIC):
        return data
    with about(source):
        return load_image(data)


def _not_sent(source: bytes | LoadedImage) -> list[str]:
    """What an image has that packets do not carry."""
    from heqcodec.api import info, read_metadata

    if isinstance(source, bytes):
        kept = vars(read_metadata(source, partial=True))
        alpha = info(source, partial=True)["alpha"]
    else:
        kept, alpha = vars(source), source.alpha is not None
    names = [name for name in ("icc", "exif", "xmp", "geo") if kept[name] is not None]
    return ["alpha", *names] if alpha else names


def packets_of_input(
    source: bytes | LoadedImage,
    size: int,
    quality: float | None,
    fec: float,
    order: str,
    sender: int,
    image: int,
    most: int | None = None,
    tune: TuneName = "psnr",
) -> list[bytes]:
    """The packets of what `loaded_input` gave; the other arguments are options of `packetize`."""
    from heqcodec import encode
    from heqcodec.packets import packetize

    if order not in ("rows", "interleaved"):
        raise usage_error(f"{order!r} is no order; rows and interleaved are.", "--order")
    interleaved = order == "interleaved"

    def packets_of(file: bytes) -> list[bytes]:
        return packetize(file, size, sender=sender, image=image, interleaved=interleaved, fec=fec)

    if isinstance(source, bytes):
        tuned = None if tune == "psnr" else tune
        for option, value in (("--quality", quality), ("--packets", most), ("--tune", tuned)):
            if value is not None:
                raise usage_error(f"a .heq file is encoded already; leave {option} out.", option)
        return packets_of(source)

    def packets_at(quality: float | None) -> list[bytes]:
        return packets_of(encode(source, quality=quality, tune=tune, strip_metadata=True))

    return packets_at(quality) if most is None else _fitting(packets_at, most)


def _fitting(packets_at: Callable[[float], list[bytes]], most: int) -> list[bytes]:
    """The packets of the best quality at which there are at most so many.

    Raises:
        HeqError: the lowest quality takes more.
    """
    from heqcodec.file.options import HIGHEST, LOWEST, quality_of_step, step_of_quality
    from heqcodec.file.target_search import finest_fitting_step

    made: dict[int, list[bytes]] = {}
    error: HeqError | None = None

    def of_quality(step: int) -> int:
        """Steps beyond the qualities stand for the nearest one."""
        return min(max(step, step_of_quality(HIGHEST)), step_of_quality(LOWEST))

    def count_at(step: int) -> int:
        nonlocal error
        kept = of_quality(step)
        try:
            made[kept] = made.get(kept) or packets_at(quality_of_step(kept))
        except HeqError as failed:  # Too fine for packets of this size, or nothing fits at all.
            error = failed
            return MOST_PACKETS + 1
        return len(made[kept])

    try:
        return made[of_quality(finest_fitting_step(count_at, most))]
    except HeqError:
        if not made and error:
            raise error from None
        least = min(map(len, made.values()))
        raise HeqError(
            f"The image takes {least} packets at the lowest quality, more than the {most} that are "
            "allowed; allow more or larger ones, or make the image smaller."
        ) from None


def _outputs(paths: list[str]) -> tuple[list[str], str | None]:
    """Inputs and output: the last path is one if it names a picture or a .heq file."""
    from heqcodec.image.output_formats import SUFFIXES

    suffix = Path(paths[-1]).suffix.lower()
    if len(paths) > 1 and (suffix == ".heq" or suffix in SUFFIXES):
        return paths[:-1], paths[-1]
    return paths, None


def _chosen(images: list[ImageState], sender: int | None, image: int | None) -> ImageState:
    found = [
        state
        for state in images
        if state.start and sender in (None, state.sender) and image in (None, state.image)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise HeqError(
            "no start packet of such an image is there; it was lost, or this is no file of packets."
        )
    named = ", ".join(f"--sender {state.sender} --image {state.image}" for state in found)
    raise HeqError(f"there are packets of several images; choose one: {named}.")


def _write(image: ImageState, output: str) -> None:
    if output.lower().endswith(".heq"):
        write_output(output, image.to_heq())
        return
    from heqcodec.image.output_formats import save_image

    save_image(image.picture(), output)


def write_packets(output: str, packets: list[bytes]) -> None:
    """Write packets as a .pkt file, or to standard output for ``-``."""
    from heqcodec.packets.framing import LENGTH

    write_output(output, b"".join(LENGTH.pack(len(packet)) + packet for packet in packets))


def _read_packets(path: str) -> Iterator[bytes]:
    from heqcodec.packets.framing import whole_stream

    if path != "-" and Path(path).is_dir():
        for name in sorted(Path(path).iterdir()):
            if name.is_file():
                yield name.read_bytes()
        return
    yield from whole_stream(read_input(path))
