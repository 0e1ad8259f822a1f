"""`heqcodec.StreamDecoder` and `decode --follow`: rows of a file that is still growing."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from command_runner import run
from heqcodec.base.errors import HeqError, HeqTruncatedError
from heqcodec.container.header import HEADER_LENGTH
from numpy.typing import NDArray
from PIL import Image
from slow_cases import slow


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    import heqcodec.cli

    with Image.open(Path(heqcodec.cli.__file__).parent / "astronaut.jpg") as image:
        return np.asarray(image.convert("RGB").crop((150, 0, 250, 300)))


def streamed(
    data: bytes, seed: int, decoder: str
) -> tuple[heqcodec.StreamDecoder, NDArray[np.uint8], list[int]]:
    """The decoder after all of a file came in pieces of random length; its rows, and how many
    there were after each piece."""
    stream = heqcodec.StreamDecoder(decoder=decoder)  # type: ignore[arg-type]
    generator = np.random.default_rng(seed)
    place, rows, counts = 0, [], [0]
    while place < len(data):
        length = int(generator.integers(1, 2 ** generator.integers(1, 13)))
        for part in stream.feed(data[place : place + length]):
            assert part.first == sum(map(len, rows))
            rows.append(part.pixels)
        place += length
        counts.append(stream.rows)
    return stream, np.concatenate(rows), counts


@pytest.mark.parametrize(
    ("model", "options", "decoder"),
    [
        ("nqe-r", {"quality": 40, "strip_rows": 1}, "plain"),
        ("nqe-r", {"quality": 40, "strip_rows": 2}, "fast"),
        ("nqe-r", {"quality": 70, "pack": True}, "plain"),
        slow("nqe-t", {"bpp": 0.25, "strip_rows": 1}, "plain"),
    ],
)
def test_rows_are_those_of_decode(
    pixels: NDArray[np.uint8], model: str, options: dict[str, object], decoder: str
) -> None:
    given = {name: value for name, value in options.items() if name != "pack"}
    data = heqcodec.encode(pixels, model=model, **given)  # type: ignore[arg-type]
    data = heqcodec.pack(data) if options.get("pack") else data
    whole = heqcodec.decode(data, decoder=decoder)  # type: ignore[arg-type]
    for seed in range(2 if decoder == "fast" else 5):
        stream, rows, counts = streamed(data, seed, decoder)
        assert stream.complete and np.array_equal(rows, whole)
        assert np.array_equal(stream.finish().pixels, whole)
        if options.get("strip_rows") == 1:
            assert len(set(counts)) > 2


def test_rows_come_with_their_strips(pixels: NDArray[np.uint8]) -> None:
    data = heqcodec.encode(pixels, quality=40, strip_rows=1)
    stream = heqcodec.StreamDecoder(decoder="plain")
    found = [part for byte in range(len(data)) for part in stream.feed(data[byte : byte + 1])]
    assert [part.first for part in found] == list(range(0, 300, 32))
    half = heqcodec.StreamDecoder(decoder="plain")
    half.feed(data[: len(data) // 2])
    assert 64 < half.rows < 300
    picture = half.picture()
    assert np.array_equal(picture[: half.rows], heqcodec.decode(data, decoder="plain")[: half.rows])
    assert (picture[half.rows :] == 128).all()
    with pytest.raises(HeqTruncatedError):
        half.finish()


@pytest.mark.parametrize("kind", ["gray", "gray as rgb", "alpha"])
def test_kinds(pixels: NDArray[np.uint8], kind: str) -> None:
    given = {
        "gray": pixels[..., 1],
        "gray as rgb": pixels[..., 1:2].repeat(3, axis=2),
        "alpha": np.dstack((pixels, pixels[..., 0])),
    }[kind]
    data = heqcodec.encode(given, quality=30, strip_rows=1)
    whole = heqcodec.decode(data, decoder="plain")
    stream, rows, _ = streamed(data, 3, "plain")
    assert np.array_equal(stream.finish().pixels, whole)
    assert np.array_equal(rows, whole[..., : rows.shape[2]])


def test_strips_that_were_not_sent(pixels: NDArray[np.uint8]) -> None:
    data = heqcodec.encode(pixels, budget=300, strip_rows=1)
    unsent = heqcodec.decode_partial(data, decoder="plain").unsent_strips
    assert unsent
    stream = heqcodec.StreamDecoder(decoder="plain")
    stream.feed(data)
    whole = heqcodec.decode(data, decoder="plain")
    assert stream.complete and np.array_equal(stream.finish().pixels, whole)


def test_damage_ends_the_stream(pixels: NDArray[np.uint8]) -> None:
    data = heqcodec.encode(pixels, quality=40, strip_rows=1)
    generator = np.random.default_rng(6)
    for _ in range(60):
        damaged = bytearray(data)
        damaged[int(generator.integers(len(data)))] ^= int(generator.integers(1, 256))
        stream = heqcodec.StreamDecoder(decoder="plain")
        with pytest.raises(HeqError):
            stream.feed(bytes(damaged))
            stream.finish()
    with pytest.raises(HeqError, match="pixels"):
        heqcodec.StreamDecoder(max_pixels=100).feed(data)
    with pytest.raises(HeqError):
        heqcodec.StreamDecoder().feed(b"not a file" * 10)
    assert heqcodec.StreamDecoder().feed(data[: HEADER_LENGTH - 1]) == []


def test_follow(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    data = heqcodec.encode(pixels, quality=40, strip_rows=1)
    growing, out = tmp_path / "growing.heq", tmp_path / "out.png"
    growing.write_bytes(b"")

    def write() -> None:
        for place in range(0, len(data), 1000):
            with growing.open("ab") as stream:
                stream.write(data[place : place + 1000])
            time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    result = run("decode", growing, out, "--follow", "--decoder", "plain")
    writer.join()
    assert result.exit_code == 0 and "300 of 300 rows" in result.stdout + result.stderr
    with Image.open(out) as image:
        assert np.array_equal(np.asarray(image), heqcodec.decode(data, decoder="plain"))


@pytest.mark.slow
def test_follow_gives_up(pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    data = heqcodec.encode(pixels, quality=40, strip_rows=1)
    cut, out = tmp_path / "cut.heq", tmp_path / "out.png"
    cut.write_bytes(data[: len(data) // 2])
    plain = ("--decoder", "plain")
    result = run("decode", cut, out, "--follow", "--timeout", "0.3", *plain)
    assert result.exit_code == 1 and "did not come to its end" in result.stderr
    with Image.open(out) as image:
        assert np.array_equal(np.asarray(image)[:64], heqcodec.decode(data, decoder="plain")[:64])
    piped = run("decode", "-", tmp_path / "piped.png", "--follow", *plain, stdin=data)
    assert piped.exit_code == 0
    for wrong in (["--region", "0,0,9,9"], ["--partial"], ["--json"]):
        assert run("decode", cut, tmp_path / "x.png", "--follow", *wrong).exit_code == 2
