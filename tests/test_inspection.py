"""``heqcodec info`` and ``heqcodec models``: what a file says, and what can be used."""

from __future__ import annotations

import json
from pathlib import Path

import heqcodec
import pytest
from command_runner import run
from heqcodec import models
from heqcodec.container.header import HEADER_LENGTH


class TestInfoAndModels:
    def test_info(self, coded: Path) -> None:
        assert json.loads(run("info", coded, "--json").stdout) == heqcodec.info(coded)
        text = run("info", coded).stdout
        assert "100" in text and "file bytes" in text
        assert run("info", "-", stdin=coded.read_bytes()).stdout == text

    def test_info_verifies(self, coded: Path) -> None:
        data = bytearray(coded.read_bytes())
        data[HEADER_LENGTH + 9] ^= 1
        coded.write_bytes(data)
        result = run("info", coded)
        assert result.exit_code == 1 and "photo.heq" in result.stderr and result.stdout == ""
        assert run("info", coded.with_name("missing.heq")).exit_code == 1

    def test_models(self, monkeypatch: pytest.MonkeyPatch) -> None:
        described = [{"name": "one", "weight_bits": 12, "default": True}, {"name": "two"}]
        monkeypatch.setattr(models, "describe_models", lambda: described)
        assert json.loads(run("models", "--json").stdout) == described
        text = run("models").stdout
        assert "one" in text and "weight bits" in text and "two" in text
