"""BPG through its programs, with programs in their place that check what they are asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.eval.baselines import make_codec

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the programs are scripts with #!")

ENCODER = """
import sys
from pathlib import Path
arguments = sys.argv[1:]
if arguments == ["-h"]:
    print("BPG Image Encoder version 0.9.8\\nusage: bpgenc [options] infile.[jpg|png]")
    sys.exit(1)
options = dict(zip(arguments[:-1:2], arguments[1:-1:2]))
source = Path(arguments[-1]).read_bytes()
assert source[:8] == bytes.fromhex("89504e470d0a1a0a"), source[:8]
out = Path(options.pop("-o"))
options_used = " ".join(f"{key} {value}" for key, value in sorted(options.items()))
out.write_bytes(options_used.encode() + b"\\n" + source)
"""
DECODER = """
import sys
from pathlib import Path
flag, target, source = sys.argv[1:]
assert flag == "-o" and target.endswith(".png")
options_used, _, picture = Path(source).read_bytes().partition(b"\\n")
if not options_used.startswith(b"-b 8"):
    sys.exit("Could not decode image")
Path(target).write_bytes(picture)
"""


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the PATH with both programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder, "bpgenc", ENCODER)
    program(folder, "bpgdec", DECODER)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (33, 47, 3), np.uint8)


@pytest.mark.parametrize("chroma", ["420", "444"])
def test_programs_are_asked_as_compressai_asks_them(
    chroma: str, programs: Path, pixels: np.ndarray, tmp_path: Path
) -> None:
    codec = make_codec(f"bpg{chroma}")
    assert codec.missing() is None
    assert codec.version() == "BPG 0.9.8"
    path = tmp_path / "a b.bpg"
    codec.prepare()
    codec.encode(pixels, 37, path)
    asked = path.read_bytes().split(b"\n")[0].decode()
    assert asked == f"-b 8 -c ycbcr -e x265 -f {chroma} -q 37"
    assert np.array_equal(codec.decode(path), pixels)


@pytest.mark.parametrize("qp", [-1, 52, 30.5])
def test_settings_are_quantization_parameters(
    qp: float, programs: Path, pixels: np.ndarray, tmp_path: Path
) -> None:
    with pytest.raises(HeqError, match="QP from 0 to 51"):
        make_codec("bpg420").encode(pixels, qp, tmp_path / "a.bpg")


def test_what_is_not_on_the_path_is_named(
    programs: Path, pixels: np.ndarray, tmp_path: Path
) -> None:
    (programs / "bpgdec").unlink()
    assert str(make_codec("bpg444").missing()).startswith("bpgdec is not on the PATH;")
    (programs / "bpgenc").unlink()
    codec = make_codec("bpg444")
    assert str(codec.missing()).startswith("bpgenc and bpgdec are not on the PATH;")
    with pytest.raises(HeqError, match="bpgenc cannot be started"):
        codec.encode(pixels, 37, tmp_path / "a.bpg")


def test_what_a_program_says_when_it_fails_is_told(
    programs: Path, pixels: np.ndarray, tmp_path: Path
) -> None:
    program(programs, "bpgenc", "import sys\nsys.exit('Could not set parameter x265')\n")
    codec = make_codec("bpg444")
    with pytest.raises(HeqError, match=r"^bpgenc ended with code 1: Could not set .* x265\.$"):
        codec.encode(pixels, 37, tmp_path / "a.bpg")
    path = tmp_path / "b.bpg"
    path.write_bytes(b"no BPG")
    with pytest.raises(HeqError, match=r"^bpgdec ended with code 1: Could not decode image\.$"):
        codec.decode(path)


def test_a_program_that_writes_nothing_is_no_success(
    programs: Path, pixels: np.ndarray, tmp_path: Path
) -> None:
    program(programs, "bpgenc", "")
    program(programs, "bpgdec", "")
    codec = make_codec("bpg444")
    with pytest.raises(HeqError, match=r"wrote no a\.bpg"):
        codec.encode(pixels, 37, tmp_path / "a.bpg")
    with pytest.raises(HeqError, match=r"no image for b\.bpg"):
        codec.decode(tmp_path / "b.bpg")
