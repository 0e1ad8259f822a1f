"""What long calls report: steps that rise by one kind of unit and end at all of them."""

from __future__ import annotations

import heqcodec
import numpy as np
import pytest
from heqcodec.base.progress import Progress, report
from heqcodec.purenet import tiles
from small_models import photograph

PHOTO = np.ascontiguousarray(photograph()[20:220, 120:390])
PATCH_ROWS = 7
"""Of 200 pixel rows."""

Reports = list[tuple[int, int]]


def collector(reports: Reports) -> Progress:
    return lambda done, total: reports.append((done, total))


@pytest.mark.usefixtures("light_rate")
class TestRateMode:
    def test_rows_of_an_encoding(self) -> None:
        reports: Reports = []
        data = heqcodec.encode(PHOTO, strip_rows=2, progress=collector(reports))
        assert data == heqcodec.encode(PHOTO, strip_rows=2)
        assert reports == [(2, 7), (4, 7), (6, 7), (7, 7)]

    def test_a_search_never_goes_back_and_ends_within_its_total(self) -> None:
        reports: Reports = []
        heqcodec.encode(PHOTO, target_size=9000, progress=collector(reports))
        done = [step for step, _ in reports]
        passes = len(done) // 2  # strips of four rows, and of three
        assert passes > 1
        assert done == sorted(done) and done[-1] == passes * PATCH_ROWS
        assert all(step <= total for step, total in reports)
        assert reports[-1][1] == PATCH_ROWS * max(passes, 6)

    def test_rows_of_packing_and_unpacking(self) -> None:
        device = heqcodec.encode(PHOTO)
        reports: Reports = []
        packed = heqcodec.pack(device, strip_rows=5, progress=collector(reports))
        # Two device strips are decoded, then one packed strip is full, and the rest follows.
        assert reports == [(4, 14), (7, 14), (12, 14), (14, 14)]
        reports.clear()
        assert heqcodec.unpack(packed, progress=collector(reports)) == device
        assert reports[-1] == (14, 14) and len(reports) == 4

    def test_what_the_callback_raises_ends_the_call(self) -> None:
        def stop(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            heqcodec.encode(PHOTO, progress=stop)
        report(1, 2)  # nobody listens any more


@pytest.mark.slow
def test_strips_and_tiles_of_the_patch_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    reports: Reports = []
    data = heqcodec.encode(PHOTO, mode="patch", progress=collector(reports))
    assert reports == [(row, PATCH_ROWS) for row in range(1, PATCH_ROWS + 1)]
    reports.clear()
    monkeypatch.setattr(tiles, "TILE", 4)
    heqcodec.decode(data, decoder="plain", progress=collector(reports))
    assert reports == [(tile, 6) for tile in range(1, 7)]  # 7 x 9 patches
    reports.clear()
    heqcodec.decode_partial(data[:-100], decoder="plain", progress=collector(reports))
    assert reports[-1] == (6, 6)
