"""The folder that ``eval run`` fills: it survives any end of the process, and mixes nothing.

At rest it holds ``images.csv``, one line a measurement, and ``CODEC.json``, one curve a codec.
While measurements run, and until all that were begun are there, each finished row is a line of
``journal.jsonl``, which is put over the files at rest when a run starts again. Lines of the journal
are JSON objects with one key:

    {"data": {"images": 24, "sha256": "...", "files": [["kodim01.png", "..."], ...]}}
                                    the first line, and another where files were removed, replaced
                                    or added since: of which images all rows are
    {"codec": {"codec": "jpeg", ...}}            a `Claim`; it voids rows of another claim
    {"row": ["jpeg", "30.0", "kodim01.png", ...]}  a finished row, as `row_cells` writes it

A line without its end, as a killed process leaves one, never happened.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from heqcodec.base.errors import HeqError
from heqcodec.base.files import write_bytes
from heqcodec.eval.kept_files import DECODED, FILES, setting_text
from heqcodec.eval.measurement import Measurement
from heqcodec.eval.rows import TABLE, read_table, row_cells, row_from_cells, table_text
from heqcodec.eval.summary import (
    Claim,
    DataSet,
    claim_of,
    codec_document,
    document_text,
    whole_images,
)

try:
    import fcntl
except ImportError:  # Windows: nothing there keeps two runs apart.
    fcntl = None  # type: ignore[assignment]

JOURNAL = "journal.jsonl"


class Store:
    """Rows and claims of one folder. To be used in a ``with`` block, which locks the folder.

    Raises:
        HeqError: on entry, when another run holds the folder, its rows are of other images, or
            its files do not belong together. Images may have been removed, replaced or added
            where none of them has a row, as an image that could not be read has none.
    """

    def __init__(self, folder: Path, data: DataSet) -> None:
        self.folder = folder
        self.data = data
        self._rows: dict[tuple[str, float, str], Measurement] = {}
        self._claims: dict[str, Claim] = {}
        self._changed: set[str] = set()
        self._former: list[DataSet] = []  # of the journal, the last one its present set
        self._journal: BinaryIO | None = None

    def __enter__(self) -> Store:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._journal = _lock(self.folder / JOURNAL)
        try:
            lines = self._journal_lines()
            self._former = self._data_lines(lines)
            self._read_files()
            self._read_journal(lines)
            self._take_data()
            for codec, _, _ in self._rows:
                if codec not in self._claims:
                    raise HeqError(
                        f"{self.folder / TABLE} holds rows of {codec} and {codec}.json, which "
                        "says how they were made, is missing; put it back, or give another --out."
                    )
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the folder back; without a line in it, the journal goes too."""
        if self._journal is None:
            return
        if os.fstat(self._journal.fileno()).st_size == 0:
            (self.folder / JOURNAL).unlink(missing_ok=True)
        self._journal.close()
        self._journal = None

    def claim(self, claims: Sequence[Claim], anew: bool = False) -> None:
        """Say what will be measured, before the first row.

        Rows that were measured with another version or ladder are dropped when ``anew``, and
        what was kept of them is removed.

        Raises:
            HeqError: there are such rows and ``anew`` is false. Nothing was changed.
        """
        other = [claim for claim in claims if not self._claims.get(claim.codec, claim).same(claim)]
        if other and not anew:
            differences = " and ".join(
                _difference(self._claims[claim.codec], claim) for claim in other
            )
            raise HeqError(
                f"{self.folder} holds results of {differences}; add -f to measure "
                f"{'it' if len(other) == 1 else 'them'} anew, or give another --out."
            )
        for claim in claims:
            if claim in other:
                for kept in (DECODED, FILES):
                    shutil.rmtree(self.folder / kept / claim.codec, ignore_errors=True)
            if claim in other or claim.codec not in self._claims:
                self._append({"codec": asdict(claim)})
                self._take_claim(claim)

    def has(self, codec: str, setting: float, image: str) -> bool:
        """Whether the row is finished."""
        return (codec, setting, image) in self._rows

    def rows(self, codec: str) -> list[Measurement]:
        """Return the finished rows of a codec, in no order."""
        return [row for row in self._rows.values() if row.codec == codec]

    def curve(self, codec: str) -> dict[str, Any]:
        """Return the curve of a claimed codec, as its file holds it."""
        return codec_document(self._claims[codec], self.data, self.rows(codec))

    def add(self, row: Measurement) -> None:
        """Keep a finished row; it is on the disk when this returns."""
        cells = row_cells(row)
        self._append({"row": cells})
        self._take_row(row_from_cells(cells))  # As a run that starts again will have it.

    def write_results(self) -> list[Path]:
        """Write ``images.csv`` and the curves that changed, and return their paths.

        The journal is done with when all that was claimed is there, and stays otherwise. A curve
        is of the images of `whole_images`; without any there is no file.
        """
        paths = [self.folder / TABLE]
        write_bytes(paths[0], table_text(self._rows.values()).encode())
        complete = True
        for codec, claim in sorted(self._claims.items()):
            rows = self.rows(codec)
            settings, whole = whole_images(claim, rows)
            complete = complete and len(settings) == len(claim.settings)
            complete = complete and len(whole) == self.data.images
            if codec not in self._changed:
                continue
            path = self.folder / f"{codec}.json"
            if settings:
                write_bytes(path, document_text(self.curve(codec)).encode())
                paths.append(path)
            else:
                path.unlink(missing_ok=True)
        if complete:
            # Last: were the process killed before this, the journal would give the same again.
            assert self._journal is not None
            self._journal.truncate(0)
        return paths

    def _read_files(self) -> None:
        for path in sorted(self.folder.glob("*.json")):
            try:
                document = json.loads(path.read_text("utf-8"))
            except (OSError, ValueError):
                continue
            found = claim_of(document, path.stem)
            if found is None:
                continue
            self._check_data(found[1], path)
            self._claims[path.stem] = found[0]
        if (self.folder / TABLE).exists():
            for row in read_table(self.folder / TABLE):
                self._rows[_key(row)] = row

    def _journal_lines(self) -> list[bytes]:
        """The whole lines of the journal, which is cut after them."""
        assert self._journal is not None
        lines = (self.folder / JOURNAL).read_bytes().split(b"\n")
        # What follows the last line end was torn. After a power cut a line can also be of zeros.
        lines.pop()
        while lines and not _readable(lines[-1]):
            lines.pop()
        self._journal.truncate(sum(len(line) + 1 for line in lines))
        return lines

    def _data_lines(self, lines: Sequence[bytes]) -> list[DataSet]:
        """The sets that the journal has been of, in turn. Damage is left to `_read_journal`."""
        sets = []
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
                sets.append(_data_set(json.loads(line)["data"]))
        return sets

    def _read_journal(self, lines: Sequence[bytes]) -> None:
        path, data = self.folder / JOURNAL, None
        try:
            for number, line in enumerate(lines):
                ((kind, value),) = json.loads(line).items()
                if (number == 0 and kind != "data") or (kind == "data" and value == data):
                    raise ValueError(f"{kind} does not belong here")
                if kind == "data":
                    data = value
                    self._check_data(_data_set(value), path)
                elif kind == "codec":
                    value["settings"] = tuple(value["settings"])
                    self._take_claim(Claim(**value))
                elif kind == "row":
                    self._take_row(row_from_cells(value))
                else:
                    raise ValueError(f"unknown kind {kind}")
        except HeqError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise HeqError(
                f"{path} is damaged in line {number + 1}; delete it to measure again what is "
                f"not in {TABLE}, or give another --out."
            ) from error

    def _check_data(self, data: DataSet, path: Path) -> None:
        """A file may be of this set, or of one before it in the journal."""
        known = self._former and self._former[-1].files and data in self._former
        if data != self.data and not known:
            raise HeqError(
                f"{path} is of {_images(data)}, and these are {_images(self.data)}; "
                "give the same --data, or another --out."
            )

    def _take_data(self) -> None:
        """Go on with the set of images that is there now, as long as every row is of it."""
        if not self._former or self._former[-1] == self.data:
            return
        before, now = dict(self._former[-1].files), dict(self.data.files)
        rows = {image for _, _, image in self._rows}
        gone = sorted(name for name in rows if name not in now or now[name] != before.get(name))
        if gone:
            raise HeqError(
                f"{self.folder} holds results of {_names(gone)}, no longer in --data as "
                f"{'it was' if len(gone) == 1 else 'they were'}; put the files back, or give "
                "another --out."
            )
        self._append({"data": asdict(self.data)})
        self._former.append(self.data)
        self._changed.update(self._claims)

    def _take_claim(self, claim: Claim) -> None:
        known = self._claims.get(claim.codec)
        if known is None or not known.same(claim):
            self._rows = {key: row for key, row in self._rows.items() if key[0] != claim.codec}
        self._claims[claim.codec] = claim
        self._changed.add(claim.codec)

    def _take_row(self, row: Measurement) -> None:
        self._rows[_key(row)] = row
        self._changed.add(row.codec)

    def _append(self, line: dict[str, Any]) -> None:
        assert self._journal is not None
        if os.fstat(self._journal.fileno()).st_size == 0 and "data" not in line:
            self._append({"data": asdict(self.data)})
        left = memoryview(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        while left:
            left = left[self._journal.write(left) :]
        os.fsync(self._journal.fileno())


def _lock(path: Path) -> BinaryIO:
    """Open a journal, unbuffered, for this process alone."""
    while True:
        stream: BinaryIO = open(path, "ab", buffering=0)  # noqa: SIM115
        try:
            if fcntl:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A run that ended meanwhile may have removed the file that we opened.
            if os.path.samestat(os.stat(path), os.fstat(stream.fileno())):
                return stream
        except BlockingIOError as error:
            stream.close()
            raise HeqError(
                f"Another run is writing to {path.parent}; wait for it, or give another --out."
            ) from error
        except FileNotFoundError:
            pass
        except OSError:  # A file system without locks.
            return stream
        stream.close()


def _readable(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _key(row: Measurement) -> tuple[str, float, str]:
    return row.codec, row.setting, row.image


def _data_set(value: dict[str, Any]) -> DataSet:
    files = tuple((str(name), str(digest)) for name, digest in value.get("files", ()))
    return DataSet(int(value["images"]), str(value["sha256"]), files)


def _names(names: Sequence[str]) -> str:
    """The first three of some file names."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _images(data: DataSet) -> str:
    return f"{data.images} images with the hash {data.sha256[:12]}"


def _difference(old: Claim, new: Claim) -> str:
    """Say in which respects the claims differ, in half a sentence."""
    parts = []
    if old.version != new.version:
        parts.append(f"by {old.version}, not {new.version}")
    if set(old.settings) != set(new.settings):
        ladders = (" ".join(setting_text(s) for s in claim.settings) for claim in (old, new))
        parts.append("at {} {}, not {}".format(new.setting_name, *ladders))
    return f"{old.codec} {' and '.join(parts)}"
