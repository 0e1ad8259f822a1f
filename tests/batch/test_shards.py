"""Shards of WebDataset as sources and as outputs, each sample once whatever is killed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import heqcodec
import pytest
from batch_operations import BAD, Reverse
from command_runner import names, run
from heqcodec.base.errors import HeqError
from heqcodec.batch.local import InlineEngine
from heqcodec.batch.locations import Location
from heqcodec.batch.manifest import Manifest, read_manifest
from heqcodec.batch.run import Summary, run_batch
from heqcodec.batch.work import Task
from PIL import Image
from small_models import photograph

webdataset = pytest.importorskip("webdataset", reason="needs the extra shards")
from heqcodec.batch.shard_source import ShardSource  # noqa: E402
from heqcodec.batch.shard_writer import ShardTarget  # noqa: E402

INLINE = ("--workers", "0")


def png(index: int) -> bytes:
    left, top = 20 * (index % 6), 30 * (index // 6)
    written = io.BytesIO()
    Image.fromarray(photograph()[top : top + 40, left : left + 56]).save(written, "PNG")
    return written.getvalue()


def samples(folder: Path) -> list[dict[str, Any]]:
    """All samples of all shards of a folder, as their readers see them."""
    shards = sorted(str(path) for path in folder.glob("*.tar"))
    found = webdataset.WebDataset(shards, shardshuffle=False, empty_check=False)
    return [
        {key: value for key, value in sample.items() if key not in ("__url__", "__local_path__")}
        for sample in found
    ]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Three shards of four samples: an image, a class, and for each second one a caption."""
    pattern = str(tmp_path / "in" / "train-%03d.tar")
    (tmp_path / "in").mkdir()
    with webdataset.ShardWriter(pattern, maxcount=4, verbose=0, encoder=False) as writer:
        for index in range(12):
            sample = {"__key__": f"dog/{index:03}", "png": png(index), "cls": b"%d" % index}
            if index % 2:
                sample["caption.txt"] = b"a dog"
            writer.write(sample)
    return tmp_path / "in"


def test_shards_become_shards_with_all_that_their_samples_hold(
    shards: Path, tmp_path: Path
) -> None:
    source, out = f"{shards}/train-{{000..002}}.tar", f"{tmp_path}/out/heq-%02d.tar"
    done = run("batch", "encode", source, out, "-q", "30", "--shard-items", "5", *INLINE)
    assert done.exit_code == 0, done.stderr
    assert names(tmp_path / "out") == [".heqcodec-batch", *(f"heq-0{n}.tar" for n in range(3))]
    found = {sample.pop("__key__"): sample for sample in samples(tmp_path / "out")}
    assert len(found) == 12
    for index in range(12):
        sample = found[f"train-{index // 4:03}/dog/{index:03}"]
        assert sample["heq"] == heqcodec.encode(png(index), quality=30)
        assert sample["cls"] == b"%d" % index
        assert ("caption.txt" in sample) == (index % 2 == 1) and "png" not in sample
    again = run("batch", "encode", source, out, "-q", "30", *INLINE)
    assert again.stdout.startswith("0 done, 0 failed, 12 done before"), again.stdout
    changed = run("batch", "encode", source, out, "-q", "31", *INLINE)
    assert changed.exit_code == 1 and "quality was 30" in changed.stderr
    assert len(samples(tmp_path / "out")) == 12


def test_the_manifest_says_which_shard(shards: Path, tmp_path: Path) -> None:
    out = f"{tmp_path}/out/heq-%02d.tar"
    run("batch", "encode", f"{shards}/*.tar", out, "--shard-items", "5", *INLINE)
    held = {
        (path.name, sample["__key__"])
        for path in (tmp_path / "out").glob("*.tar")
        for sample in webdataset.WebDataset(str(path), shardshuffle=False)
    }
    rows = read_manifest(Location(f"{tmp_path}/out/.heqcodec-batch")).to_pylist()
    assert {(row["shard"], row["output"].removesuffix(".heq")) for row in rows} == held
    assert {row["source"] for row in rows} == {
        f"train-{index // 4:03}.tar/dog/{index:03}.png" for index in range(12)
    }


def test_shards_to_files_and_files_to_shards(shards: Path, tmp_path: Path) -> None:
    run("batch", "encode", f"{shards}/train-001.tar", tmp_path / "files", *INLINE)
    folder = tmp_path / "files" / "train-001" / "dog"
    assert names(folder) == [f"{index:03}.heq" for index in range(4, 8)]
    (folder / "004.heq").rename(folder / "004.b.heq")
    out = f"{tmp_path}/png/png-%d.tar"
    done = run("batch", "decode", tmp_path / "files", out, "--decoder", "plain", *INLINE)
    assert done.exit_code == 0, done.stderr
    keys = [sample["__key__"] for sample in samples(tmp_path / "png")]
    assert keys == [f"train-001/dog/{name}" for name in ("004%2Eb", "005", "006", "007")]


def batch(source: Location, target: ShardTarget, **how: Any) -> Summary:
    task = Task(Reverse(), source.address, "")
    facts = {"operation": "reverse", "options": {}, "models": {}}
    manifest = Manifest(Location(f"{target.location.url}/.heqcodec-batch"))
    folders = source.folders(lambda path: True)
    make = lambda: InlineEngine(task)  # noqa: E731
    return run_batch(facts, folders, ".out", source, target, manifest, make, **how)


@pytest.fixture
def files(tmp_path: Path) -> Location:
    source = Location(str(tmp_path / "in"))
    for index in range(10):
        source.write(f"{index}.bin", f"file {index}".encode())
    return source


def target(tmp_path: Path) -> ShardTarget:
    return ShardTarget(f"{tmp_path}/out/%03d.tar", 3, 1e9)


def keys(tmp_path: Path) -> list[str]:
    found = samples(tmp_path / "out")
    assert all(len(sample["out"]) == 6 for sample in found)
    return sorted(sample["__key__"] for sample in found)


class Killed(Exception):
    pass


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_ends_around_a_shards_publication(
    files: Location, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second shard's rows are in the manifest; its file is not yet there, or is."""
    take = Location.take

    def killed(location: Location, path: str, name: str) -> None:
        if name == "001.tar":
            if moment == "after":
                take(location, path, name)
            raise Killed
        take(location, path, name)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Location, "take", killed)
        batch(files, target(tmp_path))
    there = 1 if moment == "before" else 2
    assert len(keys(tmp_path)) == 3 * there
    summary = batch(files, target(tmp_path))
    assert (summary.done, summary.skipped) == (10 - 3 * there, 3 * there)
    assert keys(tmp_path) == [str(index) for index in range(10)]
    assert not list((tmp_path / "out").glob(".heqcodec-shards*"))


def test_a_bad_item_costs_itself_and_is_retried(files: Location, tmp_path: Path) -> None:
    files.write("4.bin", BAD)
    assert batch(files, target(tmp_path)).failed == 1
    assert batch(files, target(tmp_path)).failed_before == 1
    files.write("4.bin", b"file 4")
    assert batch(files, target(tmp_path)).done == 1
    assert keys(tmp_path) == [str(index) for index in range(10)]


def test_a_lost_shard_is_made_again_and_a_changed_source_refused(
    files: Location, tmp_path: Path
) -> None:
    batch(files, target(tmp_path))
    (tmp_path / "out" / "001.tar").unlink()
    assert batch(files, target(tmp_path)).done == 3
    assert keys(tmp_path) == [str(index) for index in range(10)]
    files.write("2.bin", b"other")
    with pytest.raises(HeqError, match=r"2\.bin has changed"):
        batch(files, target(tmp_path))
    files.write("2.bin", b"file X")
    assert batch(files, target(tmp_path), restart=True).done == 10
    assert keys(tmp_path) == [str(index) for index in range(10)]


def test_a_damaged_shard_costs_what_follows_the_damage(shards: Path, tmp_path: Path) -> None:
    path = shards / "train-001.tar"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    done = run("batch", "encode", f"{shards}/*.tar", tmp_path / "out", *INLINE)
    assert done.exit_code == 1 and "train-001.tar is damaged" in done.stderr
    assert len(list((tmp_path / "out").rglob("*.heq"))) in (9, 10)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("a/b.tar", "names no shards"),
        ("a/%d-%d.tar", "names no shards"),
        ("a*/%d.tar", "is a pattern"),
    ],
)
def test_targets_that_are_none(url: str, words: str) -> None:
    with pytest.raises(HeqError, match=words):
        ShardTarget(url, 1, 1)


def test_sources_that_are_none(tmp_path: Path) -> None:
    for name in ("none.tar", "none-*.tar"):
        with pytest.raises(HeqError, match="No such file"):
            list(ShardSource(f"{tmp_path}/{name}").folders(lambda path: True))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_the_command_is_killed_and_goes_on(shards: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "heqcodec", "batch", "encode", f"{shards}/*.tar"]
    command += [f"{tmp_path}/out/%02d.tar", "--shard-items", "2", *INLINE]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while not (tmp_path / "out" / "01.tar").exists():
        assert killed.poll() is None
        time.sleep(0.002)
    killed.kill()
    killed.communicate()
    subprocess.run(command, check=True, capture_output=True)
    found = samples(tmp_path / "out")
    assert len(found) == len({sample["__key__"] for sample in found}) == 12
    for sample in found:
        index = int(sample["__key__"][-3:])
        assert sample["heq"] == heqcodec.encode(png(index))
