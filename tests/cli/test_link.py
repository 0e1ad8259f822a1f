"""`heqcodec packetize`, `assemble` and `simulate-link`."""

from __future__ import annotations

import json
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from command_runner import run as run_command
from heqcodec.packets.framing import counted
from heqcodec.packets.layout import parse
from PIL import Image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    import heqcodec.cli

    with Image.open(Path(heqcodec.cli.__file__).parent / "astronaut.jpg") as photograph:
        photograph.convert("RGB").crop((90, 0, 250, 130)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def run(*arguments: object, code: int = 0) -> str:
    result = run_command(*map(str, arguments))
    assert result.exit_code == code, result.output
    return result.output


def test_there_and_back(image: Path, tmp_path: Path) -> None:
    packets = tmp_path / "photo.pkt"
    assert "packets" in run("packetize", image, packets, "-q", 30, "--size", 100)
    run("assemble", packets, tmp_path / "back.heq")
    made = heqcodec.encode(image, quality=30, strip_metadata=True)
    assert (tmp_path / "back.heq").read_bytes() == made
    run("packetize", tmp_path / "back.heq", tmp_path / "again.pkt", "--size", 100)
    assert (tmp_path / "again.pkt").read_bytes() == packets.read_bytes()
    run("packetize", image, tmp_path / "tuned.pkt", "-q", 30, "--tune", "ssim")
    run("assemble", tmp_path / "tuned.pkt", tmp_path / "tuned.heq")
    tuned = heqcodec.encode(image, quality=30, tune="ssim", strip_metadata=True)
    assert (tmp_path / "tuned.heq").read_bytes() == tuned


def test_what_is_missing(image: Path, tmp_path: Path) -> None:
    packets = tmp_path / "photo.pkt"
    run("packetize", image, packets, "-q", 30, "--size", 100, "--order", "rows")
    parts = list(counted(packets.read_bytes()))
    folder = tmp_path / "arrived"
    folder.mkdir()
    for number, packet in enumerate(parts):
        if parse(packet).number not in (2, 4):
            (folder / f"{number:03}").write_bytes(packet)
    assert run("assemble", folder, "--missing").split() == ["2", "4"]
    facts = json.loads(run("assemble", folder, tmp_path / "part.png", "--json"))
    assert facts["missing"] == [2, 4] and facts["known"] <= facts["patches"] == 5 * 5
    with Image.open(tmp_path / "part.png") as picture:
        assert picture.size == (160, 130)
    assert "packets are missing" in run("assemble", folder, tmp_path / "part.heq", code=1)
    assert not (tmp_path / "part.heq").exists()


@pytest.mark.parametrize("fec", [0, 25])
def test_a_budget_of_packets(image: Path, tmp_path: Path, fec: float) -> None:
    def count(*options: object) -> int:
        arguments = ("--size", 100, "--fec", fec, "-f", *options)
        run("packetize", image, tmp_path / "some.pkt", *arguments)
        return len(list(counted((tmp_path / "some.pkt").read_bytes())))

    assert count("--packets", 40) <= 40
    run("assemble", tmp_path / "some.pkt", tmp_path / "back.heq")
    quality = heqcodec.info((tmp_path / "back.heq").read_bytes())["quality"]
    # A step is an eighth of a point of quality, and the next finer one takes more.
    assert count("-q", quality) <= 40 < count("-q", quality + 0.125)


def test_a_budget_that_is_never_full(image: Path, tmp_path: Path) -> None:
    for name, options in (("budget", ("--packets", 65535)), ("quality", ("-q", 100))):
        run("packetize", image, tmp_path / f"{name}.pkt", *options)
    assert (tmp_path / "budget.pkt").read_bytes() == (tmp_path / "quality.pkt").read_bytes()


def test_a_budget_that_is_too_small(image: Path, tmp_path: Path) -> None:
    said = run("packetize", image, tmp_path / "a.pkt", "--packets", 1, "--size", 60, code=1)
    assert "packets at the lowest quality" in said and not (tmp_path / "a.pkt").exists()
    run("packetize", image, tmp_path / "a.pkt", "--packets", 9, "-q", 20, code=2)


def test_simulation(image: Path) -> None:
    arguments = ("-q", 30, "--size", 100, "--losses", "0,40", "--draws", 6, "--decoder", "plain")
    rows = json.loads(run("simulate-link", image, *arguments, "--json"))["losses"]
    assert rows[0]["patches"] == rows[0]["whole"] == 1
    original = np.asarray(Image.open(image)).astype(float)
    file = heqcodec.encode(image, quality=30, strip_metadata=True)
    error = np.square(heqcodec.decode(file, decoder="plain") - original).mean()
    assert rows[0]["psnr"] == pytest.approx(10 * np.log10(255**2 / error), abs=0.01)
    assert rows[1]["psnr"] < rows[0]["psnr"] - 2 and 0.2 < rows[1]["patches"] < 0.9


def test_what_arrives_is_written(image: Path, tmp_path: Path) -> None:
    arrived, whole = tmp_path / "arrived.pkt", tmp_path / "photo.pkt"
    options = ("-q", 30, "--size", 100)
    run("packetize", image, whole, *options)
    link = ("--losses", "0,40", "--draws", 1, "--decoder", "plain", "--json", "--out", arrived)
    (_, lossy) = json.loads(run("simulate-link", image, *options, *link))["losses"]
    came = list(counted(arrived.read_bytes()))
    assert set(came) < set(counted(whole.read_bytes()))
    facts = json.loads(run("assemble", arrived, "--json"))
    assert facts["known"] / facts["patches"] == lossy["patches"] and facts["missing"]
    assert "exists" in run("simulate-link", image, *options, *link, code=1)


def test_wrong_commands(image: Path, tmp_path: Path) -> None:
    assert "--order" in run("packetize", image, tmp_path / "a.pkt", "--order", "up", code=2)
    assert "start packet" in run("assemble", image, code=1)
    (tmp_path / "done.heq").write_bytes(heqcodec.encode(image, quality=20))
    again = "packetize", tmp_path / "done.heq", tmp_path / "a.pkt"
    assert "--tune" in run(*again, "--tune", "ssim", code=2)
    for losses in ("abc", "10,", "", "200", "nan"):
        assert "--losses" in run("simulate-link", image, "--losses", losses, code=2)
    assert "--decoder" in run("simulate-link", image, "--decoder", "ssimulacra2", code=2)
    assert "takes an image" in run("simulate-link", tmp_path / "done.heq", code=2)
    said = run("assemble", image, tmp_path / "a.xyz", code=1)
    assert said.count("a.xyz") == 1 and "cannot be read" in said
    (tmp_path / "empty.pkt").write_bytes(b"")
    assert "empty.pkt" in run("assemble", tmp_path / "empty.pkt", code=1)


def test_what_packets_do_not_carry_is_said(image: Path, tmp_path: Path) -> None:
    with Image.open(image) as photograph:
        photograph.putalpha(photograph.convert("L"))
        photograph.save(tmp_path / "alpha.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    (tmp_path / "alpha.heq").write_bytes(heqcodec.encode(tmp_path / "alpha.png", quality=20))
    for name in ("alpha.png", "alpha.heq"):
        assert (
            "alpha" in run("packetize", tmp_path / name, tmp_path / "a.pkt", "-f").split(": ", 2)[2]
        )
        assert run("packetize", tmp_path / name, tmp_path / "a.pkt", "-f", "--quiet") == ""
    assert "left out" not in run("packetize", image, tmp_path / "a.pkt", "-f")


def test_an_image_that_a_later_one_replaces(image: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.pkt", tmp_path / "second.pkt"
    run("packetize", image, first, "-q", 10)
    run("packetize", image, second, "-q", 20)
    said = run("assemble", first, second, tmp_path / "out.heq")
    assert "replaced by later ones of the same numbers: 1" in said
    assert json.loads(run("assemble", first, second, "--json", "--quiet"))["replaced"] == 1
    assert json.loads(run("assemble", first, first, "--json"))["replaced"] == 0
