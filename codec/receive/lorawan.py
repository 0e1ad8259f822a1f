"""Messages of LoRaWAN network servers: packets in uplinks, resend lists in downlinks.

The Things Stack 3 (topics v3/APPLICATION/devices/DEVICE/up) and ChirpStack 4 (topics
application/ID/device/EUI/event/up) put the bytes into JSON as base64; other brokers may carry the
bare packet.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from heqcodec.base.errors import HeqError

THINGS_STACK, CHIRPSTACK, PLAIN = "things-stack", "chirpstack", "plain"
UPLINKS = ("v3/+/devices/+/up", "application/+/device/+/event/up")
"""Topics of both servers."""
MOST_DOWNLINK = 51
"""Bytes of a downlink that LoRaWAN carries at every data rate of most regions."""


def uplink(topic: str, payload: bytes) -> tuple[bytes, str]:
    """The packet in a message, empty if there is none, and the way back: server, port, topic."""
    if payload[:1] == b"{":
        try:
            message = json.loads(payload)
        except ValueError:
            message = None
        if isinstance(message, dict):
            found = _of_json(topic, message)
            if found is not None:
                return found
    return payload, f"{PLAIN} 0 {topic}"


def _of_json(topic: str, message: dict[str, Any]) -> tuple[bytes, str] | None:
    up = message.get("uplink_message")
    if isinstance(up, dict):
        base = topic.removesuffix("/up")
        return _decoded(up.get("frm_payload")), f"{THINGS_STACK} {_port(up.get('f_port'))} {base}"
    if "data" in message or "fPort" in message:
        base = topic.removesuffix("/event/up")
        return _decoded(message.get("data")), f"{CHIRPSTACK} {_port(message.get('fPort'))} {base}"
    return None


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return b""


def _port(value: Any) -> int:
    return value if isinstance(value, int) and 0 < value < 224 else 1


def downlink(way: str, data: bytes) -> tuple[str, bytes]:
    """Topic and payload of a message to the sender of `uplink`'s way.

    Raises:
        HeqError: the way is none of these.
    """
    server, port, base = way.split(" ", 2)
    text = base64.b64encode(data).decode()
    if server == THINGS_STACK:
        entry = {"f_port": int(port), "frm_payload": text, "priority": "NORMAL"}
        return f"{base}/down/push", json.dumps({"downlinks": [entry]}).encode()
    if server == CHIRPSTACK:
        eui = base.rsplit("/", 1)[-1]
        body = {"devEui": eui, "confirmed": False, "fPort": int(port), "data": text}
        return f"{base}/command/down", json.dumps(body).encode()
    if server == PLAIN:
        return f"{base}/resend", data
    raise HeqError(f"there is no way back by {server}.")
