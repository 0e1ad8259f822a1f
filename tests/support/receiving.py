"""A receiver in a process of its own, and packets of a photograph for it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
from heqcodec.packets import packetize
from heqcodec.packets.layout import CRC
from small_models import photograph

PATIENCE = 600.0
"""Seconds that a test waits for what has to happen."""
WINDOW = 32
"""Packets that are on their way."""
AGAIN = 5.0
"""Seconds after which they are sent again."""


@lru_cache
def image_file(quality: float = 30, high: int = 192, wide: int = 256) -> bytes:
    """A photograph as a .heq file."""
    return heqcodec.encode(photograph()[100 : 100 + high, 60 : 60 + wide], quality=quality)


def packets(quality: float = 30, **options: Any) -> list[bytes]:
    """Its packets of up to 100 bytes, interleaved."""
    return packetize(image_file(quality), 100, interleaved=True, **options)


def mutated(packet: bytes, generator: np.random.Generator) -> bytes:
    """A packet with some bits turned, or cut, or grown."""
    data = bytearray(packet)
    kind = generator.integers(4)
    if kind == 0:
        return bytes(data[: generator.integers(len(data))])
    if kind == 1:
        return bytes(data) + generator.bytes(int(generator.integers(1, 1500)))
    for _ in range(int(generator.integers(1, 9))):
        place = int(generator.integers(14 if kind == 2 else len(data)))
        data[place] ^= 1 << int(generator.integers(8))
    return bytes(data)


def wait_for(found: Callable[[], Any]) -> Any:
    """What a function gives once it gives something.

    Raises:
        TimeoutError: it does not.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.05)
    raise TimeoutError("waited in vain")


@dataclass
class Running:
    """A receiver.

    Attributes:
        process: its process.
        address: of its page, ending with a slash.
        token: where it has one.
        port: of UDP; 0 where it has none.
    """

    process: subprocess.Popen[str]
    address: str
    token: str
    port: int

    def get(self, path: str) -> bytes:
        """The body of an answer."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(self.address + path, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return bytes(answer.read())

    def json(self, path: str = "api/images") -> dict[str, Any]:
        """The same as JSON."""
        found = json.loads(self.get(path))
        assert isinstance(found, dict)
        return found

    def images(self) -> list[dict[str, Any]]:
        """Summaries of the newest images, the newest first."""
        return list(self.json()["images"])


@contextmanager
def receiver(folder: Path, *options: object) -> Iterator[Running]:
    """A receiver that writes into a folder; killed in the end."""
    command = [sys.executable, "-m", "heqcodec", "receive", "--out", str(folder), "--port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, *map(str, options)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            port = 0
            for line in process.stdout:
                if found := re.search(r"udp .* port (\d+)", line):
                    port = int(found[1])
                if found := re.search(r"page (http://\S+/)(?:\?token=(\S+))?", line):
                    yield Running(process, found[1], found[2] or "", port)
                    return
            raise AssertionError("the receiver did not start")
        finally:
            process.kill()


class UdpSender:
    """A camera that sends each packet until it is acknowledged."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(PATIENCE)

    def send(self, sent: list[bytes]) -> None:
        """Send packets; all are stored when this returns."""
        for first in range(0, len(sent), WINDOW):
            asked = {packet[-CRC.size :]: packet for packet in sent[first : first + WINDOW]}
            while asked:
                for packet in asked.values():
                    self.socket.send(packet)
                self.socket.settimeout(AGAIN)
                with contextlib.suppress(TimeoutError):
                    while asked:
                        asked.pop(self.socket.recv(64), None)
        self.socket.settimeout(PATIENCE)
