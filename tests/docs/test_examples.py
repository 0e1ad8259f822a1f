"""Each of ``examples/`` does what it says, as a user would run it."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from heqcodec.export.c_project import export_c
from heqcodec.packets.framing import kiss_frames
from PIL import Image
from skimage.data import astronaut

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(*command: str | Path, **kwargs: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, **kwargs)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout.decode(errors="replace"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(astronaut()[:97, :130]).save(path)
    return path


def test_encode_and_decode_region(
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def started(name: str, *arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    file, part = tmp_path / "out.heq", tmp_path / "part.png"
    output = started("encode.py", photo, file)
    data = heqcodec.encode(photo, quality=40)
    assert f"quality 40: {len(data)} bytes" in output
    assert file.read_bytes() == heqcodec.encode(photo, target_size=len(data) // 2)
    started("decode_region.py", file, part, "20", "31", "50", "40")
    crop = heqcodec.decode(file)[31:71, 20:70]
    assert np.array_equal(np.asarray(Image.open(part)), crop)


@pytest.mark.slow
def test_a_camera_on_udp(photo: Path, tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    from receiving import receiver, wait_for

    with receiver(tmp_path / "received", "--udp", 0, "--decoder", "plain") as running:
        camera = [sys.executable, EXAMPLES / "udp_camera.py", photo, "127.0.0.1", str(running.port)]
        output = run(*camera, "--loss", "30", "--sender", "5", "--number", "6")
        total = running.images()[0]["total"]
        assert f"{total} of {total} are stored" in output
        wait_for(lambda: running.images()[0]["heq"])
        key = running.images()[0]["key"]
        expected = heqcodec.encode(photo, quality=25, strip_metadata=True)
        assert running.get(f"images/{key}.heq") == expected


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_camera_writes_the_file_of_the_command(photo: Path, tmp_path: Path) -> None:
    heqcodec_command = [sys.executable, "-m", "heqcodec"]
    run(*heqcodec_command, "export", "c", "--out", tmp_path / "camera")
    strict = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-I", tmp_path / "camera"]
    sources = [EXAMPLES / "camera.c", tmp_path / "camera" / "heq_encoder.c"]
    run("cc", *strict, *sources, "-o", tmp_path / "heqcam")
    pixels = np.asarray(Image.open(photo))
    done = subprocess.run(
        [tmp_path / "heqcam", "130", "97", "45"],
        input=pixels.tobytes(),
        capture_output=True,
        check=True,
    )
    assert done.stdout == heqcodec.encode(pixels, quality=45, strip_rows=1)
    short = subprocess.run(
        [tmp_path / "heqcam", "130", "97", "45"], input=b"\0" * 999, capture_output=True
    )
    assert short.returncode == 1 and b"too early" in short.stderr


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_serial_camera_sends_packets(photo: Path, tmp_path: Path) -> None:
    export_c("nqe-r", tmp_path / "camera")
    strict = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-DHEQ_PACKETS"]
    sources = [EXAMPLES / "serial_camera.c"]
    sources += [tmp_path / "camera" / name for name in ("heq_encoder.c", "heq_read_rgb.c")]
    run("cc", *strict, "-I", tmp_path / "camera", *sources, "-o", tmp_path / "serialcam")
    pixels = np.asarray(Image.open(photo))
    command = [tmp_path / "serialcam", "130", "97", "25"]
    done = subprocess.run(command, input=pixels.tobytes(), capture_output=True, check=True)
    frames = list(kiss_frames(done.stdout))
    assembler = heqcodec.PacketAssembler()
    # A packet and a parity packet are lost; the others give the first back.
    assembler.feed_all([frames[0], *frames[2:-1]])
    (image,) = assembler.images()
    assert image.to_heq() == heqcodec.encode(pixels, quality=25)
    samples = (pixels.astype(np.uint16) >> (3, 2, 3)) << (11, 5, 0)
    packed = samples.sum(axis=-1, dtype="<u2").tobytes()
    done = subprocess.run([*command, "rgb565"], input=packed, capture_output=True, check=True)
    assembler = heqcodec.PacketAssembler()
    assembler.feed_all(kiss_frames(done.stdout))
    (image,) = assembler.images()
    assert image.to_heq() == heqcodec.encode(packed, raw="130x97:rgb565", quality=25)
    short = subprocess.run(command, input=b"\0" * 999, capture_output=True)
    assert short.returncode == 1 and b"too early" in short.stderr


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
@pytest.mark.slow
def test_train_small(tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for number in range(3):
        part = astronaut()[64 * number : 64 * number + 256, :256]
        Image.fromarray(part).save(photographs / f"{number}.png")
    # The script calls `heqcodec` and `python`; both are to be those of this test.
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (commands / "heqcodec").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m heqcodec "$@"\n')
    for command in commands.iterdir():
        command.chmod(0o755)
    environment = os.environ | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    out = tmp_path / "out"
    run("bash", EXAMPLES / "train_small.sh", photographs, out, "2", env=environment)
    assert (out / "run/weights/small.purenet.safetensors").stat().st_size > 10_000
    assert (out / "run/weights/small.json").is_file()
