"""From packets in any order, of any senders, to images as far as they are known."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from heqcodec.base.errors import (
    HeqChecksumError,
    HeqError,
    HeqFormatError,
    HeqTruncatedError,
    HeqUnsupportedError,
)
from heqcodec.container.header import DEFAULT_MAX_PIXELS, Header, check_pixels
from heqcodec.file.encoding import rate_header
from heqcodec.nqe_r.coders import OWN
from heqcodec.nqe_r.layout import LEVEL_LIMIT
from numpy.typing import NDArray

from .codes import Codes, header_of
from .codes import write_file as write_codes
from .layout import START, Kind, Packet, Start, check, model_tag, parse
from .levels import Patches, write_file
from .parity import recovered

if TYPE_CHECKING:
    from heqcodec.base.rate_protocols import StripCoder

MOST_SENDERS = 4096
IMAGES_KEPT = 4
"""Images of a sender that are kept: the ones of which something came last."""
MOST_WAITING = 1024
"""Packets of an image that are kept until its start packet comes."""
MOST_PATCHES = 1 << 18
"""Patches of all images that are kept together: 1.6 GB of levels, if all of them come."""
_BAD = (HeqFormatError, HeqChecksumError, HeqTruncatedError)


def model_by_tag(tag: int) -> str:
    """Name of the model that a start packet names.

    Raises:
        HeqUnsupportedError: it is not here.
    """
    from heqcodec.models import registry

    for name in registry.model_names():
        if registry.mode_of(name) == registry.RATE_MODE:
            encoder_id = registry.load_rate_encoder(name).encoder_id
            coder_id = registry.load_strip_coder(name, OWN.number).coder_id
        else:
            encoder = registry.load_encoder(name)
            encoder_id, coder_id = encoder.encoder_id, encoder.coder_id
        if model_tag(encoder_id, coder_id) == tag:
            return name
    raise HeqUnsupportedError(
        f"packets of model {tag:08x}, which is not here; a newer version may have it."
    )


@dataclass
class ImageState:
    """The packets and levels that have arrived of an image.

    Attributes:
        sender, image: as in its packets.
        start: None until a start packet came, or one of another image of the sender served.
        model: name of the model.
        patches: in the order of rows; None until there is a start, and of patch-constant models.
        codes: of these models.
        numbers: of the numbered packets that came or were recovered.
        total: how many numbered packets there are; None while that is not known.
    """

    sender: int
    image: int
    start: Start | None = None
    model: str = ""
    patches: Patches | None = None
    codes: Codes | None = None
    numbers: set[int] = field(default_factory=set)
    total: int | None = None
    _coder: StripCoder | None = None
    _waiting: dict[bytes, None] = field(default_factory=dict)
    _packets: dict[int, Packet] = field(default_factory=dict)
    _parity: dict[int, dict[int, Packet]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all packets came, so that all patches are whole."""
        return self.total is not None and len(self.numbers) == self.total

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Of which patches something is known, bool (R, C).

        Raises:
            HeqError: no start packet came.
        """
        start = self._known()
        kept = self.patches or self.codes
        assert kept is not None
        return kept.known.reshape(start.rows, start.columns)

    def missing(self) -> list[int]:
        """Numbers of the packets that did not come, as far as they are known: up to the last one,
        or the highest that came where the last is not known."""
        if self.complete:
            return []
        end = self.total if self.total is not None else max(self.numbers, default=-1) + 1
        return [number for number in range(end) if number not in self.numbers]

    def header(self) -> Header:
        """The header of the file that the packets make.

        Raises:
            HeqError: no start packet came.
        """
        from heqcodec.models import registry

        start = self._known()
        if self._coder is None:
            return header_of(start, self.model)
        encoder_id = registry.load_rate_encoder(self.model).encoder_id
        shape = start.height, start.width, start.planes
        made = rate_header(shape, start.step, encoder_id, self._coder, start.strip_rows)
        return replace(made, gray_as_rgb=start.gray_as_rgb, weighted=start.weighted)

    def to_heq(self) -> bytes:
        """The file, byte for byte as the sender's, without metadata.

        Raises:
            HeqError: a patch is missing.
        """
        self._known()
        if not self.complete:
            raise HeqError(
                f"{len(self.missing()) or 'some'} of the packets are missing; a .heq file needs "
                "them all, a picture does not."
            )
        if self.codes is not None:
            return write_codes(self.header(), self.codes.codes)
        assert self._coder is not None and self.patches is not None
        return write_file(self.header(), self.patches, self._coder)

    def picture(self, decoder: str | None = None, device: str = "auto") -> NDArray[np.uint8]:
        """What is known of the image, decoded, with the rest filled; see
        `heqcodec.packets.picture`."""
        from .picture import picture

        return picture(self, decoder, device)

    def begin(self, start: Start, model: str) -> None:
        """Set the start; packets that waited for it are taken.

        Raises:
            HeqFormatError: the model has no such rate.
        """
        from heqcodec.models import registry

        if registry.mode_of(model) == registry.RATE_MODE:
            self._coder = registry.load_strip_coder(model, OWN.number)
            self.patches = Patches.none(start)
        else:
            self.codes = Codes.none(start, model)
        self.start, self.model = start, model
        self.total = start.packets or None
        waiting, self._waiting = list(self._waiting), {}
        for data in waiting:
            self.take(data)

    def take(self, data: bytes) -> bool:
        """Take a packet; whether it is good, as far as can be said."""
        if self.start is None:
            if len(self._waiting) < MOST_WAITING:
                self._waiting[data] = None
                return True
            return False
        try:
            packet = parse(data)
            check(data, 0 if packet.kind == Kind.START else self.start.seed())
            if packet.kind == Kind.PARITY:
                self._parity.setdefault(packet.number, {})[packet.count] = packet
                self._recover(packet.number)
            else:
                self._take(packet)
                for first in list(self._parity):
                    self._recover(first)
        except _BAD:
            return False
        return True

    def _take(self, packet: Packet) -> None:
        if packet.number in self.numbers:
            return
        self._decode(packet)
        self.numbers.add(packet.number)
        self._packets[packet.number] = packet
        if packet.last:
            self.total = packet.number + 1

    def _decode(self, packet: Packet) -> None:
        start, payload = self._known(), packet.payload
        if packet.kind == Kind.START:
            if Start.read(payload).seed() != start.seed():
                raise HeqFormatError("a start packet of another image")
            payload = payload[START.size :]
        positions = np.arange(packet.first, packet.first + packet.count)
        if packet.first + packet.count > start.patches:
            raise HeqFormatError("a packet with patches outside its image")
        if not packet.count:
            if packet.kind != Kind.START or payload:
                raise HeqFormatError("a packet without patches")
            return
        if self.codes is not None:
            self.codes.take(packet, payload, start)
            return
        assert self._coder is not None and self.patches is not None
        patches = self.patches
        levels, transform_sizes = self._coder.decode(
            payload, 1, packet.count, start.planes, packet.step
        )
        which = start.patches_at(positions)
        # Level 0 is in every part of a patch, any other one in a single part.
        joined = patches.levels[which].astype(np.int32) + levels[0]
        joined[..., 0] = levels[0, ..., 0]
        if np.abs(joined).max() > LEVEL_LIMIT:
            raise HeqFormatError("two parts of a patch that do not belong together")
        patches.levels[which] = joined
        patches.transform_sizes[which] = transform_sizes[0]
        patches.steps[which], patches.known[which] = packet.step, True

    def _recover(self, first: int) -> None:
        extra = self._parity[first]
        size = next(iter(extra.values())).first & 255
        group = {n: self._packets[n] for n in range(first, first + size) if n in self._packets}
        if len(group) == size:
            return
        try:
            for packet in recovered(group, extra):
                self._take(packet)
        except _BAD:  # A faulty sender wrote it: the packets that came are none the worse.
            self._parity.pop(first)

    def _known(self) -> Start:
        if self.start is None:
            raise HeqError(
                f"no start packet of image {self.image} of sender {self.sender} came; ask for it."
            )
        return self.start


class PacketAssembler:
    """Collects packets: in any order, with duplicates, of several senders, receivers and passes.

    Memory is bounded: senders, images of each, packets that wait for a start.

    Args:
        max_pixels: largest image; None for no limit.

    Attributes:
        refused: packets that were damaged, of no image, or too many.
        replaced: images that gave way to a later one of the same sender and number.
    """

    def __init__(self, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> None:
        self.refused = self.replaced = 0
        self._max_pixels = max_pixels
        self._senders: OrderedDict[int, OrderedDict[int, ImageState]] = OrderedDict()

    def feed(self, data: bytes) -> ImageState | None:
        """Take a packet.

        Returns:
            The image that it belongs to; None where it is refused. Before the start packet of an
            image came a packet cannot be checked: it waits, and is refused later if it is damaged.
        """
        try:
            packet = parse(data)
            if packet.kind == Kind.START:
                check(data, 0)
                image = self._begin(packet)
            else:
                image = self._image(packet)
        except HeqError:
            self.refused += 1
            return None
        if image.start is None:
            self._borrow(image, data, packet)
        if not image.take(data):
            self.refused += 1
            return None
        return image

    def feed_all(self, packets: Iterable[bytes]) -> None:
        """Take several packets; see `feed`."""
        for packet in packets:
            self.feed(packet)

    def images(self) -> list[ImageState]:
        """All images, in the order in which their senders and they were heard of last."""
        return [image for images in self._senders.values() for image in images.values()]

    def _image(self, packet: Packet) -> ImageState:
        images = self._senders.setdefault(packet.sender, OrderedDict())
        self._senders.move_to_end(packet.sender)
        image = images.setdefault(packet.image, ImageState(packet.sender, packet.image))
        images.move_to_end(packet.image)
        while len(images) > IMAGES_KEPT:
            images.popitem(last=False)
        while len(self._senders) > MOST_SENDERS:
            self._senders.popitem(last=False)
        return image

    def _begin(self, packet: Packet) -> ImageState:
        start = Start.read(packet.payload)
        known = self._senders.get(packet.sender, OrderedDict()).get(packet.image)
        if known is not None and known.start == start:
            return self._image(packet)
        header_size = start.width, start.height
        check_pixels(*header_size, self._max_pixels)
        model = model_by_tag(start.model)
        image = self._image(packet)
        if image.start is not None and image.start != start:
            if image.start.seed() == start.seed() and not image.start.packets and image.numbers:
                image.start, image.total = start, start.packets or image.total
                return image
            self.replaced += 1
            self._senders[packet.sender][packet.image] = image = ImageState(
                packet.sender, packet.image
            )
        if image.start is None:
            image.begin(start, model)
            self._forget()
        return image

    def _forget(self) -> None:
        """Drop the images of which nothing came for the longest, but not the last one."""
        kept = self.images()
        patches = sum(image.start.patches for image in kept if image.start)
        for image in kept[:-1]:
            if patches <= MOST_PATCHES:
                break
            del self._senders[image.sender][image.image]
            patches -= image.start.patches if image.start else 0

    def _borrow(self, image: ImageState, data: bytes, packet: Packet) -> None:
        """Give an image the start of another one of its sender, if the packet's checksum agrees."""
        for other in reversed(self._senders[packet.sender].values()):
            if other.start is None:
                continue
            try:
                check(data, other.start.seed())
                image.begin(replace(other.start, step=packet.step, packets=0), other.model)
            except _BAD:
                continue
            return
