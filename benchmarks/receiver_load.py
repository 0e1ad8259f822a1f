"""The receiver under load: packets a second stored, images a second decoded, memory over time.

    python benchmarks/receiver_load.py PHOTOGRAPH --out eval/results/link/receiver-load.md
        [--senders 2000] [--images 20] [--loss 10] [--seconds 240]

`heqcodec receive` runs as a process of its own with one decoding process, this one sends over the
loopback. All senders send at the same time, a packet each in turn, which is the worst order for a
store; a packet is sent again until it is acknowledged, so that what is measured is stored.

1. Burst: each sender sends an image of 320 x 240 pixels as fast as it is acknowledged.
2. Traffic: each sends images of 160 x 120, of which the loss is never sent, so that they end by
   timeout, while others are decoded. 20 images are an hour of cameras that send one each three
   minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path

import heqcodec
import numpy as np
from heqcodec.base.threads import processor_count
from heqcodec.packets import packetize
from heqcodec.packets.layout import CRC, HEAD, Kind, Start, parse
from PIL import Image

WINDOW = 1024
"""Packets that are sent and not acknowledged."""
AGAIN = 2.0
"""Seconds after which they are sent again."""
TIMEOUT = 10
ROWS = 24
"""Of the table."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Camera:
    """Packets of one photograph, for any sender and image number."""

    def __init__(self, photograph: Path, size: tuple[int, int]) -> None:
        with Image.open(photograph) as image:
            pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS))
        made = packetize(heqcodec.encode(pixels, quality=25), 222, interleaved=True)
        seed = Start.read(parse(made[0]).payload).seed()
        self._parts = [
            (packet[:2], packet[5 : -CRC.size], 0 if parse(packet).kind == Kind.START else seed)
            for packet in made
        ]
        self.packets = len(made)
        self.size = sum(map(len, made))

    def packet(self, number: int, sender: int, image: int) -> bytes:
        """One packet."""
        word, rest, seed = self._parts[number]
        body = word + HEAD.pack(0, sender, image, 0, 0, 0)[2:5] + rest
        return body + CRC.pack(zlib.crc32(body, seed))


class Link:
    """A socket on which a window of packets is on its way."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._waiting: dict[bytes, tuple[bytes, float]] = {}
        self.delays: list[float] = []

    def send(self, packets: Iterator[bytes]) -> int:
        """Send packets until all are acknowledged; how many there were."""
        count, more = 0, True
        while more or self._waiting:
            while more and len(self._waiting) < WINDOW:
                packet = next(packets, None)
                if packet is None:
                    more = False
                    break
                count += 1
                self._put(packet)
            self._hear()
        return count

    def _put(self, packet: bytes) -> None:
        self._waiting[packet[-CRC.size :]] = packet, time.perf_counter()
        self._socket.send(packet)

    def _hear(self) -> None:
        if not select.select([self._socket], [], [], AGAIN)[0]:
            for packet, _ in list(self._waiting.values()):
                self._put(packet)
            return
        while True:
            try:
                answer = self._socket.recv(64)
            except BlockingIOError:
                return
            found = self._waiting.pop(answer, None)
            if found:
                self.delays.append(time.perf_counter() - found[1])


class Receiver:
    """The process, and what it says of itself."""

    def __init__(self, folder: Path, senders: int) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "heqcodec", "receive", "--out", str(folder)]
        command += ["--udp", "0", "--port", "0", "--timeout", str(TIMEOUT), "-j", "1"]
        command += ["--senders", str(senders), "--decoder", "fast"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"udp .* port (\d+)", line):
                self.port = int(found[1])
            if found := re.search(r"page (\S+)", line):
                self._address = found[1]
                return
        raise SystemExit("the receiver did not start")

    def totals(self) -> dict:  # type: ignore[type-arg]
        """Counts of the page."""
        with urllib.request.urlopen(f"{self._address}api/images", timeout=60) as answer:
            return dict(json.load(answer)["totals"])

    def decoding(self) -> int | None:
        """The decoding process, the largest of those that the receiver started."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                if int(_fields(entry)[1]) == self.process.pid:
                    found.append(int(entry.parent.name))
            except (OSError, IndexError):
                continue
        return max(found, key=_resident, default=None)


def _fields(path: Path) -> list[str]:
    return path.read_text().rsplit(")", 1)[1].split()


def _seconds(process: int) -> float:
    """Processor time of a process."""
    fields = _fields(Path(f"/proc/{process}/stat"))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(process: int) -> float:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES / 1e6


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--senders", type=int, default=2000)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--loss", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=240)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        lines = measured(arguments, Path(name))
    arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def measured(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """The lines of the page."""
    senders = arguments.senders
    large = Camera(arguments.photograph, (320, 240))
    small = Camera(arguments.photograph, (160, 120))
    receiver = Receiver(folder, senders)
    try:
        link = Link(receiver.port)
        link.send(iter([large.packet(0, 0, 0)]))  # Models are loaded.
        link.delays.clear()
        begun, spent = time.perf_counter(), _seconds(receiver.process.pid)
        count = link.send(
            large.packet(number, sender, 0)
            for number in range(large.packets)
            for sender in range(senders)
        )
        seconds, spent = time.perf_counter() - begun, _seconds(receiver.process.pid) - spent
        burst = np.array(link.delays)
        rows, totals, rate, images = traffic(arguments, receiver, link, small)
    finally:
        receiver.process.kill()
        receiver.process.wait()
    size = sum(path.stat().st_size for path in folder.glob("packets.sqlite*")) / 1e6
    command = " ".join(Path(a).name if "/" in a else a for a in sys.argv)
    return [
        "# The receiver under load",
        "",
        f"`python {command}`, heqcodec {heqcodec.__version__}, {processor_count()} cores for the "
        "receiver, a decoding process, the senders and other work of the machine (load "
        f"{os.getloadavg()[2]:.0f}); each commit is synchronized to the disk.",
        "",
        f"Burst: {senders:,} senders, {count:,} packets of {large.size / large.packets:.0f} bytes "
        f"in {seconds:.1f} s: {count / seconds:,.0f} packets a second stored, "
        f"{count / spent:,.0f} a second of the receiver's processor time; from sending to "
        f"acknowledgement {1000 * np.median(burst):.0f} ms in the median, "
        f"{1000 * np.quantile(burst, 0.99):.0f} ms at the 99th percentile, with {WINDOW} packets "
        "on their way.",
        "",
        f"Traffic: {images} images of each sender, {arguments.loss:g} % of the packets "
        f"never sent, timeout {TIMEOUT} s; {rate:.1f} images decoded in a second of a core, by the "
        f"decoder fast, whole ones first: the {senders:,} of the burst.",
        "",
        "| s | packets stored | images received | images that wait | decoded | receiver, MB | "
        "decoding, MB |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"In the end the database had {size:.0f} MB, and the counts were "
        + ", ".join(f"{name} {number:,}" for name, number in totals["counts"].items())
        + ".",
    ]


def traffic(
    arguments: argparse.Namespace, receiver: Receiver, link: Link, camera: Camera
) -> tuple[list[str], dict, float, int]:  # type: ignore[type-arg]
    """Rows of a table, one each some seconds; the last counts; images decoded in a second of the
    processor; images that each sender sent."""
    generator = np.random.default_rng(0)
    rows, begun, image, pause = [], time.perf_counter(), 0, arguments.seconds / ROWS
    spent, before = 0.0, 0
    while True:
        totals = receiver.totals()
        elapsed = time.perf_counter() - begun
        decoding = receiver.decoding()
        own, other = (_resident(process) for process in (receiver.process.pid, decoding))
        done = sum(1 for _ in receiver.folder.glob("*/*.png"))
        rows.append(
            f"| {elapsed:.0f} | {totals['counts']['stored']:,} | {totals['receiving']:,} | "
            f"{totals['due']:,} | {done:,} | {own:.0f} | {other:.0f} |"
        )
        print(rows[-1], flush=True)
        if len(rows) == 2:  # The process has its networks.
            spent, before = _seconds(decoding), done
        over = image == arguments.images and not totals["due"] and not totals["receiving"]
        if over or elapsed > arguments.seconds:
            return rows, totals, (done - before) / (_seconds(decoding) - spent), image
        if image < arguments.images:
            image += 1
            kept = generator.random((camera.packets, arguments.senders)) >= arguments.loss / 100
            kept[0] = True
            link.send(
                camera.packet(number, sender, image)
                for number in range(camera.packets)
                for sender in range(arguments.senders)
                if kept[number, sender]
            )
        time.sleep(pause - (time.perf_counter() - begun) % pause)


if __name__ == "__main__":
    main()
