"""Numbers and names that the public functions take."""

from __future__ import annotations

import decimal
import fractions
from typing import Any, get_args

import heqcodec
import numpy as np
import pytest
from conftest import LightModels
from heqcodec.base import arguments
from heqcodec.file import options
from heqcodec.models import registry
from heqcodec.purenet import backends
from light_rate_model import LightRateModels
from slow_cases import slow

PHOTO = np.random.default_rng(31).integers(0, 256, (70, 100, 3), np.uint8)
FORTY = [40, 40.0, np.int64(40), np.uint8(40), np.float32(40), np.array(40), fractions.Fraction(40)]
NO_NUMBER = ["40", b"40", True, np.True_, 40j, [40], np.array([40]), {}, float("nan")]


@pytest.mark.parametrize("value", [*FORTY, decimal.Decimal(40)], ids=repr)
def test_numbers(value: Any) -> None:
    assert arguments.real(value) == 40.0 and type(arguments.real(value)) is float
    assert arguments.whole(value) == 40 and type(arguments.whole(value)) is int
    assert arguments.shown(value) == "40"


def test_tensors_of_one_element_are_numbers() -> None:
    torch = pytest.importorskip("torch")
    assert arguments.whole(torch.tensor(40)) == arguments.whole(torch.tensor(40.0)) == 40
    assert arguments.real(torch.tensor([40.0, 41.0])) is None


@pytest.mark.parametrize("value", NO_NUMBER, ids=repr)
def test_what_is_no_whole_number(value: Any) -> None:
    assert arguments.whole(value) is None
    assert arguments.real(value) is None or value != value


def test_a_large_number_keeps_its_digits() -> None:
    assert arguments.whole(np.int64(2**62 + 1)) == 2**62 + 1
    assert arguments.whole(40.5) is None and arguments.whole(float("inf")) is None


@pytest.mark.parametrize("value", [FORTY[0], *map(slow, FORTY[1:])], ids=repr)
def test_options_take_any_of_them(light_rate: LightRateModels, value: Any) -> None:
    for option in ("quality", "bpp"):
        assert heqcodec.encode(PHOTO, **{option: value}) == heqcodec.encode(PHOTO, **{option: 40})
    with pytest.raises(heqcodec.HeqError, match="the 40 that"):
        heqcodec.encode(PHOTO, target_size=value)
    expected = heqcodec.encode(PHOTO, strip_rows=40)
    assert heqcodec.encode(PHOTO, strip_rows=value) == expected
    packed = heqcodec.pack(expected, strip_rows=value)
    assert packed == heqcodec.pack(expected, strip_rows=40)
    assert np.array_equal(heqcodec.decode(packed, slices=value), heqcodec.decode(packed))
    with pytest.raises(heqcodec.HeqLimitError, match="40"):
        heqcodec.decode(packed, max_pixels=value)


@pytest.mark.parametrize("value", NO_NUMBER, ids=repr)
@pytest.mark.parametrize("option", ["quality", "bpp", "target_size", "strip_rows", "max_pixels"])
def test_one_sentence_refuses_the_rest(
    light_rate: LightRateModels, option: str, value: Any
) -> None:
    with pytest.raises(heqcodec.HeqError, match=f"^{option} is .*; give .*\\.$"):
        heqcodec.encode(PHOTO, **{option: value})


def test_a_refusal_does_not_contradict_itself(light_rate: LightRateModels) -> None:
    for value in (np.int64(140), np.float32(140), 140):
        with pytest.raises(heqcodec.HeqError) as caught:
            heqcodec.encode(PHOTO, quality=value)
        assert str(caught.value) == "quality is 140; give a number from 1 to 100."


def test_names_that_types_allow_are_those_that_are_taken(light: LightModels) -> None:
    assert get_args(heqcodec.api.ModeName) == options.MODES
    assert get_args(heqcodec.api.CoderName) == tuple(options.CODERS)
    assert get_args(heqcodec.api.DecoderName) == registry.DECODERS
    assert get_args(heqcodec.api.BackendName) == backends.BACKENDS
    for option in ("mode", "coder"):
        for value in ("nothing", 5, []):
            with pytest.raises(heqcodec.HeqError, match=f"The {option} .* is not known"):
                heqcodec.encode(PHOTO, **{option: value})
