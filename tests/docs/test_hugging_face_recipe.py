"""The recipe for Hugging Face `datasets` in docs/BATCH.md, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import heqcodec
import numpy as np
import pytest
from heqcodec.file.reduced import decode_reduced
from small_models import photograph

PAGE = Path(__file__).parents[2] / "docs" / "BATCH.md"


def test_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    (recipe,) = re.findall(r"```python\n(from datasets .*?)```", PAGE.read_text(), re.S)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name, side in (("cat/a", 64), ("dog/b", 40)):
        path = Path("packed", name).with_suffix(".heq")
        path.parent.mkdir(parents=True)
        path.write_bytes(heqcodec.encode(photograph()[:side, 20:84]))
    names: dict[str, Any] = {}
    exec(recipe, names)
    pictures, rows = names["pictures"], names["training"][:2]
    for index, path in enumerate(names["files"]["image"]):
        assert np.array_equal(np.asarray(pictures[index]["image"]), heqcodec.decode(path))
        small = rows["image"][index].permute(1, 2, 0).numpy()
        assert np.array_equal(small, decode_reduced(path, 4))
    assert rows["label"] == [0, 1]
    bytes_too = names["Dataset"].from_dict(
        {"image": [{"bytes": Path(path).read_bytes(), "path": None}]}
    )
    (image,) = bytes_too.with_transform(names["tensors"])[:1]["image"]
    assert np.array_equal(image, rows["image"][1])
