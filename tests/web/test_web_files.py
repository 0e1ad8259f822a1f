"""The JavaScript package decodes as `heqcodec.decode` does with the plain decoder."""

from __future__ import annotations

import json
import subprocess
import zlib
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from file_levels import own_levels
from heqcodec.base import errors
from slow_cases import quick_first
from web_package import as_rgba, require_package, rgba_file, run_package

GOLDEN = Path(__file__).resolve().parents[1] / "conformance"
MUTANTS = GOLDEN.parent / "fuzz" / "javascript" / "mutants.mjs"


def golden_files() -> list[Path]:
    index = json.loads((GOLDEN / "index.json").read_text("utf-8"))
    return [GOLDEN / entry["file"] for entry in index if entry["model"] == "nqe-r"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A photograph of several strips, one wider than 32 patches, one in grey."""
    from skimage import data

    require_package()
    folder = tmp_path_factory.mktemp("photographs")
    astronaut = data.astronaut()
    pictures = {
        "tall": (astronaut[:400, 100:300], 40),
        "wide": (np.tile(astronaut[40:110], (1, 3, 1))[:, :1100], 65),
        "grey": (data.camera()[:200, :260, None], 15),
    }
    made = {}
    for name, (pixels, quality) in pictures.items():
        for coder in ("device", "packed"):
            made[f"{name} {coder}"] = folder / f"{name}-{coder}.heq"
            given = heqcodec.encode(pixels, quality=quality, coder=coder)
            made[f"{name} {coder}"].write_bytes(given)
    for name, more in (("progressive", {"progressive": True}), ("indexed", {"index": True})):
        made[name] = folder / f"{name}.heq"
        made[name].write_bytes(heqcodec.encode(astronaut[:300, :160], quality=50, **more))
    made["progressive packed"] = folder / "progressive-packed.heq"
    made["progressive packed"].write_bytes(heqcodec.pack(made["progressive"].read_bytes()))
    return made


def assert_same_pixels(given: np.ndarray, own: np.ndarray, name: str) -> None:
    own = as_rgba(own)
    assert given.shape == own.shape, name
    apart = np.abs(given.astype(int) - own)
    assert apart.max() <= 1, name
    assert (apart > 0).mean() < 0.001, name


@pytest.mark.slow
def test_golden_files_and_photographs(photographs: dict[str, Path], tmp_path: Path) -> None:
    files = [*golden_files(), *photographs.values()]
    assert len(files) == 33
    jobs = [
        {"file": file, "pixels": tmp_path / f"{i}.rgba", "levels": tmp_path / f"{i}.levels"}
        for i, file in enumerate(files)
    ]
    for i, (file, result) in enumerate(zip(files, run_package(jobs), strict=True)):
        assert "error" not in result, (file.name, result)
        levels = np.fromfile(tmp_path / f"{i}.levels", np.int16)
        assert np.array_equal(levels, own_levels(file)), file.name
        own = heqcodec.decode(file.read_bytes(), decoder="plain")
        assert result["channels"] == own.shape[2], file.name
        assert_same_pixels(rgba_file(tmp_path / f"{i}.rgba", result), own, file.name)


@pytest.mark.parametrize("coder", ["device", "packed"])
def test_regions_and_progress(photographs: dict[str, Path], tmp_path: Path, coder: str) -> None:
    regions = [(0, 0, 1, 1), (37, 100, 90, 161), (199, 399, 1, 1), (0, 250, 200, 150)]
    file = photographs[f"tall {coder}"]
    jobs = [
        {"file": file, "pixels": tmp_path / f"{i}", "options": {"region": region}}
        for i, region in enumerate(regions)
    ]
    for i, result in enumerate(run_package(jobs)):
        own = heqcodec.decode(file.read_bytes(), decoder="plain", region=regions[i])
        assert_same_pixels(rgba_file(tmp_path / f"{i}", result), own, str(regions[i]))
        assert result["progress"][-1] == [len(result["progress"])] * 2


def test_slices(photographs: dict[str, Path], tmp_path: Path) -> None:
    jobs = [
        {"file": photographs[name], "pixels": tmp_path / f"{name} {n}", "options": {"slices": n}}
        for name, numbers in (("tall packed", (1, 3, 6, 9)), ("progressive", (1, 2)))
        for n in numbers
    ]
    for job, result in zip(jobs, run_package(jobs), strict=True):
        slices = job["options"]["slices"]
        own = heqcodec.decode(job["file"].read_bytes(), decoder="plain", slices=slices)
        assert_same_pixels(rgba_file(job["pixels"], result), own, str(slices))


def damaged_files(photographs: dict[str, Path]) -> dict[str, bytes]:
    """Files with damage of every kind that partial reading knows."""
    made = {}
    for coder in ("tall device", "tall packed", "progressive", "indexed"):
        data = photographs[coder].read_bytes()
        for name, place in (
            ("header", 13),
            ("head", 46),
            ("payload", 400),
            ("later", -300),
            ("index", -30),
        ):
            changed = bytearray(data)
            changed[place] ^= 0x41
            made[f"{coder} {name}"] = bytes(changed)
        made[f"{coder} cut"] = data[: len(data) * 2 // 3]
        made[f"{coder} bytes lost"] = data[:300] + data[317:]
        made[f"{coder} bytes added"] = data[:300] + b"noise" + data[300:]
        made[f"{coder} end"] = data[:-3]
    return made


def test_damage(photographs: dict[str, Path], tmp_path: Path) -> None:
    files = damaged_files(photographs)
    jobs: list[dict[str, Any]] = []
    for i, data in enumerate(files.values()):
        (tmp_path / f"{i}.heq").write_bytes(data)
        job = {"file": tmp_path / f"{i}.heq", "pixels": tmp_path / f"{i}"}
        jobs += [{**job, "options": {"partial": True}}, job]
    results = run_package(jobs)
    for i, (name, data) in enumerate(files.items()):
        whole, strict = results[2 * i : 2 * i + 2]
        own = heqcodec.decode_partial(data, decoder="plain")
        assert whole["damagedStrips"] == own.damaged_strips, name
        assert whole["coarseStrips"] == own.coarse_strips, name
        assert whole["damagedChunks"] == own.damaged_chunks, name
        assert whole["repaired"] == own.repaired, name
        assert_same_pixels(rgba_file(tmp_path / f"{i}", whole), own.pixels, name)
        try:
            heqcodec.decode(data, decoder="plain")
        except errors.HeqError as error:
            assert strict.get("error") == type(error).__name__, (name, strict, error)
        else:
            # A damaged index of strips is passed over.
            assert (name, strict.get("error")) == ("indexed index", None)


def test_requests_that_are_refused(photographs: dict[str, Path], tmp_path: Path) -> None:
    device, packed = photographs["tall device"], photographs["tall packed"]
    other = bytearray(device.read_bytes())
    other[30] ^= 1
    other[40:44] = zlib.crc32(other[:40]).to_bytes(4, "little")
    (tmp_path / "other.heq").write_bytes(other)
    empty = tmp_path / "empty.heq"
    empty.write_bytes(b"")
    jobs = [
        ({"file": device, "options": {"region": [0, 0, 201, 1]}}, "HeqError"),
        ({"file": device, "options": {"slices": 2}}, "HeqError"),
        ({"file": packed, "options": {"slices": 0}}, "HeqError"),
        ({"file": device, "options": {"maxPixels": 79_999}}, "HeqLimitError"),
        ({"file": device, "options": {"decoder": "none"}}, "HeqUnsupportedError"),
        ({"file": tmp_path / "other.heq"}, "HeqUnsupportedError"),
        ({"file": empty}, "HeqFormatError"),
        ({"file": GOLDEN / "colour.png"}, "HeqFormatError"),
    ]
    results = run_package([job for job, _ in jobs])
    for result, (job, expected) in zip(results, jobs, strict=True):
        assert (result.get("error"), result.get("typed")) == (expected, True), (job, result)


def test_info(photographs: dict[str, Path]) -> None:
    files = [*golden_files(), *photographs.values(), GOLDEN / "colour-nqe-t-64.heq"]
    results = run_package([{"file": file, "about": True} for file in files])
    for file, result in zip(files, results, strict=True):
        own = heqcodec.info(file.read_bytes())
        same = {"width": "width", "height": "height", "channels": "channels", "alpha": "alpha"}
        same |= {"mode": "mode", "coder": "coder", "strips": "strips", "stripRows": "strip_rows"}
        same |= {"bpp": "file_bpp", "steps": "steps", "bitsPerPatch": "bits_per_patch"}
        same |= {"progressive": "progressive"}
        same |= {"encoderId": "encoder_id", "coderId": "coder_id", "chunks": "chunks"}
        for name, own_name in same.items():
            expected = own[own_name]  # type: ignore[literal-required]
            assert result[name] == expected, (file.name, name)


@pytest.mark.parametrize("count", quick_first([40, 300]))
def test_mutants(tmp_path: Path, count: int) -> None:
    """Bytes changed at random, with right checksums or not: pixels or an error of the package."""
    require_package()
    command = ["node", str(MUTANTS), str(count), "7"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)["outcomes"]
    assert sum(outcomes.values()) == count
    assert {"decoded", "decoded in part", "HeqFormatError", "HeqChecksumError"} <= set(outcomes)
