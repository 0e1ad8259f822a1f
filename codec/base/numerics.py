"""Arithmetics in which an integer encoder can be evaluated, with equal results."""

from __future__ import annotations

from typing import Literal

Arithmetic = Literal["float32", "float64", "int64"]
