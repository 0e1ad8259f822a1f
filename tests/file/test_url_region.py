"""Regions of files on a web server: what is read, in how many requests."""

from __future__ import annotations

from pathlib import Path

import heqcodec
import numpy as np
import pytest
from command_runner import run
from heqcodec.base.errors import HeqError
from PIL import Image
from range_server import range_server
from small_models import photograph

pytest.importorskip("aiohttp", reason="fsspec reads the web by aiohttp")

REGION = (40, 1500, 100, 60)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A tall frame, 256 x 4096, with an index of its strips and without."""
    frame = np.concatenate([photograph()[:, :256]] * 8)
    frame = frame ^ np.random.default_rng(1).integers(0, 16, frame.shape, dtype=np.uint8)
    return {
        f"/{name}.heq": heqcodec.encode(frame, quality=70, strip_rows=1, index=name == "index")
        for name in ("index", "chain")
    }


def test_an_index_takes_few_requests_and_little_of_the_file(files: dict[str, bytes]) -> None:
    expected = heqcodec.decode(files["/index.heq"], region=REGION, decoder="plain")
    with range_server(files) as server:
        for name in ("index", "chain"):
            server.requests.clear()
            found = heqcodec.decode(server.url(f"/{name}.heq"), region=REGION, decoder="plain")
            assert np.array_equal(found, expected)
            size = len(files[f"/{name}.heq"])
            if name == "index":
                assert len(server.requests) <= 6
                assert sum(server.requests) < size / 4
            else:
                chain = list(server.requests)
    assert len(chain) > 6  # heads of all strips are followed


def test_the_command(files: dict[str, bytes], tmp_path: Path) -> None:
    region = ",".join(map(str, REGION))
    with range_server(files) as server:
        url = server.url("/index.heq")
        done = run("decode", url, tmp_path / "a.png", "--region", region, "--decoder", "plain")
        assert done.exit_code == 0, done.stderr
        assert sum(server.requests) < len(files["/index.heq"]) / 4
        for options in ((), ("--region", region)):
            missing = run("decode", server.url("/none.heq"), tmp_path / "b.png", *options)
            assert missing.exit_code == 1 and len(missing.stderr.splitlines()) == 1
            assert "/none.heq" in missing.stderr and "No such file" in missing.stderr
    expected = heqcodec.decode(files["/index.heq"], region=REGION, decoder="plain")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), expected)


def test_a_url_of_no_file_system() -> None:
    with pytest.raises(HeqError, match="cannot be opened"):
        heqcodec.decode("nosuch://host/a.heq")


def test_a_server_that_sends_whole_files_only(files: dict[str, bytes], tmp_path: Path) -> None:
    region = ",".join(map(str, REGION))
    with range_server(files, ranges=False) as server:
        arguments = "decode", server.url("/index.heq"), tmp_path / "a.png", "--decoder", "plain"
        refused = run(*arguments, "--region", region)
        assert run(*arguments).exit_code == 0
    assert refused.exit_code == 1 and len(refused.stderr.splitlines()) == 1
    assert "sends whole files only" in refused.stderr
