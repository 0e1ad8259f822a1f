"""JPEG files without an end marker: whole ones are read, those cut short are refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from field_files import FIELD, field_data
from heqcodec.base.errors import HeqError
from heqcodec.image.images import load_image
from heqcodec.image.jpeg_end import with_end
from PIL import Image
from sample_images import file_of
from skimage import data

PHOTO = Image.fromarray(data.chelsea()[40:151, 90:231])
END = b"\xff\xd9"
KINDS: list[dict[str, Any]] = [
    {"subsampling": 0},
    {"subsampling": 2, "optimize": True},
    {"progressive": True},
    {"quality": 100, "progressive": True, "subsampling": 0},
    {"restart_marker_blocks": 5},
    {"restart_marker_rows": 1, "subsampling": 2},
]


def jpeg(gray: bool = False, **options: Any) -> bytes:
    made = file_of(PHOTO.convert("L") if gray else PHOTO, "JPEG", **options)
    assert made.endswith(END)
    return made


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("gray", [False, True])
class TestKinds:
    def test_a_whole_scan_is_read(self, options: dict[str, Any], gray: bool) -> None:
        made = jpeg(gray, **options)
        right = np.asarray(Image.open(io.BytesIO(made))).reshape(111, 141, -1)
        for tail in (b"", b"\xff", bytes(1), bytes(700)):
            loaded = load_image(made[:-2] + tail)
            assert np.array_equal(loaded.pixels, right)
            assert loaded.notes == ["The JPEG file has no end marker; its image is whole."]

    def test_a_scan_cut_short_is_refused(self, options: dict[str, Any], gray: bool) -> None:
        made = jpeg(gray, **options)
        restarts = [
            place
            for place in range(len(made) - 2)
            if made[place] == 255 and 0xD0 <= made[place + 1] <= 0xD7
        ]
        assert bool(restarts) == any("restart" in name for name in options)
        cuts = [len(made) - 2 - lost for lost in (3, 4, 10, 100)]
        cuts += [len(made) * tenth // 10 for tenth in range(1, 10)]
        # The worst: where an interval ends, before its restart marker and after.
        cuts += restarts[-8:] + [place + 2 for place in restarts[-8:]]
        for cut in cuts:
            # Behind the last bytes, zeros read as the end of the last blocks.
            for tail in (b"", bytes(700)) if len(made) - cut >= 12 else (b"",):
                with pytest.raises(HeqError, match="damaged"):
                    load_image(made[:cut] + tail)


def test_a_progressive_file_without_its_last_scans_is_refused() -> None:
    made = jpeg(progressive=True)
    scans = [place for place in range(len(made)) if made[place : place + 2] == b"\xff\xda"]
    assert len(scans) > 5
    tables = [made.rfind(b"\xff\xc4", 0, scan) for scan in scans[1:]]
    for cut in scans[1:] + tables:
        assert with_end(made[:cut]) is None
    assert with_end(made[:-2]) == made


def test_other_files_are_refused() -> None:
    made = jpeg()
    for other in (b"", made[:2], b"\xff\xd8" + bytes(200), made[:300], b"\xff\xd8\xff\xda\0\2"):
        assert with_end(other) is None


class TestFieldFile:
    pytestmark = field_data

    def test_of_an_embedded_camera(self) -> None:
        content = (FIELD / "jpeg-no-eoi.jpg").read_bytes()
        assert END not in content[-2:]
        whole = np.asarray(Image.open(io.BytesIO(content + END)))
        for source in (content, FIELD / "jpeg-no-eoi.jpg", Image.open(io.BytesIO(content))):
            loaded = load_image(source)
            assert np.array_equal(loaded.pixels, whole)
            assert "no end marker" in loaded.notes[0]
        for lost in (5, 50, 500, 3000):
            with pytest.raises(HeqError, match="damaged"):
                load_image(content[:-lost])
