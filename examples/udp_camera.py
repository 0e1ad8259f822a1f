"""A camera on a UDP link: sends the packets of an image until each is acknowledged.

    heqcodec receive --udp 5000 --out received/
    python examples/udp_camera.py photo.png 127.0.0.1 5000 [--loss 20] [--quality 25]

The receiver answers a packet that it has stored with the packet's last four bytes, and may ask for
packets by a resend list (docs/PACKETS.md). ``--loss`` drops packets on the way, in percent.
"""

from __future__ import annotations

import argparse
import random
import socket
import time

import heqcodec
from heqcodec.base.errors import HeqFormatError
from heqcodec.packets.resend import read_resend

PATIENCE = 1.0
"""Seconds after the last answer before what is not acknowledged is sent again."""


def main() -> None:
    """Send one image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--loss", type=float, default=0)
    parser.add_argument("--quality", type=float, default=25)
    parser.add_argument("--sender", type=int, default=1)
    parser.add_argument("--number", type=int, default=int(time.time()) % 256)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    file = heqcodec.encode(arguments.image, quality=arguments.quality, strip_metadata=True)
    packets = heqcodec.packetize(
        file, 222, sender=arguments.sender, image=arguments.number, interleaved=True
    )
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.connect((arguments.host, arguments.port))
    link.settimeout(PATIENCE)
    waiting = {packet[-4:]: packet for packet in packets}
    for turn in range(arguments.rounds):
        for packet in waiting.values():
            if random.random() >= arguments.loss / 100:
                link.send(packet)
            time.sleep(0.02)
        hear(link, packets, waiting)
        print(f"round {turn + 1}: {len(packets) - len(waiting)} of {len(packets)} are stored")
        if not waiting:
            return
    raise SystemExit("nobody acknowledged the others.")


def hear(link: socket.socket, packets: list[bytes], waiting: dict[bytes, bytes]) -> None:
    """Take answers until none comes."""
    while waiting:
        try:
            answer = link.recv(64)
        except (TimeoutError, ConnectionRefusedError):
            return
        if len(answer) == 4:
            waiting.pop(answer, None)
            continue
        try:
            _, _, numbers = read_resend(answer)
        except HeqFormatError:
            continue
        for number in numbers:
            if number < len(packets):  # Without parity packets, the place is the number.
                link.send(packets[number])


if __name__ == "__main__":
    main()
