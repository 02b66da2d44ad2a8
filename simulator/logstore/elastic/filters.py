"""Aggregations that pick records: ``filter``, ``filters``, ``sampler``, ``random_sampler``.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for their names; their
parameters and defaults are Elasticsearch's (assumed).
"""

from dataclasses import dataclass
from typing import Final

from simulator.logstore.elastic.document import Node
from simulator.logstore.elastic.queries import QueryParser
from simulator.logstore.elastic.tree import Query

MAX_FILTERS: Final = 100
_SEED_LIMIT: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The newest records of a bucket."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSample:
    """A share of the records, by chance."""

    probability: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The records that a query finds."""

    query: Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """A bucket for each of several queries."""

    queries: tuple[tuple[str, Query], ...]
    keyed: bool
    """Whether buckets are shown by name."""
    named: bool
    """Whether they have names at all."""
    other: str | None
    """Name of the bucket of what none of them finds; None without."""


def parse_sampler(node: Node) -> Sample:
    """The aggregation that a body describes."""
    members = node.object(frozenset({"shard_size"}))
    size = members["shard_size"].whole(1, 1_000_000) if "shard_size" in members else 100
    return Sample(size=size)


def parse_random_sampler(node: Node) -> RandomSample:
    """The aggregation that a body describes."""
    members = node.object(frozenset({"probability", "seed", "shard_seed"}))
    if "probability" not in members:
        raise node.refuse("probability is required")
    probability = float(members["probability"].number())
    if not (1e-6 <= probability <= 0.5 or probability == 1):
        raise members["probability"].refuse("expected a number from 0 to 0.5, or 1")
    seed = members["seed"].whole(-_SEED_LIMIT - 1, _SEED_LIMIT) if "seed" in members else 0
    return RandomSample(probability=probability, seed=seed)


def _numbered(node: Node) -> tuple[tuple[str, Node], ...]:
    return tuple((str(index), one) for index, one in enumerate(node.items()))


def parse_filters(node: Node, queries: QueryParser) -> Filters:
    """The aggregation that a body describes."""
    members = node.object(frozenset({"filters", "other_bucket", "other_bucket_key", "keyed"}))
    filters = members.get("filters")
    if filters is None:
        raise node.refuse("filters is required")
    named = not isinstance(filters.value, list)
    listed = tuple(filters.object().items()) if named else _numbered(filters)
    if not 1 <= len(listed) <= MAX_FILTERS:
        raise filters.refuse(f"expected 1 to {MAX_FILTERS} filters")
    other: str | None = None
    if "other_bucket_key" in members:
        other = members["other_bucket_key"].text()
    elif "other_bucket" in members and members["other_bucket"].flag():
        other = "_other_"
    return Filters(
        queries=tuple((name, queries.parse(query)) for name, query in listed),
        keyed=named and not ("keyed" in members and not members["keyed"].flag()),
        named=named,
        other=other,
    )
