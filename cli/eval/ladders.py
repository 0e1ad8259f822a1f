"""Which codecs a command measures and at which settings, from its options."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heqcodec.base.errors import HeqError
from heqcodec.cli.common.terminal import say, usage_error

if TYPE_CHECKING:
    from heqcodec.eval.baselines import CodecMaker
    from heqcodec.eval.baselines.codec import Codec
    from heqcodec.eval.runner import Ladder


@dataclass(frozen=True)
class Request:
    """The codecs of a command with their settings, and what makes these codecs elsewhere."""

    ladders: list[Ladder]
    maker: CodecMaker


def read_request(
    patterns: list[str], settings: list[str], rates: str | None, qualities: str | None
) -> Request:
    """Turn the options into codecs with their settings.

    Args:
        patterns: what ``--codec`` was given: names, patterns of names, or names with checkpoints.
        settings: texts as "jpeg=5,10", for one codec each.
        rates: numbers with commas, for all codecs whose setting is a rate.
        qualities: the same, for all whose setting is a quality.

    Raises:
        HeqError: a checkpoint is not there.
        typer.BadParameter: no codec has such a name, or a text is not as it should be.
    """
    from heqcodec.eval import baselines
    from heqcodec.eval.runner import Ladder

    specs = _codec_specs(patterns)
    codecs = {spec: baselines.make_codec(spec) for spec in specs}
    names = {codec.name: spec for spec, codec in codecs.items()}
    if len(names) < len(codecs):
        raise usage_error("two of these have the same name in results; run them apart.", "--codec")
    own: dict[str, tuple[float, ...]] = {}
    for text in settings:
        name, numbers = _codec_settings(text)
        if name not in names:
            raise usage_error(
                f"{name} is not among the codecs of this run, {', '.join(names)}.", "--setting"
            )
        if name in own:
            raise usage_error(f"{name} is given twice; put its settings into one.", "--setting")
        own[name] = numbers
    for_all = {}
    for option, kind, values in (("--rates", "bpp", rates), ("--qualities", "quality", qualities)):
        if values is None:
            continue
        for_all[kind] = _numbers(values, option)
        if kind not in {codec.setting_name for codec in codecs.values()}:
            raise usage_error(f"no codec of this run takes a {kind}.", option)
    ladders = [
        Ladder(codec, own.get(codec.name) or for_all.get(codec.setting_name) or _ladder(codec))
        for codec in codecs.values()
    ]
    return Request(ladders, baselines.CodecMaker(names))


def _codec_specs(patterns: list[str]) -> list[str]:
    """The given values, each once, in order."""
    from heqcodec.eval.baselines import matching_specs

    specs: dict[str, None] = {}
    for pattern in patterns:
        try:
            specs.update(dict.fromkeys(matching_specs(pattern)))
        except HeqError as error:
            raise usage_error(str(error), "--codec") from error
    return list(specs)


def _ladder(codec: Codec) -> tuple[float, ...]:
    return tuple(float(setting) for setting in codec.settings)


def _codec_settings(text: str) -> tuple[str, tuple[float, ...]]:
    codec, equals, values = text.partition("=")
    if not (codec and equals):
        raise usage_error(f"'{text}' is not of the form CODEC=V,V.", "--setting")
    return codec, _numbers(values, "--setting")


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        numbers = tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        numbers = ()
    if not numbers or not all(math.isfinite(number) for number in numbers):
        raise usage_error(f"'{text}' is not a list of numbers with commas.", option)
    return numbers


def present_ladders(ladders: list[Ladder]) -> list[Ladder]:
    """Tell which codecs cannot run here, and return the others.

    Raises:
        HeqError: none can.
    """
    present = []
    for ladder in ladders:
        reason = ladder.codec.missing()
        if reason is None:
            present.append(ladder)
        else:
            say(f"heqcodec: {ladder.codec.name} is skipped: {reason}")
    if not present:
        raise HeqError("No codec of this run can run here.")
    return present
