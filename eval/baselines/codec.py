"""What the suite asks of a codec: encode an image at a setting to a real file, and decode it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np


class Codec(Protocol):
    """One codec, in one configuration.

    A codec must not depend on what it coded before: encoding the same pixels at the same setting
    gives the same file, in any process and in any order. Loading weights or a library happens on
    the first call, or in ``prepare``.
    """

    name: str
    """As given on the command line, and in results: lower case, digits and hyphens."""
    setting_name: str
    """What the numbers of the ladder are: "quality", "bpp", "QP"."""
    settings: tuple[float, ...]
    """The default ladder, by rising rate."""
    single_threaded: bool
    """Whether it uses one core; then the suite runs one process on each core."""
    suffix: str
    """Of its files, with the dot."""
    about: str
    """One line for reports: what it is, and with which options."""

    def missing(self) -> str | None:
        """One sentence that says what to install when the codec cannot run here; None if it can.

        Cheap: no weights are loaded.
        """
        ...

    def version(self) -> str:
        """Library or program and its version, for the results."""
        ...

    def prepare(self) -> None:
        """Load what the first call would load, so that it is in nobody's seconds."""
        ...

    def encode(self, pixels: np.ndarray, setting: float, path: Path) -> None:
        """Write uint8 (H, W, 3), RGB, as a file that ``decode`` reads, colours only.

        Raises:
            HeqError: the pixels cannot be coded with it, or not at this setting.
        """
        ...

    def decode(self, path: Path) -> np.ndarray:
        """Read a file back as uint8 (H, W, 3), from the file alone."""
        ...
