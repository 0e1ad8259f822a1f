"""Reading and writing images: arrays, files, Pillow images, limits, errors."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heqcodec.base.errors import HeqError, HeqLimitError, HeqUnsupportedError
from heqcodec.image.images import load_image, save_image
from heqcodec.image.output_formats import SUFFIXES
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from hypothesis_profiles import most
from PIL import Image
from sample_images import ALPHA, COLOURS, GRAY, file_of, png
from small_models import photograph


class TestArrays:
    @pytest.mark.parametrize(
        ("array", "channels", "alpha"),
        [
            (GRAY, 1, False),
            (GRAY[..., None], 1, False),
            (COLOURS[..., :2], 1, True),
            (COLOURS, 3, False),
            (np.dstack([COLOURS, ALPHA]), 3, True),
        ],
    )
    def test_shapes(self, array: np.ndarray, channels: int, alpha: bool) -> None:
        loaded = load_image(array)
        assert loaded.pixels.shape == (6, 9, channels)
        assert loaded.pixels.flags.c_contiguous and loaded.pixels.dtype == np.uint8
        whole = array.reshape(6, 9, -1)
        assert np.array_equal(loaded.pixels, whole[..., :channels])
        assert (loaded.alpha is not None) == alpha
        if loaded.alpha is not None:
            assert np.array_equal(loaded.alpha, whole[..., -1])
        assert loaded.notes == []

    def test_limit(self) -> None:
        assert load_image(COLOURS, max_pixels=54).pixels.shape == (6, 9, 3)
        assert load_image(COLOURS, max_pixels=None).pixels.shape == (6, 9, 3)
        with pytest.raises(HeqLimitError, match="9x6"):
            load_image(COLOURS, max_pixels=53)
        with pytest.raises(HeqLimitError):
            load_image(load_image(COLOURS), max_pixels=53)


@settings(max_examples=most(40), deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4)).flatmap(
        lambda shape: arrays(np.uint8, shape)
    )
)
def test_png_keeps_every_sample(pixels: np.ndarray) -> None:
    buffer = io.BytesIO()
    save_image(pixels, buffer)
    loaded = load_image(buffer.getvalue())
    parts = [loaded.pixels] if loaded.alpha is None else [loaded.pixels, loaded.alpha[..., None]]
    assert np.array_equal(np.concatenate(parts, axis=2), pixels)


class TestSources:
    def test_path_bytes_file_object_and_pillow_agree(self, tmp_path: Path) -> None:
        path = tmp_path / "photo.png"
        image = Image.fromarray(COLOURS)
        image.save(path)
        data = path.read_bytes()
        with path.open("rb") as stream:
            sources: list[Any] = [path, str(path), data, memoryview(data), stream, image]
            for source in sources:
                assert np.array_equal(load_image(source).pixels, COLOURS)

    def test_a_pipe_is_read(self) -> None:
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as stream:
            stream.write(file_of(Image.fromarray(COLOURS)))
        with os.fdopen(reading, "rb") as stream:
            assert np.array_equal(load_image(stream).pixels, COLOURS)

    def test_unreadable_sources_give_one_sentence_with_the_name(self, tmp_path: Path) -> None:
        text = tmp_path / "notes.png"
        text.write_text("no image at all")
        (tmp_path / "empty.png").touch()
        (tmp_path / "cut.png").write_bytes(file_of(Image.fromarray(COLOURS))[:-40])
        for name in ("notes.png", "empty.png", "cut.png"):
            with pytest.raises(HeqError) as caught:
                load_image(tmp_path / name)
            message = str(caught.value)
            assert name in message and message.endswith(".") and "\n" not in message

    def test_text_mode_and_other_objects_are_refused(self) -> None:
        with pytest.raises(TypeError, match="'rb'"):
            load_image(io.StringIO("abc"))  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="from a dict"):
            load_image({})  # type: ignore[arg-type]

    def test_a_heq_file_is_named_as_such(self) -> None:
        with pytest.raises(HeqUnsupportedError, match="already"):
            load_image(b"\x89HEQ\r\n\x1a\n" + bytes(40))

    def test_no_program_runs_for_a_drawing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import subprocess

        def refuse(*_: Any, **__: Any) -> None:
            raise AssertionError("a program was started")

        monkeypatch.setattr(subprocess, "Popen", refuse)
        monkeypatch.setattr(subprocess, "check_call", refuse)
        data = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n"
        with pytest.raises(HeqUnsupportedError, match="EPS"):
            load_image(data)


class TestLimits:
    def test_a_huge_header_is_refused_unread(self) -> None:
        data = png(8, 2, (12_000, 10_000), [b""])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(HeqLimitError, match="12000x10000"):
                load_image(data)
        with pytest.raises(HeqLimitError):
            load_image(png(8, 2, (60_000, 60_000), [b""]))

    def test_the_callers_limit_goes_beyond_pillows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
        data = file_of(Image.fromarray(COLOURS))
        assert load_image(data, max_pixels=54).pixels.shape == (6, 9, 3)
        assert load_image(data, max_pixels=None).pixels.shape == (6, 9, 3)
        assert Image.MAX_IMAGE_PIXELS == 20
        with pytest.raises(HeqLimitError):
            load_image(data, max_pixels=53)


class TestSaving:
    @pytest.mark.parametrize("name", ["a.heq", "a.txt", "a", "a.pngg"])
    def test_unknown_suffixes(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(HeqUnsupportedError, match=r"\.png"):
            save_image(COLOURS, tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".ppm", ".pgm"])
    def test_alpha_is_not_dropped_in_silence(self, suffix: str, tmp_path: Path) -> None:
        with pytest.raises(HeqUnsupportedError, match="transparency"):
            save_image(np.dstack([COLOURS, ALPHA]), tmp_path / f"a{suffix}")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_every_suffix_gives_the_picture_back_or_an_error(
        self, suffix: str, channels: int, tmp_path: Path
    ) -> None:
        crop = photograph()[100:180, 200:301]
        pixels = np.ascontiguousarray(np.dstack([crop, crop[..., :1]])[..., :channels])
        path = tmp_path / f"a{suffix}"
        try:
            save_image(pixels, path)
        except HeqUnsupportedError:
            assert channels in (2, 4) or (suffix, channels) == (".pgm", 3)
            assert suffix in (".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".pnm")
            assert not path.exists()
            return
        with Image.open(path) as image:
            assert image.format == SUFFIXES[suffix]
            shown = np.asarray(image.convert(("L", "LA", "RGB", "RGBA")[channels - 1]))
        apart = np.abs(shown.reshape(pixels.shape).astype(int) - pixels)
        lossy = suffix in (".jpg", ".jpeg", ".avif")
        assert apart.max() <= (20 if lossy else 0) and apart.mean() < 2

    @pytest.mark.parametrize("name", ["a.ico", "a.icns", "a.gif", "a.mpo", "a.pdf", "a.j2k"])
    def test_what_would_not_be_the_picture_is_refused(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(HeqUnsupportedError, match=r"written as \.png, \.jpg, .*\.pnm\.$"):
            save_image(COLOURS, tmp_path / name)
        with pytest.raises(HeqUnsupportedError, match="choose one of PNG, JPEG, "):
            save_image(COLOURS, tmp_path / "a.png", format="GIF")
        assert list(tmp_path.iterdir()) == []

    def test_netpbm_files_hold_what_their_suffix_says(self, tmp_path: Path) -> None:
        gray = COLOURS[..., :1]
        for suffix, magic in ((".pgm", b"P5"), (".pnm", b"P5"), (".ppm", b"P6")):
            save_image(gray, tmp_path / f"a{suffix}")
            assert (tmp_path / f"a{suffix}").read_bytes()[:2] == magic

    def test_colours_below_transparency_survive_webp(self, tmp_path: Path) -> None:
        pixels = np.dstack([COLOURS, np.zeros_like(ALPHA)])
        save_image(pixels, tmp_path / "a.webp")
        assert np.array_equal(np.asarray(Image.open(tmp_path / "a.webp")), pixels)

    def test_a_failure_leaves_the_old_file_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(b"old")

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(HeqError, match="No space left"):
            save_image(COLOURS, path)
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(HeqError, match="cannot be written"):
            save_image(COLOURS, tmp_path / "no" / "a.png")

    @pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and links")
    def test_permissions_and_links_are_those_of_an_ordinary_file(self, tmp_path: Path) -> None:
        path, link = tmp_path / "a.png", tmp_path / "link.png"
        before = os.umask(0o027)
        try:
            save_image(COLOURS, path)
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o640
        link.symlink_to(path)
        save_image(GRAY, link)
        assert link.is_symlink() and load_image(path).pixels.shape == (6, 9, 1)
        save_image(COLOURS, "/dev/null", format="PNG")
        assert not Path("/dev/null").is_file()
