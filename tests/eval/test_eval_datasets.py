"""``heqcodec eval datasets``: what is listed, fetched from a server, and compared."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
import socket
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from command_runner import run
from heqcodec.base.errors import HeqError
from heqcodec.eval import datasets, download
from heqcodec.eval.datasets import DATASETS, Dataset, verify
from heqcodec.eval.download import fetch
from heqcodec.eval.folder import data_hash, image_files
from loopback import running
from PIL import Image

DATA = Path(os.environ.get("HEQCODEC_DATA", Path(__file__).parents[2] / "../shared/data"))
KODAK = next(dataset for dataset in DATASETS if dataset.name == "kodak")
CLIC = next(dataset for dataset in DATASETS if dataset.name == "clic2020-mobile-valid")


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


FILES = {f"{shade}.png": png(shade) for shade in range(3)}


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return buffer.getvalue()


@dataclasses.dataclass
class Server:
    """Serves ``content`` by path, and lists what was requested."""

    address: str
    content: dict[str, bytes]
    asked: list[str]
    torn: bool = False  # give half of each file, and hang up


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            content = served.content.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if served.torn else content)

        def log_message(self, *_: Any) -> None:
            pass

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        served = Server(address, {}, [])
        yield served


@pytest.fixture
def single(server: Server) -> Dataset:
    """A set of single files, as Kodak's."""
    server.content = {f"/set/{name}": content for name, content in FILES.items()}
    sums = tuple((name, hashlib.sha256(content).hexdigest()) for name, content in FILES.items())
    return dataclasses.replace(
        KODAK, name="single", images=3, address=f"{server.address}/set/", sums=sums
    )


@pytest.fixture
def packed(server: Server) -> Dataset:
    """A set in an archive, as CLIC's, with what else lies in such archives."""
    files = {f"valid/{name}": content for name, content in FILES.items()}
    more = {"valid/": b"", "__MACOSX/valid/._0.png": b"x", "valid/.1.png": b"x", "README": b"x"}
    data = archive({**more, **files})
    server.content = {"/set.zip": data}
    return dataclasses.replace(
        CLIC,
        name="packed",
        images=3,
        address=f"{server.address}/set.zip",
        archive_sha256=hashlib.sha256(data).hexdigest(),
        archive_bytes=len(data),
    )


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, single: Dataset, server: Server) -> Callable[..., Any]:
    """The command over Kodak and the set of single files."""
    monkeypatch.setattr(datasets, "DATASETS", (KODAK, single))
    return lambda *options: run("eval", "datasets", *map(str, options))


def ignore(count: int) -> None:
    pass


class TestSets:
    def test_are_described_in_full(self) -> None:
        names = [dataset.name for dataset in DATASETS]
        assert len(set(names)) == len(names)
        assert {"kodak", "clic2020-professional-valid", "clic2020-mobile-valid", "tecnick"} <= set(
            names
        )
        for dataset in DATASETS:
            assert dataset.images > 0
            assert dataset.licence
            assert dataset.address.startswith("https://")
            assert dataset.address.endswith("/") == bool(dataset.sums)
            for digest in [dataset.archive_sha256, *dict(dataset.sums).values()]:
                assert digest is None or len(bytes.fromhex(digest)) == 32

    def test_files_of_several_folders_have_names_of_their_own(self) -> None:
        watched = [dataset for dataset in DATASETS if dataset.name.startswith("watch-")]
        assert len(watched) >= 4
        for dataset in watched:
            names = [datasets.file_name(path) for path, _ in dataset.sums]
            assert len(set(names)) == len(names) == dataset.images
            # A commit, and no branch: what lies there does not change.
            assert all(len(bytes.fromhex(path.split("/")[2])) == 20 for path, _ in dataset.sums)

    @pytest.mark.data
    def test_kodak_is_what_is_tested_with(self) -> None:
        folder = DATA / "kodak"
        if not folder.is_dir():
            pytest.skip(f"{folder} is not there")
        assert KODAK.sha256 == data_hash(image_files(folder))
        assert KODAK.images == len(KODAK.sums)
        assert str(KODAK.sha256) in verify(KODAK, folder)


class TestFetch:
    def test_single_files(self, single: Dataset, server: Server, tmp_path: Path) -> None:
        counts: list[int] = []
        fetch(single, tmp_path / "new" / "set", counts.append)
        found = {path.name: path.read_bytes() for path in (tmp_path / "new" / "set").iterdir()}
        assert found == FILES
        assert sum(counts) == sum(map(len, FILES.values()))
        assert single.sha256 == data_hash(image_files(tmp_path / "new" / "set"))

    def test_files_of_several_folders(
        self, single: Dataset, server: Server, tmp_path: Path
    ) -> None:
        places = {f"z/{name}" if name == "0.png" else f"a/b/{name}": name for name in FILES}
        server.content = {f"/set/{place}": FILES[name] for place, name in places.items()}
        sums = tuple(
            (place, hashlib.sha256(FILES[name]).hexdigest()) for place, name in places.items()
        )
        dataset = dataclasses.replace(single, sums=tuple(reversed(sums)))
        fetch(dataset, tmp_path, ignore)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES
        assert str(dataset.sha256) == data_hash(image_files(tmp_path))
        assert str(dataset.sha256) in verify(dataset, tmp_path)

    def test_single_files_that_are_there_are_left(
        self, single: Dataset, server: Server, tmp_path: Path
    ) -> None:
        (tmp_path / "1.png").write_bytes(FILES["1.png"])
        fetch(single, tmp_path, ignore)
        assert server.asked == ["/set/0.png", "/set/2.png"]
        (tmp_path / "2.png").write_bytes(b"mine")
        with pytest.raises(HeqError, match=r"2\.png is not the image of single; move it away"):
            fetch(single, tmp_path, ignore)
        assert (tmp_path / "2.png").read_bytes() == b"mine"

    def test_an_archive(self, packed: Dataset, server: Server, tmp_path: Path) -> None:
        fetch(packed, tmp_path, ignore)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES
        with pytest.raises(HeqError, match="holds images already; check them with --verify packed"):
            fetch(packed, tmp_path, ignore)
        assert len(server.asked) == 1

    def test_one_folder_of_an_archive(
        self, packed: Dataset, server: Server, tmp_path: Path
    ) -> None:
        files = {f"A/RGB/{name}": content for name, content in FILES.items()}
        server.content = {"/set.zip": archive({"A/GREY/0.png": png(9), **files})}
        dataset = dataclasses.replace(packed, folder="RGB", archive_sha256=None)
        fetch(dataset, tmp_path, ignore)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES

    def test_what_is_not_the_set_is_not_kept(
        self, single: Dataset, packed: Dataset, server: Server, tmp_path: Path
    ) -> None:
        changed = archive({"valid/0.png": png(7)})
        fewer = dataclasses.replace(packed, archive_sha256=None)
        twice = archive({f"{place}/{name}": b"x" for place in "ab" for name in FILES})
        for dataset, content, said in [
            (single, {"/set/0.png": png(7)}, r"0\.png is not what it was: its SHA-256 differs"),
            (single, {}, "HTTP 404 Not Found"),
            (packed, {"/set.zip": changed}, r"set\.zip is not what it was: its SHA-256 differs"),
            (fewer, {"/set.zip": changed}, "holds 1 images of 1 names instead of the 3 of packed"),
            (fewer, {"/set.zip": twice}, "holds 6 images of 3 names instead of the 3"),
            (fewer, {"/set.zip": b"no archive"}, "is no archive that can be read"),
        ]:
            server.content = content
            with pytest.raises(HeqError, match=said):
                fetch(dataset, tmp_path, ignore)
            assert list(tmp_path.iterdir()) == []

    def test_a_torn_download_is_not_kept(
        self, single: Dataset, packed: Dataset, server: Server, tmp_path: Path
    ) -> None:
        server.torn = True
        server.content.update({f"/set/{name}": content for name, content in FILES.items()})
        for dataset in (single, dataclasses.replace(packed, archive_sha256=None)):
            with pytest.raises(HeqError, match=r"cannot be fetched: only \d+ of \d+ bytes came"):
                fetch(dataset, tmp_path, ignore)
            assert list(tmp_path.iterdir()) == []

    def test_without_a_network_it_says_so(self, single: Dataset, tmp_path: Path) -> None:
        nowhere = dataclasses.replace(single, address="http://127.0.0.1:9/")
        with pytest.raises(HeqError) as error:
            fetch(nowhere, tmp_path, ignore)
        assert str(error.value) == (
            "http://127.0.0.1:9/0.png cannot be fetched: Connection refused; where there is no "
            "network, bring the files yourself and check them with --verify single DIR."
        )
        assert list(tmp_path.iterdir()) == []

    def test_a_silent_server_is_not_waited_for(
        self, single: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(download, "TIMEOUT", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            with pytest.raises(HeqError, match="cannot be fetched: timed out;"):
                fetch(dataclasses.replace(single, address=address), tmp_path, ignore)


class TestVerify:
    def test_names_what_differs(self, single: Dataset, tmp_path: Path) -> None:
        for name, content in FILES.items():
            (tmp_path / name).write_bytes(content)
        assert str(single.sha256) in verify(single, tmp_path)
        (tmp_path / "0.png").write_bytes(FILES["1.png"])
        (tmp_path / "1.png").unlink()
        (tmp_path / "more.png").write_bytes(b"")
        with pytest.raises(HeqError) as error:
            verify(single, tmp_path)
        assert str(error.value) == (
            f"{tmp_path} is not single: 1.png is missing, 0.png differs, more.png is not of the "
            "set."
        )

    def test_names_a_few_of_many(self, tmp_path: Path) -> None:
        (tmp_path / "kodim01.png").write_bytes(b"")
        with pytest.raises(HeqError, match=r"kodim06\.png is missing and 19 more"):
            verify(KODAK, tmp_path)

    def test_without_sums_counts(self, packed: Dataset, tmp_path: Path) -> None:
        for name, content in FILES.items():
            (tmp_path / name).write_bytes(content)
        said = verify(packed, tmp_path)
        assert "only their number was compared" in said
        assert data_hash(image_files(tmp_path)) in said
        (tmp_path / "0.png").unlink()
        with pytest.raises(HeqError, match="holds 2 images instead of 3"):
            verify(packed, tmp_path)

    def test_an_archive(self, packed: Dataset, server: Server, tmp_path: Path) -> None:
        path = tmp_path / "set.zip"
        path.write_bytes(server.content["/set.zip"])
        assert str(packed.archive_sha256) in verify(packed, path)
        with pytest.raises(HeqError, match="No sum of an archive"):
            verify(dataclasses.replace(packed, archive_sha256=None), path)
        path.write_bytes(b"x")
        with pytest.raises(HeqError, match="is not the archive of packed"):
            verify(packed, path)


class TestCommand:
    def test_lists(self, command: Callable[..., Any]) -> None:
        result = command()
        assert result.exit_code == 0
        assert "kodak: Kodak Lossless True Color Image Suite, 24 images" in result.stdout
        assert "unrestricted usage" in result.stdout
        assert str(KODAK.sha256) in result.stdout
        entries = json.loads(command("--json").stdout)["datasets"]
        assert [entry["name"] for entry in entries] == ["kodak", "single"]
        assert entries[0]["sha256"] == KODAK.sha256
        assert entries[0]["files"]["kodim24.png"] == dict(KODAK.sums)["kodim24.png"]

    def test_fetches_and_verifies(self, command: Callable[..., Any], tmp_path: Path) -> None:
        result = command("--fetch", "single", "--out", tmp_path / "set")
        assert result.exit_code == 0, result.output
        assert "is single, file by file." in result.stdout
        assert command("--verify", "single", tmp_path / "set").exit_code == 0
        shutil.rmtree(tmp_path / "set")
        result = command("--verify", "single", tmp_path / "set")
        assert result.exit_code == 1
        assert "is not a folder" in result.output

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--fetch", "lena", "--out", "x"), "there is no set lena; choose from kodak, single"),
            (("--verify", "lena", "x"), "there is no set lena;"),
            (("--fetch", "single"), "go together"),
            (("--out", "x"), "go together"),
        ],
    )
    def test_wrong_commands(
        self, command: Callable[..., Any], options: tuple[str, ...], said: str
    ) -> None:
        result = command(*options)
        assert result.exit_code == 2
        assert said in " ".join(result.output.replace("│", " ").split())
