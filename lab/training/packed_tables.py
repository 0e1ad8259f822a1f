"""Fitting the tables of the packed coder to photographs, in one call: `fit_packed_tables`.

Three stages, each on levels drawn at random steps: regression for borders, and counts for transform
sizes and signs; maximum likelihood for the networks, on what the coder itself would give
them; and the first weights of the mixes, by coding. Needs the C coder, which says what a decision
sees. 6,000 iterations take a core about four minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from heqcodec.base.errors import HeqError
from heqcodec.native.loader import native_extension
from heqcodec.nqe_r.packed_coder.tables import checked_tables
from numpy.typing import NDArray

from .packed_networks import Effort, PackedNetworks, fit_networks
from .packed_priors import fit_priors
from .packed_strips import StripSource, Tables, blank_tables, decisions_of

MIX_STRIPS = 24
MIX_TILES = 6


def _fit_mixes(tables: Tables, source: StripSource, rng: np.random.Generator) -> NDArray[np.int32]:
    """First weights of the mixes: where each of many strips leaves them, on average.

    Each strip begins with those of `blank_tables`. Carried on from strip to strip they would come
    to suit the ends of strips.
    """
    coded = checked_tables({**tables, "mixing": blank_tables()["mixing"]})
    ends = [decisions_of(coded, source(rng, MIX_TILES)).mixing for _ in range(MIX_STRIPS)]
    return np.rint(np.mean(ends, axis=0)).astype(np.int32)


def fit_packed_tables(
    source: StripSource,
    iterations: int = 6000,
    learning_rate: float = 6e-3,
    seed: int = 0,
    start: Mapping[str, NDArray[Any]] | None = None,
    report: Callable[[str], None] = print,
    effort: Effort | None = None,
) -> Tables:
    """Fit all tables of the packed coder.

    Args:
        source: of strips, for instance `heqcodec.lab.training.packed_strips.TileStrips`; called
        from
            several threads.
        iterations: of the networks.
        learning_rate: at first; 1e-3 with ``start``.
        seed: of everything random.
        start: tables whose networks to go on from.
        report: gets a line of progress now and then.
        effort: what the networks' iterations are; takes the place of ``iterations``.

    Returns:
        Tables by name, as the packed coder takes them.

    Raises:
        HeqError: the C coder is not built.
    """
    if native_extension() is None:
        raise HeqError(
            "Fitting the packed coder needs heqcodec's C extension; install a C compiler and "
            "install heqcodec again."
        )
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    tables = fit_priors(source, rng)
    report("transform sizes and borders are fitted")
    networks = PackedNetworks(start)
    fit_networks(tables, networks, source, rng, effort or Effort(iterations), learning_rate, report)
    tables |= networks.tables()
    tables["mixing"] = _fit_mixes(tables, source, rng)
    report("the mixes are fitted")
    return tables
