"""The header of a container: its values, their limits, and the repair of a damaged one."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from math import prod

import heqcodec
import numpy as np
import pytest
from conftest import LightModels
from heqcodec.base.errors import (
    HeqChecksumError,
    HeqError,
    HeqFormatError,
    HeqLimitError,
    HeqTruncatedError,
    HeqUnsupportedError,
)
from heqcodec.container import Coder, ContainerReader, Header, Mode, parse_header
from heqcodec.container.header import (
    HEADER_LENGTH,
    MAGIC,
    MOST_STRIPS,
    U32_MAX,
    check_pixels,
    enough_strip_rows,
    field_offsets,
    padded_size,
)
from heqcodec.container.repair import repair_header
from hypothesis import given
from sample_containers import HEADER, headers

RATE = Header(40, 96, 1, 500, b"encoder.", b"anything", Coder.DEVICE, Mode.RATE)
PACKED = replace(RATE, coder=Coder.PACKED, device_rows=3)


def with_header_field(name: str, code: str, value: object) -> bytes:
    """A header with one raw value changed and its CRC-32 right."""
    data = bytearray(HEADER.pack())
    struct.pack_into("<" + code, data, field_offsets()[name], value)
    struct.pack_into("<I", data, 40, zlib.crc32(data[:40]))
    return bytes(data)


class TestHeader:
    @given(headers)
    def test_round_trip(self, header: Header) -> None:
        packed = header.pack()
        assert len(packed) == HEADER_LENGTH
        assert parse_header(packed + b"what follows") == header

    @pytest.mark.parametrize(
        ("name", "code", "value", "error"),
        [
            ("version", "B", 2, HeqUnsupportedError),
            ("device_rows", "B", 1, HeqUnsupportedError),
            ("mode", "B", Mode.RATE, HeqFormatError),
            ("mode", "B", Mode.PROGRESSIVE, HeqFormatError),
            ("mode", "B", 3, HeqUnsupportedError),
            ("coder", "B", Coder.DEVICE, HeqFormatError),
            ("coder", "B", 4, HeqUnsupportedError),
            ("channels", "B", 0, HeqFormatError),
            ("channels", "B", 2, HeqFormatError),
            ("channels", "B", 131, HeqFormatError),
            ("width", "I", 0, HeqFormatError),
            ("height", "I", 0, HeqFormatError),
            ("rate", "H", 0, HeqFormatError),
            ("rate", "H", 65, HeqFormatError),
            ("strip_rows", "B", 0, HeqFormatError),
            ("coder_id", "8s", b"nonsense", HeqFormatError),
        ],
    )
    def test_values_that_are_refused(
        self, name: str, code: str, value: object, error: type[HeqError]
    ) -> None:
        data = with_header_field(name, code, value)
        with pytest.raises(error):
            parse_header(data)
        with pytest.raises(error):
            ContainerReader(io.BytesIO(data), partial=True)

    @pytest.mark.parametrize(
        ("base", "taken", "refused"),
        [
            (HEADER, {"width": 1}, {"width": 0}),
            (HEADER, {"height": 1}, {"height": 0}),
            (RATE, {"width": U32_MAX}, {"width": U32_MAX + 1}),
            (RATE, {"height": 32 * MOST_STRIPS}, {"height": 32 * MOST_STRIPS + 1}),
            (HEADER, {"strip_rows": 1}, {"strip_rows": 0}),
            (HEADER, {"strip_rows": 255}, {"strip_rows": 256}),
            (HEADER, {"rate": 8}, {"rate": 0}),
            (HEADER, {"rate": 65528}, {"rate": 65536}),
            (HEADER, {"rate": 72}, {"rate": 68}),
            (RATE, {"rate": 0}, {"rate": -1}),
            (RATE, {"rate": 1023}, {"rate": 1024}),
            (PACKED, {"device_rows": 1}, {"device_rows": 0}),
            (PACKED, {"device_rows": 255}, {"device_rows": 256}),
            (HEADER, {"channels": 1, "gray_as_rgb": True}, {"channels": 3, "gray_as_rgb": True}),
            (HEADER, {"coder": Coder.PATCH, "coder_id": b"anything"}, {"coder_id": b"short"}),
            # 255 * 65,537 * 257 = 2^32 - 1
            (
                replace(HEADER, strip_rows=255, width=65_537 * 32),
                {"rate": 257 * 8},
                {"rate": 258 * 8},
            ),
        ],
    )
    def test_limits(
        self, base: Header, taken: dict[str, object], refused: dict[str, object]
    ) -> None:
        header = replace(base, **taken)
        assert parse_header(header.pack()) == header
        with pytest.raises((HeqFormatError, HeqUnsupportedError)):
            replace(header, **refused).pack()

    def test_a_strip_longer_than_its_length_field(self) -> None:
        wide = replace(HEADER, width=2**32 - 1, rate=65528, strip_rows=255)
        with pytest.raises(HeqFormatError, match="fewer rows per strip"):
            wide.pack()

    def test_ids_of_another_length(self) -> None:
        with pytest.raises(HeqFormatError):
            replace(HEADER, encoder_id=b"short").pack()

    @pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(60), MAGIC[:4] + b"..."])
    def test_other_files(self, data: bytes) -> None:
        with pytest.raises(HeqFormatError, match=r"not a \.heq file"):
            parse_header(data)

    def test_cut_short(self) -> None:
        for length in range(1, HEADER_LENGTH):
            with pytest.raises(HeqTruncatedError):
                parse_header(HEADER.pack()[:length])

    def test_damage_is_told_from_a_newer_version(self) -> None:
        data = bytearray(HEADER.pack())
        data[8] = 2
        with pytest.raises(HeqChecksumError, match="CRC-32"):
            parse_header(bytes(data))

    def test_repair_of_any_one_byte(self) -> None:
        clean = HEADER.pack()
        rng = np.random.default_rng(5)
        for offset in range(HEADER_LENGTH):
            damaged = bytearray(clean)
            damaged[offset] ^= int(rng.integers(1, 256))
            assert repair_header(bytes(damaged)) == clean
        assert repair_header(clean) == clean
        assert repair_header(clean[:43]) is None
        assert repair_header(bytes(44 * [7])) is None


class TestPixelLimit:
    def test_at_and_over(self) -> None:
        check_pixels(10, 10, 100)
        check_pixels(2**32 - 1, 2**32 - 1, None)
        for size in ((101, 1), (1, 101)):
            with pytest.raises(HeqLimitError, match=r"= 101 pixels.*raise max_pixels"):
                check_pixels(*size, 100)

    def test_padding_counts(self) -> None:
        check_pixels(1, 1, 1)
        with pytest.raises(HeqLimitError, match="pads to"):
            check_pixels(1, 50_000_000, 89_478_485)

    @pytest.mark.parametrize("size", [(1, 1_000_000), (1_000_000, 1), (31, 2_796_000)])
    def test_narrow_images_count_as_their_frame(self, size: tuple[int, int]) -> None:
        frame = prod(padded_size(*size))
        assert frame == -(-size[0] // 32) * -(-size[1] // 32) * 1024
        check_pixels(*size, frame)
        check_pixels(*size, 89_478_485)
        with pytest.raises(HeqLimitError, match=f"raise max_pixels to {frame}"):
            check_pixels(*size, frame - 1)

    def test_small_frames_pass_at_the_size_of_the_image(self) -> None:
        check_pixels(1, 2**20 // 32, 2**20 // 32)
        with pytest.raises(HeqLimitError, match="pads to"):
            check_pixels(1, 2**20 // 32 + 1, 2**20 // 32 + 1)

    def test_the_same_for_encoding_and_decoding(self, light: LightModels) -> None:
        tall = np.zeros((40_000, 1), np.uint8)
        file = heqcodec.encode(tall, model="light")
        frame = heqcodec.info(file)["padded_pixels"]
        assert frame == 40_000 * 32
        assert heqcodec.decode(file, max_pixels=frame).shape == (40_000, 1, 1)
        assert heqcodec.encode(tall, model="light", max_pixels=frame) == file
        with pytest.raises(HeqLimitError, match="pads to"):
            heqcodec.decode(file, max_pixels=frame - 1)
        with pytest.raises(HeqLimitError, match="pads to"):
            heqcodec.encode(tall, model="light", max_pixels=frame - 1)


def test_strips_are_as_high_as_their_number_asks() -> None:
    most = 32 * MOST_STRIPS
    assert [enough_strip_rows(1, height) for height in (1, most, most + 1)] == [1, 1, 2]
    assert [enough_strip_rows(8, height) for height in (most + 1, 8 * most + 1)] == [8, 9]
    assert [enough_strip_rows(1, height, parts=2) for height in (most // 2, most)] == [1, 2]
    assert isinstance(enough_strip_rows(1, most + 1), int)
