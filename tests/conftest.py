"""Fixtures that several test modules share."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

import pytest
from heqcodec.errors import HeqUnsupportedError
from light_model import LightDecoder, LightEncoder


@dataclass
class LightModels:
    """A registry of the light model alone; it counts how often the decoder is asked for."""

    encoder: LightEncoder = field(default_factory=LightEncoder)
    decoder: LightDecoder = field(default_factory=LightDecoder)
    decoders_loaded: int = 0

    def load_encoder(self, name: str) -> LightEncoder:
        if name != "light":
            raise HeqUnsupportedError(f"There is no model {name}; choose light.")
        return self.encoder

    def load_decoder(
        self, encoder_id: bytes, coder_id: bytes, device: str = "auto"
    ) -> LightDecoder:
        self.decoders_loaded += 1
        if (encoder_id, coder_id) != (self.encoder.encoder_id, self.encoder.coder_id):
            raise HeqUnsupportedError(f"No model here has the id {encoder_id.hex()}.")
        return self.decoder


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Let Ctrl-C work, here and in child processes, also where the shell started us in the
    background with it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> LightModels:
    """Puts the light model in the place of the trained ones."""
    from heqcodec import models

    registry = LightModels()
    monkeypatch.setattr(models, "load_encoder", registry.load_encoder)
    monkeypatch.setattr(models, "load_decoder", registry.load_decoder)
    monkeypatch.setattr(models, "default_model", lambda: "light")
    return registry
