"""Packets of the exported encoder: those of Python, made again by number, and within a budget."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from c_compilers import ARM, COMPILERS, build, needs_compiler, sanitized, sanitizer
from c_toolchains import FORBIDDEN, arm_code
from heqcodec.base.arguments import TuneName
from heqcodec.export.c_project import READERS, export_c
from heqcodec.export.vectors import pnm
from heqcodec.file.options import step_of_quality
from heqcodec.packets import PacketAssembler, packetize
from heqcodec.packets.framing import counted
from heqcodec.packets.layout import Kind, parse
from numpy.typing import NDArray
from PIL import Image
from slow_cases import quick_first

pytestmark = needs_compiler


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    import heqcodec.cli

    with Image.open(Path(heqcodec.cli.__file__).parent / "astronaut.jpg") as image:
        return np.asarray(image.convert("RGB").crop((90, 0, 90 + 230, 150)))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packets") / "c"
    export_c("nqe-r", folder)
    return folder


def compiled(compiler: str, exported: Path, main: Path, kernel: str, flags: list[str]) -> Path:
    flags = [*flags, f"-DHEQ_KERNEL_{kernel}", "-DHEQ_PACKETS", f"-I{exported}"]
    sources = [main, *(exported / name for name in ("heq_encoder.c", *READERS))]
    return build(compiler, flags, sources, exported / f"{main.stem}-{kernel}")


@pytest.fixture(scope="module", params=quick_first(["FAST", "SCALAR"]))
def heqenc(request: pytest.FixtureRequest, exported: Path) -> Path:
    return compiled(COMPILERS[0], exported, exported / "heqenc.c", request.param, [])


@pytest.fixture(scope="module", params=quick_first(["FAST", "MULTIPLY"]))
def harness(request: pytest.FixtureRequest, exported: Path) -> Path:
    """Under the sanitizers: one kernel by clang where it is there, the other by gcc."""
    main = Path(__file__).parents[1] / "support" / "packets_harness.c"
    compiler = sanitizer() if request.param == "FAST" else COMPILERS[0]
    return compiled(compiler, exported, main, request.param, sanitized(compiler))


def stream(packets: list[bytes]) -> bytes:
    return b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)


def run(
    program: Path, how: str, pixels: NDArray[np.uint8], quality: int, *more: int
) -> list[bytes]:
    height, width, channels = pixels.shape
    numbers = (width, height, channels, step_of_quality(quality), *more)
    command = [str(program), how, *map(str, numbers)]
    return list(
        counted(
            subprocess.run(command, input=pixels.tobytes(), check=True, capture_output=True).stdout
        )
    )


@pytest.mark.parametrize(
    ("size", "quality", "order", "fec", "tune"),
    [
        (32, 12, "rows", 0, "psnr"),
        (40, 8, "interleaved", 50, "ssim"),
        (48, 30, "interleaved", 0, "psnr"),
        (61, 45, "rows", 100, "psnr"),
        (222, 25, "interleaved", 25, "psnr"),
        (222, 70, "rows", 7, "psnr"),
        (1400, 90, "interleaved", 25, "ssim"),
    ],
)
def test_program_writes_the_packets_of_python(
    heqenc: Path,
    pixels: NDArray[np.uint8],
    tmp_path: Path,
    size: int,
    quality: int,
    order: str,
    fec: int,
    tune: TuneName,
) -> None:
    (tmp_path / "photo.ppm").write_bytes(pnm(pixels))
    options = f"--packets {size} --parity {fec} --order {order} --sender 700 --image 9 -q {quality}"
    options += f" --tune {tune}"
    command = [heqenc, *options.split(), tmp_path / "photo.ppm", tmp_path / "photo.pkt"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    file = heqcodec.encode(pixels, quality=quality, tune=tune)
    interleaved = order == "interleaved"
    packets = packetize(file, size, sender=700, image=9, interleaved=interleaved, fec=fec)
    assert (tmp_path / "photo.pkt").read_bytes() == stream(packets)


@pytest.fixture(scope="module", params=quick_first(["FAST", "SCALAR"]))
def patch_programs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """heqenc of nqe-t, and the harness under the sanitizers."""
    folder = tmp_path_factory.mktemp("packets-patch") / "c"
    export_c("nqe-t", folder)
    compiler = sanitizer() if request.param == "FAST" else COMPILERS[0]
    main = Path(__file__).parents[1] / "support" / "packets_harness.c"
    return (
        compiled(COMPILERS[0], folder, folder / "heqenc.c", request.param, []),
        compiled(compiler, folder, main, request.param, sanitized(compiler)),
    )


@pytest.mark.parametrize(
    ("size", "bits", "order", "fec"),
    [
        (32, 64, "rows", 0),
        (40, 64, "interleaved", 50),
        (78, 512, "rows", 0),
        (222, 256, "interleaved", 25),
        (1400, 64, "interleaved", 25),  # as many patches as a packet can have
    ],
)
def test_patch_constant_packets_are_those_of_python(
    patch_programs: tuple[Path, Path],
    pixels: NDArray[np.uint8],
    tmp_path: Path,
    size: int,
    bits: int,
    order: str,
    fec: int,
) -> None:
    pixels = pixels if size < 1400 else np.tile(pixels, (4, 3, 1))
    (tmp_path / "photo.ppm").write_bytes(pnm(pixels))
    options = f"--packets {size} --parity {fec} --order {order} --sender 7 --bits {bits}"
    command = [patch_programs[0], *options.split(), tmp_path / "photo.ppm", tmp_path / "photo.pkt"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    file = heqcodec.encode(pixels, model="nqe-t", bpp=bits / 1024)
    packets = packetize(file, size, sender=7, interleaved=order == "interleaved", fec=fec)
    assert (tmp_path / "photo.pkt").read_bytes() == stream(packets)


def test_patch_constant_packets_are_made_again(
    patch_programs: tuple[Path, Path], pixels: NDArray[np.uint8]
) -> None:
    height, width = pixels.shape[:2]

    def made(how: str, *more: int) -> list[bytes]:
        numbers = (width, height, 3, 256, 90, *more)
        command = [str(patch_programs[1]), how, *map(str, numbers)]
        done = subprocess.run(command, input=pixels.tobytes(), check=True, capture_output=True)
        return list(counted(done.stdout))

    packets = packetize(heqcodec.encode(pixels, model="nqe-t"), 90, interleaved=True)
    assert made("whole") == packets
    wanted = [0, 3, 8, len(packets) - 1, len(packets), 1990]
    for how in ("resend", "again"):
        assert made(how, *wanted) == [packets[n] for n in wanted if n < len(packets)]
    assembler = PacketAssembler()
    assembler.feed_all(made("rows", 3))
    (image,) = assembler.images()
    assert image.to_heq() == heqcodec.encode(pixels, model="nqe-t")


def test_code_that_fits_no_packet_is_said_at_once(
    patch_programs: tuple[Path, Path], pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    (tmp_path / "photo.ppm").write_bytes(pnm(pixels))
    command = [patch_programs[0], "--packets", "77", "--bits", "512"]
    done = subprocess.run(
        [*command, tmp_path / "photo.ppm", tmp_path / "out"], capture_output=True, text=True
    )
    assert done.returncode == 1 and "too few bytes" in done.stderr
    assert not (tmp_path / "out").exists()


def test_gray_in_three_channels(heqenc: Path, pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    gray = pixels[..., 1:2].repeat(3, axis=2)
    (tmp_path / "photo.ppm").write_bytes(pnm(gray))
    command = [heqenc, "--packets", "100", "-q", "40", tmp_path / "photo.ppm", tmp_path / "out"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    packets = packetize(heqcodec.encode(gray, quality=40), 100, interleaved=True)
    assert (tmp_path / "out").read_bytes() == stream(packets)


def test_program_says_what_does_not_fit(
    heqenc: Path, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    image, out = tmp_path / "photo.ppm", tmp_path / "photo.pkt"
    image.write_bytes(pnm(pixels))
    for options, code, said in (
        ("--packets 32 -q 95", 1, "too few bytes"),
        ("--packets 40 --most 1", 1, "too few bytes"),
        ("--packets 37 --parity 5", 1, "not that rate"),
        ("--packets 31", 2, "32 to 1400"),
        ("--packets 100 --order up", 2, "interleaved or rows"),
        ("--packets 100 --parity 101", 2, "0 to 100"),
    ):
        done = subprocess.run(
            [heqenc, *options.split(), image, out], capture_output=True, text=True
        )
        assert done.returncode == code and said in done.stderr
        assert not out.exists()


def test_rows_as_they_come(harness: Path, pixels: NDArray[np.uint8]) -> None:
    """A sender that does not know how many packets there will be."""
    packets = run(harness, "rows", pixels, 35, 90, 3)
    known = packetize(heqcodec.encode(pixels, quality=35), 90, fec=30)
    parts = [parse(packet) for packet in packets]
    numbered = [part for part in parts if part.kind != Kind.PARITY]
    assert [
        part.payload[17:] if part.kind == Kind.START else part.payload for part in numbered
    ] == [
        part.payload[17:] if part.kind == Kind.START else part.payload
        for part in map(parse, known)
        if part.kind != Kind.PARITY
    ]
    assembler = PacketAssembler()
    assembler.feed_all(packet for n, packet in enumerate(packets) if n % 13 not in (2, 5, 7))
    (image,) = assembler.images()
    assert image.to_heq() == heqcodec.encode(pixels, quality=35)


@pytest.mark.parametrize("how", ["resend", "again"])
@pytest.mark.parametrize("size", quick_first([150, 48]))
def test_packets_are_made_again(
    harness: Path, pixels: NDArray[np.uint8], how: str, size: int
) -> None:
    packets = run(harness, "whole", pixels, 30, size)
    assert packets == packetize(heqcodec.encode(pixels, quality=30), size, interleaved=True)
    count = len(packets)
    wanted = [0, 3, 8, count - 1, count, count + 5, 1990]
    again = run(harness, how, pixels, 30, size, *wanted)
    assert again == [packets[number] for number in wanted if number < count]
    if how == "resend" and size == 48:
        assert run(harness, how, pixels, 30, size, *range(count)) == packets


def test_a_budget_of_packets(harness: Path, pixels: NDArray[np.uint8]) -> None:
    packets = run(harness, "budget", pixels, 80, 100, 12)
    assert len(packets) <= 12
    step = parse(packets[0]).step
    finer = heqcodec.encode(pixels, quality=(912 - step + 4) / 8)
    assert len(packetize(finer, 100, interleaved=True)) > 12
    same = heqcodec.encode(pixels, quality=(912 - step) / 8)
    assert packets == packetize(same, 100, interleaved=True)
    enough = run(harness, "budget", pixels, 20, 100, 1000)
    assert enough == packetize(heqcodec.encode(pixels, quality=20), 100, interleaved=True)


def test_mistakes_are_told(harness: Path) -> None:
    done = subprocess.run([harness, "mistakes"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(ARM is None, reason="there is no arm-none-eabi-gcc")
@pytest.mark.parametrize("level", ["-O2", "-Os"])
def test_no_multiplication(exported: Path, tmp_path: Path, level: str) -> None:
    source = tmp_path / "packets.c"
    source.write_text(f'#define HEQ_PACKETS\n#include "{exported / "heq_encoder.c"}"\n')
    text = arm_code(source, tmp_path / "packets.o", level)
    assert not [line for line in text.splitlines() if FORBIDDEN.search(line)]


@pytest.mark.slow
def test_memory_without_packets_is_none(exported: Path, tmp_path: Path) -> None:
    """Who does not ask for packets has no code of them."""
    if shutil.which("nm") is None:
        pytest.skip("there is no nm")
    made = tmp_path / "encoder.o"
    command = [COMPILERS[0], "-c", "-O1", exported / "heq_encoder.c", "-o", made]
    subprocess.run(command, check=True)
    names = subprocess.run(["nm", made], capture_output=True, text=True, check=True).stdout
    assert "heq_encode_rows" in names and "heq_packets" not in names
