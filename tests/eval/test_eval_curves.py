"""``heqcodec eval curves``: its plots, its tables, and what it says."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_runner import run as run_command
from heqcodec.base.errors import HeqError
from heqcodec.eval import bd_table, plots
from heqcodec.eval.curves import Curve, Point
from heqcodec.eval.datasets import DATASETS
from heqcodec.eval.publications import anchor_curve, published_curve
from PIL import Image

RATES = (0.125, 0.25, 0.5, 1.0)
KODAK_SHA256 = next(d.sha256 for d in DATASETS if d.name == "kodak")


def curve(name: str, gain: float = 0.0, **more: Any) -> Curve:
    """30 dB at 1 bpp and 6 dB for each doubling, and ``gain`` on top."""
    points = tuple(Point(bpp=rate, psnr=30 + 6 * math.log2(rate) + gain, **more) for rate in RATES)
    return Curve(name=name, label=name, points=points)


def result(folder: Path, name: str, gain: float = 0.0, **own: Any) -> None:
    psnr = [30 + 6 * math.log2(rate) + gain for rate in RATES]
    document = {
        "name": name,
        "results": {"bpp": list(RATES), "psnr-rgb": psnr, "ms-ssim-rgb": [0.9, 0.95, 0.98, 0.99]},
        "heqcodec": own,
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(document))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    blockiness = {"border-step-ratio": [1.4, 1.2, 1.1, 1.0], "bef32": [90.0, 8.0, 0.0, 0.0]}
    result(tmp_path / "run", "jpeg", **blockiness)
    result(tmp_path / "run", "mine", gain=6.0, **blockiness)
    return tmp_path / "run"


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves plots out, where a test is of the rest and drawing would take its seconds."""

    def touch(curves: list[Curve], folder: Path, *more: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in plots.plot_names(curves):
            (folder / name).touch()

    monkeypatch.setattr(plots, "draw", touch)


def run(*arguments: Any, code: int = 0) -> Any:
    outcome = run_command("eval", "curves", *map(str, arguments))
    assert outcome.exit_code == code, outcome.output
    return outcome


def test_plots_and_tables_are_written_and_printed(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = run(results, "--out", out, "--published", "bpg444,vtm")
    names = {"psnr", "ms-ssim", "blockiness"}
    pictures = {f"{name}.{form}" for name in names for form in ("png", "svg")}
    assert {file.name for file in out.iterdir()} == {*pictures, "bd-rate.csv", "bd-rate.md"}
    assert "PSNR over RGB, against jpeg, full range" in outcome.stdout
    lines = list(csv.DictReader((out / "bd-rate.csv").open()))
    mine = next(row for row in lines if (row["measure"], row["codec"]) == ("psnr", "mine"))
    # 6 dB more is half the rate where a doubling gives 6 dB.
    assert float(mine["bd_rate_percent"]) == pytest.approx(-50.0)
    assert float(mine["bd_quality_db"]) == pytest.approx(6.0)
    assert (float(mine["quality_low_db"]), float(mine["quality_high_db"])) == (18.0, 30.0)
    assert mine["range"] == "full"
    assert {row["codec"] for row in lines} == {"mine", "published/bpg444", "published/vtm"}
    page = (out / "bd-rate.md").read_text()
    assert "## PSNR over RGB, against jpeg" in page
    assert "| mine | -50.0 | +6.00 | 18.00 to 30.00 | 0.125 to 1.000 |" in page
    assert "jpeg |" not in page.split("## MS-SSIM")[0].split("|---|", 1)[1]


@pytest.mark.usefixtures("undrawn")
def test_a_range_is_printed_and_no_overlap_is_said(results: Path, tmp_path: Path) -> None:
    result(results, "better", gain=40.0)
    out = tmp_path / "out"
    outcome = run(results, "--out", out, "--range", "0.25,0.5", "--anchor", "jpeg")
    assert "0.25 to 0.5 bpp of the anchor" in outcome.stdout
    page = (out / "bd-rate.md").read_text()
    assert "0.25 to 0.5 bpp of the anchor" in page
    assert "| better | n/a | +40.00 | n/a | 0.250 to 0.500 |" in page
    mine = next(row for row in csv.reader((out / "bd-rate.csv").open()) if row[2] == "mine")
    assert mine[3] == "0.25 to 0.5 bpp"
    assert 18.0 <= float(mine[6]) < float(mine[7]) <= 24.0


@pytest.mark.usefixtures("undrawn")
def test_known_values_come_out_of_the_command(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (results, "--out", out, "--published", "vtm,compressai-bmshj2018-factorized")
    run(*arguments, "--anchor", "bpg444", "--anchor", "published/jpeg", "--range", "0.1,1")
    rows = {tuple(row[:3]): row[4] for row in csv.reader((out / "bd-rate.csv").open())}
    for codec, known in (("vtm", -22.2), ("compressai-bmshj2018-factorized", 33.8)):
        value = rows["psnr", "published/bpg444", f"published/{codec}"]
        assert round(float(value), 1) == known
    assert ("psnr", "published/jpeg", "jpeg") in rows


@pytest.mark.usefixtures("undrawn")
def test_without_an_anchor_there_are_curves_but_no_rates(tmp_path: Path) -> None:
    result(tmp_path / "run", "mine")
    out = tmp_path / "out"
    outcome = run(tmp_path / "run", "--out", out, "--published", "vtm")
    assert "--anchor" in outcome.stderr
    assert not (out / "bd-rate.csv").exists() and (out / "psnr.svg").exists()
    run(tmp_path / "run", "--out", out, "--published", "jpeg", "-f")
    assert "published/jpeg,mine" in (out / "bd-rate.csv").read_text()


@pytest.mark.slow
def test_nothing_is_written_over_unasked(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "psnr.svg").write_text("kept")
    outcome = run(results, "--out", out, code=1)
    assert "psnr.svg exists" in outcome.stderr
    assert [file.name for file in out.iterdir()] == ["psnr.svg"]
    run(results, "--out", out, "-f")
    assert (out / "psnr.svg").read_text() != "kept"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--anchor", "nothing"), "There is no curve nothing to compare with"),
        (("--published", "nothing"), "no published curve nothing on kodak; choose from jpeg"),
        (("--published", "vtm", "--published-on", "mars"), "no published curves on mars"),
        (("--range", "1,0.1"), "1,0.1 is no range"),
        (("--range", "all"), "all is no range"),
        (("--range", "0.1,inf"), "is no range"),
    ],
)
def test_wrong_choices_are_one_sentence(
    arguments: tuple[str, ...], message: str, results: Path, tmp_path: Path
) -> None:
    outcome = run(results, "--out", tmp_path / "out", *arguments, code=1)
    assert message in outcome.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("undrawn")
def test_curves_that_leave_out_images_are_pointed_out(tmp_path: Path) -> None:
    data = {"data": {"images": 24, "sha256": KODAK_SHA256}}
    result(tmp_path / "run", "jpeg", **data, without=["bad.png"], images=[23] * 4)
    result(tmp_path / "run", "webp", **data, without=[], images=[24] * 4)
    message = run(tmp_path / "run", "--out", tmp_path / "a").stderr
    assert "different images, so means do not compare: jpeg without bad.png." in message
    (tmp_path / "run" / "webp.json").unlink()
    assert "not compare" not in run(tmp_path / "run", "--out", tmp_path / "b").stderr
    message = run(tmp_path / "run", "--out", tmp_path / "c", "--published", "vtm").stderr
    assert "without bad.png, the published curves are not" in message


@pytest.mark.parametrize("text", ["0,1", "1,0.5", "1", "a,b", "0.1,inf"])
def test_limits_of_the_plots_that_cannot_be(results: Path, tmp_path: Path, text: str) -> None:
    outcome = run(results, "--out", tmp_path / "out", "--xlim", text, code=1)
    assert "are no limits of an axis" in outcome.stderr
    assert not (tmp_path / "out").exists()


def test_limits_of_the_plots(results: Path, tmp_path: Path) -> None:
    """The other axis spans what curves reach at these rates: 18 to 24 dB, and 6 above."""
    seen: list[Any] = []

    def keep(figure: Any, form: str) -> bytes:
        seen.append(figure)
        return b""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "_rendered", keep)
        run(results, "--out", tmp_path / "out", "--xlim", "0.25,0.5")
    for figure in seen:
        for axes in figure.axes:
            assert axes.get_xlim() == (0.25, 0.5)
    low, high = seen[0].axes[0].get_ylim()
    assert 17 < low < 18 and 30 < high < 31
    # Half way between two points in the logarithm of the rate.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "_rendered", keep)
        run(results, "--out", tmp_path / "out", "-f", "--xlim", f"{2**-1.5},{2**-0.5}")
    low, high = seen[len(seen) // 2].axes[0].get_ylim()
    assert low == pytest.approx(21 - 0.05 * 12) and high == pytest.approx(33 + 0.05 * 12)


@pytest.mark.usefixtures("undrawn")
def test_curves_of_other_images_are_pointed_out(results: Path, tmp_path: Path) -> None:
    other = {"data": {"images": 2, "sha256": "00"}}
    result(tmp_path / "one", "webp", **other)
    outcome = run(tmp_path / "one", "--out", tmp_path / "a", "--published", "jpeg")
    assert "of the images of kodak, the results are of other files" in outcome.stderr
    result(tmp_path / "two", "jxl", data={"images": 2, "sha256": "11"})
    outcome = run(tmp_path / "one", tmp_path / "two", "--out", tmp_path / "b")
    assert "different sets of images" in outcome.stderr
    assert run(results, "--out", tmp_path / "c").stderr == ""


def test_missing_matplotlib_is_said(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = run(results, "--out", tmp_path / "out", code=1)
    assert 'pip install "heqcodec[eval]"' in outcome.stderr


@pytest.mark.slow
def test_help_needs_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys; from heqcodec.cli.eval import app\n"
        "try: app(['curves', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(sum(name in sys.modules for name in ('torch', 'matplotlib')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--anchor" in done.stdout


def test_without_matplotlib_no_folder_stays(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "matplotlib" in run(results, "--out", tmp_path / "out", code=1).stderr
    assert not (tmp_path / "out").exists()


class TestPlots:
    @pytest.mark.slow
    def test_the_same_curves_give_the_same_bytes(self, tmp_path: Path) -> None:
        curves = [curve("a"), curve("b", 1.0), published_curve("jpeg")]
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir()
            written = plots.draw(curves, tmp_path / folder)
            assert [path.name for path in written] == plots.plot_names(curves)
        for path in written:
            assert path.read_bytes() == (tmp_path / "one" / path.name).read_bytes()
            assert b"<dc:date>" not in path.read_bytes()

    @pytest.mark.slow
    def test_the_svg_holds_every_curve_and_is_not_cropped(self, tmp_path: Path) -> None:
        many = [curve(f"codec-with-a-long-name-{k}", k, border_ratio=1 + k / 9) for k in range(30)]
        plots.draw(many, tmp_path)
        for name in ("psnr", "blockiness"):
            ElementTree.parse(tmp_path / f"{name}.svg")
            pixels = np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"))
            # The outermost pixels are paper: nothing is cut off at an edge.
            for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
                assert edge.min() == 255
            assert (pixels < 128).any()

    def test_published_curves_are_dashed_and_share_the_colour_of_their_codec(self) -> None:
        styles = plots._styles([published_curve("jpeg"), curve("webp"), curve("jpeg")])
        measured, published = styles["jpeg"], styles["published/jpeg"]
        assert measured["linestyle"] == "-" != published["linestyle"]
        assert published["markerfacecolor"] == "white" != measured["markerfacecolor"]
        assert measured["color"] == published["color"] != styles["webp"]["color"]
        assert measured["marker"] == published["marker"] != styles["webp"]["marker"]

    def test_many_curves_are_told_apart(self) -> None:
        styles = plots._styles([curve(str(k)) for k in range(70)])
        looks = {(style["color"], style["marker"]) for style in styles.values()}
        assert len(looks) == 70

    def test_figures_without_data_are_left_out(self) -> None:
        assert plots.plot_names([curve("a")]) == ["psnr.png", "psnr.svg"]
        names = plots.plot_names([curve("a", bef8=1.0, psnr_b8=30.0, ms_ssim=0.9)])
        assert {name.split(".")[0] for name in names} == {"psnr", "ms-ssim", "psnr-b", "blockiness"}


class TestTable:
    def test_a_measure_that_is_missing_makes_no_row(self) -> None:
        anchor = curve("anchor", psnr_luma=None)
        rows = bd_table.bd_rows(anchor, [anchor, curve("a"), Curve("b", "b", (Point(0.5),))], None)
        assert [(row.measure, row.curve.name) for row in rows] == [("psnr", "a")]

    def test_an_anchor_is_measured_first_and_else_published(self) -> None:
        measured = curve("jpeg")
        assert anchor_curve("jpeg", [published_curve("jpeg"), measured]) is measured
        assert anchor_curve("published/jpeg", [measured]).published
        assert anchor_curve("vtm", [measured]).key == "published/vtm"
        with pytest.raises(HeqError, match=r"choose one of the results \(jpeg\)"):
            anchor_curve("nothing", [measured])

    def test_a_bar_in_a_name_does_not_break_the_table(self) -> None:
        rows = bd_table.bd_rows(curve("anchor"), [curve("a|b")], None)
        assert "| a\\|b | +0.0 | +0.00 |" in bd_table.markdown(rows, None)
