"""The packed coder of the variable-rate mode: small files, coded by servers."""

from .coder import PackedCoder, StripPrefix

__all__ = ["PackedCoder", "StripPrefix"]
