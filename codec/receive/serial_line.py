"""Packets as KISS frames on a serial line, as radio modems deliver them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from heqcodec.base.errors import HeqError
from heqcodec.packets.framing import KissStream, kiss_frame

from .inbox import Inbox
from .intake import Arrival

SCHEME = "serial"
PAUSE = 1.0
"""Seconds before a line that was unplugged is opened again."""


class SerialSource:
    """A serial line, opened again when it comes back.

    Args:
        device: path or URL of pyserial, such as /dev/ttyUSB0 or socket://host:port.
        speed: bits a second.

    Raises:
        HeqError: it cannot be opened.
    """

    scheme = SCHEME

    def __init__(self, device: str, speed: int) -> None:
        self.name = f"serial line {device}"
        self._device, self._speed = device, speed
        self._line: Any = None
        self._ended = threading.Event()
        self._open()

    async def run(self, inbox: Inbox) -> None:
        """See `heqcodec.receive.inbox.Source`."""
        loop = asyncio.get_running_loop()

        def deliver(packet: bytes) -> None:
            loop.call_soon_threadsafe(inbox.put, Arrival(packet, SCHEME))

        reader = threading.Thread(target=self._read, args=(deliver,), daemon=True)
        reader.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._ended.set()

    def send(self, way: str, data: bytes) -> None:
        """See `heqcodec.receive.inbox.Source`."""
        try:
            self._line.write(kiss_frame(data))
            self._line.flush()
        except OSError as error:
            raise HeqError(f"{self.name}: {error}.") from error

    def _open(self) -> None:
        from serial import SerialException, serial_for_url

        try:
            self._line = serial_for_url(self._device, self._speed, timeout=0.1)
        except (SerialException, ValueError) as error:
            raise HeqError(f"{self.name}: {error}.") from error

    def _read(self, deliver: Any) -> None:
        stream = KissStream()
        while not self._ended.is_set():
            try:
                data = self._line.read(1)
                data += self._line.read(self._line.in_waiting)
            except OSError:
                self._line.close()
                while not self._ended.wait(PAUSE):
                    try:
                        self._open()
                        break
                    except HeqError:
                        continue
                continue
            for packet in stream.feed(data):
                deliver(packet)
        self._line.close()
