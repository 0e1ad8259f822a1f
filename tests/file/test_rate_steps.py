"""Files whose strips have different steps, and strips that were not sent, with a light model."""

from __future__ import annotations

import functools
import io

import heqcodec
import numpy as np
import pytest
from heqcodec.container import Chunk, ContainerReader, ContainerWriter
from heqcodec.container.strips import NOT_SENT, Strip
from heqcodec.nqe_r.levels import ImageLevels
from heqcodec.nqe_r.packed_coder.tables import SLICES
from heqcodec.pillow_plugin import register
from hypothesis import given, settings
from hypothesis import strategies as st
from light_rate_model import LightRateModels
from PIL import Image
from sample_rate_files import PHOTO, per_example

pytestmark = pytest.mark.usefixtures("light_rate")
STEPS = (300, 520, 520, 0, 1023, 640, 640)
"""Of the seven rows of patches of the photograph."""


@functools.cache
def strips_at(step: int, rows: int = 1) -> list[Strip]:
    """Those of the photograph at a step."""
    quality = (912 - step) / 8
    if 1 <= quality <= 100:
        data = heqcodec.encode(PHOTO, quality=quality, strip_rows=rows)
    else:
        from heqcodec.models import registry

        image = ImageLevels(PHOTO, registry.load_rate_encoder("light-rate"), keep=False)
        coder = registry.load_strip_coder("light-rate", 2)
        return [Strip(step, coder.encode(*levels)) for levels in image.strips(step, rows)]
    reader = ContainerReader(io.BytesIO(data))
    return [
        strip for strip in reader.read_strips(range(reader.header.strip_count)).values() if strip
    ]


def mixed(steps: tuple[int, ...] = STEPS) -> bytes:
    """The photograph, each row of patches at its own step."""
    header = ContainerReader(io.BytesIO(heqcodec.encode(PHOTO, strip_rows=1))).header
    stream = io.BytesIO()
    writer = ContainerWriter(stream, header)
    for row, step in enumerate(steps):
        strip = Strip(NOT_SENT, b"") if step == NOT_SENT else strips_at(step)[row]
        writer.write_strip(strip.payload, strip.rate)
    writer.write_chunk(Chunk(b"note", b"kept"))
    writer.finish()
    return stream.getvalue()


def test_each_row_decodes_at_its_own_step(light_rate: LightRateModels) -> None:
    reach = light_rate.decoder.radius
    pixels = heqcodec.decode(mixed((300,) * 4 + (640,) * 3))
    fine, coarse = (heqcodec.decode(mixed((step,) * 7)) for step in (300, 640))
    above, below = slice(0, 128 - reach), slice(128 + reach, 200)
    assert np.array_equal(pixels[above], fine[above])
    assert np.array_equal(pixels[below], coarse[below])
    assert not np.array_equal(fine[below], coarse[below])
    pixels = heqcodec.decode(mixed())
    for x, y, width, height in ((0, 0, 270, 40), (30, 60, 50, 90), (100, 150, 1, 50)):
        part = heqcodec.decode(mixed(), region=(x, y, width, height))
        assert np.array_equal(part, pixels[y : y + height, x : x + width])


def test_info_lists_the_steps() -> None:
    facts = heqcodec.info(mixed())
    assert (facts["step"], facts["quality"], facts["steps"]) == (None, None, list(STEPS))
    same = heqcodec.info(mixed((520,) * 7))
    assert (same["step"], same["quality"], same["steps"]) == (520, 49, [520] * 7)


@pytest.mark.slow
@settings(per_example, max_examples=25)
@given(
    st.lists(st.sampled_from([300, 520, NOT_SENT]), min_size=7, max_size=7),
    st.sampled_from([None, 1, 2, 4, 7]),
)
def test_packing_keeps_the_steps(steps: list[int], most: int | None) -> None:
    device = mixed(tuple(steps))
    packed = heqcodec.pack(device, strip_rows=most)
    assert heqcodec.unpack(packed) == device
    assert np.array_equal(heqcodec.decode(packed), heqcodec.decode(device))
    rows = heqcodec.info(packed)["strip_rows"]
    assert rows <= (most or 32)
    if len(set(steps)) == 1:
        assert rows == (most or 32)


def test_packed_strips_are_as_high_as_their_steps_allow() -> None:
    assert heqcodec.info(heqcodec.pack(mixed((300,) * 4 + (520,) * 3)))["strip_rows"] == 4
    assert heqcodec.info(heqcodec.pack(mixed((300,) * 6 + (520,))))["strip_rows"] == 6
    assert (
        heqcodec.info(heqcodec.pack(mixed((300,) * 5 + (520,) * 2), strip_rows=4))["strip_rows"]
        == 1
    )


def test_a_packed_file_whose_device_strips_would_have_two_steps_is_refused() -> None:
    packed = heqcodec.pack(mixed())
    reader, stream = ContainerReader(io.BytesIO(packed)), io.BytesIO()
    from dataclasses import replace

    writer = ContainerWriter(stream, replace(reader.header, device_rows=3))
    for strip in reader.read_strips(range(7)).values():
        assert strip
        writer.write_strip(strip.payload, strip.rate)
    writer.finish()
    with pytest.raises(heqcodec.HeqFormatError, match="the steps 300 and 520"):
        heqcodec.unpack(stream.getvalue())


def test_strips_that_were_not_sent_are_filled() -> None:
    steps = (520, 520, NOT_SENT, 520, 520, NOT_SENT, NOT_SENT)
    data = mixed(steps)
    facts = heqcodec.info(data)
    assert facts["unsent_strips"] == [2, 5, 6] and facts["damaged_strips"] == []
    assert (facts["step"], facts["steps"]) == (520, [520, 520, None, 520, 520, None, None])
    found = heqcodec.decode_partial(data)
    assert (found.unsent_strips, found.damaged_strips, found.damaged) == ([2, 5, 6], [], False)
    assert np.array_equal(found.pixels, heqcodec.decode(data))
    assert (found.pixels[160:] == found.pixels[159]).all()
    part = heqcodec.decode(data, region=(0, 70, 200, 20))
    assert np.array_equal(part, found.pixels[70:90, :200])
    # As a strip that was lost.
    whole = mixed((520,) * 7)
    damaged = bytearray(whole)
    place = whole.index(strips_at(520)[2].payload) + 20
    damaged[place] ^= 1
    lost = heqcodec.decode_partial(bytes(damaged)).pixels
    assert np.array_equal(lost[:110], found.pixels[:110])


@pytest.mark.parametrize("keep", [True, False])
def test_coefficients_are_kept_for_another_step(light_rate: LightRateModels, keep: bool) -> None:
    image = ImageLevels(PHOTO, light_rate.encoder, keep=keep)
    counts = []
    for step in (300, 520):
        assert len(list(image.strips(step, 1))) == 7
        counts.append(len(light_rate.encoder.batches))
    assert counts[1] == (counts[0] if keep else 2 * counts[0]) > 0


def test_nothing_sent_is_gray() -> None:
    assert (heqcodec.decode(mixed((NOT_SENT,) * 7)) == 128).all()


def test_slices_of_strips_of_different_steps() -> None:
    """Each strip has slices of its own; all of them are the file, fewer a coarser image."""
    packed = heqcodec.pack(mixed(), strip_rows=3)
    assert heqcodec.info(packed)["steps"] == heqcodec.info(mixed())["steps"]
    whole = heqcodec.decode(packed)
    assert np.array_equal(heqcodec.decode(packed, slices=SLICES), whole)
    errors = []
    for count in (1, 2, 4, SLICES):
        pixels = heqcodec.decode(packed, slices=count)
        assert pixels.shape == PHOTO.shape
        errors.append(float(np.square(pixels.astype(float) - PHOTO).mean()))
    assert errors == sorted(errors, reverse=True) and errors[0] > errors[-1]


def test_pillow_opens_what_has_several_steps() -> None:
    register()
    for data in (mixed(), heqcodec.pack(mixed()), heqcodec.encode(PHOTO, budget=4000)):
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "HEQ" and image.size == PHOTO.shape[1::-1]
            assert np.array_equal(np.asarray(image), heqcodec.decode(data))
    saved = io.BytesIO()
    Image.fromarray(PHOTO).save(saved, "HEQ", budget=4000)
    assert saved.getvalue() == heqcodec.encode(PHOTO, budget=4000)
