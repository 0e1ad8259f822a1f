"""``heqcodec receive``: packets from radios, to images and a page that shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from heqcodec.base.errors import HeqError

from .common.options import Decoder, Verbose
from .common.terminal import reports_errors, usage_error


def _checked_udp(address: str | None) -> str | None:
    from heqcodec.receive.udp import parse_address

    try:
        if address is not None:
            parse_address(address)
    except HeqError as error:
        raise usage_error(str(error), "--udp") from error
    return address


@reports_errors
def receive(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder of the images and of the packets."),
    ],
    udp: Annotated[
        str | None,
        typer.Option(
            "--udp",
            metavar="[HOST:]PORT",
            callback=_checked_udp,
            help="Packets as datagrams; on this machine alone unless an address is given, such as "
            "0.0.0.0:5000.",
        ),
    ] = None,
    serial: Annotated[
        str | None,
        typer.Option("--serial", metavar="DEV", help="KISS frames of a serial line."),
    ] = None,
    speed: Annotated[
        int, typer.Option("--speed", metavar="BAUD", help="Of the serial line.")
    ] = 115200,
    watch: Annotated[
        Path | None,
        typer.Option(
            "--watch",
            metavar="DIR",
            help="A folder: files of a packet each, and .pkt or .kiss files that may grow.",
        ),
    ] = None,
    mqtt: Annotated[
        str | None,
        typer.Option(
            "--mqtt",
            metavar="URL",
            help="mqtt://user@host:port/topic, or mqtts://; user, port and topic may be left out: "
            "then the uplinks of The Things Stack and ChirpStack. The password is in "
            "HEQCODEC_MQTT_PASSWORD.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address of the page; other machines need --token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Of the page; 0 for any.")
    ] = 8080,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="HEQCODEC_TOKEN",
            help="Who has it may see the page; made if --host is another address than this "
            "machine's own.",
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            min=1,
            metavar="SECONDS",
            help="Without a packet for so long an image is over, and the next packet of its number "
            "begins a new one.",
        ),
    ] = 3600,
    images: Annotated[
        int, typer.Option("--images", min=1, help="Of a sender, that are kept.")
    ] = 1000,
    senders: Annotated[int, typer.Option("--senders", min=1, help="At most.")] = 4096,
    sender_bytes: Annotated[
        int, typer.Option("--sender-bytes", min=4096, help="Of a sender's packets, stored at most.")
    ] = 16 << 20,
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", min=1, metavar="N", help="Of an image, at most.")
    ] = 1 << 24,
    processes: Annotated[int, typer.Option("-j", "--processes", min=1, help="That decode.")] = 1,
    decoder: Decoder = "strong",
    verbose: Verbose = False,
) -> None:
    """Receive packets, and show the images as they fill in.

    Needs the extra receive. What was acknowledged is on the disk. Ctrl-C ends it; started again,
    it goes on.
    """
    if not (udp or serial or watch or mqtt):
        raise usage_error("give at least one of --udp, --serial, --watch and --mqtt.", "--udp")
    from heqcodec.receive.limits import Limits
    from heqcodec.receive.serving import Options, serve

    limits = Limits(
        timeout=timeout,
        images=images,
        senders=senders,
        sender_bytes=sender_bytes,
        pixels=max_pixels,
    )
    serve(
        Options(
            folder=out,
            udp=udp,
            serial=serial,
            speed=speed,
            watch=watch,
            mqtt=mqtt,
            host=host,
            port=port,
            token=token,
            processes=processes,
            decoder=decoder,
        ),
        limits,
    )
