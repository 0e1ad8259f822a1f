"""Packets from folders, serial lines, brokers and datagrams, in the process of the tests."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from heqcodec.base.errors import HeqError
from heqcodec.packets.framing import kiss_frame, kiss_frames
from heqcodec.receive.folder import FolderSource
from heqcodec.receive.inbox import Inbox, Source
from heqcodec.receive.intake import Arrival
from heqcodec.receive.lorawan import downlink, uplink
from heqcodec.receive.udp import UdpSource
from receiving import PATIENCE, packets

SENT = packets()


def received(source: Source, send: Callable[[], None], count: int) -> list[Arrival]:
    """What a source gives when something is sent to it."""

    async def run() -> list[Arrival]:
        inbox, found = Inbox(1 << 16), []
        task = asyncio.create_task(source.run(inbox))
        await asyncio.sleep(0.1)
        sender = asyncio.create_task(asyncio.to_thread(send))
        while len(found) < count and not task.done():
            batch = asyncio.create_task(inbox.batch())
            waited = (batch, task)
            await asyncio.wait(waited, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            if not batch.done():
                batch.cancel()
                break
            found += batch.result()
            for arrival in batch.result():
                if arrival.done:
                    arrival.done(True)
        await asyncio.wait_for(sender, PATIENCE)
        task.cancel()
        if task.done() and not task.cancelled():
            task.result()
        await asyncio.gather(task, return_exceptions=True)
        return found

    return asyncio.run(run())


def counted(sent: list[bytes]) -> bytes:
    return b"".join(struct.pack(">H", len(packet)) + packet for packet in sent)


# ---- folders


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.pkt").write_bytes(counted(SENT[:10]))
    (tmp_path / ".hidden").write_bytes(SENT[0])
    places: dict[str, int] = {}

    def send() -> None:
        with (tmp_path / "a.pkt").open("ab") as stream:
            for byte in counted(SENT[10:12]):
                stream.write(bytes([byte]))
                stream.flush()
        (tmp_path / "b.bin").write_bytes(SENT[12])
        (tmp_path / "c.kiss").write_bytes(b"".join(map(kiss_frame, SENT[13:20])) + b"\0rest")

    found = received(FolderSource(tmp_path, places), send, 20)
    assert sorted(arrival.data for arrival in found) == sorted(SENT[:20])
    read = dict(arrival.read for arrival in found if arrival.read)
    assert read == places and read[str(tmp_path / "a.pkt")] == len(counted(SENT[:12]))
    # Started again, it reads on where it was.
    with (tmp_path / "a.pkt").open("ab") as stream:
        stream.write(counted(SENT[20:22]))
    again = received(FolderSource(tmp_path, read), lambda: None, 2)
    assert [arrival.data for arrival in again] == SENT[20:22]
    with pytest.raises(HeqError, match="no folder"):
        FolderSource(tmp_path / "none", {})


def test_a_full_inbox_does_not_lose_files(tmp_path: Path) -> None:
    (tmp_path / "a.pkt").write_bytes(counted(SENT))

    async def run() -> list[bytes]:
        inbox, found = Inbox(3), []
        task = asyncio.create_task(FolderSource(tmp_path, {}).run(inbox))
        while len(found) < len(SENT):
            batch = await asyncio.wait_for(inbox.batch(), PATIENCE)
            found += [arrival.data for arrival in batch]
        task.cancel()
        assert inbox.dropped == 0
        return found

    assert asyncio.run(run()) == SENT


# ---- datagrams


def test_datagrams_are_answered() -> None:
    source, camera = UdpSource("127.0.0.1", 0), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    camera.connect(("127.0.0.1", source.port))
    camera.settimeout(PATIENCE)
    answers = []

    def send() -> None:
        for packet in SENT:
            camera.send(packet)
            answers.append(camera.recv(64))
        source.send(f"udp 127.0.0.1 {camera.getsockname()[1]}", b"list")
        answers.append(camera.recv(64))

    with pytest.raises(HeqError, match="UDP port"):
        UdpSource("127.0.0.1", source.port)
    found = received(source, send, len(SENT))
    assert [arrival.data for arrival in found] == SENT
    assert {arrival.way for arrival in found} == {f"udp 127.0.0.1 {camera.getsockname()[1]}"}
    assert answers == [*(packet[-4:] for packet in SENT), b"list"]
    camera.close()


def test_a_flood_is_dropped() -> None:
    async def run() -> None:
        inbox = Inbox(10)
        for _ in range(25):
            inbox.put(Arrival(b"x"))
        assert inbox.dropped == 15 and len(await inbox.batch()) == 10

    asyncio.run(run())


# ---- a serial line


def test_a_serial_line() -> None:
    pytest.importorskip("serial")
    from heqcodec.receive.serial_line import SerialSource

    radio, line = os.openpty()
    source = SerialSource(os.ttyname(line), 115200)
    heard = []

    def send() -> None:
        for packet in SENT:
            os.write(radio, b"\x06noise" + kiss_frame(packet))
        source.send("serial", b"\xc0\xdblist")
        data = b""
        while data.count(b"\xc0") < 2:
            data += os.read(radio, 100)
        heard.extend(kiss_frames(data))

    found = received(source, send, len(SENT))
    assert [arrival.data for arrival in found] == SENT
    assert heard == [b"\xc0\xdblist"]
    os.close(radio)
    os.close(line)
    with pytest.raises(HeqError, match="serial line"):
        SerialSource("/dev/no-such-line", 9600)


# ---- LoRaWAN


def test_the_things_stack() -> None:
    topic = "v3/traps@tenant/devices/trap-7/up"
    text = base64.b64encode(SENT[0]).decode()
    message = {
        "end_device_ids": {"device_id": "trap-7"},
        "uplink_message": {"f_port": 15, "frm_payload": text},
    }
    data, way = uplink(topic, json.dumps(message).encode())
    assert data == SENT[0]
    target, payload = downlink(way, b"\1\2")
    assert target == "v3/traps@tenant/devices/trap-7/down/push"
    assert json.loads(payload) == {
        "downlinks": [{"f_port": 15, "frm_payload": "AQI=", "priority": "NORMAL"}]
    }


def test_chirpstack() -> None:
    topic = "application/5/device/0102030405060708/event/up"
    text = base64.b64encode(SENT[0]).decode()
    data, way = uplink(topic, json.dumps({"fPort": 10, "data": text}).encode())
    assert data == SENT[0]
    target, payload = downlink(way, b"\1\2")
    assert target == "application/5/device/0102030405060708/command/down"
    assert json.loads(payload) == {
        **{"devEui": "0102030405060708", "confirmed": False, "fPort": 10, "data": "AQI="}
    }


@pytest.mark.parametrize(
    "payload",
    [
        b'{"uplink_message": {"frm_payload": 7}}',
        b'{"uplink_message": {"f_port": "x"}}',
        b'{"data": "*"}',
        b'{"data": null, "fPort": -1}',
    ],
)
def test_messages_without_a_packet(payload: bytes) -> None:
    data, way = uplink("a/b", payload)
    assert data == b"" and downlink(way, b"x")


@pytest.mark.parametrize("payload", [b"{", b"[1]", b"{}", b'{"a": 1}', SENT[0], b""])
def test_other_messages_are_bare_packets(payload: bytes) -> None:
    data, way = uplink("camera/up", payload)
    assert data == payload and downlink(way, b"list") == ("camera/up/resend", b"list")


# ---- a broker


@pytest.fixture
def broker() -> Iterator[int]:
    """The port of a broker in this process."""
    broker_module = pytest.importorskip("amqtt.broker")
    pytest.importorskip("paho.mqtt.client")
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    loop, ready, made = asyncio.new_event_loop(), threading.Event(), []

    async def begin() -> None:
        made.append(broker_module.Broker(config))
        await made[0].start()
        ready.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(begin())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    yield port
    asyncio.run_coroutine_threadsafe(made[0].shutdown(), loop).result(PATIENCE)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)


def client(port: int, name: str) -> Any:
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    made = Client(CallbackAPIVersion.VERSION2, name)
    made.connect("127.0.0.1", port)
    made.loop_start()
    return made


def test_a_broker(broker: int, tmp_path: Path) -> None:
    from heqcodec.receive.mqtt import MqttSource

    source = MqttSource(f"mqtt://127.0.0.1:{broker}/v3/+/devices/+/up", tmp_path)
    heard, came = [], threading.Event()
    server = client(broker, "server")

    def told(_: Any, __: Any, message: Any) -> None:
        heard.append((message.topic, json.loads(message.payload)))
        came.set()

    server.on_message = told
    server.subscribe("v3/+/devices/+/down/push", 1)

    def send() -> None:
        for packet in SENT:
            text = base64.b64encode(packet).decode()
            message = {"uplink_message": {"f_port": 3, "frm_payload": text}}
            published = server.publish("v3/a/devices/b/up", json.dumps(message), qos=1)
            published.wait_for_publish(PATIENCE)
        source.send("mqtt things-stack 3 v3/a/devices/b", b"\1\2\3")
        assert came.wait(PATIENCE)

    found = received(source, send, len(SENT))
    server.disconnect()
    server.loop_stop()
    assert [arrival.data for arrival in found] == SENT
    assert heard[0][0] == "v3/a/devices/b/down/push"
    assert heard[0][1]["downlinks"][0]["frm_payload"] == "AQID"


def test_no_broker(tmp_path: Path) -> None:
    pytest.importorskip("paho.mqtt.client")
    from heqcodec.receive.mqtt import MqttSource

    with pytest.raises(HeqError, match="not of the form"):
        MqttSource("http://127.0.0.1/", tmp_path)
    with pytest.raises(HeqError, match=r"mqtt 127\.0\.0\.1"):
        received(MqttSource("mqtt://127.0.0.1:1/a", tmp_path), lambda: None, 1)
