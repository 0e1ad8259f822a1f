"""What is fuzzed: functions of any bytes. Each returns where a `heqcodec.HeqError` refused them or
all that must hold held, and raises otherwise. Plain callables: no fuzzer is needed to call one.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import heqcodec
import heqcodec.cli
import numpy as np
from heqcodec.base.rate_protocols import ProgressiveCoder, StripCoder
from heqcodec.container import ContainerReader
from heqcodec.container.chunks import ALPHA, Chunk, read_alpha
from heqcodec.container.header import HEADER_LENGTH, Coder, Header
from heqcodec.container.strips import Strip, strip_patch_rows
from heqcodec.file.decoding import Metadata, collect_metadata
from heqcodec.file.progressive import decoded_strip
from heqcodec.image.images import load_image, save_image
from heqcodec.models import registry
from heqcodec.nqe_r.device_coder.coder import DeviceCoder
from heqcodec.nqe_r.levels import StripLevels
from heqcodec.nqe_r.packed_coder.coder import PackedCoder
from heqcodec.nqe_t.encoder import TransformCodeReader, TransformNqe
from heqcodec.nqe_t.patch_code import Coefficients
from heqcodec.nqe_t.patch_decoder import decode_coefficients
from heqcodec.packets import ImageState
from heqcodec.packets.codes import Codes
from heqcodec.packets.layout import Kind, Packet, Start, parse
from PIL import Image

MOST_PATCHES = 6
"""Of a strip that is decoded, so that one input takes milliseconds."""
MOST_CODES, MOST_CODE_BYTES = 2, 24
"""The patch coder, which takes longest, decodes so many codes of one strip, and so much of each."""
REFERENCE_SHARE = 16
"""One of so many payloads is decoded by the Python coder as well."""
LEVEL_LIMIT = 32767
FIRST_LEVELS = 32
"""Of a plane, in the first part of a progressive file."""


class CountedFile(io.BytesIO):
    """Bytes that count what is read: the number of reads and of bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads = self.bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and size >= 0, "a length that was not compared with what is left"
        assert size <= len(self.getvalue()), "more bytes asked for than the file has"
        data = super().read(size)
        self.reads += 1
        self.bytes_read += len(data)
        return data

    def check(self, passes: int) -> None:
        """Reading grows with the file and with nothing that the file says of itself."""
        size = len(self.getvalue())
        assert self.reads <= 16 + passes * size // 2, f"{self.reads} reads of {size} bytes"
        assert self.bytes_read <= 256 + 4 * passes * size, f"{self.bytes_read} of {size} bytes read"


Contents = tuple[Header, dict[int, Strip | None], list[Chunk], ContainerReader]


def read_all(data: bytes, partial: bool) -> Contents | None:
    """Header, strips and chunks of a file; None if an error of ours refused it."""
    file = CountedFile(data)
    try:
        reader = ContainerReader(file, max_pixels=None, partial=partial)
        strips = reader.read_strips(range(reader.strips_present))
        if not partial:
            assert len(strips) == reader.header.strip_count
            assert None not in strips.values()
        chunks = reader.read_chunks()
        for index in reader.damaged_strips:
            remains = reader.read_remains(index)
            assert remains is None or len(remains.payload) <= len(data)
    except heqcodec.HeqError:
        return None
    finally:
        file.check(2)
    return reader.header, strips, chunks, reader


def container(data: bytes) -> None:
    """Strict and partial reading. What is read strictly reads partially to the same, undamaged."""
    strict, partial = read_all(data, False), read_all(data, True)
    if strict is None:
        return
    assert partial is not None and strict[:3] == partial[:3]
    reader = partial[3]
    assert not reader.damaged_strips and not reader.damaged_chunks and not reader.repaired
    header = strict[0]
    assert header.pack() == data[:44]
    assert all(chunk.pack() in data for chunk in strict[2])


def file_info(data: bytes) -> None:
    """``info``: valid JSON, the same from strict and from partial reading."""
    found = {}
    for partial in (False, True):
        file = CountedFile(data)
        try:
            found[partial] = heqcodec.info(file, partial=partial)
        except heqcodec.HeqError:
            continue
        finally:
            file.check(2)
        assert found[partial] == json.loads(json.dumps(found[partial], allow_nan=False))
        assert found[partial]["file_bytes"] == len(data)
    assert False not in found or found[False] == found[True]


@cache
def strip_coders(coder: Coder) -> tuple[StripCoder, StripCoder]:
    """The coder of the shipped model as it is used, and its Python form."""
    made = registry.load_strip_coder("nqe-r", coder)
    if isinstance(made, DeviceCoder):
        return made, DeviceCoder(made._tables._asdict(), native=False)
    assert isinstance(made, PackedCoder)
    return made, PackedCoder(made._tables._asdict(), native=False)


def strips_of(data: bytes, coder: Coder) -> list[tuple[Strip, tuple[int, int, int]]]:
    """Strips of a file of this coder, and rows, columns and planes of each: small strips only."""
    found = read_all(data, True)
    if found is None or found[0].coder != coder:
        return []
    header, read, _, _ = found
    strips = []
    for index, strip in read.items():
        shape = strip_patch_rows(header, index), header.patch_columns, header.channels
        if strip is not None and strip.sent and shape[0] * shape[1] <= MOST_PATCHES:
            strips.append((strip, shape))
    return strips


def _strip_coder(data: bytes, kind: Coder) -> None:
    coder, reference = strip_coders(kind)
    for (step, payload), shape in strips_of(data, kind):
        results = []
        used = (coder, reference) if zlib.crc32(payload) % REFERENCE_SHARE == 0 else (coder,)
        for each in used:
            try:
                results.append(each.decode(payload, *shape, step))
            except heqcodec.HeqFormatError:
                results.append(None)
        first = results[0]
        assert all((first is None) == (other is None) for other in results)
        if kind == Coder.PACKED and isinstance(coder, PackedCoder):
            prefix = coder.decode_prefix(payload, *shape, step)
            assert 0 <= prefix.slices <= 6 and prefix.levels.shape == (*shape, 1024)
        if first is None:
            continue
        levels, transform_sizes = first
        for other in results[1:]:
            assert other is not None
            assert np.array_equal(other[0], levels) and np.array_equal(other[1], transform_sizes)
        assert levels.shape == (*shape, 1024) and transform_sizes.shape == shape[:2]
        assert levels.min() >= -LEVEL_LIMIT and transform_sizes.max() <= 1
        again = coder.decode(coder.encode(levels, transform_sizes, step), *shape, step)
        assert np.array_equal(again[0], levels) and np.array_equal(again[1], transform_sizes)


def device_coder(data: bytes) -> None:
    """Strips of the device coder: C and Python agree; what decodes codes again to the same."""
    _strip_coder(data, Coder.DEVICE)


def packed_coder(data: bytes) -> None:
    """Strips of the packed coder, as `device_coder`; their beginnings decode as well."""
    _strip_coder(data, Coder.PACKED)


def progressive(data: bytes) -> None:
    """Progressive files: C and Python agree on both parts, the second one leaves the levels of the
    first as they are, and what decodes codes again to the same."""
    found = read_all(data, True)
    if found is None or found[0].parts == 1:
        return
    header, read, _, _ = found
    coder, reference = strip_coders(Coder.DEVICE)
    for index in range(min(header.row_strips, len(read))):
        shape = strip_patch_rows(header, index), header.patch_columns, header.channels
        first, rest = read.get(index), read.get(index + header.row_strips)
        if first is None or not first.sent or shape[0] * shape[1] > MOST_PATCHES:
            continue
        used = (coder, reference) if zlib.crc32(first.payload) % REFERENCE_SHARE == 0 else (coder,)
        alone = [_decoded(header, index, [first], each) for each in used]
        _check_same(alone)
        if alone[0] is None:
            continue
        step, low = first.rate, alone[0].levels
        assert not low[..., FIRST_LEVELS:].any()
        assert isinstance(coder, ProgressiveCoder)
        again = coder.encode_parts(*alone[0])[0]
        assert np.array_equal(coder.decode_first(again, *shape, step)[0], low)
        if rest is None or not rest.sent:
            continue
        both = [_decoded(header, index, [first, rest], each) for each in used]
        _check_same(both)
        if both[0] is not None:
            levels, sizes, _ = both[0]
            assert np.array_equal(levels[..., :FIRST_LEVELS], low[..., :FIRST_LEVELS])
            again = coder.encode_parts(*both[0])[1]
            assert np.array_equal(coder.decode_rest(again, low, sizes, step), levels)


def _decoded(
    header: Header, index: int, parts: list[Strip], coder: StripCoder
) -> StripLevels | None:
    try:
        return decoded_strip(header, index, parts, coder)
    except heqcodec.HeqFormatError:
        return None


def _check_same(results: list[StripLevels | None]) -> None:
    first = results[0]
    for other in results[1:]:
        assert (first is None) == (other is None)
        if first is not None and other is not None:
            assert np.array_equal(first.levels, other.levels)
            assert np.array_equal(first.transform_sizes, other.transform_sizes)


@cache
def patch_encoder() -> TransformNqe:
    """The shipped model."""
    encoder = registry.load_encoder("nqe-t")
    assert isinstance(encoder, TransformNqe)
    return encoder


def patch_coder(data: bytes) -> None:
    """Patch codes: any bytes decode, by C and by numpy to the same; a shorter code tells less of
    the same coefficients."""
    tables = patch_encoder().tables
    reader = TransformCodeReader(patch_encoder())
    for strip, (rows, columns, channels) in strips_of(data, Coder.PATCH)[:1]:
        codes = np.frombuffer(strip.payload, np.uint8).reshape(rows * columns, -1)
        codes = codes[:MOST_CODES, :MOST_CODE_BYTES]
        parsed = decode_coefficients(codes, channels, tables)
        by_c = reader.coefficients(codes, channels)
        assert all(np.array_equal(*both) for both in zip(by_c, parsed, strict=True))
        _check_intervals(parsed)
        shorter = decode_coefficients(codes[:, : codes.shape[1] // 2], channels, tables)
        _check_intervals(shorter)
        known = shorter.width > 0
        low, high = parsed.low, parsed.low + parsed.width
        assert (parsed.width[known] > 0).all()
        assert (shorter.low[known] <= low[known]).all()
        assert (high[known] <= (shorter.low + shorter.width)[known]).all()
        assert np.array_equal(parsed.negative[known], shorter.negative[known])
        assert (parsed.reached >= shorter.reached).all()


def _check_intervals(parsed: Coefficients) -> None:
    width, low = parsed.width, parsed.low
    assert low.min() >= 0 and int((low + width).max()) <= 1 << 18
    assert ((width & (width - 1)) == 0).all() and (low[width == 0] == 0).all()
    known = width > 0
    assert (low[known] >= width[known]).all() and (low[known] % width[known] == 0).all()


def metadata(data: bytes) -> None:
    """ICC, EXIF, XMP and alpha of a file: each is written into images of every format that has a
    place for it, and those are read again."""
    found = read_all(data, True)
    if found is None:
        return
    header, _, chunks, _ = found
    parsed = collect_metadata(chunks)
    assert parsed == heqcodec.read_metadata(data, partial=True)
    for chunk in chunks:
        if chunk.type == ALPHA and header.width * header.height <= 1 << 16:
            try:
                plane = read_alpha(chunk.data, header.width, header.height)
            except heqcodec.HeqFormatError:
                continue
            assert plane.shape == (header.height, header.width) and plane.dtype == np.uint8
    for name in ("PNG", "JPEG", "TIFF", "WEBP"):
        _write_and_read(parsed, name)


def _write_and_read(parsed: Metadata, name: str) -> None:
    pixels = np.full((2, 3, 3), 77, np.uint8)
    image = io.BytesIO()
    try:
        save_image(pixels, image, name, parsed.icc, parsed.exif, parsed.xmp)
    except heqcodec.HeqError:
        return
    try:
        again = load_image(image.getvalue())
    except heqcodec.HeqError:
        return
    assert again.pixels.size == pixels.size


MOST_PACKETS = 24


@cache
def sent_packets() -> tuple[list[bytes], ...]:
    """Packets of a small image by either mode, with parity packets."""
    with Image.open(Path(heqcodec.cli.__file__).parent / "astronaut.jpg") as photograph:
        pixels = np.asarray(photograph.convert("RGB").crop((90, 0, 220, 100)))
    files = (
        heqcodec.encode(pixels, quality=20),
        heqcodec.encode(pixels, model="nqe-t", bpp=0.0625),
    )
    return tuple(
        heqcodec.packetize(file, 80, interleaved=bool(index), fec=20)
        for index, file in enumerate(files)
    )


def packets(data: bytes) -> None:
    """Packets of an image, changed as the input says, in the order that it says.

    Input: which image; then for each packet one byte that chooses it, one that says how it is
    changed, two for a place and a value. One in eight has its checksum mended afterwards, as if a
    faulty sender had written it.
    """
    data = data[HEADER_LENGTH:]  # Seeds are files, whose headers are much alike.
    which = data[0] & 1 if data else 0
    good = sent_packets()[which]
    assembler, untouched = heqcodec.PacketAssembler(), {}
    mended = False
    for at in range(1, min(len(data), 1 + 4 * MOST_PACKETS) - 3, 4):
        index, change, place, value = data[at : at + 4]
        number = index % len(good)
        packet = bytearray(good[number])
        if change & 7 == 0:
            packet = packet[: len(packet) - place % len(packet)]
        elif change & 7 == 1:
            packet += bytes(place)
        elif change & 7 < 6:
            packet[place % len(packet)] ^= value
        if bytes(packet) == good[number]:
            untouched[number] = parse(good[number])
        elif change >> 5 == 0 and len(packet) >= 14:
            packet = resealed(packet, parse(good[0]))
            mended = True
        assembler.feed(bytes(packet))
    _check_images(assembler, whole_image(which), untouched, mended)
    if len(data) % REFERENCE_SHARE == 0:
        for image in assembler.images():
            if image.start is not None and image.start.patches < 100:
                assert image.picture("plain").shape[:2] == (image.start.height, image.start.width)


def resealed(packet: bytearray, start: Packet) -> bytearray:
    """The packet with a checksum that is right for the image."""
    kind = packet[1] >> 2 & 3
    seed = 0 if kind == Kind.START else Start.read(start.payload).seed()
    body = bytes(packet[:-4])
    return bytearray(body + zlib.crc32(body, seed).to_bytes(4, "little"))


@cache
def whole_image(which: int) -> ImageState:
    """What all packets of an image make."""
    assembler = heqcodec.PacketAssembler()
    assembler.feed_all(sent_packets()[which])
    (image,) = assembler.images()
    return image


def _check_images(
    assembler: heqcodec.PacketAssembler,
    whole: ImageState,
    untouched: dict[int, Packet],
    mended: bool,
) -> None:
    """Without mended checksums, what is taken is what was sent."""
    for image in assembler.images():
        if image.start is None:
            continue
        image.missing()
        if mended:
            continue
        if (image.sender, image.image) != (0, 0):
            assert not image.numbers, "a packet of no sender was taken"
            continue
        sent = {packet.number for packet in untouched.values() if packet.kind != Kind.PARITY}
        assert sent <= image.numbers
        for kept, other in ((image.codes, whole.codes), (image.patches, whole.patches)):
            if kept is None:
                continue
            assert other is not None
            where = kept.known
            if isinstance(kept, Codes):
                assert (kept.codes[where] == other.codes[where]).all()
            else:
                # A patch of which a part is lost has zeros there.
                same = (kept.levels[where] == other.levels[where]) | (kept.levels[where] == 0)
                assert same.all(), "a level that was never sent"
        if image.complete:
            assert image.to_heq() == whole.to_heq()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "container": container,
    "device_coder": device_coder,
    "packed_coder": packed_coder,
    "progressive": progressive,
    "patch_coder": patch_coder,
    "metadata": metadata,
    "info": file_info,
    "packets": packets,
}
