"""Packets of a photograph: lost, doubled, mixed and damaged ones, and what is made of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.eval.link import arrivals
from heqcodec.packets import PacketAssembler, packetize
from heqcodec.packets.layout import OVERHEAD, Kind, Start, parse
from heqcodec.packets.parity import generator, group_of, parity
from heqcodec.packets.picture import picture
from numpy.typing import NDArray
from PIL import Image
from slow_cases import quick_first


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    import heqcodec.cli

    with Image.open(Path(heqcodec.cli.__file__).parent / "astronaut.jpg") as image:
        return np.asarray(image.convert("RGB").crop((90, 0, 90 + 250, 200)))


@pytest.fixture(scope="module")
def file(pixels: NDArray[np.uint8]) -> bytes:
    return heqcodec.encode(pixels, quality=30, strip_rows=2)


def assembled(packets: list[bytes]) -> PacketAssembler:
    assembler = PacketAssembler()
    assembler.feed_all(packets)
    return assembler


@pytest.mark.parametrize("size", [48, 61, 222, 1400])
@pytest.mark.parametrize("interleaved", [False, True])
def test_all_packets_make_the_file(file: bytes, size: int, interleaved: bool) -> None:
    packets = packetize(file, size, interleaved=interleaved, start_every=5)
    assert max(map(len, packets)) <= size
    shuffled = [packets[i] for i in np.random.default_rng(size).permutation(len(packets))]
    (image,) = assembled(shuffled + packets[::3]).images()
    assert image.complete and not image.missing()
    assert image.to_heq() == file


def test_smallest_packets(pixels: NDArray[np.uint8], file: bytes) -> None:
    coarse = heqcodec.encode(pixels, quality=8)
    packets = packetize(coarse, 32)
    assert max(map(len, packets)) <= 32
    (image,) = assembled(packets).images()
    assert image.to_heq() == coarse
    with pytest.raises(HeqError, match="take larger packets"):
        packetize(heqcodec.encode(pixels, quality=95), 32)


@pytest.mark.parametrize("kind", ["gray", "gray as rgb"])
def test_gray(pixels: NDArray[np.uint8], kind: str) -> None:
    gray = pixels[:100, :90, 1]
    given = gray if kind == "gray" else gray[..., None].repeat(3, axis=2)
    made = heqcodec.encode(given, quality=40)
    (image,) = assembled(packetize(made, 100)).images()
    assert image.to_heq() == made
    frame = picture(image, "plain")
    assert frame.shape == heqcodec.decode(made).reshape(*gray.shape, -1).shape


def test_packets_are_nearly_full(file: bytes) -> None:
    packets = [parse(packet) for packet in packetize(file, 222)]
    numbered = packets
    begun = [
        packet.first + index
        for packet in numbered
        for index in range(packet.count)
        if index or not packet.continued
    ]
    assert begun == list(range(8 * 7))  # 250 x 200 pixels
    assert [packet.number for packet in numbered] == list(range(len(numbered)))
    assert [packet.last for packet in numbered] == [False] * (len(numbered) - 1) + [True]
    used = sum(len(packet.payload) + OVERHEAD for packet in numbered[:-1])
    assert used > 0.95 * 222 * (len(numbered) - 1)
    assert [packet.kind == Kind.START for packet in numbered] == [
        number % 8 == 0 for number in range(len(numbered))
    ]
    for before, after in pairwise(numbered):
        assert before.continues == after.continued
        assert after.first == before.first + before.count - after.continued
    assert any(packet.continues for packet in numbered)


def test_missing_and_a_second_pass(file: bytes) -> None:
    packets = packetize(file, 100)
    lost = list(range(1, len(packets), 3))
    assembler = assembled([packet for n, packet in enumerate(packets) if n not in lost])
    (image,) = assembler.images()
    assert image.missing() == lost and not image.complete
    with pytest.raises(HeqError, match="packets are missing"):
        image.to_heq()
    assembler.feed_all(packets[n] for n in lost)
    assert image.to_heq() == file


def test_senders_and_images_are_kept_apart(file: bytes, pixels: NDArray[np.uint8]) -> None:
    other = heqcodec.encode(pixels[:64, :96], quality=20)
    mixed = [
        *packetize(file, sender=7, image=1),
        *packetize(other, sender=7, image=2),
        *packetize(other, sender=9, image=1),
    ]
    order = np.random.default_rng(3).permutation(len(mixed))
    assembler = assembled([mixed[i] for i in order])
    files = {(i.sender, i.image): i.to_heq() for i in assembler.images()}
    assert files == {(7, 1): file, (7, 2): other, (9, 1): other}
    assert assembler.refused == 0


def test_a_start_packet_of_another_image_serves(file: bytes) -> None:
    packets = packetize(file, image=2)
    later = [packet for packet in packets if parse(packet).kind != Kind.START]
    start, *_ = packetize(file, image=1)
    found = {image.image: image for image in assembled([start, *later]).images()}
    assert found[2].missing() == list(range(0, len(packets), 8))
    assert found[2].valid.mean() > 0.6


def test_packets_wait_for_their_start(file: bytes) -> None:
    packets = packetize(file)
    starts = [packet for packet in packets if parse(packet).kind == Kind.START]
    assembler = assembled([packet for packet in packets if packet not in starts])
    (image,) = assembler.images()
    with pytest.raises(HeqError, match="no start packet"):
        image.to_heq()
    assembler.feed_all(starts)
    assert image.to_heq() == file


def test_damaged_packets_are_refused(file: bytes) -> None:
    packets = packetize(file, 222, fec=20)
    assembler = assembled(packets[:3])
    known = assembler.images()[0].valid.copy()
    generator_ = np.random.default_rng(11)
    tried = 0
    for packet in packets:
        for cut in range(0, len(packet), 7):
            tried += assembler.feed(packet[:cut]) is None
        for _ in range(20):
            damaged = bytearray(packet)
            for place in generator_.integers(len(packet), size=generator_.integers(1, 4)):
                damaged[place] ^= int(generator_.integers(1, 256))
            # A damaged sender or image makes it a packet that waits for its start.
            damaged[2:5] = packet[2:5]
            if bytes(damaged) != packet:
                tried += assembler.feed(bytes(damaged)) is None
    assert tried == assembler.refused > 500
    assert (assembler.images()[0].valid == known).all()


def test_parity_is_what_reedsolo_computes() -> None:
    reedsolo = pytest.importorskip("reedsolo")
    columns = np.random.default_rng(5).integers(0, 256, (20, 9), dtype=np.uint8)
    made = parity(columns, 6)
    codec = reedsolo.RSCodec(6, nsize=26)
    for column, code in zip(columns.T, made.T, strict=True):
        assert codec.encode(column.tobytes())[-6:] == code.tobytes()
    # (x - 1)(x - 2) in GF(256): 1 + 2 = 3 and 1 * 2 = 2.
    assert generator(2) == [1, 3, 2]


@pytest.mark.parametrize("percent", [10, 25, 100])
def test_parity_gives_lost_packets_back(file: bytes, percent: float) -> None:
    pytest.importorskip("reedsolo")
    packets = packetize(file, 120, fec=percent)
    numbered = sum(parse(p).kind != Kind.PARITY for p in packets)
    extra = len(packets) - numbered
    assert extra == -(-numbered * percent // 100)
    order = np.random.default_rng(1).permutation(len(packets))
    kept = [packets[i] for i in order[extra:]]
    assert any(parse(packet).kind == Kind.START for packet in kept)
    (image,) = assembled(kept).images()
    assert image.to_heq() == file
    (image,) = assembled(kept[1:]).images()
    assert not image.complete


def test_parity_packets_of_a_faulty_sender(file: bytes) -> None:
    """Their checksums are right, and what they give back is none: the others stay good."""
    pytest.importorskip("reedsolo")
    packets = packetize(file, 120, fec=20)
    parts = [parse(packet) for packet in packets]
    seed = Start.read(parts[0].payload).seed()
    faulty = [
        replace(part, payload=bytes(length) if length else part.payload[::-1]).packed(seed)
        for length in (0, 3, 50)
        for part in parts
        if part.kind == Kind.PARITY
    ]
    for wrong in (faulty[: len(faulty) // 3], faulty[len(faulty) // 3 :], faulty[-1:]):
        assembler = assembled(packets[:1] + packets[2:4] + wrong)
        (image,) = assembler.images()
        assembler.feed_all(packet for n, packet in enumerate(packets) if n < len(packets) - 3)
        assert image.to_heq() == file


def test_groups() -> None:
    assert group_of(100, 25) == (100, 25)
    assert group_of(300, 25) == (150, 38)
    assert group_of(301, 25) == (151, 38)


def test_picture_of_what_came(file: bytes, pixels: NDArray[np.uint8]) -> None:
    packets = packetize(file, 60, interleaved=True)
    (whole,) = assembled(packets).images()
    assert np.array_equal(picture(whole), heqcodec.decode(file))
    (part,) = assembled([p for place, p in enumerate(packets) if place % 4 != 1]).images()
    lost = ~part.valid
    assert 0.1 < lost.mean() < 0.3
    plain = picture(part, "plain")
    holes = lost.repeat(32, 0).repeat(32, 1)[:200, :250]
    error = np.square(plain.astype(float) - pixels)[holes].mean()
    grey = np.square(pixels[~holes].mean(axis=0) - pixels)[holes].mean()
    assert error < 0.75 * grey
    sound = heqcodec.decode(file, decoder="plain")
    assert part.patches and whole.patches
    same = (part.patches.levels == whole.patches.levels).all(axis=(1, 2)).reshape(lost.shape)
    pixels_of_same = same.repeat(32, 0).repeat(32, 1)[:200, :250]
    assert 0.5 < same.mean() < 1 and not (same & lost).any()
    assert np.array_equal(plain[pixels_of_same], sound[pixels_of_same])


def test_patches_of_a_row_at_two_steps(file: bytes, pixels: NDArray[np.uint8]) -> None:
    """As a sender may code a patch coarser that does not fit: each is decoded at its own step."""
    finer = [parse(p) for p in packetize(heqcodec.encode(pixels, quality=40), 57)]
    first = parse(packetize(file, 60)[0])
    columns = -(-pixels.shape[1] // 32)
    other = next(p for p in finer if first.count <= p.first < columns and not p.continued)
    seed = Start.read(first.payload).seed()
    (image,) = assembled([first.packed(0), other.packed(seed)]).images()
    assert image.patches and len(set(image.patches.steps[image.patches.known])) == 2
    made = picture(image, "plain")
    for quality, packet in ((30, first), (40, other)):
        place = slice(32 * packet.first, 32 * (packet.first + 1))
        alone = heqcodec.decode(heqcodec.encode(pixels, quality=quality), decoder="plain")
        difference = made[:32, place].astype(int) - alone[:32, place]
        assert np.square(difference).mean() < 30


@pytest.mark.parametrize("burst", [1, 4])
def test_the_link_loses_what_it_should(burst: float) -> None:
    generator_ = np.random.default_rng(2)
    came = [arrivals(500, 0.2, burst, generator_) for _ in range(100)]
    assert abs(1 - np.mean([len(c) for c in came]) / 500 - 0.2) < 0.02
    gaps = np.concatenate([np.diff(np.sort(c)) for c in came]) - 1
    assert abs(gaps[gaps > 0].mean() - max(burst, 1.25)) < 0.3


def test_arguments(file: bytes) -> None:
    for wrong in ({"size": 31}, {"size": 1401}, {"fec": 101}, {"sender": 1 << 16}, {"image": 256}):
        with pytest.raises(HeqError):
            packetize(file, **wrong)  # type: ignore[arg-type]
    with pytest.raises(HeqError, match="unpack"):
        packetize(heqcodec.pack(file))


@pytest.mark.parametrize("size", quick_first([222, 78, 255]))
@pytest.mark.parametrize("interleaved", quick_first([True, False]))
def test_patch_constant_codes(pixels: NDArray[np.uint8], size: int, interleaved: bool) -> None:
    pytest.importorskip("reedsolo")
    made = heqcodec.encode(pixels, model="nqe-t", bpp=0.25, strip_rows=2)
    packets = packetize(made, size, interleaved=interleaved, fec=25)
    assert max(map(len, packets)) <= size
    numbered = [parse(p) for p in packets if parse(p).kind != Kind.PARITY]
    assert sum(packet.count for packet in numbered) == 8 * 7
    shuffled = [packets[i] for i in np.random.default_rng(size).permutation(len(packets))]
    (image,) = assembled(shuffled[len(packets) // 6 :]).images()
    assert image.complete and image.to_heq() == made
    assert np.array_equal(image.picture("plain"), heqcodec.decode(made, decoder="plain"))
    (part,) = assembled([p for n, p in enumerate(packets) if n != 2 and n < 9]).images()
    assert 0 < part.valid.mean() < 1
    frame, whole = part.picture("plain"), heqcodec.decode(made, decoder="plain")
    same = part.valid.repeat(32, 0).repeat(32, 1)[:200, :250]
    assert np.array_equal(frame[same], whole[same])
    assert not np.array_equal(frame[~same], whole[~same])
    with pytest.raises(HeqError, match="fit into a packet"):
        packetize(heqcodec.encode(pixels, model="nqe-t", bpp=0.5), 48)
