"""The images that are received, by sender, within the limits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from heqcodec.packets.layout import Start

from .progress import Progress


@dataclass
class Sender:
    """Who sends.

    Attributes:
        open: images that are received, by their number; the one that was heard of last is last.
        size: bytes of packets that are stored, of all images.
        images: that are kept.
        start: the last start packet, which may serve another image.
    """

    open: OrderedDict[int, Progress] = field(default_factory=OrderedDict)
    size: int = 0
    images: int = 0
    start: Start | None = None


class Senders:
    """All senders, and what they hold together.

    Attributes:
        open_packets: packets that open images remember.
        open_patches: patches of open images.
        waiting: packets of images without a start.
        known: senders of which a start packet came.
    """

    def __init__(self) -> None:
        self._senders: dict[int, Sender] = {}
        self._heard: OrderedDict[int, Progress] = OrderedDict()
        self.open_packets = self.open_patches = self.waiting = self.known = 0

    def __getitem__(self, sender: int) -> Sender:
        return self._senders.setdefault(sender, Sender())

    def find(self, sender: int, image: int) -> Progress | None:
        """The image of this number that is received."""
        entry = self._senders.get(sender)
        return entry.open.get(image) if entry else None

    def by_key(self, key: int) -> Progress | None:
        """The open image of a key."""
        return self._heard.get(key)

    def is_known(self, sender: int) -> bool:
        """Whether a start packet of the sender came."""
        entry = self._senders.get(sender)
        return entry is not None and entry.start is not None

    def resume(self, sender: int, images: int, size: int) -> None:
        """Count what was kept before."""
        self[sender].images, self[sender].size = images, size

    def open(self, image: Progress, new: bool) -> None:
        """Receive an image; one that is new is not counted yet."""
        entry = self[image.sender]
        entry.open[image.image] = image
        entry.images += new
        self._heard[image.key] = image
        self.open_packets += image.stored
        if image.start is None:
            self.waiting += image.stored
        else:
            self.open_patches += image.start.patches

    def stored(self, image: Progress, size: int) -> None:
        """Count a packet of an image."""
        entry = self[image.sender]
        entry.size += size
        entry.open.move_to_end(image.image)
        self._heard.move_to_end(image.key)
        self.open_packets += 1
        if image.start is None:
            self.waiting += 1

    def begin(self, sender: int, start: Start) -> None:
        """Remember a start packet of a sender."""
        entry = self[sender]
        self.known += entry.start is None
        entry.start = start

    def close(self, image: Progress) -> None:
        """Receive it no more."""
        entry = self[image.sender]
        del entry.open[image.image]
        del self._heard[image.key]
        self.open_packets -= image.stored
        if image.start is not None:
            self.open_patches -= image.start.patches
        else:
            self.waiting -= image.stored
            entry.images -= 1
            entry.size -= image.size
            self._tidy(image.sender)

    def forget(self, sender: int, images: int, size: int) -> None:
        """Count images of a sender that are kept no more, and bytes."""
        entry = self[sender]
        entry.images -= images
        entry.size -= size

    def oldest(self, sender: int | None = None) -> Progress:
        """The open image, of a sender or of all, of which nothing came for the longest."""
        open_images = self._heard if sender is None else self[sender].open
        return next(iter(open_images.values()))

    def heard(self) -> Iterator[Progress]:
        """Open images; the one of which nothing came for the longest is first."""
        return iter(self._heard.values())

    def __len__(self) -> int:
        return len(self._heard)

    def _tidy(self, sender: int) -> None:
        entry = self._senders[sender]
        if not entry.open and not entry.images and entry.start is None:
            del self._senders[sender]
