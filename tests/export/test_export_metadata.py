"""Metadata of the layouts: the rules of each format, and its own tool where that is installed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from heqcodec.base.version import __version__
from heqcodec.export.c_project import export_c
from heqcodec.export.layouts import LAYOUTS, LONGEST_PREFIX

NAME = "shed_encoder"
SEMVER = re.compile(r"\d+\.\d+\.\d+")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each layout."""
    root = tmp_path_factory.mktemp("layouts")
    for layout in LAYOUTS:
        export_c("nqe-t", root / layout, layout, "shed")
    return {layout: root / layout for layout in LAYOUTS}


def test_arduino_by_the_rules_of_its_library_specification(folders: dict[str, Path]) -> None:
    folder = folders["arduino"]
    lines = (folder / "library.properties").read_text("utf-8").splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    assert len(properties) == len(lines)
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category"}
    assert required | {"url", "architectures"} <= properties.keys()
    assert all(properties.values())
    # The longest name that a prefix can give has 32 characters at most.
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", properties["name"])
    assert LONGEST_PREFIX + len("_classifier") <= 32
    assert properties["version"] == __version__ and SEMVER.fullmatch(__version__)
    assert not re.search("arduino|library", properties["name"] + properties["maintainer"], re.I)
    assert not properties["paragraph"].startswith(properties["sentence"])
    assert properties["category"] == "Data Processing"
    assert urlsplit(properties["url"]).scheme
    assert (folder / "src" / properties["includes"]).exists()
    # A folder is either source or has sketches of its name; what is not for the board is `extras`.
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {
        "src",
        "examples",
        "extras",
    }
    for example in (folder / "examples").iterdir():
        assert (example / f"{example.name}.ino").exists()


def test_platformio(folders: dict[str, Path]) -> None:
    folder = folders["platformio"]
    library = json.loads((folder / "library.json").read_text("utf-8"))
    assert library["name"] == NAME and len(library["name"]) <= 50
    assert library["version"] == __version__
    assert 0 < len(library["description"]) <= 255
    assert all(re.fullmatch(r"[a-z0-9-]+", word) for word in library["keywords"])
    assert (folder / "src" / library["headers"]).exists()
    for example in (folder / "examples").iterdir():
        assert {"platformio.ini", "src"} <= {path.name for path in example.iterdir()}
    parser = pytest.importorskip("platformio.package.manifest.parser")
    schema = pytest.importorskip("platformio.package.manifest.schema")
    parsed = parser.ManifestParserFactory.new_from_dir(str(folder)).as_dict()
    # The list of licences is asked for on the network.
    assert parsed.pop("license") == "Apache-2.0"
    taken = schema.ManifestSchema().load_manifest(parsed)
    assert taken["name"] == NAME and taken["examples"][0]["files"]


def test_esp_idf(folders: dict[str, Path]) -> None:
    folder = folders["esp-idf"]
    text = (folder / "idf_component.yml").read_text("utf-8")
    assert f'version: "{__version__}"\n' in text and "license: Apache-2.0\n" in text
    listed = (folder / "CMakeLists.txt").read_text("utf-8")
    prefix = NAME.removesuffix("encoder")
    sources = [NAME, *(f"{prefix}read_{kind}" for kind in ("rgb", "yuv", "bayer"))]
    assert sorted(sources) == sorted(path.stem for path in (folder / "src").glob("*.c"))
    named = " ".join(f"src/{source}.c" for source in sources)
    assert f'idf_component_register(SRCS {named} INCLUDE_DIRS "src")' in listed
    manager = pytest.importorskip("idf_component_tools.manager")
    own = manager.ManifestManager(folder, NAME, upload_mode=manager.UploadMode.component).load()
    assert own.version == __version__ and list(own.dependencies) == ["idf"]
    main = folder / "examples" / "camera_to_serial" / "main"
    needed = manager.ManifestManager(main, "main").load().dependencies
    assert set(needed) == {"espressif/esp32-camera", NAME}
    assert (main / needed[NAME].path).resolve() == folder.resolve()


def test_zephyr_by_the_keys_of_its_module_files(folders: dict[str, Path]) -> None:
    folder = folders["zephyr"]
    assert (folder / "zephyr" / "module.yml").read_text("utf-8") == (
        f"name: {NAME}\nbuild:\n  cmake: zephyr\n  kconfig: zephyr/Kconfig\nsamples:\n  - samples\n"
    )
    assert (folder / "zephyr" / "CMakeLists.txt").exists()
    for sample in (folder / "samples").iterdir():
        files = {path.name for path in sample.iterdir()}
        assert {"CMakeLists.txt", "prj.conf", "sample.yaml", "src"} <= files
        chosen = (sample / "prj.conf").read_text("utf-8").splitlines()
        assert "CONFIG_SHED_ENCODER=y" in chosen


def test_kconfig(folders: dict[str, Path]) -> None:
    kconfiglib = pytest.importorskip("kconfiglib")
    espressif = kconfiglib.Kconfig(str(folders["esp-idf"] / "Kconfig"))
    assert espressif.warnings == []
    assert espressif.syms["SHED_ENCODER_KERNEL_MULTIPLY"].str_value == "y"
    assert espressif.syms["SHED_ENCODER_KERNEL_SCALAR"].str_value == "n"
    zephyr = kconfiglib.Kconfig(str(folders["zephyr"] / "zephyr" / "Kconfig"))
    assert zephyr.warnings == []
    chosen = zephyr.syms["SHED_ENCODER_KERNEL_BY_TARGET"]
    assert chosen.str_value == "n"
    zephyr.syms["SHED_ENCODER"].set_value(2)
    assert chosen.str_value == "y"
    # The macros that CMake gives the compiler are those of the sources.
    source = (folders["zephyr"] / "src" / f"{NAME}.c").read_text("utf-8")
    listed = (folders["zephyr"] / "zephyr" / "CMakeLists.txt").read_text("utf-8")
    named = re.findall(r"compile_definitions\((\w+)\)", listed)
    assert len(named) == 2 and all(f"defined({macro})" in source for macro in named)
