"""Files that people met in the field, where the test data are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FIELD = (
    Path(os.environ.get("HEQCODEC_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    / "field"
)
in_the_field = pytest.mark.skipif(not FIELD.is_dir(), reason="HEQCODEC_DATA has no folder field")
field_data = [pytest.mark.data, in_the_field]
