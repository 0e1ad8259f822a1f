"""Genetic search over the precisions of layers, under budgets, for a Pareto front."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Genes = tuple[int, ...]


class LayerCost(NamedTuple):
    """What a layer has to be paid for.

    Attributes:
        weights: number of weights.
        operations: multiply-accumulates an input.
    """

    weights: int
    operations: int


@dataclass(frozen=True)
class PrecisionSpace:
    """Choices of weight bits and activation bits for every layer.

    A point is a tuple of genes: an index into ``weight_bits`` for each layer, then one into
    ``activation_bits`` for each.

    Args:
        layers: their sizes.
        weight_bits, activation_bits: what each layer may have; one activation width takes
            activations out of the search.

    Raises:
        ValueError: nothing to choose from.
    """

    layers: tuple[LayerCost, ...]
    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...] = (2,)

    def __post_init__(self) -> None:
        if not self.layers or not self.weight_bits or not self.activation_bits:
            raise ValueError("a space needs layers, weight bits and activation bits.")

    @property
    def choices(self) -> tuple[int, ...]:
        """Number of alternatives of each gene."""
        count = len(self.layers)
        return (len(self.weight_bits),) * count + (len(self.activation_bits),) * count

    def bits(self, genes: Genes) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Weight bits and activation bits of the layers."""
        count = len(self.layers)
        weights = tuple(self.weight_bits[gene] for gene in genes[:count])
        return weights, tuple(self.activation_bits[gene] for gene in genes[count:])

    def costs(self, genes: Genes) -> tuple[float, ...]:
        """Bits of all weights; bit operations: MACs times weight bits times activation bits."""
        weights, activations = self.bits(genes)
        memory = sum(w * layer.weights for w, layer in zip(weights, self.layers, strict=True))
        operations = sum(
            w * a * layer.operations
            for w, a, layer in zip(weights, activations, self.layers, strict=True)
        )
        return float(memory), float(operations)


class Candidate(NamedTuple):
    """A point that was evaluated.

    Attributes:
        genes: of the space.
        score: higher is better.
        costs: of the space, lower is better.
    """

    genes: Genes
    score: float
    costs: tuple[float, ...]

    def dominates(self, other: Candidate) -> bool:
        """No worse in anything, better in something."""
        no_worse = self.score >= other.score and all(
            a <= b for a, b in zip(self.costs, other.costs, strict=True)
        )
        return no_worse and (self.score, self.costs) != (other.score, other.costs)


def pareto_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other dominates, best score first; of equal ones the first."""
    front: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (-c.score, c.costs)):
        # Whatever dominates this one has been seen: it sorts before.
        if not any(
            f.dominates(candidate) or (f.score, f.costs) == (candidate.score, candidate.costs)
            for f in front
        ):
            front.append(candidate)
    return front


@dataclass
class GeneticSearch:
    """Mutation and uniform crossover of the best, within budgets.

    EQ-Net (arXiv 2308.07650), as in the authors' code: population 100, 500 generations, a quarter
    are parents, half of the children by mutation (each gene with probability 0.1) and half by
    uniform crossover. The parents are the best by score and, for half of them, members of the
    Pareto front. (Our choice, because the paper searches for one budget after the other and we
    return the front.) Children beyond a budget are drawn again; after 20 draws in vain they are
    made cheaper gene by gene until they fit. (Our choice: the paper draws on, which need not end
    under a tight budget.) Points are scored once.

    Args:
        score: of a point; higher is better. A trained predictor, or an evaluation.
        space: anything with ``choices`` and ``costs`` as ``PrecisionSpace`` has; alternatives of
            a gene ascend in cost.
        budget: upper limits of the costs, as many as there are.
        population, generations, parent_share, mutation: see above.
        seed: of all draws.

    Raises:
        ValueError: not even the cheapest point is within the budget.
    """

    score: Callable[[Genes], float]
    space: PrecisionSpace
    budget: tuple[float, ...]
    population: int = 100
    generations: int = 500
    parent_share: float = 0.25
    mutation: float = 0.1
    seed: int = 0
    seen: dict[Genes, Candidate] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        cheapest = (0,) * len(self.space.choices)
        if not self._fits(cheapest):
            raise ValueError(
                f"the cheapest point costs {self.space.costs(cheapest)}, more than {self.budget}."
            )

    def run(self) -> list[Candidate]:
        """Search; all points within the budget that no other one scored dominates."""
        choices = self.space.choices
        cheapest = (0,) * len(choices)
        pool = [self._evaluate(cheapest)]
        while len(pool) < self.population:
            drawn = self._draw(lambda: tuple(self._random.randrange(count) for count in choices))
            pool.append(self._evaluate(drawn))
        parents_wanted = max(2, round(self.parent_share * self.population))
        front: list[Candidate] = []
        for _ in range(self.generations):
            front = pareto_front(front + pool)
            parents = self._parents(pool, front, parents_wanted)
            children = self.population - len(parents)
            bred = [self._child(parents, index < children // 2) for index in range(children)]
            pool = parents + [self._evaluate(genes) for genes in bred]
        return pareto_front(list(self.seen.values()))

    def _parents(
        self, pool: list[Candidate], front: list[Candidate], wanted: int
    ) -> list[Candidate]:
        """Half by score alone, half from the front of all so far."""
        ranked = sorted(set(pool), key=lambda c: (-c.score, c.costs))
        best = ranked[: wanted - wanted // 2]
        return best + self._random.sample(front, min(len(front), wanted // 2))

    def _child(self, parents: list[Candidate], by_mutation: bool) -> Genes:
        if by_mutation:
            return self._draw(lambda: self._mutated(self._random.choice(parents).genes))
        return self._draw(lambda: self._crossed(*self._random.choices(parents, k=2)))

    def _fits(self, genes: Genes) -> bool:
        return all(c <= b for c, b in zip(self.space.costs(genes), self.budget, strict=True))

    def _evaluate(self, genes: Genes) -> Candidate:
        if genes not in self.seen:
            self.seen[genes] = Candidate(genes, self.score(genes), self.space.costs(genes))
        return self.seen[genes]

    def _draw(self, make: Callable[[], Genes]) -> Genes:
        genes = make()
        for _ in range(20):
            if self._fits(genes):
                return genes
            genes = make()
        reduced = list(genes)
        while not self._fits(tuple(reduced)):
            index = self._random.choice([i for i, gene in enumerate(reduced) if gene])
            reduced[index] -= 1
        return tuple(reduced)

    def _mutated(self, genes: Genes) -> Genes:
        return tuple(
            self._random.randrange(count) if self._random.random() < self.mutation else gene
            for gene, count in zip(genes, self.space.choices, strict=True)
        )

    def _crossed(self, first: Candidate, second: Candidate) -> Genes:
        pairs = zip(first.genes, second.genes, strict=True)
        return tuple(self._random.choice(pair) for pair in pairs)
