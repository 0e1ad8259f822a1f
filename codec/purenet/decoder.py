"""PURENET at work: codes of a frame to pixels, in overlapping tiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .features import FrameNetwork
from .guard import GUARD_REACH, network_frame
from .patch_readers import Reader
from .tiles import Window, run_tiles


class PurenetDecoder:
    """A `FrameDecoder`: reader, network, guard and tiles.

    Args:
        reader: of the encoder's codes.
        network: trained, wherever it runs; None for the plain inverse alone, of codes that have
            one.
        rates: bits a patch that it was trained for, in the order of its rate indices.
    """

    def __init__(
        self, reader: Reader, network: FrameNetwork | None, rates: tuple[int, ...]
    ) -> None:
        self._reader, self._network, self._rates = reader, network, rates
        guard = GUARD_REACH if reader.bounded else 0
        self.radius = network.radius + guard if network else 0

    def decode_frame(
        self,
        codes: NDArray[np.uint8],
        bits: int,
        channels: int,
        valid: NDArray[np.bool_] | None = None,
        core: Window | None = None,
    ) -> NDArray[np.uint8]:
        """Codes (R, C, bits // 8) to pixels (32 R, 32 C, channels); see `FrameDecoder`."""
        rows, columns = codes.shape[:2]
        known = np.ones((rows, columns), dtype=bool) if valid is None else valid
        rate_weights = np.zeros((1, len(self._rates)), dtype=np.float32)
        rate_weights[0, self._rate_index(bits)] = 1

        def run(around: Window) -> NDArray[np.float32]:
            features, bounds = self._reader.read(codes[around], bits, channels, known[around])
            return network_frame(
                self._network, features, rate_weights, bounds, known[around], channels
            )

        return run_tiles(run, rows, columns, channels, self.radius, core)

    def _rate_index(self, bits: int) -> int:
        # A code of a length in between is treated like the next one known.
        return next(
            (index for index, rate in enumerate(self._rates) if bits <= rate),
            len(self._rates) - 1,
        )
