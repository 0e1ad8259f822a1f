"""Georeferencing tags and EXIF of TIFF files: kept in the file, and written back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
import tifffile
from command_runner import run
from heqcodec.image.rows import load_rows
from heqcodec.image.tiff_tags import geo_block, geo_values, moved_geo
from PIL import Image
from small_models import photograph

PIXELS = photograph()[:96, :120]
# UTM zone 33 north: tags as GDAL writes them.
KEYS = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)
GEO: dict[int, Any] = {
    33550: (10.0, 10.0, 0.0),
    33922: (0.0, 0.0, 0.0, 399960.0, 5300040.0, 0.0),
    34735: KEYS,
    34736: (6378137.0, 298.257223563),
    34737: "WGS 84 / UTM zone 33N|WGS 84|",
    42112: "<GDALMetadata><Item>Größe</Item></GDALMetadata>",
    42113: "-9999",
}
TYPES = {33550: 12, 33922: 12, 34735: 3, 34736: 12}


def geotiff(path: Path, **how: Any) -> Path:
    tags = []
    for tag, value in GEO.items():
        if isinstance(value, str):
            data = value.encode() + b"\0"
            tags.append((tag, 2, len(data), data, True))
        else:
            tags.append((tag, TYPES[tag], len(value), value, True))
    tifffile.imwrite(path, PIXELS, photometric="rgb", extratags=tags, metadata=None, **how)
    return path


def tags_of(path: Path) -> dict[int, Any]:
    with tifffile.TiffFile(path) as file:
        return {tag.code: tag.value for tag in file.pages[0].tags}  # type: ignore[union-attr]


LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 16},
    "tiles": {"tile": (32, 32), "compression": "zlib"},
    "BigTIFF": {"bigtiff": True, "tile": (64, 64)},
    "big-endian": {"byteorder": ">"},
}


@pytest.mark.parametrize("by_rows", [True, False], ids=["rows", "whole"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_georeferencing_goes_through_a_file(tmp_path: Path, layout: str, by_rows: bool) -> None:
    path, rows = geotiff(tmp_path / "a.tif", **LAYOUTS[layout]), ["--rows"] * by_rows
    assert run("encode", path, tmp_path / "a.heq", *rows).exit_code == 0
    block = heqcodec.read_metadata(tmp_path / "a.heq").geo
    assert block is not None and geo_values(block) == GEO
    how = ("--decoder", "plain", *rows)
    assert run("decode", tmp_path / "a.heq", tmp_path / "b.tif", *how).exit_code == 0
    found, expected = tags_of(tmp_path / "b.tif"), dict(GEO)
    if not by_rows:  # Pillow writes texts in ASCII
        expected[42112] = GEO[42112].encode("ascii", "replace").decode()
    assert {tag: found[tag] for tag in GEO} == expected
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.geotiff_metadata["ProjectedCSTypeGeoKey"] == 32633  # type: ignore[index]


def test_a_region_lies_where_it_did(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif")
    run("encode", path, tmp_path / "a.heq")
    region = ("--region", "32,16,50,40", "--decoder", "plain")
    assert run("decode", tmp_path / "a.heq", tmp_path / "b.tif", *region).exit_code == 0
    i, j, _, x, y, _ = tags_of(tmp_path / "b.tif")[33922]
    # The first pixel of the region: 32 columns of 10 m to the east, 16 rows to the south.
    assert (x - i * 10, y + j * 10) == (399960 + 320, 5300040 - 160)


def test_a_transformation_is_moved() -> None:
    matrix = np.array([[2.0, 1, 0, 100], [0, -3, 0, 50], [0, 0, 0, 0], [0, 0, 0, 1]])
    block = geo_block({34264: tuple(matrix.ravel())})
    assert block is not None
    moved = moved_geo(block, 7, 5)
    assert moved is not None
    found = np.reshape(geo_values(moved)[34264], (4, 4))
    pixel = np.array([3.0, 4, 0, 1])
    assert np.array_equal(found @ pixel, matrix @ (pixel + np.array([7, 5, 0, 0])))


def test_none_and_damage() -> None:
    assert geo_block({256: 3}) is None
    block = geo_block(GEO)
    assert block is not None
    for length in range(0, len(block), 7):
        geo_values(block[:length])
    assert geo_values(b"") == geo_values(b"II*\0\xff\0\0\0") == {}


@pytest.mark.parametrize("big", [False, True], ids=["TIFF", "BigTIFF"])
def test_exif_goes_through_rows(tmp_path: Path, big: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[271], exif[305], exif[315] = "Acme", "Scanner 2", "nobody"
    exif[34665] = {36867: "2020:01:02 03:04:05", 33434: 0.004, 37500: b"maker's note"}
    exif[34853] = {1: "N", 2: (48.0, 8.0, 30.5)}
    Image.fromarray(PIXELS).save(tmp_path / "a.tif", exif=exif.tobytes())
    if big:
        monkeypatch.setattr("heqcodec.image.tiff_rows._BIG", 0)
    assert load_rows(tmp_path / "a.tif", None).notes == []
    assert run("encode", tmp_path / "a.tif", tmp_path / "a.heq", "--rows").exit_code == 0
    how = ("--rows", "--decoder", "plain")
    assert run("decode", tmp_path / "a.heq", tmp_path / "b.tif", *how).exit_code == 0
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.is_bigtiff == big
    with Image.open(tmp_path / "b.tif") as image:
        found = image.getexif()
        assert (found[271], found[305], found[315]) == ("Acme", "Scanner 2", "nobody")
        kept = found.get_ifd(34665)
        assert kept[36867] == "2020:01:02 03:04:05" and kept[37500] == b"maker's note"
        assert float(kept[33434]) == pytest.approx(0.004)
        assert found.get_ifd(34853)[2] == (48.0, 8.0, 30.5)
        assert np.array_equal(
            np.asarray(image), heqcodec.decode(tmp_path / "a.heq", decoder="plain")
        )
