"""The ``heqcodec`` command with the light model: ``python light_command.py ARGS``.

For tests that need a process of their own; the others use the ``light`` fixture.
"""

from __future__ import annotations

from typing import Any

from heqcodec.cli import main
from heqcodec.models import registry as models
from light_model import LightDecoder, LightEncoder

registry: Any = models
registry.default_model = lambda mode="auto": "light"
registry.model_names = lambda mode=None: [] if mode == "rate" else ["light"]
registry.mode_of = lambda name: "patch"
registry.load_encoder = lambda name: LightEncoder()
registry.load_decoder = lambda encoder_id, coder_id, *where: LightDecoder()

if __name__ == "__main__":
    main()
