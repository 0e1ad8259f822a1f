"""Arrays and tensors as images: dtypes, layouts, and what to do with those that are refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from heqcodec.base.errors import HeqUnsupportedError
from heqcodec.image.images import load_image

RNG = np.random.default_rng(15)
COLOURS = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
LEVELS = np.arange(256, dtype=np.uint8).reshape(8, 32)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_floats_are_0_to_1(dtype: Any) -> None:
    assert np.array_equal(load_image((LEVELS / 255).astype(dtype)).pixels[..., 0], LEVELS)
    # To the nearest level: a hundredth of one to either side of the middle between two.
    for offset, expected in ((0.49, LEVELS[:, :31]), (0.51, LEVELS[:, 1:])):
        values = ((LEVELS[:, :31] + offset) / 255).astype(np.float64)
        assert np.array_equal(load_image(values).pixels[..., 0], expected)


@pytest.mark.parametrize("values", [[-0.01, 0.5], [0.2, 1.01], [0.0, 255.0], [0.5, np.nan]])
def test_other_floats_are_refused_with_their_range(values: list[float]) -> None:
    array = np.full((4, 5), values[0])
    array[2, 3] = values[1]
    found = f"from {array.min():g} to {array.max():g}"
    with pytest.raises(HeqUnsupportedError, match=rf"{found}.*np\.clip"):
        load_image(array)


def test_booleans_are_black_and_white() -> None:
    mask = COLOURS[..., 0] > 128
    assert np.array_equal(load_image(mask).pixels[..., 0], np.where(mask, 255, 0))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int64, complex])
def test_other_types_are_refused_with_advice(dtype: Any) -> None:
    with pytest.raises(HeqUnsupportedError, match=r"uint8.*white is 65535.*4095.*255"):
        load_image(COLOURS.astype(dtype))


@pytest.mark.parametrize("white", [255, 4095, 65535])
def test_the_advice_works(white: int) -> None:
    x = np.rint(LEVELS / 255 * white).astype(np.uint16)
    with pytest.raises(HeqUnsupportedError) as caught:
        load_image(x)
    (advice,) = re.findall(r"np\.round\(.*?'uint8'\)", str(caught.value))
    assert np.array_equal(load_image(eval(advice)).pixels[..., 0], LEVELS)


@pytest.mark.parametrize("shape", [(4,), (0, 4), (4, 0, 3), (4, 4, 5), (4, 4, 0), (2, 4, 4, 3), ()])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(HeqUnsupportedError, match="shape"):
        load_image(np.zeros(shape, np.uint8))


def test_channels_first_is_refused_with_advice_that_works() -> None:
    x = COLOURS.transpose(2, 0, 1)
    with pytest.raises(HeqUnsupportedError, match=r"x\.transpose\(1, 2, 0\)"):
        load_image(x)
    assert np.array_equal(load_image(x.transpose(1, 2, 0)).pixels, COLOURS)


def test_what_numpy_can_read_is_an_array() -> None:
    class Wrapped:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return COLOURS

    assert np.array_equal(load_image(Wrapped()).pixels, COLOURS)


class TestTensors:
    torch = pytest.importorskip("torch")

    def test_either_layout(self) -> None:
        tensor = self.torch.from_numpy(COLOURS)
        for given in (tensor, tensor.permute(2, 0, 1), tensor.permute(2, 0, 1).contiguous()):
            assert np.array_equal(load_image(given).pixels, COLOURS)
        with_alpha = self.torch.cat([tensor, tensor[..., :1]], dim=2).permute(2, 0, 1)
        assert np.array_equal(load_image(with_alpha).alpha, COLOURS[..., 0])
        assert np.array_equal(load_image(tensor[..., 1]).pixels[..., 0], COLOURS[..., 1])

    def test_floats_of_any_kind(self) -> None:
        tensor = self.torch.from_numpy(COLOURS).permute(2, 0, 1) / 255
        assert np.array_equal(load_image(tensor.requires_grad_()).pixels, COLOURS)
        halved = (self.torch.from_numpy(COLOURS > 128) * 0.5).to(self.torch.bfloat16)
        assert np.array_equal(load_image(halved).pixels, np.where(COLOURS > 128, 128, 0))

    @pytest.mark.parametrize("shape", [(3, 9, 3), (1, 3, 6, 9)])
    def test_layouts_that_do_not_say(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(HeqUnsupportedError, match="x".join(map(str, shape))):
            load_image(self.torch.zeros(shape, dtype=self.torch.uint8))
