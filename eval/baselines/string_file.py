"""A file for what CompressAI gives: byte strings and the shape of the latents, and no format.

Little is stored, because CompressAI counts its strings alone: 15 to 19 bytes for an image of
Kodak, 0.0004 bits per pixel. Numbers are LEB128: seven bits a byte, low bits first, the highest
bit set where more follow::

    4 bytes   48 45 51 53 ("HEQS")
    4 bytes   identity of the weights
    numbers   width, height; latent rows, latent columns; count of strings; length of each
    bytes     the strings, and nothing after them
"""

from __future__ import annotations

from dataclasses import dataclass

from heqcodec.base.errors import HeqFormatError, HeqLimitError, HeqTruncatedError

MAGIC = b"HEQS"
IDENTITY_BYTES = 4
MAX_STRINGS = 64
MAX_PIXELS = 2**28
"""Largest width times height that a file may announce; memory follows it."""


@dataclass(frozen=True)
class StringFile:
    """One coded image.

    identity: 4 bytes that name the weights which coded it.
    width, height: of the image, in pixels, without padding.
    rows, columns: of the latents, as the model's ``decompress`` wants them.
    strings: what the entropy coder wrote.
    """

    identity: bytes
    width: int
    height: int
    rows: int
    columns: int
    strings: tuple[bytes, ...]

    def pack(self) -> bytes:
        """Return the bytes of the file."""
        numbers = [self.width, self.height, self.rows, self.columns, len(self.strings)]
        numbers += [len(string) for string in self.strings]
        head = MAGIC + self.identity + b"".join(_packed(number) for number in numbers)
        return head + b"".join(self.strings)

    @classmethod
    def parse(cls, data: bytes) -> StringFile:
        """Read the bytes of a file.

        Raises:
            HeqFormatError: it is no such file, or something follows it.
            HeqTruncatedError: it ends early.
            HeqLimitError: it announces more than ``MAX_PIXELS``.
        """
        if data[: len(MAGIC)] != MAGIC:
            raise HeqFormatError("This is not a file of CompressAI strings as heqcodec writes it.")
        start = len(MAGIC) + IDENTITY_BYTES
        if len(data) < start:
            raise HeqTruncatedError("The file of CompressAI strings ends in its header.")
        numbers = []
        for _ in range(5):
            number, start = _parsed(data, start)
            numbers.append(number)
        width, height, rows, columns, count = numbers
        if min(numbers) == 0:
            raise HeqFormatError("A file of CompressAI strings announces an empty image.")
        if width * height > MAX_PIXELS or rows * columns > width * height or count > MAX_STRINGS:
            raise HeqLimitError(
                f"A file of CompressAI strings announces {width}x{height} pixels, {rows}x{columns} "
                f"latents and {count} strings, which is too much."
            )
        lengths = []
        for _ in range(count):
            length, start = _parsed(data, start)
            lengths.append(length)
        if len(data) < start + sum(lengths):
            raise HeqTruncatedError("The file of CompressAI strings ends in a string.")
        if len(data) > start + sum(lengths):
            raise HeqFormatError("Something follows the strings of a file of CompressAI strings.")
        strings = []
        for length in lengths:
            strings.append(data[start : start + length])
            start += length
        identity = data[len(MAGIC) : len(MAGIC) + IDENTITY_BYTES]
        return cls(identity, width, height, rows, columns, tuple(strings))


def _packed(number: int) -> bytes:
    packed = bytearray()
    while number >= 0x80:
        packed.append(number & 0x7F | 0x80)
        number >>= 7
    packed.append(number)
    return bytes(packed)


def _parsed(data: bytes, start: int) -> tuple[int, int]:
    """Return a number of at most 35 bits, and where the next begins."""
    number = 0
    for place in range(5):
        if start >= len(data):
            raise HeqTruncatedError("The file of CompressAI strings ends in its header.")
        number |= (data[start] & 0x7F) << (7 * place)
        start += 1
        if data[start - 1] < 0x80:
            return number, start
    raise HeqFormatError("A number in a file of CompressAI strings is too long.")
