"""A decoder in JavaScript, written from docs/FORMAT.md and docs/DECODER.md alone, gives what
heqcodec reads from codes of nqe-t and nqe-vgg, and its plain pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heqcodec.container.reader import ContainerReader
from heqcodec.models import registry
from heqcodec.nqe_t import zones
from heqcodec.nqe_t.encoder import CENTROID, RATES, TransformCodeReader
from heqcodec.nqe_t.transform import CHANNEL_GAIN
from heqcodec.nqe_vgg.allocation import PLACES
from heqcodec.nqe_vgg.code_reader import POINTS, ClassCodeReader
from heqcodec.purenet.config import PurenetConfig
from page_decoders import GOLDEN, PAGE, decode_by_page, needs_node

DECODER = Path(__file__).with_name("patch_page_decoder.mjs")


def golden_files() -> list[tuple[str, Path]]:
    index = json.loads((GOLDEN / "index.json").read_text("utf-8"))
    return [(entry["model"], GOLDEN / entry["file"]) for entry in index if "bits" in entry]


def own_values(path: Path, model: str) -> np.ndarray:
    """Coefficients that the plain inverse takes, float32 (patches, planes, 32, 32)."""
    encoder: Any = registry.load_encoder(model)
    with path.open("rb") as stream:
        reader = ContainerReader(stream, max_pixels=None)
        header = reader.header
        strips = reader.read_strips(range(header.strip_count)).values()
        payload = b"".join(strip.payload for strip in strips)
    codes = np.frombuffer(payload, np.uint8).reshape(-1, header.patch_bytes)
    values = np.zeros((len(codes), 3 * 32 * 32), np.float32)
    if model == "nqe-vgg":
        points = registry.decoder_weights(model, registry.STRONG)[0][POINTS]
        values[:, PLACES] = ClassCodeReader(encoder, points).coefficients(codes, header.channels)
    else:
        found = TransformCodeReader(encoder).coefficients(codes, header.channels)
        size = found.low + np.float32(CENTROID) * found.width
        values[:] = np.where(found.negative, -size, size)[zones.cell_map()].T
    return values.reshape(len(codes), 3, 32, 32)[:, : header.channels]


@pytest.mark.slow
@needs_node
def test_the_pages_lead_to_values_and_plain_pixels(tmp_path: Path) -> None:
    files = golden_files()
    assert len(files) == 40
    made = decode_by_page(DECODER, [file for _, file in files], tmp_path)
    for (model, file), path in zip(files, made, strict=True):
        values, expected = np.fromfile(path, np.float32), own_values(file, model)
        assert np.allclose(values.reshape(expected.shape), expected, rtol=1e-6, atol=0), file.name


def test_the_page_has_what_the_networks_take() -> None:
    decoders = {name: registry.decoder_weights(name, "strong")[1] for name in ("nqe-t", "nqe-vgg")}
    sizes = {name: PurenetConfig(**config) for name, config in decoders.items()}
    assert {name: size.hints for name, size in sizes.items()} == {"nqe-t": 42, "nqe-vgg": 32}
    assert "| hints | 42: " in PAGE and " | 32: 1 for the class" in PAGE
    radius = {size.radius for size in sizes.values()}
    assert f"| radius | {radius.pop()} pixels |" in PAGE and not radius
    assert f"first of {', '.join(map(str, RATES))} that" in PAGE
    assert CHANNEL_GAIN == (1, 5 / 4, 3 / 4) and "`g` = 1, 5/4, 3/4" in PAGE
    assert f"`low + {CENTROID} * width`" in PAGE
