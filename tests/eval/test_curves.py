"""Curves from result files, and the published ones that come with the package."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from heqcodec.base.errors import HeqError
from heqcodec.eval import curves, publications
from heqcodec.eval.curves import find, load_results

PUBLISHED = Path(publications.__file__).parent / "published"


def document(name: str = "mine", **results: list[Any]) -> dict[str, Any]:
    lists = {"bpp": [0.5, 0.25], "psnr-rgb": [30.0, 28.5], "ms-ssim-rgb": [0.99, 0.9], **results}
    return {
        "name": name,
        "description": "about it",
        "results": lists,
        "heqcodec": {
            "setting_name": "quality",
            "settings": [20, 10],
            "bef8": [1.5, None],
            "border-step-ratio": [1.1, 1.2],
            "data": {"images": 24, "sha256": "ab"},
        },
    }


def written(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def test_a_folder_gives_its_curves_by_rising_rate(tmp_path: Path) -> None:
    written(tmp_path / "b.json", document("b"))
    written(tmp_path / "a.json", document("a"))
    written(tmp_path / "complexity.json", {"results": "of another kind"})
    written(tmp_path / "deeper" / "c.json", document("c"))
    a, b = load_results([tmp_path])
    assert (a.name, b.name, b.label, b.key) == ("a", "b", "b", "b")
    assert a.pairs("psnr") == [(0.25, 28.5), (0.5, 30.0)]
    assert a.pairs("setting") == [(0.25, 10), (0.5, 20)]
    assert a.pairs("bef8") == [(0.5, 1.5)]
    assert a.pairs("psnr_luma") == []
    assert a.pairs("border_ratio") == [(0.25, 1.2), (0.5, 1.1)]
    assert [value for _, value in a.pairs("ms_ssim_db")] == pytest.approx([10.0, 20.0])
    assert (a.images, a.data_sha256, a.setting_name) == (24, "ab", "quality")
    assert not a.published
    assert find([a, b], "b") is b and find([a, b], "published/b") is None


def test_equal_names_get_the_name_of_their_folder(tmp_path: Path) -> None:
    first = written(tmp_path / "one" / "jpeg.json", document("jpeg"))
    written(tmp_path / "two" / "jpeg.json", document("jpeg"))
    written(tmp_path / "two" / "webp.json", document("webp"))
    names = [curve.name for curve in load_results([tmp_path / "one", tmp_path / "two"])]
    assert names == ["one/jpeg", "two/jpeg", "webp"]
    # The same file given twice is one curve.
    assert [curve.name for curve in load_results([tmp_path / "one", first])] == ["jpeg"]
    written(tmp_path / "two" / "again.json", document("jpeg"))
    with pytest.raises(HeqError, match="both called two/jpeg"):
        load_results([tmp_path / "one", tmp_path / "two"])


def test_a_perfect_ms_ssim_has_no_decibels(tmp_path: Path) -> None:
    file = written(tmp_path / "a.json", document(**{"ms-ssim-rgb": [1.0, 0.9]}))
    (curve,) = load_results([file])
    assert curve.pairs("ms_ssim") == [(0.25, 0.9), (0.5, 1.0)]
    assert curve.pairs("ms_ssim_db") == [(0.25, pytest.approx(10.0))]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bpp": [0.5, 0.0]}, "a bpp of 0"),
        ({"bpp": [0.5, None]}, "a bpp of None"),
        ({"bpp": []}, "holds no curve"),
        ({"psnr-rgb": [30.0]}, "psnr-rgb is not a list of 2"),
        ({"psnr-rgb": ["30", 3.0]}, "'30', which is not a number"),
        ({"psnr-rgb": [math.nan, 3.0]}, "not a number"),
        ({"ms-ssim-rgb": [1.5, 0.5]}, "MS-SSIM of 1.5"),
    ],
)
def test_a_file_of_another_form_is_named(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "broken.json", document(**change))
    with pytest.raises(HeqError, match=message) as caught:
        load_results([file])
    assert "broken.json" in str(caught.value)


def test_what_is_missing_or_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(HeqError, match="holds no results"):
        load_results([tmp_path])
    with pytest.raises(HeqError, match="is not there"):
        load_results([tmp_path / "none"])
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(HeqError, match=r"text\.json is not JSON"):
        load_results([tmp_path])


def test_every_published_file_has_a_name_and_every_name_a_curve() -> None:
    index = json.loads((PUBLISHED / "compressai" / "index.json").read_text())
    named = [c["file"] for images in index["sets"].values() for c in images["curves"].values()]
    files = [
        file.relative_to(PUBLISHED / "compressai").as_posix()
        for file in PUBLISHED.rglob("*.json")
        if file.name != "index.json"
    ]
    assert sorted(named) == sorted(files)
    for images in publications.published_sets():
        for name in publications.published_names(images):
            curve = publications.published_curve(name, images)
            assert curve.published and curve.key == f"published/{name}"
            assert curve.label.endswith(", published")
            assert curve.pairs("psnr") or curve.pairs("ms_ssim_db")
            bpp = [point.bpp for point in curve.points]
            assert bpp == sorted(bpp) and bpp[-1] < 6
    assert (PUBLISHED / "compressai" / "LICENSE").read_text().startswith("Copyright")


def test_published_values_are_those_of_the_file() -> None:
    jpeg = publications.published_curve("jpeg")
    assert jpeg.pairs("psnr")[0] == (0.22115325927734372, 23.779894921045457)
    assert jpeg.label == "JPEG, published"
    # A paper's MS-SSIM in dB comes back as it was printed.
    elic = publications.published_curve("paper-elic2022-ms-ssim")
    raw = json.loads((PUBLISHED / "compressai/kodak/paper-elic2022_ms-ssim.json").read_text())
    printed = sorted(raw["results"]["ms-ssim-db-rgb"])
    assert [v for _, v in elic.pairs("ms_ssim_db")] == pytest.approx(printed)
    assert elic.pairs("psnr") == []


def test_unknown_published_curves_are_answered_with_the_known() -> None:
    with pytest.raises(HeqError, match=r"bpg420 on kodak; choose from jpeg, .*vtm"):
        publications.published_curve("bpg420")
    with pytest.raises(HeqError, match=r"on tecnick; choose from kodak, clic2020-mobile"):
        publications.published_names("tecnick")


def test_reading_curves_needs_neither_torch_nor_matplotlib() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from heqcodec.eval import bjontegaard, curves, publications;"
        "publications.published_curve('jpeg');"
        "sys.exit(sum(name in sys.modules for name in ('torch', 'matplotlib', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_curves_module_lists_every_measure_of_a_point() -> None:
    fields = set(curves.Point.__dataclass_fields__) - {"bpp"}
    assert fields == set(curves._RESULTS.values()) | set(curves._OWN.values())
