"""Whatever stands in a search of another product, it is understood or a bad request."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from simulator.api.bls.elastic_aggregations import Aggregator
from simulator.api.bls.elastic_query import Search, parse_query
from simulator.errors import ControlError

WORDS = (
    *("bool", "must", "filter", "should", "must_not", "term", "terms", "match", "range", "exists"),
    *("prefix", "wildcard", "multi_match", "query_string", "match_all", "query", "value", "field"),
    *("gte", "lt", "@timestamp", "status", "fields", "aggs", "max", "stats", "percentiles", "size"),
    *("date_histogram", "fixed_interval", "histogram", "interval", "filters", "sampler", "5m"),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(WORDS), JSON, max_size=3)


@given(OBJECTS)
def test_queries(query: dict[str, object]) -> None:
    with suppress(ControlError):
        assert isinstance(parse_query(query), Search)


@given(OBJECTS)
def test_aggregations(aggregations: dict[str, object]) -> None:
    def run(_search: Search, statement: str) -> list[list[int]]:
        columns = statement.partition(" where ")[0].count(",") + 1
        return [[1] * columns]

    with suppress(ControlError):
        assert isinstance(Aggregator(run).evaluate(Search(), aggregations), dict)
