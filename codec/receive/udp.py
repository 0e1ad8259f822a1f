"""Packets as datagrams, one in each; the answer to one that is stored is its checksum, 4 bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial

from heqcodec.base.errors import HeqError
from heqcodec.packets.layout import CRC, LARGEST

from .inbox import Inbox
from .intake import Arrival

AT_ONCE = 512
"""Datagrams that are read before other work of the event loop."""
BUFFER = 8 << 20
"""Bytes that the system holds for us, if it may."""
SCHEME = "udp"


def parse_address(text: str) -> tuple[str, int]:
    """Address and port of ``[HOST:]PORT``, by default of this machine alone.

    Raises:
        HeqError: it is none.
    """
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise HeqError(f"{text} is no port, nor an address with one.")
    return host.strip("[]") or "127.0.0.1", int(port)


class UdpSource:
    """A socket.

    Args:
        host: address to listen on.
        port: 0 for any that is free.

    Raises:
        HeqError: it cannot be bound.
    """

    scheme = SCHEME

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._socket.setblocking(False)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise HeqError(f"UDP port {port} of {host}: {error.strerror}.") from error
        self.port: int = self._socket.getsockname()[1]
        self.name = f"udp {host} port {self.port}"

    async def run(self, inbox: Inbox) -> None:
        """See `heqcodec.receive.inbox.Source`."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._read, inbox)
        try:
            await asyncio.Event().wait()
        finally:
            loop.remove_reader(self._socket)
            self._socket.close()

    def send(self, way: str, data: bytes) -> None:
        """See `heqcodec.receive.inbox.Source`."""
        _, host, port = way.split(" ")
        try:
            self._socket.sendto(data, (host, int(port)))
        except OSError as error:
            raise HeqError(f"{host} port {port}: {error.strerror}.") from error

    def _read(self, inbox: Inbox) -> None:
        for _ in range(AT_ONCE):
            try:
                data, address = self._socket.recvfrom(LARGEST + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # An answer that nobody took, on some systems.
                continue
            done = partial(self._answer, data[-CRC.size :], address)
            way = f"{SCHEME} {address[0]} {address[1]}"
            inbox.put(Arrival(data, way, done=done))

    def _answer(self, checksum: bytes, address: tuple[str, int], accepted: bool) -> None:
        if accepted:
            with contextlib.suppress(OSError):  # It asks again.
                self._socket.sendto(checksum, address)
