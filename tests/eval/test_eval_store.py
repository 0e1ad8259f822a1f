"""The folder of results: rows come back as they were, whatever ended the process before."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from heqcodec.base.errors import HeqError
from heqcodec.eval.kept_files import coded_file, decoded_file, setting_text
from heqcodec.eval.measurement import Measurement
from heqcodec.eval.rows import TABLE, read_table, row_cells, row_from_cells, table_text
from heqcodec.eval.store import JOURNAL, Store
from heqcodec.eval.summary import RECORD, Claim, DataSet, claim_of, codec_document
from hypothesis import given
from hypothesis import strategies as st

DATA = DataSet(2, "ab" * 32)
IMAGES = ("a.png", "b.png")
JPEG = Claim("jpeg", "9.1", "JPEG 4:2:0", "quality", (10.0, 30.0), {"command": "x", "seed": 0})


def row(
    codec: str = "jpeg", setting: float = 10.0, image: str = "a.png", **more: object
) -> Measurement:
    values = {
        "codec": codec,
        "setting": setting,
        "image": image,
        "width": 40,
        "height": 50,
        "bytes": 1000,
        "bpp": 0.4 * setting,
        "psnr_rgb": 20 + setting / 3,
        "psnr_luma": 21.0,
        "ms_ssim": 0.9,
        "psnr_b8": 20.5,
        "psnr_b32": 20.75,
        "bef8": 3.0,
        "bef32": 1 / 3,
        "border_ratio": 1.1,
        "encode_seconds": 0.25,
        "decode_seconds": 0.125,
        "encode_peak_bytes": 1000,
        "decode_peak_bytes": None,
    }
    return Measurement(**{**values, **more})  # type: ignore[arg-type]


def all_rows(claim: Claim = JPEG) -> list[Measurement]:
    return [row(claim.codec, setting, image) for setting in claim.settings for image in IMAGES]


def fill(folder: Path, claim: Claim = JPEG, rows: list[Measurement] | None = None) -> None:
    """Measure everything, or these rows, and write the results."""
    with Store(folder, DATA) as store:
        store.claim([claim])
        for one in all_rows(claim) if rows is None else rows:
            store.add(one)
        store.write_results()


def state(folder: Path) -> tuple[list[Measurement], bool]:
    with Store(folder, DATA) as store:
        rows = sorted(store.rows("jpeg"), key=lambda r: (r.setting, r.image))
        return rows, store.has("jpeg", 30.0, "b.png")


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(
    image=st.text(min_size=1).filter(lambda name: "\x00" not in name),
    setting=FINITE,
    psnr=st.none() | FINITE,
    ratio=st.none() | FINITE,
    peak=st.none() | st.integers(0, 2**40),
)
def test_every_row_comes_back_from_text(
    image: str, setting: float, psnr: float | None, ratio: float | None, peak: int | None
) -> None:
    one = row(
        image=image,
        setting=setting,
        psnr_rgb=psnr,
        border_ratio=ratio,
        encode_peak_bytes=peak,
    )
    assert row_from_cells(row_cells(one)) == one


def test_no_cell_says_inf() -> None:
    assert row_cells(row(psnr_rgb=None))[7] == ""
    # As version 0.1.0 wrote it.
    cells = row_cells(row())
    assert row_from_cells([*cells[:7], "inf", *cells[8:]]) == row(psnr_rgb=None)
    with pytest.raises(ValueError, match="bpp is not a number"):
        row_from_cells([*cells[:6], "inf", *cells[7:]])


class TestTable:
    def test_rows_come_back_from_the_file(self, tmp_path: Path) -> None:
        rows = [row("b", 2.0, 'odd, "name"\nof.png'), row("a", 10.0), row("a", 9.5, "b.png")]
        (tmp_path / TABLE).write_text(table_text(rows), "utf-8", newline="")
        assert read_table(tmp_path / TABLE) == [rows[2], rows[1], rows[0]]

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("psnr_rgb", "psnr", "other columns"),
            ("0.9", "good", "line 2"),
            ("0.9", "nan", "line 2"),
            (",1000,", ",", "line 2"),
        ],
    )
    def test_a_damaged_one_is_refused(self, tmp_path: Path, old: str, new: str, said: str) -> None:
        (tmp_path / TABLE).write_text(table_text([row()]).replace(old, new, 1))
        with pytest.raises(HeqError, match=said):
            read_table(tmp_path / TABLE)


class TestSummary:
    def test_lists_are_means_over_the_images_by_rising_rate(self) -> None:
        claim = dataclasses.replace(JPEG, settings=(30.0, 10.0))
        rows = [
            row(setting=30.0, image="a.png", psnr_rgb=30.0, encode_seconds=1.0, bef8=2.0),
            row(setting=30.0, image="b.png", psnr_rgb=32.0, encode_seconds=3.0, bef8=5.0),
            row(setting=10.0, image="a.png", ms_ssim=0.25, border_ratio=0.5),
            row(setting=10.0, image="b.png", ms_ssim=0.75, border_ratio=1.25),
            row("webp", 10.0, "a.png"),
        ]
        document = codec_document(claim, DATA, rows)
        assert document["name"] == "jpeg"
        assert document["results"]["bpp"] == [4.0, 12.0]
        assert document["results"]["psnr-rgb"][1] == 31.0
        assert document["results"]["ms-ssim-rgb"] == [0.5, 0.9]
        assert document["results"]["encoding_time"] == [0.25, 2.0]
        own = document["heqcodec"]
        assert own["settings"] == [10.0, 30.0]
        assert own["images"] == [2, 2]
        assert own["bef8"] == [3.0, 3.5]
        assert own["border-step-ratio"][0] == 0.875
        assert own["border-step-ratio-worst"] == [0.5, 1.1]
        assert own["megapixels_per_second_encode"] == [4000 / 0.5 / 1e6, 4000 / 4 / 1e6]
        assert own["encode_peak_bytes"] == [1000, 1000]
        assert own["decode_peak_bytes"] == [None, None]
        assert own["data"] == {"images": 2, "sha256": DATA.sha256}
        assert (own["codec_version"], own["command"], own["seed"]) == ("9.1", "x", 0)

    def test_images_that_lack_a_setting_are_left_out(self) -> None:
        rows = [row(setting=10.0), row(setting=30.0), row(setting=30.0, image="b.png", bpp=99.0)]
        document = codec_document(JPEG, DATA, rows)
        assert document["heqcodec"]["settings"] == [10.0, 30.0]
        assert document["heqcodec"]["images"] == [1, 1]
        assert document["heqcodec"]["without"] == ["b.png"]
        assert document["results"]["bpp"] == [4.0, 12.0]
        assert document["description"].endswith("mean of 1 of 2 images")

    def test_images_without_any_row_are_named_where_the_set_is_known(self) -> None:
        data = DataSet(2, "ab" * 32, (("a.png", "00"), ("b.png", "01")))
        document = codec_document(JPEG, data, [row(setting=30.0)])
        assert document["heqcodec"]["settings"] == [30.0]
        assert document["heqcodec"]["without"] == ["b.png"]

    def test_a_setting_that_no_image_has_is_left_out(self) -> None:
        document = codec_document(JPEG, DATA, [row(setting=30.0, image=name) for name in IMAGES])
        assert document["heqcodec"]["settings"] == [30.0]
        assert document["heqcodec"]["without"] == []
        apart = [row(setting=10.0), row(setting=30.0, image="b.png")]
        assert codec_document(JPEG, DATA, apart)["results"]["bpp"] == []

    @pytest.mark.parametrize(
        ("field", "key"), [("ms_ssim", "ms-ssim-rgb"), ("psnr_rgb", "psnr-rgb")]
    )
    def test_a_mean_is_of_all_images_or_none(self, field: str, key: str) -> None:
        rows = [row(setting=30.0), row(setting=30.0, image="b.png", **{field: None})]
        assert codec_document(JPEG, DATA, rows)["results"][key] == [None]
        rows = [row(setting=30.0, image=name) for name in IMAGES]
        assert codec_document(JPEG, DATA, rows)["results"][key] == [getattr(rows[0], field)]

    def test_lossless_images_have_no_mean_psnr(self) -> None:
        rows = [row(setting=30.0, image=image, psnr_rgb=None) for image in IMAGES]
        document = codec_document(JPEG, DATA, rows)
        assert document["results"]["psnr-rgb"] == [None]
        json.dumps(document, allow_nan=False)

    def test_the_claim_can_be_read_back(self) -> None:
        claim = dataclasses.replace(JPEG, record={key: key for key in RECORD})
        assert claim_of(codec_document(claim, DATA, all_rows()), "jpeg") == (claim, DATA)
        assert claim_of({"name": "jpeg", "results": {}}, "jpeg") is None
        assert claim_of([], "jpeg") is None


class TestStore:
    def test_rests_as_a_table_and_curves(self, tmp_path: Path) -> None:
        fill(tmp_path / "new" / "out")
        out = tmp_path / "new" / "out"
        assert sorted(path.name for path in out.iterdir()) == [TABLE, "jpeg.json"]
        assert read_table(out / TABLE) == all_rows()
        assert state(out) == (all_rows(), True)
        assert sorted(path.name for path in out.iterdir()) == [TABLE, "jpeg.json"]

    def test_goes_on_from_files_at_rest(self, tmp_path: Path) -> None:
        fill(tmp_path)
        before = (tmp_path / "jpeg.json").stat().st_mtime_ns
        fill(tmp_path, dataclasses.replace(JPEG, codec="webp"))
        assert (tmp_path / "jpeg.json").stat().st_mtime_ns == before
        assert len(read_table(tmp_path / TABLE)) == 8
        assert (tmp_path / "webp.json").exists()

    def test_rows_are_there_without_an_end(self, tmp_path: Path) -> None:
        with Store(tmp_path, DATA) as store:
            store.claim([JPEG])
            for one in all_rows()[:3]:
                store.add(one)
        assert state(tmp_path) == (all_rows()[:3], False)
        fill(tmp_path, rows=all_rows()[3:])
        assert read_table(tmp_path / TABLE) == all_rows()
        assert not (tmp_path / JOURNAL).exists()

    def test_a_journal_cut_anywhere_loses_the_torn_line_only(self, tmp_path: Path) -> None:
        with Store(tmp_path, DATA) as store:
            store.claim([JPEG])
            for one in all_rows():
                store.add(one)
        whole = (tmp_path / JOURNAL).read_bytes()
        for length in range(0, len(whole) + 1, 7):
            (tmp_path / JOURNAL).write_bytes(whole[:length])
            left = max(whole[:length].count(b"\n") - 2, 0)
            assert state(tmp_path) == (all_rows()[:left], left == 4)
            with Store(tmp_path, DATA) as store:
                store.claim([JPEG])
                for one in all_rows()[left:]:
                    store.add(one)
            assert state(tmp_path) == (all_rows(), True)
            assert (tmp_path / JOURNAL).read_bytes() == whole

    def test_zeros_at_the_end_are_a_torn_line(self, tmp_path: Path) -> None:
        with Store(tmp_path, DATA) as store:
            store.claim([JPEG])
            store.add(row())
        with open(tmp_path / JOURNAL, "ab") as stream:
            stream.write(bytes(100) + b"\n" + bytes(50))
        assert state(tmp_path) == ([row()], False)

    def test_damage_in_the_middle_is_told(self, tmp_path: Path) -> None:
        with Store(tmp_path, DATA) as store:
            store.claim([JPEG])
            store.add(row())
            store.add(row(image="b.png"))
        path = tmp_path / JOURNAL
        lines = path.read_bytes().split(b"\n")
        for number, line in ((0, lines[2]), (2, b"\x00"), (2, lines[0]), (2, b'{"odd": 1}')):
            damaged = [*lines[:number], line, *lines[number + 1 :]]
            path.write_bytes(b"\n".join(damaged))
            with pytest.raises(HeqError, match=f"damaged in line {number + 1};"):
                state(tmp_path)

    @pytest.mark.parametrize("files", [[], [TABLE], [TABLE, "jpeg.json"]])
    def test_killed_while_results_are_written(self, tmp_path: Path, files: list[str]) -> None:
        """The journal is removed last: with it and any of the others, nothing is lost."""
        measured, resumed = tmp_path / "measured", tmp_path / "resumed"
        with Store(measured, DATA) as store:
            store.claim([JPEG])
            for one in all_rows():
                store.add(one)
        journal = (measured / JOURNAL).read_bytes()
        fill(measured, rows=[])
        resumed.mkdir()
        (resumed / JOURNAL).write_bytes(journal)
        for name in files:
            (resumed / name).write_bytes((measured / name).read_bytes())
        fill(resumed, rows=[])
        assert sorted(path.name for path in resumed.iterdir()) == [TABLE, "jpeg.json"]
        for name in (TABLE, "jpeg.json"):
            assert (resumed / name).read_bytes() == (measured / name).read_bytes()

    def test_what_failed_is_left_out_and_can_be_tried_again(self, tmp_path: Path) -> None:
        fill(tmp_path, rows=all_rows()[:3])
        own = json.loads((tmp_path / "jpeg.json").read_text())["heqcodec"]
        assert (own["settings"], own["without"]) == ([10.0, 30.0], ["b.png"])
        assert len(read_table(tmp_path / TABLE)) == 3
        fill(tmp_path, rows=all_rows()[3:])
        own = json.loads((tmp_path / "jpeg.json").read_text())["heqcodec"]
        assert (own["settings"], own["without"]) == ([10.0, 30.0], [])
        assert not (tmp_path / JOURNAL).exists()

    def test_goes_on_without_a_file_that_has_no_row(self, tmp_path: Path) -> None:
        """Removed, replaced or added: results are of the images that are there now."""
        a, b, bad = ("a.png", "0a"), ("b.png", "0b"), ("bad.png", "0c")
        webp = dataclasses.replace(JPEG, codec="webp")

        def begin(folder: Path) -> None:
            with Store(folder, DataSet(3, "01" * 32, (a, b, bad))) as store:
                store.claim([JPEG, webp])
                for one in [*all_rows(), *all_rows(webp)]:
                    store.add(one)
                store.write_results()

        begin(tmp_path / "removed")
        removed = DataSet(2, "02" * 32, (a, b))
        for _ in range(2):  # Ended before it has written anything, and again.
            with Store(tmp_path / "removed", removed) as store:
                assert store.has("jpeg", 30.0, "b.png")
        with Store(tmp_path / "removed", removed) as store:
            store.claim([JPEG])
            assert len(store.write_results()) == 3
        for codec in ("jpeg", "webp"):
            own = json.loads((tmp_path / "removed" / f"{codec}.json").read_text())["heqcodec"]
            assert (own["images"], own["without"]) == ([2, 2], [])
            assert own["data"] == {"images": 2, "sha256": "02" * 32}
        assert not (tmp_path / "removed" / JOURNAL).exists()

        begin(tmp_path / "replaced")
        replaced = DataSet(3, "03" * 32, (a, b, ("bad.png", "0d")))
        with Store(tmp_path / "replaced", replaced) as store:
            assert not store.has("jpeg", 30.0, "bad.png")
            for setting in JPEG.settings:
                store.add(row("jpeg", setting, "bad.png"))
            store.write_results()
        own = json.loads((tmp_path / "replaced" / "jpeg.json").read_text())["heqcodec"]
        assert (own["images"], own["without"]) == ([3, 3], [])

        begin(tmp_path / "lost")
        for files in ((a,), (a, ("b.png", "ff")), (a, ("c.png", "0b"))):
            with pytest.raises(HeqError, match=r"holds results of b\.png, no longer in --data"):
                Store(tmp_path / "lost", DataSet(len(files), "04" * 32, files)).__enter__()

    def test_refuses_other_images(self, tmp_path: Path) -> None:
        other = DataSet(3, "cd" * 32)
        fill(tmp_path / "rest")
        with Store(tmp_path / "begun", DATA) as store:
            store.claim([JPEG])
        for folder in (tmp_path / "rest", tmp_path / "begun"):
            with pytest.raises(HeqError, match=r"abababababab, and these are 3 .*cdcdcdcdcdcd;"):
                Store(folder, other).__enter__()

    @pytest.mark.parametrize("at_rest", [True, False])
    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"version": "9.2"}, "results of jpeg by 9.1, not 9.2; add -f to measure it anew"),
            ({"settings": (10.0, 20.0)}, "results of jpeg at quality 10 30, not 10 20; add -f"),
            ({"version": "2", "settings": (5.0,)}, "by 9.1, not 2 and at quality 10 30, not 5;"),
        ],
    )
    def test_mixes_nothing(
        self, tmp_path: Path, changed: dict[str, object], said: str, at_rest: bool
    ) -> None:
        webp = dataclasses.replace(JPEG, codec="webp")
        with Store(tmp_path, DATA) as store:
            store.claim([JPEG, webp])
            for one in [*all_rows(), *all_rows(webp)]:
                store.add(one)
            if at_rest:
                store.write_results()
        for kept in ("decoded/jpeg/10", "files/jpeg/10", "decoded/webp/10"):
            (tmp_path / kept).mkdir(parents=True)
        new = dataclasses.replace(JPEG, **changed)  # type: ignore[arg-type]
        with Store(tmp_path, DATA) as store:
            with pytest.raises(HeqError) as error:
                store.claim([webp, new])
            assert said in str(error.value)
            assert len(store.rows("jpeg")) == 4
            assert (tmp_path / "decoded/jpeg/10").exists()
            store.claim([webp, new], anew=True)
            assert store.rows("jpeg") == []
            assert len(store.rows("webp")) == 4
            store.add(row(setting=new.settings[0]))
        assert not (tmp_path / "decoded/jpeg").exists()
        assert not (tmp_path / "files/jpeg").exists()
        assert (tmp_path / "decoded/webp/10").exists()
        with Store(tmp_path, DATA) as store:
            store.claim([new], anew=True)
            assert store.rows("jpeg") == [row(setting=new.settings[0])]
            for one in all_rows(new):
                store.add(one)
            store.write_results()
        assert len(read_table(tmp_path / TABLE)) == 4 + 2 * len(new.settings)
        document = json.loads((tmp_path / "jpeg.json").read_text())
        assert document["heqcodec"]["codec_version"] == new.version
        assert not (tmp_path / JOURNAL).exists()

    def test_an_equal_ladder_in_another_order_is_the_same(self, tmp_path: Path) -> None:
        fill(tmp_path)
        with Store(tmp_path, DATA) as store:
            store.claim([dataclasses.replace(JPEG, settings=(30.0, 10.0), about="reworded")])
            assert len(store.rows("jpeg")) == 4

    def test_rows_without_their_curve_are_refused(self, tmp_path: Path) -> None:
        fill(tmp_path)
        (tmp_path / "jpeg.json").unlink()
        with pytest.raises(HeqError, match=r"rows of jpeg and jpeg\.json"):
            Store(tmp_path, DATA).__enter__()

    def test_other_files_are_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "published.json").write_text('{"name": "vtm", "results": {"bpp": [1]}}')
        (tmp_path / "broken.json").write_text("{")
        fill(tmp_path)
        assert (tmp_path / "broken.json").read_text() == "{"

    def test_is_held_by_one_run_at_a_time(self, tmp_path: Path) -> None:
        pytest.importorskip("fcntl")
        with (
            Store(tmp_path, DATA),
            pytest.raises(HeqError, match="Another run is writing to"),
        ):
            Store(tmp_path, DATA).__enter__()
        with Store(tmp_path, DATA):
            pass
        assert list(tmp_path.iterdir()) == []


def test_kept_files_have_names_of_their_own(tmp_path: Path) -> None:
    assert setting_text(30.0) == "30"
    assert setting_text(0.125) == "0.125"
    assert setting_text(0.12345678) != setting_text(0.12345679)
    assert decoded_file(tmp_path, "jpeg", 30.0, "a.png") == tmp_path / "decoded/jpeg/30/a.png"
    assert decoded_file(tmp_path, "jpeg", 30.0, "a.jpg").name == "a.jpg.png"
    assert coded_file(tmp_path, "jpeg", 0.5, "a.png", ".jpg") == (
        tmp_path / "files/jpeg/0.5/a.png.jpg"
    )
