"""C compilers that are here, their flags, and the code that they make for ARM."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from c_compilers import ARM, STRICT

FORBIDDEN = re.compile(r"\t(s?mul|mla|mls|sml|smm|smu|umu|uml|umaal|sdiv|udiv|v(mul|add|ldr|mov))")


def arm_code(source: Path, made: Path, level: str, kernel: str = "SCALAR") -> str:
    """The machine code of a source for a Cortex-M4, disassembled; the object file is kept."""
    command = [str(ARM), "-mcpu=cortex-m4", "-mthumb", level, *STRICT, "-c"]
    command.append(f"-DHEQ_KERNEL_{kernel}")
    done = subprocess.run([*command, source, "-o", made], capture_output=True, text=True)
    if "fatal error" in done.stderr:
        pytest.skip("arm-none-eabi-gcc has no headers of a C library")
    assert done.returncode == 0, done.stderr
    return subprocess.run(
        ["arm-none-eabi-objdump", "-d", made], capture_output=True, text=True, check=True
    ).stdout


CROSS = {
    "arm-none-eabi": ("-mcpu=cortex-m4", "-mthumb"),
    "riscv64-unknown-elf": ("-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"),
    "xtensa-lx106-elf": ("-isystem", "/usr/lib/xtensa-lx106-elf/include"),
}
"""Options by the prefix of a toolchain for microcontrollers, as Debian has them."""
