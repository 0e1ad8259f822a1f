"""A process in which torch cannot be imported."""

from __future__ import annotations

import subprocess
import sys

WITHOUT_TORCH = """
import sys

class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "pytorch_msssim"}:
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, Refuses())
"""


def run_without_torch(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = f"{WITHOUT_TORCH}\n{code}"
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
