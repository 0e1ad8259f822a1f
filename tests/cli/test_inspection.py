"""``heqcodec info`` and ``heqcodec models``: what a file says, and what can be used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from command_runner import run
from heqcodec.container.header import HEADER_LENGTH, parse_header
from heqcodec.models import registry


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

    def test_a_file_of_other_weights_has_no_quality(self) -> None:
        data = heqcodec.encode(np.zeros((40, 40, 3), np.uint8), quality=40)
        header = replace(parse_header(data[:HEADER_LENGTH]), encoder_id=bytes(8))
        text = run("info", "-", stdin=header.pack() + data[HEADER_LENGTH:]).stdout
        assert "none of this version" in text and "quality" not in text
        assert "quality" in run("info", "-", stdin=data).stdout

    def test_models(self, monkeypatch: pytest.MonkeyPatch) -> None:
        described = [
            {
                "name": "one",
                "default": True,
                "mode": "rate",
                "about": "of variable rate",
                "default_quality": 40.0,
                "weight_bits": 12345,
                "decoders": ["strong", "fast"],
            },
            {
                "name": "two",
                "default": False,
                "mode": "patch",
                "about": "of four rates",
                "bpp": [0.0625, 0.5],
                "weight_bits": 678,
                "decoders": ["strong"],
            },
        ]
        monkeypatch.setattr(registry, "describe_models", lambda: described)
        assert json.loads(run("models", "--json").stdout) == described
        lines = run("models").stdout.splitlines()
        assert max(map(len, lines)) <= 80
        (one,) = (line.split("  ") for line in lines if line.strip().startswith("one (default)"))
        cells = [cell.strip() for cell in one if cell.strip()]
        assert cells == ["one (default)", "rate", "quality 1 to 100", "12,345", "strong, fast"]
        assert any("0.0625 to 0.5 bpp" in line and "678" in line for line in lines)
        assert lines[-1] == "two: of four rates"

    def test_each_shipped_model_names_its_decoders(self) -> None:
        for entry in registry.describe_models():
            assert entry["decoders"] == registry.offered_decoders(entry["name"])
