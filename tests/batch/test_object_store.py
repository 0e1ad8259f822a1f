"""Batches and regions on an object store: moto's server of the S3 API, on the loopback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from typing import Any

import heqcodec
import numpy as np
import pytest
from command_runner import run
from heqcodec.batch.locations import Location
from heqcodec.batch.manifest import read_manifest
from PIL import Image
from s3_server import S3Server, s3_server
from small_models import photograph

pytestmark = pytest.mark.slow
COUNT = 24


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    """A store with a bucket, that this process and its children take for S3."""
    s3fs = pytest.importorskip("s3fs", reason="fsspec reads and writes s3:// by s3fs")
    for name in ("moto", "flask_cors"):
        pytest.importorskip(name, reason="moto serves the API of S3 (pip install moto[server])")
    import boto3

    with s3_server() as counted, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", counted.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield counted
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def photos(server: S3Server) -> dict[str, bytes]:
    """PNG files in two folders of the bucket, by name."""
    location, files = Location("s3://bucket/photos"), {}
    for index in range(COUNT):
        left, top = 20 * (index % 6), 30 * (index // 6)
        written = io.BytesIO()
        Image.fromarray(photograph()[top : top + 64, left : left + 96]).save(written, "PNG")
        name = f"{index % 2}/{index:02}.png"
        files[name] = written.getvalue()
        location.write(name, files[name])
    return files


def batch(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "heqcodec", "batch", *arguments, "--workers", "2"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes)


def test_a_killed_run_goes_on_and_all_objects_are_those_of_single_calls(
    server: S3Server, photos: dict[str, bytes]
) -> None:
    command = ("encode", "s3://bucket/photos", "s3://bucket/encoded", "-q", "30")
    server.requests.clear()
    killed = batch(*command)
    while len(server.puts(".heq")) < COUNT // 3:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    again = batch(*command)
    _, messages = again.communicate()
    assert again.returncode == 0, messages
    done = len(server.puts(".heq"))
    assert COUNT <= done < 2 * COUNT
    out = Location("s3://bucket/encoded")
    for name, data in photos.items():
        heq = f"{name[:-4]}.heq"
        assert out.read(heq) == heqcodec.encode(data, quality=30)
    assert sorted(out.names("0") + out.names("1")) == [f"{index:02}.heq" for index in range(COUNT)]
    rows = read_manifest(Location("s3://bucket/encoded/.heqcodec-batch")).to_pylist()
    assert sorted(row["source"] for row in rows) == sorted(photos)
    assert not any(row["error"] for row in rows)
    third = batch(*command, "--json")
    summary, _ = third.communicate()
    assert json.loads(summary)["skipped"] == COUNT and len(server.puts(".heq")) == done


def test_a_changed_object_is_done_again(server: S3Server, photos: dict[str, bytes]) -> None:
    source, command = (
        Location("s3://bucket/few"),
        ("encode", "s3://bucket/few", "s3://bucket/few-heq"),
    )
    first, second = list(photos.values())[:2]
    source.write("a.png", first)
    source.write("b.png", first)
    assert run("batch", *command, "--workers", "0").exit_code == 0
    source.write("a.png", second)
    server.requests.clear()
    assert run("batch", *command, "--workers", "0").exit_code == 0
    assert server.puts(".heq") == ["/bucket/few-heq/a.heq"]
    assert Location("s3://bucket/few-heq").read("a.heq") == heqcodec.encode(second)


def test_a_region_is_read_by_ranges(server: S3Server) -> None:
    """A tall frame with an index of its strips: what is read is counted where it is sent."""
    frame = np.concatenate([photograph()[:, :256]] * 8)
    frame = frame ^ np.random.default_rng(1).integers(0, 16, frame.shape, dtype=np.uint8)
    data = heqcodec.encode(frame, quality=70, strip_rows=1, index=True)
    Location("s3://bucket/frames").write("tall.heq", data)
    server.requests.clear()
    how: Any = {"region": (40, 1500, 100, 60), "decoder": "plain"}
    found = heqcodec.decode("s3://bucket/frames/tall.heq", **how)
    assert np.array_equal(found, heqcodec.decode(data, **how))
    reads = [request.sent for request in server.requests if request.method == "GET"]
    assert len(server.requests) <= 6 and sum(reads) < len(data) / 4


def test_shards_of_webdataset(server: S3Server, photos: dict[str, bytes]) -> None:
    pytest.importorskip("webdataset", reason="needs the extra shards")
    shards, back = "s3://bucket/shards/%03d.tar", "s3://bucket/back/%d.tar"
    how = ("--shard-items", "10", "--workers", "0")
    done = run("batch", "encode", "s3://bucket/photos", shards, "-q", "30", *how)
    assert done.exit_code == 0, done.stderr
    assert server.puts(".tar") == [f"/bucket/shards/{number:03}.tar" for number in range(3)]
    done = run("batch", "pack", "s3://bucket/shards/*.tar", back, *how)
    assert done.exit_code == 0, done.stderr
    found = {}
    for name in ("0.tar", "1.tar", "2.tar"):
        with tarfile.open(fileobj=io.BytesIO(Location("s3://bucket/back").read(name))) as archive:
            for member in archive:
                content = archive.extractfile(member)
                assert content is not None
                found[member.name[4:]] = content.read()
    assert found == {
        f"{name[:-4]}.heq": heqcodec.pack(heqcodec.encode(data, quality=30))
        for name, data in photos.items()
    }


def test_messages(server: S3Server) -> None:
    missing = run("batch", "encode", "s3://bucket/nothing", "s3://bucket/out")
    assert missing.exit_code == 1 and b"No such file" in missing.stderr_bytes
    bucket = run("batch", "encode", "s3://nobucket/a", "s3://bucket/out")
    assert bucket.exit_code == 1 and len(bucket.stderr.splitlines()) == 1, bucket.stderr
    region = run("decode", "s3://bucket/none.heq", "/tmp/none.png", "--region", "0,0,8,8")
    assert region.exit_code == 1 and len(region.stderr.splitlines()) == 1, region.stderr
