"""Places: what is found in them, and how they are written to."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from heqcodec.base.errors import HeqError
from heqcodec.batch.locations import Location, open_location


def is_png(path: Path) -> bool:
    return path.suffix == ".png"


def named(location: Location, **without: Location) -> list[str]:
    return [entry.name for folder in location.folders(is_png, **without) for entry in folder]


FILES = ("b.png", "a.png", "n.txt", ".hidden.png", "in/c.png", "in/er/d.png", ".dot/e.png")


@pytest.fixture(params=["file", "memory", "zip"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "zip":
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            for name in FILES:
                archive.writestr(name, name.encode())
        return Location(f"zip://::{tmp_path}/all.zip")
    url = str(tmp_path / "all") if request.param == "file" else f"memory://{tmp_path}/all"
    made = Location(url)
    for name in FILES:
        made.write(name, name.encode())
    return made


def test_files_are_found_folder_by_folder(location: Location) -> None:
    found = list(location.folders(is_png))
    assert [entry.name for entry in found[0]] == ["a.png", "b.png"]
    assert sorted(map(len, found)) == [1, 1, 2]
    for entry in (entry for folder in found for entry in folder):
        assert location.read(entry.name) == entry.name.encode()
        assert entry.size == len(entry.name) and entry.version


def test_patterns_keep_the_folders_below_their_fixed_beginning(location: Location) -> None:
    opening, _, outer = location.url.partition("::")
    pattern = f"{opening.rstrip('/')}/in/**/*.png" if not outer else f"zip://in/**/*.png::{outer}"
    below = Location(pattern)
    assert sorted(named(below)) == ["c.png", "er/d.png"]
    assert below.read("er/d.png") == b"in/er/d.png"


def test_lists_are_of_names_below_it(location: Location) -> None:
    found = list(location.listed(["in/c.png", "b.png", "", "gone.png", "a.png", "a.png"]))
    assert [[entry.name for entry in folder] for folder in found] == [
        ["a.png", "b.png", "gone.png"],
        ["in/c.png"],
    ]
    assert [entry.size for entry in found[0]] == [5, 5, -1]


def test_the_folder_of_outputs_is_not_looked_into(tmp_path: Path) -> None:
    location = Location(str(tmp_path))
    location.write("a.png", b"1")
    location.write("out/b.png", b"2")
    assert named(location, without=Location(f"{tmp_path}/out/")) == ["a.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_pipes_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "none")
    assert named(Location(str(tmp_path))) == named(Location(f"{tmp_path}/*.png")) == ["nowhere.png"]


def test_a_changed_file_has_another_version(tmp_path: Path) -> None:
    location = Location(str(tmp_path))
    location.write("a.png", b"1")
    os.utime(tmp_path / "a.png", ns=(1, 1))
    ((before,),) = location.folders(is_png)
    os.utime(tmp_path / "a.png", ns=(2000, 2000))
    ((after,),) = location.folders(is_png)
    assert before.size == after.size and before.version != after.version


def test_addresses_do_not_depend_on_how_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    addresses = {Location(url).address for url in ("a", "a/", "./a", f"{tmp_path}/a", "a/*.png")}
    assert addresses == {f"file://{tmp_path}/a"}


def test_writing_leaves_nothing_aside(tmp_path: Path) -> None:
    location = Location(str(tmp_path / "new"))
    location.write("x/y.heq", b"first")
    location.write("x/y.heq", b"second")
    assert location.read("x/y.heq") == b"second"
    assert location.names("x") == ["y.heq"] and location.names("none") == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("zip://::{0}/a.zip", "cannot be written to"),
        ("{0}/*.png", "is a pattern"),
        ("{0}/a.zip", "is a file"),
        ("nosuch://b/c", "cannot be opened"),
    ],
)
def test_places_that_take_no_outputs(tmp_path: Path, url: str, words: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", b"")
    with pytest.raises(HeqError, match=words):
        open_location(url.format(tmp_path))


def test_what_cannot_be_looked_into(tmp_path: Path) -> None:
    with pytest.raises(HeqError, match="No such file"):
        named(Location(str(tmp_path / "none")))
    (tmp_path / "file.png").write_bytes(b"")
    with pytest.raises(HeqError, match="is a file"):
        named(Location(str(tmp_path / "file.png")))
