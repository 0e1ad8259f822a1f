"""Files that come in pieces are painted as they come, and end as `heqcodec.decode` has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from web_package import as_rgba, require_package, rgba_file, run_package


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A photograph as a device writes it, progressive, and packed."""
    from skimage import data

    require_package()
    folder = tmp_path_factory.mktemp("streams")
    pixels = data.astronaut()[:300, :200]
    device = heqcodec.encode(pixels, quality=40)
    encoded = {
        "device": device,
        "progressive": heqcodec.encode(pixels, quality=40, progressive=True),
        "packed": heqcodec.pack(device),
    }
    for name, content in encoded.items():
        (folder / f"{name}.heq").write_bytes(content)
    return {name: folder / f"{name}.heq" for name in encoded}


def stream(file: Path, pixels: Path, size: int) -> dict[str, Any]:
    (result,) = run_package([{"file": file, "pixels": pixels, "stream": size}])
    return result


@pytest.mark.parametrize("name", ["device", "progressive", "packed"])
def test_what_was_painted_is_what_decode_gives(
    files: dict[str, Path], tmp_path: Path, name: str
) -> None:
    data = files[name].read_bytes()
    result = stream(files[name], tmp_path / "out", 97)
    own = as_rgba(heqcodec.decode(data, decoder="plain"))
    given = rgba_file(tmp_path / "out", result)
    assert np.abs(given.astype(int) - own).max() <= 1
    assert np.array_equal(rgba_file(tmp_path / "out.painted", result), given)
    strips = result["strips"]
    assert strips[0]["given"] < len(data) / 2
    whole = [strip for strip in strips if strip["whole"]]
    rows = {strip["y"]: strip["height"] for strip in whole}
    assert sum(rows.values()) == result["height"]
    if name == "device":
        assert len(strips) == len(whole) == 3
        return
    # Everything was there coarsely before it was there whole.
    coarse = [strip for strip in strips if not strip["whole"]]
    assert {strip["y"] for strip in coarse} == set(rows)
    assert max(strip["given"] for strip in coarse) <= min(strip["given"] for strip in whole)


def test_damage_ends_the_painting_and_is_reported(files: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(files["device"].read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "damaged.heq").write_bytes(data)
    result = stream(tmp_path / "damaged.heq", tmp_path / "out", 500)
    assert result["error"] == "HeqChecksumError"
    (tmp_path / "cut.heq").write_bytes(files["device"].read_bytes()[:-20])
    assert stream(tmp_path / "cut.heq", tmp_path / "out", 500)["error"] == "HeqTruncatedError"
