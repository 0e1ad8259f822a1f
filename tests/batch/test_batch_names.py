"""Names of outputs of the files of a folder."""

from __future__ import annotations

import pytest
from heqcodec.base.errors import HeqError
from heqcodec.batch.names import output_names


@pytest.mark.parametrize(
    ("names", "outputs"),
    [
        (["a.png", "b.jpg"], ["a.heq", "b.heq"]),
        (["a.png", "a.jpg", "b.jpg"], ["a.png.heq", "a.jpg.heq", "b.heq"]),
        (["a.b.png"], ["a.b.heq"]),
        (["A.png", "a.jpg"], ["A.png.heq", "a.jpg.heq"]),
        ([], []),
    ],
)
def test_both_of_one_stem_keep_their_suffixes(names: list[str], outputs: list[str]) -> None:
    assert output_names(names, ".heq") == outputs
    assert output_names(names[::-1], ".heq") == outputs[::-1]


def test_one_output_of_two_is_refused() -> None:
    with pytest.raises(HeqError, match="would be written to"):
        output_names(["a.png", "a.jpg", "a.png.gif"], ".heq")
