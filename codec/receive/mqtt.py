"""Packets as messages of an MQTT broker, acknowledged to it when they are stored."""

from __future__ import annotations

import asyncio
import os
import threading
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from heqcodec.base.errors import HeqError

from .inbox import Inbox
from .intake import Arrival
from .lorawan import UPLINKS, downlink, uplink

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

SCHEME = "mqtt"
PASSWORD = "HEQCODEC_MQTT_PASSWORD"
"""Environment variable of the password, which a URL would show to everybody."""
CONNECT_SECONDS = 10


class MqttSource:
    """A subscription with a session of its own at the broker, which keeps what comes meanwhile.

    Args:
        url: mqtt://[user[:password]@]host[:port]/[topic], or mqtts:// for TLS. Without a topic
            those of `UPLINKS`.
        folder: of the receiver; the session is named after it.

    Raises:
        HeqError: the URL is none, or nobody answers.
    """

    scheme = SCHEME

    def __init__(self, url: str, folder: Path) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise HeqError(f"{url} is not of the form mqtt://host/topic.")
        topic = unquote(parts.path.lstrip("/")) + (f"#{parts.fragment}" if "#" in url else "")
        self._topics = [topic] if topic else list(UPLINKS)
        secure = parts.scheme == "mqtts"
        port = parts.port or (8883 if secure else 1883)
        self.name = f"mqtt {parts.hostname} port {port}, {' and '.join(self._topics)}"
        identity = zlib.crc32(str(folder.absolute()).encode())
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            f"heqcodec-{identity:08x}",
            clean_session=False,
            manual_ack=True,
        )
        if secure:
            self._client.tls_set()
        password = unquote(parts.password) if parts.password else os.environ.get(PASSWORD)
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), password)
        self._answered = threading.Event()
        self._refusal = ""
        self._client.on_connect = self._connected
        self._address = parts.hostname, port

    async def run(self, inbox: Inbox) -> None:
        """See `heqcodec.receive.inbox.Source`."""
        loop = asyncio.get_running_loop()

        def deliver(client: Client, _: Any, message: MQTTMessage) -> None:
            data, way = uplink(message.topic, bytes(message.payload))
            # Stored or refused, the broker need not send it again.
            done = partial(_acknowledge, client, message.mid, message.qos)
            arrival = Arrival(data, f"{SCHEME} {way}", done=done)
            loop.call_soon_threadsafe(inbox.put, arrival)

        self._client.on_message = deliver
        try:
            self._client.connect(*self._address)
        except OSError as error:
            raise HeqError(f"{self.name}: {error.strerror or error}.") from error
        self._client.loop_start()
        try:
            await asyncio.to_thread(self._answered.wait, CONNECT_SECONDS)
            if self._refusal:
                raise HeqError(f"{self.name}: {self._refusal}.")
            await asyncio.Event().wait()
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def send(self, way: str, data: bytes) -> None:
        """See `heqcodec.receive.inbox.Source`."""
        topic, payload = downlink(way.split(" ", 1)[1], data)
        self._client.publish(topic, payload, qos=1)

    def _connected(self, client: Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self._refusal = str(reason)
        else:
            client.subscribe([(topic, 1) for topic in self._topics])
        self._answered.set()


def _acknowledge(client: Client, number: int, quality: int, _: bool) -> None:
    client.ack(number, quality)
