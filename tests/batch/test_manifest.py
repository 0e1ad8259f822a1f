"""The manifest: what it remembers, and to what it holds a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from heqcodec.base.errors import HeqError
from heqcodec.batch import manifest as module
from heqcodec.batch.locations import Location
from heqcodec.batch.manifest import Manifest, Past, read_manifest
from heqcodec.batch.work import Facts, Item, Outcome

RUN: dict[str, Any] = {
    "source": "file:///photos",
    "operation": "encode",
    "options": {"options": {"quality": 40}, "raw": None},
    "models": {"model": "nqe-r"},
}


def item(name: str = "a.png", size: int = 5, version: str = "1", output: str = "a.heq") -> Item:
    return Item(name, output, size, version)


def written(location: Location, outcomes: list[Outcome], **how: Any) -> None:
    made = Manifest(location)
    made.begin(RUN, **how)
    for outcome in outcomes:
        made.append(outcome)
        made.tick()
    made.close()


def states(location: Location, *items: Item, **how: Any) -> list[str]:
    made = Manifest(location)
    past = made.begin(RUN, **how)
    made.close()
    return [past.state(item) for item in items]


@pytest.fixture(params=["file", "memory"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    return Location(str(tmp_path / "m") if request.param == "file" else f"memory://{tmp_path}/m")


def test_tells_done_failed_changed_and_new(location: Location) -> None:
    well, ill = Outcome(item(), Facts(bytes=3)), Outcome(item("b.png"), Facts(error="Bad."))
    written(location, [well, ill])
    assert states(
        location,
        item(),
        item("b.png"),
        item("c.png"),
        item(size=6),
        item(version="2"),
        item(output="a.png.heq"),
    ) == ["done", "failed", "new", "changed", "changed", "changed"]


def test_the_last_row_of_a_source_counts(location: Location) -> None:
    written(location, [Outcome(item(), Facts(error="Bad.")), Outcome(item(), Facts(bytes=3))])
    assert states(location, item()) == ["done"]
    # Back to a version that was done once is a change: the output is of the other.
    written(location, [Outcome(item(version="2"), Facts(bytes=4))])
    assert states(location, item(), item(version="2")) == ["changed", "done"]
    table = read_manifest(location)
    assert table.column("version").to_pylist() == ["2"] and table.num_rows == 1


def test_neighbours_among_64_bits_are_told_apart() -> None:
    one = item()
    key = module._hash(one.source)
    versions = np.array([1, module._version(one.size, one.version, one.output)], np.uint64)
    past = Past(np.array([key - 1, key], np.uint64), versions, np.array([1, 1], np.uint8))
    assert past.state(one) == "done"


def test_rows_hold_all_that_is_known(location: Location) -> None:
    facts = Facts("ab", "01/02", 30, "cd", 640, 480, 0.5, 1.25)
    written(location, [Outcome(item("ä/\udcff.png"), facts, deaths=2)])
    (row,) = read_manifest(location).to_pylist()
    assert row.pop("finished") is not None
    assert row == {
        **{"number": 1, "run": 1, "source": "ä/\\udcff.png", "size": 5, "version": "1"},
        **{"sha256": "ab", "operation": "encode", "model": "01/02", "output": "a.heq"},
        **{"options": '{"options": {"quality": 40}, "raw": null}', "bytes": 30, "shard": None},
        **{"output_sha256": "cd", "width": 640, "height": 480, "bpp": 0.5, "seconds": 1.25},
        **{"deaths": 2, "error": None},
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"options": {"options": {"quality": 60}, "raw": None}}, "quality was 40 and is 60"),
        ({"operation": "pack"}, "operation was encode and is pack"),
        ({"source": "s3://b"}, "source was file:///photos and is s3://b"),
        ({"models": {"model": "nqe-t"}}, "model was nqe-r and is nqe-t"),
    ],
)
def test_another_run_is_refused_or_begins_anew(
    location: Location, change: dict[str, Any], words: str
) -> None:
    written(location, [Outcome(item(), Facts(bytes=3))])
    with pytest.raises(HeqError, match=words):
        Manifest(location).begin({**RUN, **change})
    made = Manifest(location)
    assert made.begin({**RUN, **change}, restart=True).state(item()) == "new"
    made.append(Outcome(item("z.png"), Facts()))
    made.close()
    again = Manifest(location)
    past = again.begin({**RUN, **change})
    again.close()
    assert [past.state(item()), past.state(item("z.png"))] == ["new", "done"]
    assert read_manifest(location).column("run").to_pylist() == [1, 2]


def test_many_parts_become_one(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 2)
    monkeypatch.setattr(module, "_PARTS", 5)
    made = Manifest(location)
    made.begin(RUN)
    most = 0
    for index in range(40):
        made.append(Outcome(item(f"{index % 30}.png", version=str(index)), Facts()))
        made.tick()
        most = max(most, sum(name.endswith(".parquet") for name in location.names("")))
    assert most <= 5
    made.close()
    assert sum(name.endswith(".parquet") for name in location.names("")) == 1
    latest = [item(f"{n}.png", version=str(n + 30 if n < 10 else n)) for n in range(30)]
    assert states(location, *latest) == ["done"] * 30
    assert read_manifest(location).num_rows == 30


def test_what_was_joined_halfway_counts_once(location: Location) -> None:
    """The joined part is there, and an old one still is."""
    made = Manifest(location)
    made.begin(RUN)
    made.append(Outcome(item(), Facts(error="Bad.")))
    made.flush()
    (old,) = [name for name in location.names("") if name.endswith(".parquet")]
    data = location.read(old)
    made.append(Outcome(item(), Facts(bytes=3)))
    made.close()
    location.write("00000009-00000000.parquet", data)
    assert states(location, item()) == ["done"] and read_manifest(location).num_rows == 1


def test_a_damaged_part_is_named(location: Location) -> None:
    written(location, [Outcome(item(), Facts())])
    location.write("00000009-00000000.parquet", b"no Parquet")
    with pytest.raises(HeqError, match=r"00000009.* is no part of a manifest"):
        states(location, item())
    location.write("run.json", b"{")
    with pytest.raises(HeqError, match="is damaged"):
        states(location, item())


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    location = Location(str(tmp_path / "m"))
    first = Manifest(location)
    first.begin(RUN)
    with pytest.raises(HeqError, match="Another batch writes"):
        Manifest(location).begin(RUN)
    first.close()
    assert states(location, item()) == ["new"]


def test_parts_are_plain_parquet(tmp_path: Path) -> None:
    written(Location(str(tmp_path / "m")), [Outcome(item(), Facts(bytes=3, bpp=0.5))])
    (part,) = (tmp_path / "m").glob("*.parquet")
    assert pq.read_table(part).column("bpp").to_pylist() == [0.5]
