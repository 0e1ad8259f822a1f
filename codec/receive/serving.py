"""Puts the receiver together, and runs it with its page until it is ended."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from heqcodec.base.errors import HeqError

from .access import is_loopback
from .folder import FolderSource
from .inbox import Source
from .limits import Limits
from .service import Receiver
from .udp import UdpSource, parse_address
from .web import Web

LOCK = "receiver.lock"


@dataclass(frozen=True)
class Options:
    """What `heqcodec receive` was given; see its help.

    Attributes:
        folder: of the store and the images.
        udp, serial, watch, mqtt: sources; None for none.
        speed: of the serial line, bits a second.
        host, port: of the page; port 0 for any.
        token: for other machines; None to make one where it is needed.
        processes: that decode.
        decoder: of the pictures that are written.
    """

    folder: Path
    udp: str | None
    serial: str | None
    speed: int
    watch: Path | None
    mqtt: str | None
    host: str
    port: int
    token: str | None
    processes: int
    decoder: str


def serve(options: Options, limits: Limits) -> None:
    """Receive until SIGINT or SIGTERM.

    Raises:
        HeqError: a source cannot be used, the address is taken, or another receiver has the folder.
    """
    logging.basicConfig(level=logging.WARNING, format="heqcodec receive: %(message)s")
    options.folder.mkdir(parents=True, exist_ok=True)
    with _lock(options.folder):
        asyncio.run(_serve(options, limits))


async def _serve(options: Options, limits: Limits) -> None:
    token = options.token
    if token is None and not is_loopback(options.host):
        token = secrets.token_urlsafe(16)
    page = _listening(options.host, options.port)
    receiver = Receiver(options.folder, limits, options.processes, options.decoder)
    web = Web(receiver, token)
    server = _Server(web)
    try:
        sources = _sources(options, receiver)
        _say_hello(options, page, sources, token)
        receiving = asyncio.create_task(receiver.run(sources))
        spreading = asyncio.create_task(web.spread_changes())
        serving = asyncio.create_task(server.serve([page]))
        asked = asyncio.create_task(_asked_to_end())
        done, _ = await asyncio.wait(
            (receiving, serving, spreading, asked), return_when=asyncio.FIRST_COMPLETED
        )
        server.should_exit = True
        web.ended.set()  # Else the server would wait for its streams of events.
        await serving
        for task in (spreading, receiving, asked):
            task.cancel()
        await asyncio.gather(spreading, receiving, asked, return_exceptions=True)
        for task in done:
            task.result()
    finally:
        receiver.decoding.close()
        page.close()


class _Server(uvicorn.Server):
    """uvicorn, without its own answer to signals."""

    def __init__(self, web: Web) -> None:
        super().__init__(
            uvicorn.Config(
                web.app,
                log_level="warning",
                timeout_graceful_shutdown=2,
                limit_concurrency=256,
                ws="none",
                lifespan="off",
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """See uvicorn."""
        yield


async def _asked_to_end() -> None:
    """Wait for SIGINT or SIGTERM."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host.strip("[]"), port))
        made.listen(128)
    except OSError as error:
        made.close()
        raise HeqError(f"The page cannot be at {host}:{port}: {error.strerror}.") from error
    return made


def _sources(options: Options, receiver: Receiver) -> list[Source]:
    sources: list[Source] = []
    if options.udp is not None:
        sources.append(UdpSource(*parse_address(options.udp)))
    if options.serial is not None:
        from .serial_line import SerialSource

        sources.append(SerialSource(options.serial, options.speed))
    if options.watch is not None:
        sources.append(FolderSource(options.watch, receiver.read_places()))
    if options.mqtt is not None:
        from .mqtt import MqttSource

        sources.append(MqttSource(options.mqtt, options.folder))
    return sources


def _say_hello(
    options: Options, page: socket.socket, sources: list[Source], token: str | None
) -> None:
    host = f"[{options.host}]" if ":" in options.host else options.host
    address = f"http://{host}:{page.getsockname()[1]}/" + (f"?token={token}" if token else "")
    for line in (*(f"receives from {source.name}" for source in sources), f"page {address}"):
        print(line, file=sys.stdout, flush=True)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Keep a second receiver out of a folder.

    Raises:
        HeqError: there is one.
    """
    with (folder / LOCK).open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise HeqError(f"Another receiver runs in {folder}.") from error
        yield
