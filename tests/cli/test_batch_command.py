"""``heqcodec batch``: the bytes of single calls, exactly once, from and to places of any kind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from command_runner import names, run
from heqcodec.batch.locations import Location
from heqcodec.batch.manifest import read_manifest
from PIL import Image
from small_models import photograph

CROPS = {"a.png": (0, 0), "b.png": (100, 40), "in/c.png": (200, 80), "in/er/d.png": (300, 120)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name, (top, left) in CROPS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph()[top : top + 70, left : left + 90]).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def batch(*arguments: str | Path, exit_code: int = 0) -> dict[str, Any]:
    """The summary of a batch in this process."""
    result = run("batch", *arguments, "--workers", "0", "--json")
    assert result.exit_code == exit_code, result.stderr
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def rows(out: Path) -> list[dict[str, Any]]:
    return read_manifest(Location(str(out / ".heqcodec-batch"))).to_pylist()  # type: ignore[no-any-return]


def test_a_missing_source_leaves_nothing_behind(tmp_path: Path) -> None:
    result = run("batch", "encode", tmp_path / "none", tmp_path / "out", "--workers", "0")
    assert result.exit_code == 1 and "No such file" in result.stderr
    assert names(tmp_path) == []


class TestOperations:
    def test_bytes_are_those_of_single_calls(self, photos: Path, tmp_path: Path) -> None:
        device, packed, back = tmp_path / "device", tmp_path / "packed", tmp_path / "back"
        assert batch("encode", photos, device, "-q", "30")["done"] == 4
        for name in CROPS:
            data = (device / name).with_suffix(".heq").read_bytes()
            assert data == heqcodec.encode(photos / name, quality=30)
        assert batch("pack", device, packed)["done"] == 4
        assert batch("unpack", packed, back)["done"] == 4
        for name in CROPS:
            heq = Path(name).with_suffix(".heq")
            assert (packed / heq).read_bytes() == heqcodec.pack(device / heq)
            assert (back / heq).read_bytes() == (device / heq).read_bytes()
        assert batch("decode", packed, tmp_path / "png", "--decoder", "plain")["done"] == 4
        shown = np.asarray(Image.open(tmp_path / "png" / "in" / "er" / "d.png"))
        assert np.array_equal(
            shown, heqcodec.decode(packed / "in" / "er" / "d.heq", decoder="plain")
        )
        assert batch("decode", packed, tmp_path / "small", "--scale", "4", "--format", "jpg")
        assert Image.open(tmp_path / "small" / "a.jpg").size == (23, 18)

    def test_verify_finds_the_damaged_file(self, photos: Path, tmp_path: Path) -> None:
        out, report = tmp_path / "out", tmp_path / "report"
        batch("encode", photos, out)
        data = bytearray((out / "b.heq").read_bytes())
        data[-20] ^= 1
        (out / "b.heq").write_bytes(data)
        summary = batch("verify", out, report, exit_code=1)
        assert (summary["done"], summary["failed"]) == (3, 1)
        assert summary["failures"][0]["input"] == "b.heq"
        assert names(report) == [".heqcodec-batch"]

    def test_rows_say_what_was_made(self, photos: Path, tmp_path: Path) -> None:
        batch("encode", photos, tmp_path / "out", "-q", "30")
        (row,) = [row for row in rows(tmp_path / "out") if row["source"] == "in/c.png"]
        data = (tmp_path / "out" / "in" / "c.heq").read_bytes()
        assert (row["width"], row["height"], row["bytes"]) == (90, 70, len(data))
        assert row["bpp"] == 8 * len(data) / 6300 and row["error"] is None
        assert row["size"] == (photos / "in" / "c.png").stat().st_size
        assert (
            row["output"] == "in/c.heq" and json.loads(row["options"])["options"]["quality"] == 30
        )
        encoder, coder = row["model"].split("/")
        assert bytes.fromhex(encoder) in data and bytes.fromhex(coder) in data


class TestExactlyOnce:
    def test_what_is_done_is_not_done_again(self, photos: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        batch("encode", photos, out)
        before = (out / "a.heq").stat().st_mtime_ns
        os.utime(photos / "b.png", ns=(1, 1))
        Image.new("RGB", (40, 40)).save(photos / "in" / "new.png")
        summary = batch("encode", photos, out)
        assert (summary["done"], summary["skipped"], summary["changed"]) == (2, 3, 1)
        assert (out / "a.heq").stat().st_mtime_ns == before
        assert len(rows(out)) == 5

    def test_other_options_are_refused_or_begin_anew(self, photos: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        batch("encode", photos, out, "-q", "30")
        result = run("batch", "encode", photos, out, "-q", "60", "--workers", "0")
        assert result.exit_code == 1 and "quality was 30.0 and is 60.0" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert batch("encode", photos, out, "-q", "60", "--restart")["done"] == 4
        assert (out / "a.heq").read_bytes() == heqcodec.encode(photos / "a.png", quality=60)

    def test_failed_items_are_listed_left_alone_and_retried(
        self, photos: Path, tmp_path: Path
    ) -> None:
        whole = (photos / "b.png").read_bytes()
        (photos / "b.png").write_bytes(whole[:100])
        out = tmp_path / "out"
        result = run("batch", "encode", photos, out, "--workers", "0")
        assert result.exit_code == 1 and "3 done, 1 failed" in result.stdout
        assert "1 of 4 items failed" in result.stderr and "b.png: " in result.stderr
        summary = batch("encode", photos, out, exit_code=1)
        assert (summary["items"], summary["failed_before"], summary["skipped"]) == (0, 1, 3)
        assert batch("encode", photos, out, "--retry-failed", exit_code=1)["failed"] == 1
        (photos / "b.png").write_bytes(whole)
        summary = batch("encode", photos, out)  # a changed source is done again by itself
        assert (summary["done"], summary["changed"]) == (1, 1)
        assert {row["error"] for row in rows(out)} == {None}

    @pytest.mark.slow
    @pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
    def test_a_killed_run_goes_on_where_it_was(self, tmp_path: Path) -> None:
        photos, out = tmp_path / "photos", tmp_path / "out"
        photos.mkdir()
        samples = np.random.default_rng(3).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        for index in range(120):
            Image.fromarray(samples ^ np.uint8(index % 256)).save(photos / f"{index:03}.png")
        command = [sys.executable, "-m", "heqcodec", "batch", "encode", photos, out, "--workers"]
        with subprocess.Popen([*command, "2"], start_new_session=True) as process:
            limit = time.monotonic() + 60
            while len(list(out.glob("*.heq"))) < 20 and time.monotonic() < limit:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)  # its workers end by themselves
        done = len(list(out.glob("*.heq")))
        assert 20 <= done < 120
        summary = batch("encode", photos, out)
        assert summary["done"] + summary["skipped"] == 120
        assert len(rows(out)) == 120
        for index in range(0, 120, 17):
            data = (out / f"{index:03}.heq").read_bytes()
            assert data == heqcodec.encode(photos / f"{index:03}.png")
        assert sum(not name.endswith(".heq") for name in names(out)) == 1


class TestPlaces:
    def test_from_an_archive_to_memory_and_back(self, photos: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            for name in CROPS:
                archive.write(photos / name, name)
        store = f"memory://{tmp_path}/heq"
        assert batch("encode", f"zip://::{tmp_path}/all.zip", store)["done"] == 4
        assert Location(store).read("in/er/d.heq") == heqcodec.encode(
            photos / "in" / "er" / "d.png"
        )
        assert batch("encode", f"zip://::{tmp_path}/all.zip", store)["skipped"] == 4
        assert batch("pack", store, f"{store}-packed")["done"] == 4
        summary = batch("decode", store, tmp_path / "png", "--decoder", "plain")
        assert summary["done"] == 4 and (tmp_path / "png" / "in" / "er" / "d.png").exists()

    @pytest.mark.slow
    def test_two_workers_where_only_this_process_sees_the_files(
        self, photos: Path, tmp_path: Path
    ) -> None:
        store = Location(f"memory://{tmp_path}/in")
        for name in CROPS:
            store.write(name, (photos / name).read_bytes())
        result = run("batch", "encode", store.url, f"memory://{tmp_path}/out", "--workers", "2")
        assert result.exit_code == 0, result.stderr
        made = Location(f"memory://{tmp_path}/out")
        assert made.read("in/c.heq") == heqcodec.encode(photos / "in" / "c.png")

    def test_lists(self, photos: Path, tmp_path: Path) -> None:
        (tmp_path / "list").write_text("in/c.png\ngone.png\n")
        summary = batch(
            "encode", photos, tmp_path / "out", "--files-from", tmp_path / "list", exit_code=1
        )
        assert (summary["done"], summary["failed"]) == (1, 1)
        assert summary["failures"] == [
            {"input": "gone.png", "error": "gone.png: No such file or directory."}
        ]

    def test_names_that_clash_keep_their_suffixes(self, photos: Path, tmp_path: Path) -> None:
        image = Image.open(photos / "a.png")
        image.save(photos / "a.jpg")
        image.save(photos / "a.png.gif")
        batch("encode", photos, tmp_path / "out")
        assert names(tmp_path / "out") == [
            ".heqcodec-batch", "a.jpg.heq", "a.png.gif.heq", "a.png.heq", "b.png.heq", "in",
        ]  # fmt: skip

    def test_a_folder_with_other_files_is_refused(self, photos: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.mkdir()
        (out / "a.heq").write_bytes(b"mine")
        result = run("batch", "encode", photos, out, "--workers", "0")
        assert result.exit_code == 1 and "holds a.heq already" in result.stderr
        assert (out / "a.heq").read_bytes() == b"mine"
        assert batch("encode", photos, out, "-f")["done"] == 4

    def test_one_folder_for_both_is_refused(self, photos: Path, tmp_path: Path) -> None:
        result = run("batch", "pack", photos, f"{photos}/", "--workers", "0")
        assert result.exit_code == 2 and "one folder" in result.stderr


def test_figures_for_prometheus(photos: Path, tmp_path: Path) -> None:
    (photos / "b.png").write_bytes(b"no image")
    path = tmp_path / "batch.prom"
    summary = batch("encode", photos, tmp_path / "out", "--metrics", path, exit_code=1)
    lines = path.read_text().splitlines()
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    label = '{operation="encode"}'
    assert figures[f"heqcodec_batch_done_total{label}"] == "3"
    assert figures[f"heqcodec_batch_failed_total{label}"] == "1"
    assert figures[f"heqcodec_batch_items_left{label}"] == "0"
    assert int(figures[f"heqcodec_batch_output_bytes_total{label}"]) == summary["output_bytes"] > 0
    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert types == [name.split("{")[0] for name in figures]


@pytest.mark.parametrize(
    "arguments",
    [
        ("encode", "-q", "101"),
        ("encode", "-q", "30", "--bpp", "0.5"),
        ("decode", "--format", "gif"),
        ("decode", "--scale", "3"),
        ("decode", "--decoder", "none"),
    ],
)
def test_wrong_options_are_told_before_any_work(
    arguments: tuple[str, ...], photos: Path, tmp_path: Path
) -> None:
    command, *options = arguments
    result = run("batch", command, photos, tmp_path / "out", *options)
    assert result.exit_code == 2 and not (tmp_path / "out").exists()


def test_alpha_that_the_format_cannot_hold_costs_the_item(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    buffer = io.BytesIO()
    Image.new("RGBA", (40, 40), (1, 2, 3, 4)).save(buffer, "PNG")
    (folder / "a.heq").write_bytes(heqcodec.encode(buffer.getvalue()))
    options = ("--format", "jpg", "--decoder", "plain")
    summary = batch("decode", folder, tmp_path / "out", *options, exit_code=1)
    assert "transparency" in summary["failures"][0]["error"]
