"""Packets of JPEG 2000 (ISO/IEC 15444-1, Annex B) for tiles with one code-block in each subband.

OpenJPEG writes a tile in many quality layers; its packets are read here, and the code-blocks,
cut after as many coding passes as a budget of bytes allows, are written again as one layer. That
is tier-2 coding alone: no coefficient is touched. With one code-block in each subband the tag
trees have a single node, which makes the headers simple.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from heqcodec.base.errors import HeqFormatError

EMPTY = b"\0"
"""A packet without any code-block."""
_LBLOCK = 3


@dataclass
class CodeBlock:
    """What all layers say about one code-block.

    zero_planes: bit planes without a bit, from the top.
    data: of all coding passes.
    cuts: after each layer, coding passes and bytes so far.
    """

    zero_planes: int = 0
    data: bytes = b""
    cuts: list[tuple[int, int]] = field(default_factory=list)


class _HeaderReader:
    """Bits of a packet header; a byte after 0xFF holds seven."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._next, self._byte, self._left = data, start, 0, 0

    def bit(self) -> int:
        if self._left == 0:
            self._left = 7 if self._byte == 0xFF else 8
            if self._next >= len(self._data):
                raise HeqFormatError("A packet of JPEG 2000 ends in its header.")
            self._byte = self._data[self._next]
            self._next += 1
        self._left -= 1
        return self._byte >> self._left & 1

    def bits(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = 2 * value + self.bit()
        return value

    def ones(self) -> int:
        """Count ones up to a zero."""
        count = 0
        while self.bit():
            count += 1
        return count

    def zeros(self) -> int:
        """Count zeros up to a one."""
        count = 0
        while not self.bit():
            count += 1
        return count

    def end(self) -> int:
        """Where the packet's body begins."""
        return self._next + (self._byte == 0xFF)


class _HeaderWriter:
    def __init__(self) -> None:
        self._bytes, self._byte, self._left = bytearray(), 0, 8

    def bit(self, bit: int) -> None:
        self._left -= 1
        self._byte |= bit << self._left
        if self._left == 0:
            self._flush()

    def bits(self, value: int, count: int) -> None:
        for place in reversed(range(count)):
            self.bit(value >> place & 1)

    def _flush(self) -> None:
        self._bytes.append(self._byte)
        self._left, self._byte = 7 if self._byte == 0xFF else 8, 0

    def packed(self) -> bytes:
        if self._left != 8:
            # Unfinished, or nothing yet in the byte that must follow 0xFF.
            self._flush()
        return bytes(self._bytes)


def _read_passes(header: _HeaderReader) -> int:
    """Number of coding passes, 1 to 164 (table B.4)."""
    if not header.bit():
        return 1
    if not header.bit():
        return 2
    for base, width in ((3, 2), (6, 5)):
        value = header.bits(width)
        if value < 2**width - 1:
            return base + value
    return 37 + header.bits(7)


def _write_passes(header: _HeaderWriter, passes: int) -> None:
    if passes == 1:
        header.bits(0b0, 1)
    elif passes == 2:
        header.bits(0b10, 2)
    elif passes < 6:
        header.bits(0b11 << 2 | (passes - 3), 4)
    elif passes < 37:
        header.bits(0b1111 << 5 | (passes - 6), 9)
    else:
        header.bits(0b111111111 << 7 | (passes - 37), 16)


def read_packets(
    body: bytes, layers: int, resolutions: int, components: int, enough: int | None = None
) -> list[list[CodeBlock]]:
    """Read a tile's packets in the order layer, resolution, component.

    Args:
        body: the tile-part's bytes after the SOD marker.
        layers, resolutions, components: as the tile was coded; precincts as large as the tile.
        enough: stop after the layer with which the code-blocks hold so many bytes; None reads all.

    Returns:
        For each packet of a layer, in order, its code-blocks: LL for the lowest resolution, else
        HL, LH, HH.

    Raises:
        HeqFormatError: the packets do not end where the body does.
    """
    packets = [
        [CodeBlock() for _ in range(3 if resolution else 1)]
        for resolution in range(resolutions)
        for _ in range(components)
    ]
    lblocks = [[_LBLOCK] * len(blocks) for blocks in packets]
    start = held = 0
    for _ in range(layers):
        for blocks, lengths in zip(packets, lblocks, strict=True):
            header = _HeaderReader(body, start)
            found: list[tuple[CodeBlock, int, int]] = []
            present = header.bit()
            for place, block in enumerate(blocks):
                if not present or not header.bit():
                    continue
                if not (block.cuts and block.cuts[-1][0]):
                    block.zero_planes = header.zeros()
                passes = _read_passes(header)
                lengths[place] += header.ones()
                width = lengths[place] + passes.bit_length() - 1
                found.append((block, passes, header.bits(width)))
            start = header.end()
            for block in blocks:
                block.cuts.append(block.cuts[-1] if block.cuts else (0, 0))
            for block, passes, size in found:
                block.data += body[start : start + size]
                block.cuts[-1] = (block.cuts[-1][0] + passes, block.cuts[-1][1] + size)
                start += size
                held += size
        if enough is not None and held >= enough:
            return packets
    if start != len(body):
        raise HeqFormatError("The packets of a JPEG 2000 tile do not end where it does.")
    return packets


def write_packet(blocks: Sequence[CodeBlock], cuts: Sequence[tuple[int, int]]) -> bytes:
    """One packet of the only layer: each code-block up to its cut (passes, bytes)."""
    if not any(passes for passes, _ in cuts):
        return EMPTY
    header, data = _HeaderWriter(), b""
    header.bit(1)
    for block, (passes, size) in zip(blocks, cuts, strict=True):
        header.bit(int(passes > 0))
        if not passes:
            continue
        header.bits(1, block.zero_planes + 1)
        _write_passes(header, passes)
        width = _LBLOCK + passes.bit_length() - 1
        more = max(0, size.bit_length() - width)
        header.bits(2 ** (more + 1) - 2, more + 1)
        header.bits(size, width + more)
        data += block.data[:size]
    return header.packed() + data


def _size(packets: Sequence[bytes]) -> int:
    """Bytes up to the last packet that is not empty."""
    size = total = 0
    for packet in packets:
        total += len(packet)
        if packet != EMPTY:
            size = total
    return size


REFILLS = 20
"""Layers after the last whole one, in which parts are looked for that still fit."""


def cut_packets(packets: Sequence[Sequence[CodeBlock]], budget: int) -> bytes:
    """The packets of one layer that fit in a budget, padded with empty packets.

    The layers are OpenJPEG's path of optimal truncation: as many whole layers as fit are taken,
    then, from each of the next ``REFILLS``, what single code-blocks still fit, lower resolutions
    first. Empty packets past the budget are left out; a reader takes them as empty.

    Args:
        packets: code-blocks of each packet, of :func:`read_packets`.
        budget: bytes, at least 0.

    Returns:
        Exactly ``budget`` bytes.
    """

    def layer(number: int) -> list[list[tuple[int, int]]]:
        return [
            [block.cuts[number] if number >= 0 else (0, 0) for block in blocks]
            for blocks in packets
        ]

    def written(chosen: list[list[tuple[int, int]]]) -> list[bytes]:
        return [write_packet(blocks, cuts) for blocks, cuts in zip(packets, chosen, strict=True)]

    layers = len(packets[0][0].cuts)
    fits, too_large = -1, layers
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        if _size(written(layer(middle))) <= budget:
            fits = middle
        else:
            too_large = middle
    chosen = layer(fits)
    coded = written(chosen)
    for number in range(fits + 1, min(layers, fits + 1 + REFILLS)):
        for place, blocks in enumerate(packets):
            for index, block in enumerate(blocks):
                before, packet = chosen[place][index], coded[place]
                if block.cuts[number] == before:
                    continue
                chosen[place][index] = block.cuts[number]
                coded[place] = write_packet(blocks, chosen[place])
                if _size(coded) > budget:
                    chosen[place][index], coded[place] = before, packet
    return b"".join(coded)[:budget].ljust(budget, EMPTY)
