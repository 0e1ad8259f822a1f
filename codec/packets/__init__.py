"""Packets for links that lose some of them: each stands alone (docs/PACKETS.md)."""

from .assembler import ImageState, PacketAssembler
from .filling import packetize

__all__ = ["ImageState", "PacketAssembler", "packetize"]
