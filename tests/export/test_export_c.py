"""The encoder as C: the files of Python, clean under strict compilers, no forbidden instruction."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from adversarial import adversarial_patches
from c_compilers import ARM, COMPILERS, STRICT, build, needs_compiler, sanitized, sanitizer
from c_toolchains import FORBIDDEN, arm_code
from command_runner import run
from heqcodec.container.header import GRAY_AS_RGB
from heqcodec.export.c_project import READERS
from heqcodec.export.vectors import pnm
from heqcodec.models import registry
from heqcodec.nqe_r.device_coder.coder import DeviceCoder
from heqcodec.nqe_r.encoder import RateNqe, stem_tensors
from sample_cost_layers import random_cost_layer
from sample_device_strips import some_tables
from sample_vgg import THIRD, random_class_encoder
from slow_cases import quick_first

pytestmark = needs_compiler


@dataclass
class Exported:
    """An exported encoder.

    Attributes:
        model: its name, for `heqcodec.encode`.
        folder: what was written.
        rate: is it one of variable rate?
        deep: does a patch take so long that a few must do?
    """

    model: str
    folder: Path
    rate: bool
    deep: bool

    def build(self, compiler: str, flags: list[str], main: Path, program: str) -> Path:
        """Compile a program with the encoder."""
        sources = [main, *(self.folder / name for name in ("heq_encoder.c", *READERS))]
        return build(compiler, [*flags, f"-I{self.folder}"], sources, self.folder / program)


def seconds(*values: str, when: bool = True) -> Any:
    """A parameter whose compilation takes seconds, under sanitizers."""
    marks = [pytest.mark.slow] if when else []
    return pytest.param(values if len(values) > 1 else values[0], marks=marks, id="-".join(values))


@pytest.fixture(
    scope="module",
    params=[
        "nqe-r",
        seconds("other weights"),
        seconds("nqe-t"),
        seconds("nqe-vgg"),
        seconds("other convolutions"),
    ],
)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exported]:
    """The shipped models, and of two kinds one with weights that nothing can know."""
    stand_ins = {"other weights": "nqe-r", "other convolutions": "nqe-vgg"}
    model = stand_ins.get(request.param, request.param)
    folder = tmp_path_factory.mktemp("exported") / "c"
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "other weights":
            tensors = {**stem_tensors(), **random_cost_layer(11), **some_tables(5)}
            patch.setattr(registry, "encoder_tensors", lambda name: tensors)
            patch.setattr(
                registry, "load_rate_encoder", lambda name: RateNqe(tensors, native=False)
            )
            patch.setattr(registry, "load_strip_coder", lambda name, coder: DeviceCoder(tensors))
            # By tables that know nothing, the means of a patch alone are larger than a packet.
            patch.setattr("heqcodec.export.vectors.write_packets", lambda *given: [])
        if request.param == "other convolutions":
            encoder = random_class_encoder(3, THIRD, own_cuts=True)
            patch.setattr(registry, "encoder_tensors", lambda name: encoder.packed())
            patch.setattr(registry, "load_encoder", lambda name: encoder)
        result = run("export", "c", "--model", model, "--out", folder)
        assert result.exit_code == 0, result.stderr
        yield Exported(model, folder, model == "nqe-r", model == "nqe-vgg")


@pytest.fixture(
    scope="module",
    params=[
        seconds(compiler, kernel, when=(compiler, kernel) != (COMPILERS[0], "SCALAR"))
        for compiler, kernel in itertools.product(COMPILERS, ("SCALAR", "MULTIPLY", "FAST"))
    ],
)
def heqenc(request: pytest.FixtureRequest, exported: Exported) -> Path:
    """heqenc under the sanitizers of each compiler, with each kernel."""
    compiler, kernel = request.param
    if exported.deep and kernel == "MULTIPLY":
        pytest.skip("nqe-vgg has no products of its own")
    flags = [*sanitized(compiler), f"-DHEQ_KERNEL_{kernel}"]
    if exported.deep and kernel == "SCALAR":
        flags.append("-O2")
    program = f"heqenc-{compiler}-{kernel}"
    return exported.build(compiler, flags, exported.folder / "heqenc.c", program)


@pytest.fixture(scope="module")
def harness(exported: Exported) -> Path:
    """The harness under the sanitizers, of clang where they are there."""
    main = Path(__file__).parents[1] / "support" / "export_harness.c"
    compiler = sanitizer()
    flags = [*sanitized(compiler), "-DHEQ_KERNEL_FAST", "-DHEQ_PACKETS"]  # as in other modules
    return exported.build(compiler, flags, main, "harness")


def hard_image(seed: int) -> np.ndarray:
    """Patches at the ends of what an encoder may meet, side by side; uint8 (100, 250, 3)."""
    patches = adversarial_patches(6, seed)[:24]
    rows = patches[np.random.default_rng(seed).permutation(24)].reshape(3, 8, 32, 32, 3)
    whole = rows.swapaxes(1, 2).reshape(96, 256, 3)
    return np.pad(whole, ((0, 4), (0, 0), (0, 0)), mode="reflect")[:, :250]


def check(exported: Exported, program: Path, pixels: np.ndarray, number: int, tmp: Path) -> None:
    """heqenc writes what heqcodec does, at the `number`-th of some rates."""
    image, out = tmp / "image.pnm", tmp / "out.heq"
    options_of_api: dict[str, float]
    image.write_bytes(pnm(pixels))
    if exported.rate:
        quality = (45, 1, 100, 71.5, 20)[number % 5]
        options, options_of_api = ["-q", str(quality)], {"quality": quality}
    else:
        bits = (256, 64, 512, 128)[number % 4]
        options, options_of_api = ["--bits", str(bits)], {"bpp": bits / 1024}
    if number % 2:
        options += ["--strip-rows", "2"]
        options_of_api["strip_rows"] = 2
    subprocess.run([program, "-f", *options, image, out], check=True)
    wanted = heqcodec.encode(pixels, model=exported.model, strip_metadata=True, **options_of_api)
    assert out.read_bytes() == wanted, f"{pixels.shape} {options_of_api}"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("number", range(4))
def test_hard_patches(
    exported: Exported, heqenc: Path, channels: int, number: int, tmp_path: Path
) -> None:
    height, width = (33, 63) if exported.deep else (100, 250)
    pixels = np.ascontiguousarray(hard_image(number)[:height, :width, :channels])
    check(exported, heqenc, pixels, number, tmp_path)


@pytest.mark.parametrize("channels", [1, 3])
def test_awkward_sizes(exported: Exported, heqenc: Path, channels: int, tmp_path: Path) -> None:
    image = hard_image(3)
    for number, (height, width) in enumerate([(1, 1), (33, 31), (32, 33), (1, 70), (97, 2)]):
        pixels = np.ascontiguousarray(image[3 : 3 + height, 5 : 5 + width, :channels])
        check(exported, heqenc, pixels, number, tmp_path)


@pytest.mark.parametrize("how", ["patches", "rows", "whole"])
def test_functions_write_the_same_file(exported: Exported, harness: Path, how: str) -> None:
    pixels = hard_image(4)[:77, :99]
    rate, options_of_api = (552, {"quality": 45}) if exported.rate else (256, {"bpp": 0.25})
    command = [str(harness), how, "99", "77", "3", str(rate), "3"]
    done = subprocess.run(command, input=pixels.tobytes(), capture_output=True, check=True)
    assert done.stdout == heqcodec.encode(
        pixels, model=exported.model, strip_metadata=True, **options_of_api
    )


@pytest.mark.parametrize("how", ["patches", "rows", "whole"])
@pytest.mark.parametrize("pixel_bytes", [1, 3])
@pytest.mark.parametrize("channels", [1, GRAY_AS_RGB])
def test_gray_from_rows_of_either_kind(
    exported: Exported, harness: Path, channels: int, pixel_bytes: int, how: str
) -> None:
    gray = np.ascontiguousarray(hard_image(5)[:40, :61, 1:2])
    neutral = gray.repeat(3, axis=2)
    rate, options_of_api = (552, {"quality": 45}) if exported.rate else (256, {"bpp": 0.25})
    command = [harness, how, "61", "40", str(channels), str(rate), str(pixel_bytes)]
    samples = gray if pixel_bytes == 1 else neutral
    done = subprocess.run(command, input=samples.tobytes(), capture_output=True, check=True)
    image = gray if channels == 1 else neutral
    assert done.stdout == heqcodec.encode(
        image, model=exported.model, strip_metadata=True, **options_of_api
    )


def test_mistakes_are_told(harness: Path) -> None:
    done = subprocess.run([harness, "mistakes"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("kernel", quick_first(["SCALAR", "FAST", "AUTO"]))
@pytest.mark.parametrize("compiler", quick_first(COMPILERS))
def test_make_test(exported: Exported, compiler: str, kernel: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    subprocess.run(["make", "-s", "clean"], cwd=exported.folder, check=True)
    done = subprocess.run(
        [
            "make",
            "-s",
            f"CC={compiler}",
            f"KERNEL={kernel}",
            f"CFLAGS=-O{2 * exported.deep} {' '.join(STRICT)}",
            "test",
        ],
        cwd=exported.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "all files as expected"


def test_heqenc_says_what_is_wrong(exported: Exported, heqenc: Path, tmp_path: Path) -> None:
    good, out = tmp_path / "good.ppm", tmp_path / "out.heq"
    good.write_bytes(pnm(hard_image(1)))
    cases: list[tuple[list[Path | str], int, str]] = [
        ([good], 2, "name an image and a file"),
        ([good, out, out], 2, "more than two files"),
        (["--strip-rows", "0", good, out], 2, "from 1 to 255"),
        (["--quick", "1", good, out], 2, "no such option"),
        ([tmp_path / "none.ppm", out], 1, "cannot be read"),
        ([good, tmp_path / "none" / "out.heq"], 1, "cannot be written"),
    ]
    for wrong in (b"P3\n1 1\n255\n0 0 0", b"P6\n1\n", b"P6 2 2 65535\n", b"P5\n9 9\n255\nshort"):
        bad = tmp_path / f"bad{len(cases)}.ppm"
        bad.write_bytes(wrong)
        cases.append(([bad, out], 1, str(bad)))
    if exported.rate:
        cases += [
            (["-q", text, good, out], 2, "1 to 100") for text in ("0.9", "101", "x", "", "4a")
        ]
    else:
        cases.append((["--bits", "65", good, out], 1, "has not that rate"))
    for arguments, code, options_of_api in cases:
        done = subprocess.run([heqenc, *arguments], capture_output=True, text=True)
        assert (done.returncode, options_of_api in done.stderr) == (code, True), (
            arguments,
            done.stderr,
        )
        assert not out.exists()


def test_heads_with_comments(exported: Exported, heqenc: Path, tmp_path: Path) -> None:
    image, out = tmp_path / "image.ppm", tmp_path / "out.heq"
    image.write_bytes(b"P5 # a comment\n# 7 7\n3\t2 #\n255\n" + bytes(range(6)))
    subprocess.run([heqenc, image, out], check=True)
    assert heqcodec.info(out)["width"] == 3


@pytest.mark.skipif(ARM is None, reason="there is no arm-none-eabi-gcc")
@pytest.mark.parametrize("level", quick_first(["-Os", "-O2"]))
def test_no_multiplication_for_arm(exported: Exported, level: str) -> None:
    made = exported.folder / f"arm{level}.o"
    text = arm_code(exported.folder / "heq_encoder.c", made, level)
    assert text.count("\n") > 1000
    assert [line for line in text.splitlines() if FORBIDDEN.search(line)] == []
    needed = subprocess.run(
        ["arm-none-eabi-nm", "-u", made], capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(needed) <= {"U", "memset", "memcpy"}


@pytest.mark.slow
@pytest.mark.skipif(ARM is None, reason="there is no arm-none-eabi-gcc")
def test_two_products_at_a_time_by_default_for_a_cortex_m4(exported: Exported) -> None:
    if exported.deep:
        pytest.skip("nqe-vgg has no products of its own")
    source, made = exported.folder / "heq_encoder.c", exported.folder / "arm.o"
    assert arm_code(source, made, "-O2", "AUTO").count("\tsmlad\t") > 10
    target = [str(ARM), "-mcpu=cortex-m4", "-mthumb", "-E", "-P", source]
    auto, multiply = (
        subprocess.run([*target, f"-DHEQ_KERNEL_{kernel}"], capture_output=True, check=True).stdout
        for kernel in ("AUTO", "MULTIPLY")
    )
    assert auto == multiply


def test_no_libc_no_floats_and_limits(exported: Exported) -> None:
    text = (exported.folder / "heq_encoder.c").read_text("utf-8")
    assert set(re.findall(r"#include <(.*)>", text)) <= {
        "stddef.h",
        "stdint.h",
        "string.h",
        "arm_acle.h",
    }
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    assert not re.search(r"\b(float|double|malloc|long)\b", code)
    # Numbers of 64 bits are for the fast kernel alone, which microcontrollers do not have.
    alone = re.sub(r"^#include.*\n", "", code, flags=re.MULTILINE)
    scalar = subprocess.run(
        [COMPILERS[0], "-E", "-P", "-"], input=alone, capture_output=True, text=True, check=True
    ).stdout
    assert "int64_t" not in scalar and "heq_square" not in scalar
    # With a limit that is too low, the checks of memory and weights must fail.
    for was, now in (("<= 131072", "<= 1310"), ("<= HEQ_ENCODER_BYTES", "<= 1000")):
        assert code.count(was) == 1
        small = exported.folder / "small.c"
        small.write_text(code.replace(was, now), encoding="utf-8")
        done = subprocess.run(
            [COMPILERS[0], "-std=c99", "-fsyntax-only", small], capture_output=True, text=True
        )
        assert "negative" in done.stderr
    header = (exported.folder / "heq_encoder.h").read_text("utf-8")
    assert "@" not in header
    # That of an address of 4 bytes, where there are two.
    size = re.search(r"#define HEQ_ENCODER_BYTES (?:\(.*: )?(\d+)", header)
    assert size and int(size[1]) <= {"nqe-r": 22_600, "nqe-t": 14_000}.get(exported.model, 32_768)
    assert max(map(len, (text + header).splitlines())) <= 100
