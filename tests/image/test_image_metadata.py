"""EXIF, XMP and colour profiles of images: orientation, damage, and what is kept."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
from heqcodec.image.images import load_image, save_image
from heqcodec.image.metadata import without_exif_orientation
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_profiles import most
from PIL import Image
from sample_images import ALPHA, COLOURS, GRAY, SRGB, file_of


def exif_of(orientation: int | None) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Acme"
    if orientation is not None:
        exif[0x0112] = orientation
    exif[0x8298] = "nobody"
    exif[0x8769] = {0x9003: "2020:01:02 03:04:05"}
    return exif.tobytes()


class TestMetadata:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("array", [GRAY, COLOURS, np.dstack([COLOURS, ALPHA])])
    def test_orientation_is_applied_and_removed(self, orientation: int, array: np.ndarray) -> None:
        # What a viewer has to do to show it upright, EXIF 2.32 section 4.6.4 tag 274.
        stored = {
            1: lambda a: a,
            2: lambda a: a[:, ::-1],
            3: lambda a: a[::-1, ::-1],
            4: lambda a: a[::-1],
            5: lambda a: a.swapaxes(0, 1),
            6: lambda a: np.rot90(a, 1),
            7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
            8: lambda a: np.rot90(a, -1),
        }[orientation](array)
        data = file_of(Image.fromarray(np.ascontiguousarray(stored)), exif=exif_of(orientation))
        loaded = load_image(data)
        upright = load_image(array)
        assert np.array_equal(loaded.pixels, upright.pixels)
        assert (loaded.alpha is None) == (upright.alpha is None)
        if loaded.alpha is not None and upright.alpha is not None:
            assert np.array_equal(loaded.alpha, upright.alpha)
        assert bool(loaded.notes) == (orientation != 1)
        assert loaded.exif is not None
        kept = Image.Exif()
        kept.load(loaded.exif)
        assert 0x0112 not in kept
        assert kept[0x010F] == "Acme" and kept[0x8298] == "nobody"
        assert kept.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"

    def test_removal_moves_no_other_data(self) -> None:
        exif = exif_of(6).removeprefix(b"Exif\0\0")
        shorter = without_exif_orientation(exif)
        assert len(shorter) == len(exif)
        order = "<" if exif[:2] == b"II" else ">"
        (count,) = struct.unpack_from(order + "H", exif, 8)
        end_of_directory = 8 + 2 + 12 * count + 4
        assert shorter[end_of_directory:] == exif[end_of_directory:]
        assert without_exif_orientation(shorter) == shorter

    @settings(max_examples=most(200), deadline=None)
    @given(st.binary(max_size=60), st.sampled_from([b"II*\0", b"MM\0*", b""]))
    def test_damaged_exif_gives_a_value_error_or_bytes(self, data: bytes, head: bytes) -> None:
        with contextlib.suppress(ValueError):
            assert isinstance(without_exif_orientation(head + data), bytes)

    def test_damaged_exif_does_not_lose_the_picture(self) -> None:
        data = file_of(Image.fromarray(COLOURS), exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
        loaded = load_image(data)
        assert np.array_equal(loaded.pixels, COLOURS)
        assert loaded.exif is None and "EXIF" in loaded.notes[0]

    def test_xmp_orientation_is_applied_and_removed(self) -> None:
        xmp = (
            b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="r"><rdf:Description '
            b'xmlns:tiff="t" tiff:Orientation="6" a="b"/></rdf:RDF></x:xmpmeta>'
        )
        stored = Image.fromarray(np.ascontiguousarray(np.rot90(COLOURS)))
        loaded = load_image(file_of(stored, "WEBP", lossless=True, xmp=xmp))
        assert np.array_equal(loaded.pixels, COLOURS)
        assert loaded.xmp == xmp.replace(b' tiff:Orientation="6"', b"")

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
    def test_saved_metadata_come_back(self, suffix: str, tmp_path: Path) -> None:
        exif, xmp = exif_of(None).removeprefix(b"Exif\0\0"), b"<x:xmpmeta>\xc3\xa9</x:xmpmeta>"
        path = tmp_path / f"a{suffix}"
        save_image(COLOURS, path, icc=SRGB, exif=exif, xmp=xmp)
        loaded = load_image(path)
        assert loaded.icc == SRGB
        assert loaded.xmp == xmp
        assert loaded.exif is not None
        kept = Image.Exif()
        kept.load(loaded.exif)
        assert kept[0x010F] == "Acme"
        assert kept.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"

    def test_a_profile_for_other_samples_is_left_out(self) -> None:
        loaded = load_image(file_of(Image.fromarray(GRAY), icc_profile=SRGB))
        assert loaded.icc is None and "profile" in loaded.notes[0]
        assert load_image(file_of(Image.fromarray(COLOURS), icc_profile=SRGB)).icc == SRGB
        assert load_image(file_of(Image.fromarray(COLOURS), icc_profile=b"junk")).icc is None
