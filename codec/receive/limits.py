"""What senders may take up here: packets can come from anybody."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on memory and on the disk.

    Attributes:
        senders: of which images are here; packets of more are refused.
        open_images: of a sender that are received at the same time; of one more, the one of which
            nothing came for the longest is taken for over.
        open_packets: of all images that are received; likewise.
        open_patches: of all images that are received; likewise.
        images: of a sender that are kept; of one more, the oldest and its files are removed.
        sender_bytes: of a sender's packets that are stored; where more come, the oldest images
            keep their files and lose their packets, and at last packets are refused.
        waiting: packets of all images of which no start packet has come; more are refused.
        pixels: of an image; larger ones are refused.
        timeout: seconds without a packet after which an image is over.
        queue: packets that have come and are not stored yet; more are dropped.
    """

    senders: int = 4096
    open_images: int = 8
    open_packets: int = 1 << 19
    open_patches: int = 1 << 24
    images: int = 1000
    sender_bytes: int = 16 << 20
    waiting: int = 4096
    pixels: int = 1 << 24
    timeout: float = 3600
    queue: int = 1 << 16
