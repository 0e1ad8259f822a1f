"""What the receiver takes, stores and refuses."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from dataclasses import replace
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from heqcodec.packets import PacketAssembler, packetize
from heqcodec.packets.layout import START, Kind, Packet, Start, parse
from heqcodec.receive import rendering, service
from heqcodec.receive.inbox import Inbox
from heqcodec.receive.intake import Arrival, Intake
from heqcodec.receive.limits import Limits
from heqcodec.receive.store import Store
from receiving import image_file, mutated, packets

QUIET = ("stored", "duplicates", "waiting")
"""Counts that are not of refused packets."""


def take(intake: Intake, sent: list[bytes], now: float = 0) -> list[bool]:
    return intake.take([Arrival(packet) for packet in sent], now)


def refused(intake: Intake) -> dict[str, int]:
    return {name: n for name, n in intake.counts.items() if name not in QUIET and n}


def rows(intake: Intake) -> list[dict]:  # type: ignore[type-arg]
    return list(intake.store.rows("ORDER BY key"))


def finish(intake: Intake, folder: Path) -> dict:  # type: ignore[type-arg]
    """Write the files of all images that are due; facts of the last."""
    facts = {}
    for key, due in intake.store.due(99):
        facts = rendering.finish(folder, key, "plain")
        intake.decoded(key, due, facts)
    return facts


def shuffled(sent: list[bytes], seed: int = 0) -> list[bytes]:
    order = np.random.default_rng(seed).permutation(len(sent))
    return [sent[index] for index in order]


def test_any_order_makes_the_file(tmp_path: Path) -> None:
    intake, sent = Intake(tmp_path, Limits()), packets()
    take(intake, shuffled(sent)[:20])
    assert intake.store.due(9) == []
    take(intake, shuffled(sent))  # Again from the first.
    assert intake.counts["stored"] == len(sent) and not refused(intake)
    facts = finish(intake, tmp_path)
    assert facts["whole"] and (tmp_path / facts["heq"]).read_bytes() == image_file()
    assert intake.store.due(9) == [] and (tmp_path / facts["png"]).is_file()


def test_stored_is_stored(tmp_path: Path) -> None:
    sent = packets()
    first = Intake(tmp_path, Limits())
    assert all(take(first, sent[:30]))
    # Not closed: a second process reads what the first has committed.
    again = Intake(tmp_path, Limits())
    assert again.store.packets(1) == sent[:30] and again.counts == first.counts
    for intake in (first, again):
        progress = intake.progress(1)
        assert progress is not None and len(progress.numbers) == 30
    assert take(again, sent) == [True] * len(sent)
    assert again.counts["duplicates"] == 30 and len(rows(again)) == 1


def test_a_batch_is_stored_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    intake, sent = Intake(tmp_path, Limits()), packets()
    monkeypatch.setattr(Store, "set_counts", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        take(intake, sent)
    monkeypatch.undo()
    assert Intake(tmp_path, Limits()).store.last_key() == 0


@pytest.mark.parametrize("fec", [0, 40])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_what_is_missing_is_what_the_assembler_misses(
    tmp_path: Path, fec: float, kept: float
) -> None:
    sent = packets(fec=fec)
    came = [sent[0], *shuffled(sent)[: int(kept * len(sent))]]
    intake, assembler = Intake(tmp_path, Limits()), PacketAssembler()
    take(intake, came)
    assembler.feed_all(came)
    (image,) = assembler.images()
    progress = intake.progress(1)
    assert progress is not None
    facts = progress.facts()
    assert facts["missing"] == image.missing() and progress.complete == image.complete
    if not image.missing() or not fec:
        assert facts["total"] == image.total
    if not fec:
        assert facts["patches"] == np.packbits(image.valid).tobytes().hex()


def test_packets_wait_for_their_start(tmp_path: Path) -> None:
    intake, sent = Intake(tmp_path, Limits()), packets()
    starts = [packet for packet in sent if parse(packet).kind == Kind.START]
    others = [packet for packet in sent if packet not in starts]
    assert not any(take(intake, others)) and intake.counts["waiting"] == len(others)
    intake = Intake(tmp_path, Limits())
    damaged = mutated_payload(others[0])
    assert not any(take(intake, [damaged]))
    assert all(take(intake, starts))
    assert intake.counts["stored"] == len(sent) and refused(intake) == {"damaged": 1}
    assert len(intake.store.due(9)) == 1


def mutated_payload(packet: bytes) -> bytes:
    return packet[:-5] + bytes([packet[-5] ^ 1]) + packet[-4:]


def test_the_start_of_another_image_serves(tmp_path: Path) -> None:
    intake = Intake(tmp_path, Limits())
    take(intake, packets(image=3))
    later = [packet for packet in packets(image=4) if parse(packet).kind != Kind.START]
    assert all(take(intake, later))
    take(intake, packets(image=4))
    assert [row["image"] for row in rows(intake)] == [3, 4] and len(intake.store.due(9)) == 2


def test_an_image_number_comes_again(tmp_path: Path) -> None:
    intake, sent, other = Intake(tmp_path, Limits()), packets(), packets(quality=31)
    take(intake, sent[:10])
    assert all(take(intake, other))
    found = rows(intake)
    assert [row["stored"] for row in found] == [10, len(other)]
    assert [row["open"] for row in found] == [0, 1]
    assert [due for _, due in intake.store.due(9)] == [2, 1]  # The complete one first.


def test_time_ends_an_image(tmp_path: Path) -> None:
    intake, sent = Intake(tmp_path, Limits(timeout=60)), packets()
    take(intake, sent[:-3], now=1000)
    intake.expire(now=1059)
    assert intake.store.due(9) == []
    intake.expire(now=1061)
    ((key, _),) = intake.store.due(9)
    facts = rendering.finish(tmp_path, key, "plain")
    assert not facts["whole"] and "heq" not in facts and facts["came"] == len(sent) - 3
    # A new image, since nobody knows whether it is the old one.
    take(intake, sent[-3:], now=1062)
    assert [row["stored"] for row in rows(intake)] == [len(sent) - 3, 3]


def test_packets_of_a_whole_image_are_dropped_in_the_end(tmp_path: Path) -> None:
    intake, sent = Intake(tmp_path, Limits(timeout=60)), packets()
    take(intake, sent)
    finish(intake, tmp_path)
    intake = Intake(tmp_path, Limits(timeout=60))
    assert all(take(intake, sent, now=50)) and intake.counts["duplicates"] == len(sent)
    intake.expire(now=200)
    assert intake.store.packets(1) == [] and rows(intake)[0]["stored"] == 0
    assert intake.store.due(9) == []


def test_a_start_that_knows_more_later(tmp_path: Path) -> None:
    intake, sent = Intake(tmp_path, Limits()), packets()
    first = parse(sent[0])
    start = replace(Start.read(first.payload), packets=0)
    unknowing = replace(first, payload=start.payload() + first.payload[START.size :]).packed(0)
    assert take(intake, [unknowing, sent[0]]) == [True, True]
    assert intake.counts["duplicates"] == 1 and len(rows(intake)) == 1
    progress = intake.progress(1)
    assert progress is not None and progress.total == len(sent)


def test_an_image_that_made_room_goes_on(tmp_path: Path) -> None:
    intake, sent = Intake(tmp_path, Limits(open_images=1)), packets(image=1)
    take(intake, sent[:-3], now=10)
    take(intake, packets(image=2), now=11)
    # Not at once: each time all its packets are read.
    assert take(intake, sent[-3:-2], now=11.5) == [False]
    assert refused(intake) == {"too many images at once": 1}
    finish(intake, tmp_path)
    assert [row["open"] for row in rows(intake)] == [0, 1]
    assert all(take(intake, sent, now=20))
    assert len(rows(intake)) == 2 and finish(intake, tmp_path)["whole"]
    # A whole one is known too.
    assert all(take(intake, packets(image=2), now=30))
    assert [row["stored"] for row in rows(intake)] == [len(sent)] * 2
    assert intake.counts["stored"] == 2 * len(sent) and intake.store.due(9) == []


def test_an_image_that_goes_on_while_it_is_decoded(tmp_path: Path) -> None:
    intake, sent = Intake(tmp_path, Limits(open_images=1)), packets(image=1)
    take(intake, sent[:-3], now=10)
    take(intake, packets(image=2)[:1], now=11)
    ((key, due),) = intake.store.due(9)
    facts = rendering.finish(tmp_path, key, "plain")
    take(intake, sent[-3:-1], now=20)
    intake.decoded(key, due, facts)
    assert rows(intake)[0]["facts"] == {}
    take(intake, sent[-1:], now=21)
    intake.decoded(key, due, facts)
    finish(intake, tmp_path)
    assert [row["whole"] for row in rows(intake)] == [1, 0]


def test_patch_constant_packets(tmp_path: Path) -> None:
    pixels = heqcodec.decode(image_file(), decoder="plain")
    file = heqcodec.encode(pixels, mode="patch", bpp=0.25)
    intake, sent = Intake(tmp_path, Limits()), packetize(file, 150, interleaved=True)
    take(intake, [sent[0], *sent[3:]])
    progress = intake.progress(1)
    assert progress is not None and progress.missing() == [1, 2]
    take(intake, sent)
    facts = finish(intake, tmp_path)
    assert facts["whole"] and (tmp_path / facts["heq"]).read_bytes() == file
    start = replace(Start.read(parse(sent[0]).payload), step=72)
    wrong = replace(parse(sent[0]), image=1, payload=start.payload(), step=72, count=0)
    assert take(intake, [wrong.packed(0)]) == [False] and refused(intake) == {"unknown model": 1}


def test_a_disk_that_is_full_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets wait, and are acknowledged when they are stored."""
    sent, answers = packets(), []
    monkeypatch.setattr(service, "PAUSE", 0.01)
    full = iter([True, True])

    def set_counts(self: Store, counts: dict[str, int]) -> None:
        if next(full, False):
            raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Store, "set_counts", set_counts)
    said: list[logging.LogRecord] = []
    monkeypatch.setattr(service.LOG, "handle", said.append)

    class Camera:
        scheme, name = "test", "test"

        async def run(self, inbox: Inbox) -> None:
            for packet in sent:
                inbox.put(Arrival(packet, done=answers.append))
            while len(answers) < len(sent):
                await asyncio.sleep(0.01)

        def send(self, way: str, data: bytes) -> None: ...

    async def run() -> None:
        receiver = service.Receiver(tmp_path, Limits(), 1, "plain")
        running = asyncio.create_task(receiver.run([Camera()]))
        for _ in range(6000):
            if len(answers) == len(sent):
                break
            await asyncio.sleep(0.01)
        assert len(await receiver.images("")) == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())
    assert answers == [True] * len(sent)
    assert Intake(tmp_path, Limits()).store.packets(1) == sent
    assert sum("disk is full" in record.getMessage() for record in said) == 2


# ---- limits


def test_senders(tmp_path: Path) -> None:
    intake = Intake(tmp_path, Limits(senders=2))
    for sender in range(4):
        take(intake, packets(sender=sender))
    assert [row["sender"] for row in rows(intake)] == [0, 1]
    assert refused(intake) == {"too many senders": 2 * len(packets())}
    assert take(Intake(tmp_path, Limits(senders=2)), packets(sender=9)[:1]) == [False]


def test_images_of_a_sender(tmp_path: Path) -> None:
    intake = Intake(tmp_path, Limits(open_images=2, images=3))
    for image in range(6):
        take(intake, packets(image=image)[:5])
        finish(intake, tmp_path)
    assert [row["image"] for row in rows(intake)] == [3, 4, 5]
    assert [row["open"] for row in rows(intake)] == [0, 1, 1]
    assert len(list(tmp_path.glob("*/*.png"))) == 1


def test_bytes_of_a_sender(tmp_path: Path) -> None:
    size = sum(map(len, packets()))
    intake = Intake(tmp_path, Limits(sender_bytes=size + 100, open_images=1))
    take(intake, packets(image=1)[:-1])
    take(intake, packets(image=2))
    assert refused(intake)["too much of a sender"] > 0
    finish(intake, tmp_path)
    take(intake, packets(image=2))
    assert [row["stored"] for row in rows(intake)] == [0, len(packets())]
    assert take(intake, packets(sender=1)) == [True] * len(packets())


def test_open_packets(tmp_path: Path) -> None:
    intake = Intake(tmp_path, Limits(open_packets=50))
    for sender in range(4):
        take(intake, packets(sender=sender)[:20])
    assert [row["open"] for row in rows(intake)] == [0, 1, 1, 1]


def test_open_patches(tmp_path: Path) -> None:
    intake = Intake(tmp_path, Limits(open_patches=2 * 48))
    for sender in range(4):
        take(intake, packets(sender=sender)[:1])
    assert [row["open"] for row in rows(intake)] == [0, 0, 1, 1]


def test_waiting_packets(tmp_path: Path) -> None:
    intake, sent = Intake(tmp_path, Limits(waiting=5, timeout=60)), packets()
    assert not any(take(intake, sent[1:8]))
    assert refused(intake) == {"no start packet": 2}
    intake.expire(now=61)
    assert rows(intake) == [] and intake.store.packets(1) == []
    assert all(take(intake, sent))


def test_pixels_and_models(tmp_path: Path) -> None:
    intake, first = Intake(tmp_path, Limits(pixels=200 * 200)), parse(packets()[0])
    assert take(intake, packets()[:1]) == [False]
    start = Start.read(first.payload)
    for changed in (
        replace(start, width=64, model=1),
        replace(start, width=0),
        replace(start, width=64, run=7),
    ):
        payload = changed.payload() + first.payload[START.size :]
        assert take(intake, [replace(first, payload=payload).packed(0)]) == [False]
    assert refused(intake) == {"too large": 1, "unknown model": 1, "no packet": 2}


def test_hostile_packets_cost_a_counter(tmp_path: Path) -> None:
    intake, sent = Intake(tmp_path, Limits(waiting=100)), packets(fec=20)
    assert all(take(intake, sent))
    kept = intake.store.packets(1)
    generator = np.random.default_rng(1)
    bad = [bytes(length) for length in range(1, 1500, 3)]
    bad += [generator.bytes(int(generator.integers(1, 1500))) for _ in range(2000)]
    for _ in range(6000):
        packet = sent[generator.integers(len(sent))]
        changed = mutated(packet, generator)
        if changed and changed not in sent:
            bad.append(changed)
    assert not any(take(intake, bad))
    counted = sum(refused(intake).values()) + intake.counts["waiting"]
    assert counted == len(bad) and intake.counts["waiting"] <= 100
    assert intake.store.packets(1) == kept


def test_a_sender_that_writes_nonsense(tmp_path: Path) -> None:
    """Checksums are right, and the rest is not: nothing breaks, and the picture stays."""
    intake, generator = Intake(tmp_path, Limits()), np.random.default_rng(2)
    sent = packets()
    seed = Start.read(parse(sent[0]).payload).seed()
    batch = []
    for _ in range(500):
        packet = parse(sent[generator.integers(len(sent))])
        kind = Kind(int(generator.integers(3)))
        payload = packet.payload
        if generator.integers(2):
            payload = generator.bytes(int(generator.integers(1, 90)))
        words = generator.integers([1024, 65536, 65536, 256])
        made = Packet(
            *(kind, int(generator.integers(2)), int(generator.integers(3)), int(words[1]), payload),
            step=int(words[0]) if generator.integers(2) else packet.step,
            last=bool(generator.integers(2)),
            first=int(words[2]) if generator.integers(2) else packet.first,
            count=int(words[3]) if generator.integers(2) else packet.count,
        )
        batch.append(made.packed(0 if kind == Kind.START else seed))
    take(intake, batch)
    take(intake, packets(sender=7))
    found = [row for row in rows(intake) if row["start"]]
    assert len(found) > 3
    for row in [*found[:9], found[-1]]:
        facts = rendering.finish(tmp_path, row["key"], "plain")
        assert facts["whole"] == (row["sender"] == 7)
