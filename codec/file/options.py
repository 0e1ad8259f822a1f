"""The options of `encode`, checked together before an image is read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol, get_args

from heqcodec.base.arguments import (
    OWN_CODER,
    CoderName,
    ModeName,
    TuneName,
    real,
    shown,
    whole,
)
from heqcodec.base.constants import STEPS
from heqcodec.base.errors import HeqError, HeqUnsupportedError
from heqcodec.nqe_r.coders import CODERS, OWN, CoderKind

BITS_PER_PIXEL = {0.0625: 64, 0.125: 128, 0.25: 256, 0.5: 512}
"""Rates of the patch mode: bits per pixel -> bits per 32 x 32 patch."""
DEFAULT_BPP = 0.25
"""In patch mode."""
MODES: tuple[ModeName, ...] = get_args(ModeName)
TUNES: tuple[TuneName, ...] = get_args(TuneName)
LOWEST, HIGHEST = 1, 100
"""Limits of the quality; a target size may lead beyond them, to any step."""
_OFFSET, _SLOPE = 912, 8


class OptionError(HeqError):
    """An option that is wrong, alone or together with another.

    Attributes:
        option: its name, of an argument of :func:`heqcodec.encode`.
    """

    def __init__(self, option: str, text: str) -> None:
        super().__init__(text)
        self.option = option


class Catalog(Protocol):
    """The models that can be chosen."""

    def model_names(self, mode: str | None = None) -> list[str]:
        """Names of the models, of a mode or of all."""
        ...

    def default_model(self, mode: str = "auto") -> str:
        """The model that is taken unless one is named."""
        ...

    def mode_of(self, name: str) -> str:
        """ "patch" or "rate"."""
        ...

    def default_quality(self, name: str) -> float:
        """The quality that a model of variable rate has unless one is given."""
        ...


@dataclass(frozen=True)
class EncodeOptions:
    """The options of :func:`heqcodec.encode` that decide on mode, model and size."""

    bpp: float | None = None
    quality: float | None = None
    target_size: int | None = None
    mode: ModeName = "auto"
    coder: CoderName = OWN_CODER
    model: str = "default"
    strip_rows: int | None = None
    budget: int | None = None
    index: bool = False
    progressive: bool = False
    tune: TuneName = "psnr"

    def resolved(self, catalog: Catalog) -> Choice:
        """Check them, one by one and together, and find the model. Loads nothing.

        Args:
            catalog: of the models that there are, `heqcodec.models.registry`.

        Raises:
            HeqUnsupportedError: there is no model that can do it.
            HeqError: an unknown or impossible value, or two that contradict each other.
        """
        if self.mode not in MODES:
            text = f"The mode {self.mode!r} is not known; choose one of {_names(MODES)}."
            raise OptionError("mode", text)
        if self.coder not in tuple(CODERS):
            text = f"The coder {self.coder!r} is not known; choose {_names(CODERS)}."
            raise OptionError("coder", text)
        if self.tune not in TUNES:
            text = f"The tune {self.tune!r} is not known; choose one of {_names(TUNES)}."
            raise OptionError("tune", text)
        strip_rows = checked_strip_rows(self.strip_rows)
        sizes = {
            "quality": self.quality,
            "bpp": self.bpp,
            "target_size": self.target_size,
            "budget": self.budget,
        }
        given = [name for name, value in sizes.items() if value is not None]
        if len(given) > 1:
            text = f"{' and '.join(given)} contradict each other; give one of them."
            raise OptionError(given[-1], text)
        model, mode = self._model(catalog)
        if mode == "patch":
            bpp = DEFAULT_BPP if self.bpp is None else real(self.bpp)
            bits = None if bpp is None else BITS_PER_PIXEL.get(bpp)
            if bits is None:
                raise no_such_rate(self.bpp, tuple(BITS_PER_PIXEL.values()))
            return PatchChoice(model, strip_rows, bits)
        return self._rate_choice(model, strip_rows, catalog)

    def _model(self, catalog: Catalog) -> tuple[str, str]:
        """Name and mode of the model."""
        wanted = [
            (option, option if value is None else f"{option}={value!r}")
            for option, value, asked in (
                ("quality", None, self.quality is not None),
                ("target_size", None, self.target_size is not None),
                ("budget", None, self.budget is not None),
                ("coder", self.coder, self.coder != OWN_CODER),
                ("mode", self.mode, self.mode == "rate"),
                ("index", None, self.index),
                ("progressive", None, self.progressive),
                ("tune", self.tune, self.tune != "psnr"),
            )
            if asked
        ]
        if wanted and not catalog.model_names("rate"):
            raise HeqUnsupportedError(
                f"{wanted[0][1]} belongs to the variable-rate mode, and this version has models "
                "for patch-constant files only; choose a rate with bpp instead."
            )
        if self.model == "default":
            # Whoever asks for what only one mode has need not name the mode as well.
            name = catalog.default_model("rate" if wanted and self.mode == "auto" else self.mode)
            mode = catalog.mode_of(name)
        else:
            name, mode = self.model, catalog.mode_of(self.model)
            if self.mode not in ("auto", mode):
                raise OptionError(
                    "mode",
                    f"The model {name} is of mode {mode!r}, not {self.mode!r}; leave one of the "
                    "two out.",
                )
        if wanted and mode == "patch":
            raise OptionError(
                wanted[0][0],
                f"{wanted[0][1]} belongs to the variable-rate mode, and this is patch mode; choose "
                "mode='rate', or leave it out.",
            )
        return name, mode

    def _rate_choice(self, model: str, strip_rows: int | None, catalog: Catalog) -> RateChoice:
        choice = RateChoice(
            model,
            strip_rows,
            coder=CODERS[self.coder],
            index=self.index,
            progressive=self.progressive,
            tune=self.tune,
        )
        if self.target_size is not None:
            size = whole(self.target_size)
            if size is None or size < 1:
                text = f"{shown(self.target_size)}; give a whole number of bytes from 1."
                raise OptionError("target_size", f"target_size is {text}")
            return replace(choice, target_size=size)
        if self.budget is not None:
            size = whole(self.budget)
            if size is None or size < 1:
                text = f"{shown(self.budget)}; give a whole number of bytes from 1."
                raise OptionError("budget", f"budget is {text}")
            if self.coder != OWN_CODER:
                text = (
                    f"The coder {self.coder!r} has no budget; encode with one, then pack the file."
                )
                raise OptionError("budget", text)
            if self.progressive:
                text = (
                    "a budget gives each strip a step from top to bottom, and a progressive file "
                    "has its strips twice; choose target_size instead."
                )
                raise OptionError("progressive", text)
            return replace(choice, budget=size)
        if self.bpp is not None:
            bpp = real(self.bpp)
            if bpp is None or not 0 < bpp < math.inf:
                text = f"bpp is {shown(self.bpp)}; give bits per pixel, a number above 0."
                raise OptionError("bpp", text)
            return replace(choice, target_bpp=bpp)
        quality = catalog.default_quality(model) if self.quality is None else self.quality
        return replace(choice, step=step_of_quality(quality))


@dataclass(frozen=True)
class Choice:
    """The checked options, with the model chosen.

    Attributes:
        model: name of the model.
        strip_rows: rows of patches in a strip; None for the default.
    """

    model: str
    strip_rows: int | None = None


@dataclass(frozen=True)
class PatchChoice(Choice):
    """The checked options of the patch mode.

    Attributes:
        bits: per patch.
    """

    bits: int = BITS_PER_PIXEL[DEFAULT_BPP]


@dataclass(frozen=True)
class RateChoice(Choice):
    """The checked options of the rate mode.

    Attributes:
        coder: of the strips.
        step: step index, or None for a target or a budget.
        budget: bytes that the file may have, with a step for each strip.
        target_size: bytes that the file may have.
        target_bpp: the same in bits for each pixel of the image.
        index: whether the file has an index of its strips.
        progressive: whether the lowest frequencies of the whole image come first.
        tune: what the quantizer is tuned for.
    """

    coder: CoderKind = OWN
    step: int | None = None
    budget: int | None = None
    target_size: int | None = None
    target_bpp: float | None = None
    index: bool = False
    progressive: bool = False
    tune: TuneName = "psnr"


def checked_strip_rows(strip_rows: int | None) -> int | None:
    """The argument as an int, or None.

    Raises:
        HeqError: a strip cannot have so many rows of patches.
    """
    if strip_rows is None:
        return None
    rows = whole(strip_rows)
    if rows is None or not 1 <= rows <= 255:
        text = f"strip_rows is {shown(strip_rows)}; give 1 to 255 rows of patches."
        raise OptionError("strip_rows", text)
    return rows


def step_of_quality(quality: float) -> int:
    """Step index of a quality: ``912 - 8 quality``, rounded.

    Our choice: 16 points of quality halve the step, and 1 to 100 (indices 904 to 112) span less
    than 0.06 to more than 2 bits per pixel.

    Args:
        quality: 1 (smallest files) to 100; a fraction is as good.

    Raises:
        HeqError: it is not in that range.
    """
    number = real(quality)
    if number is None or not LOWEST <= number <= HIGHEST:
        text = f"quality is {shown(quality)}; give a number from {LOWEST} to {HIGHEST}."
        raise OptionError("quality", text)
    return min(max(math.floor(_OFFSET - _SLOPE * number + 0.5), 0), STEPS - 1)


def quality_of_step(step: int) -> float:
    """The quality whose step index this is; steps of no quality give less than 1 or more than 100.

    Args:
        step: index, 0 to 1023.
    """
    return (_OFFSET - step) / _SLOPE


def no_such_rate(bpp: float | None, rates: tuple[int, ...]) -> OptionError:
    """The error for a rate that the patch mode, or one of its models, has not.

    Args:
        rates: bits per patch that there are.
    """
    allowed = ", ".join(f"{b:g}" for b, n in BITS_PER_PIXEL.items() if n in rates)
    return OptionError("bpp", f"bpp is {shown(bpp)}; in patch mode choose one of {allowed}.")


def _names(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
