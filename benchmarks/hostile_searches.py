"""Statements and searches that mean harm by their clauses, operators and bodies.

Those of functions are in ``benchmarks.hostile``. What there is to be searched and aggregated by is
a table here, and a test sees that it is all that the log service takes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from benchmarks.hostile import LONG

_L: Final = LONG
_KINDS: Final = "#, '#'"


def _repeated(item: str, count: int, between: str = ", ") -> str:
    return between.join(item.replace("#", str(number)) for number in range(count))


def _within(before: str, core: str, after: str, count: int) -> str:
    return before * count + core + after * count


OPERATORS: Final[Mapping[str, str]] = {
    "+ - * / %": f"select sum(({_repeated('(n + #) * (n - #) / (n + 1) % 7', 40, ' + ')}))",
    "comparisons": f"select count(*) where {_repeated(f'{_L} <> concat(u, s, #)', 40, ' and ')}",
    "comparison of kinds": f"select count(*) where {_repeated(f'{_L} > n - #', 60, ' and ')}",
    "not": f"select count(*) where {_within('not (', f'{_L} = s', ')', 22)}",
    "or": f"select count(*) where {_repeated(f'{_L} like concat(#, s)', 200, ' or ')}",
    "is null": f"select count(*) where {_repeated(f'concat({_L}, #) is null', 60, ' or ')}",
    "like": f"select count(*) where {_L} like '{'%a_' * 500}%z_'",
    "like backwards": f"select count(*) where {_L} like '{'_%' * 3000}%z'",
    "like of a field": f"select count(*) where {_L} like {_L}",
    "like of wildcards": f"select count(*) where {_L} like replace({_L}, 'a', '%_')",
    "like escape": f"select count(*) where {_L} like '{'%!%_' * 400}%z' escape '!'",
    "regexp": f"select count(*) where {_L} regexp '(a|ab|b)*(a|ab|b)*(a|ab|b)*c'",
    "regexp of a field": f"select count(*) where {_L} regexp s",
    "||": f"select max(length({_repeated(_L, 60, ' || ')}))",
    "between": f"select count(*) where {_repeated(f'{_L} between u and concat(s, #)', 40, ' or ')}",
    "in": f"select count(*) where {_L} in ({_repeated(chr(39) + 'v#' + chr(39), 3000)})",
    "in of fields": f"select count(*) where {_L} in ({_repeated(f'concat({_L}, #)', 60)})",
    "in of kinds": f"select count(*) where n in ({_repeated(_KINDS, 1500)})",
    "in in in": f"select max({_within('if(', 'n', ' in (1, 2), 1, 2)', 14)})",
    "case": "select case " + _repeated(f"when n = # then concat({_L}, '#')", 400, " ")
    + " end as c group by 1 order by 1",
    "case of a subject": f"select count(distinct case {_L} "
    + _repeated("when 'v#' then s", 800, " ") + f" else {_L} end)",
    "if": f"select max({_within('if(n > 1, concat(s, ', _L, '), u)', 24)})",
    "cast": f"select cast({_L} as bigint), cast({_L} as decimal), cast({_L} as varchar),"
    f" cast({_L} as timestamp) order by 3, 4",
    "casts": f"select count(*) where {_within('cast(', _L, ' as varchar)', 45)} is null",
    "->": f"select j->'$.a', `@raw`->'$..a', `@raw`->'$**.b', {_L}->'$[*]' order by 1",
    "-> in ->": f"select max({_within('', 'j', chr(45) + '>' + chr(39) + '$[0]' + chr(39), 20)})",
    "array": f"select array[{_repeated(f'concat({_L}, #)', 100)}] as a order by 1",
    "array of arrays": f"select max(cardinality({_within('array[', _L, f', {_L}]', 12)}))",
    "m[key]": f"select map(array[{_repeated('u || #', 100)}], array[{_repeated(_L, 100)}])[u] as a"
    " order by 1",
    "interval": "select now() + interval 999999999999999 year, n + interval 999999 month",
    "deep": f"select {_within('(', 'n', ')', 49)}",
    "too deep": f"select {_within('(', 'n', ')', 5000)}",
    "too deep, called": f"select {_within('upper(', 's', ')', 4000)}",
    "minus": f"select {'- ' * 10_000}n",
    "nots": f"select count(*) where {'not ' * 8000}n = 1",
}  # fmt: skip
"""Of the SQL part."""

CLAUSES: Final[Mapping[str, str]] = {
    "*": "select *",
    "* sorted": f"select * order by {_L}, `@raw` desc, s, u limit 100000",
    "* grouped": "select * group by " + _repeated("#", 9)[3:],
    "distinct *": "select distinct *",
    "many columns": f"select {_repeated(f'{_L} as c#', 500)}",
    "many wide columns": f"select {_repeated(f'upper(concat({_L}, #)) as c#', 200)}",
    "many columns sorted": f"select {_repeated('n + # as c#', 300)} order by 1",
    "many keys": f"select count(*) group by {_repeated('n % (# + 2)', 200)}",
    "wide keys": f"select count(*) as c group by {_repeated(f'concat({_L}, #)', 20)} order by 1",
    "many aggregates": f"select u, {_repeated('sum(n + #)', 150)} group by u",
    "many distinct": f"select {_repeated('count(distinct concat(u, #))', 100)}",
    "many wide distinct": f"select {_repeated(f'count(distinct concat({_L}, #))', 20)}",
    "each its group": f"select {_L}, u, s, count(*) as c group by 1, 2, 3 order by 4 desc, 1",
    "having": f"select {_L} as k group by 1 having max(concat({_L}, {_L})) > min(s) order by 1",
    "order by many": f"select n order by {_repeated(f'concat({_L}, #)', 40)} limit 100000",
    "limit": f"select {_L}, `@raw`, {_L} limit 100000",
    "offset": f"select {_L} order by {_L} limit 100000 offset 10000000",
    "beyond the limit": "select n limit 999999999999999999999",
    "subqueries": "select count(*) from ("
    + "select concat(a, a) as a from (" * 6 + f"select {_L} as a order by {_L}" + ")" * 7,
    "sorted in subqueries": "select max(a) from ("
    + "select a, b from (" * 5 + f"select {_L} as a, row as b order by {_L}" .replace("row", "s")
    + " limit 100000)" + " order by a desc limit 100000)" * 5,
    "too many subqueries": "select n from (" * 200 + "select n" + ")" * 200,
    "rand": f"select rand(), {_L} order by 1, 2",
    "many rand": f"select {_repeated('rand()', 300)}",
    "running": f"select u, {_L}, rand() as r group by u, {_L} order by r",
    "cross join": "select count(*) from t a cross join t b",
    "join": "select count(*) from (select n) a join (select n) b on true",
    "union": f"select {_L} union all select {_L}",
    "with": "with recursive t as (select 1 union all select 1 from t) select * from t",
    "window": f"select sum(n) over (order by {_L})",
    "exists": "select count(*) where exists (select 1)",
    "range": "select * from range(1000000000000)",
    "repeat": "select repeat('x', 1000000000)",
    "generate_series": "select generate_series(1, 10000000000)",
}  # fmt: skip
"""Of the SQL part, and what it refuses."""

SEARCHES: Final[Mapping[str, str]] = {
    "words": f"match {_repeated('w#', 300, ' or ')}",
    "not words": f"match {_repeated('not w#', 290, ' and ')}",
    "wildcards": f"match {_repeated('a*b?c*#', 299, ' or ')}",
    "long wildcards": f"match {'a?*' * 5000}",
    "phrase": f"match '{_repeated('abcab #', 3000, ' ')}'",
    "fields": f"match {_repeated(f'{_L}:w#', 299, ' or ')}",
    "wildcards of a field": f"match {_repeated(f'{_L}:a*b*c*#', 299, ' and ')}",
    "deep": f"match {_within('(', 'a', ')', 10_000)}",
    "nots": f"match {'not ' * 8000}a",
    "comparisons": f"match {_repeated('n >= #', 299, ' and ')}",
    "ranges": f"match {_repeated('n in [# 1e308)', 299, ' or ')}",
    "piped": f"match {_repeated('w#', 250, ' or ')} | select max({_L}), count(distinct {_L})",
    "everything": "match *",
}
"""Without a select."""

_Body = Mapping[str, object]
_LONG_WORDS: Final = _repeated("w#", 200, " ")

QUERIES: Final[Mapping[str, Sequence[_Body]]] = {
    "match_all": ({},),
    "match_none": ({},),
    "constant_score": ({"filter": {"match": {_L: _LONG_WORDS}}},),
    "bool": (
        {"should": [{"term": {_L: f"v{n}"}} for n in range(299)], "minimum_should_match": "50%"},
        {"must_not": [{"wildcard": {_L: f"*a*b*{n}*"}} for n in range(290)]},
    ),
    "range": ({"n": {"gte": -1e308, "lt": 1e308}}, {_L: {"gte": "a", "lt": "z" * 5000}}),
    "term": ({_L: "a" * 30_000}, {_L: {"value": "A" * 30_000, "case_insensitive": True}}),
    "terms": ({_L: [f"v{n}" for n in range(1000)]}, {"n": list(range(1000))}),
    "match": (
        {_L: _LONG_WORDS},
        {_L: {"query": _LONG_WORDS, "fuzziness": 2}},
        {"@raw": {"query": "abcabc " * 30, "fuzziness": 2, "minimum_should_match": "90%"}},
    ),
    "match_phrase": (
        {_L: _LONG_WORDS},
        {_L: {"query": _LONG_WORDS, "slop": 20}},
        {"@raw": {"query": "abcab abcab abcab abcab", "slop": 20}},
    ),
    "wildcard": ({_L: "*a?" * 300}, {"@raw": {"value": "*A*B" * 200, "case_insensitive": True}}),
    "prefix": ({_L: "a" * 900}, {_L: {"value": "A" * 900, "case_insensitive": True}}),
    "multi_match": (
        {"query": _LONG_WORDS, "fields": ["*", _L, "s", "u", "j"]},
        {"query": _LONG_WORDS, "fields": [_L, "s"], "type": "phrase", "slop": 20},
    ),
    "exists": ({"field": "*"}, {"field": _L}),
    "ids": ({"values": [f"{n}-{n}" for n in range(1000)]},),
    "query_string": (
        {"query": r"/(a|ab|b)*(a|ab|b)*(a|ab|b)*c/"},
        {"query": r"/(.{1,200}a){1,4}/", "fields": [_L]},
        {"query": "*" + "a*" * 400, "analyze_wildcard": True},
        {"query": _within("(", "a", ")", 3000)},
        {"query": f'"{_LONG_WORDS}"~20', "fields": [_L]},
        {"query": _repeated("w#~2", 200, " OR ")},
        {"query": "x:" + "(" * 100 + "1 OR 2" + ")" * 100},
    ),
    "simple_query_string": (
        {"query": _repeated("w#~2", 200, " | ")},
        {"query": f'"{_LONG_WORDS}"~20', "fields": [_L]},
        {"query": _within("(", "a", ")", 3000)},
    ),
}
"""Of an Elasticsearch-compatible search, by their names."""

_TOP: Final = {"top": {"max": {"field": "n"}}}
AGGREGATIONS: Final[Mapping[str, Sequence[_Body]]] = {
    "terms": (
        {"field": "@raw", "size": 10_000},
        {"field": _L, "size": 10_000, "order": {"_key": "desc"}},
        {"field": "u", "size": 10_000, "missing": "x" * 10_000},
        {"field": _L, "include": "(a|ab|b)*(a|ab|b)*c.*", "exclude": ".*(.{1,200}a){1,4}"},
        {"field": _L, "include": [f"v{n}" for n in range(10_000)]},
        {"field": "j", "order": {"top": "desc"}, "size": 10_000},
    ),
    "date_histogram": (
        {"field": "@timestamp", "fixed_interval": "1ms", "min_doc_count": 0},
        {"field": "@timestamp", "calendar_interval": "1m", "time_zone": "America/New_York",
         "extended_bounds": {"min": 0, "max": 253_402_300_799_999}},
    ),
    "histogram": (
        {"field": "n", "interval": 1e-9},
        {"field": "n", "interval": 1, "extended_bounds": {"min": -1e18, "max": 1e18}},
        {"field": _L, "interval": 1, "min_doc_count": 1},
    ),
    "filter": ({"match": {_L: _LONG_WORDS}},),
    "filters": (
        {"filters": {f"f{n}": {"wildcard": {_L: f"*a*{n}*"}} for n in range(90)}},
        {"filters": [{"term": {_L: f"v{n}"}} for n in range(200)], "other_bucket": True},
    ),
    "sampler": ({"shard_size": 10_000},),
    "random_sampler": ({"probability": 0.5, "seed": 1}, {"probability": 1e-9, "seed": 1}),
    **{
        metric: ({"field": _L}, {"field": "@raw"}, {"field": "n", "missing": 1e308})
        for metric in ("value_count", "cardinality", "max", "min", "sum", "avg", "stats")
    },
    "percentiles": (
        {"field": "n", "percents": [n * 2 for n in range(50)]},
        {"field": _L, "percents": [99.999999]},
    ),
}  # fmt: skip
"""Of an Elasticsearch-compatible search, by their types."""
METRICS_HAVE_NONE: Final = frozenset(
    {"value_count", "cardinality", "max", "min", "sum", "avg", "stats", "percentiles"}
)
"""Types that have no aggregations within."""


def statements() -> Iterator[tuple[str, str]]:
    """Names and statements."""
    for group in (OPERATORS, CLAUSES, SEARCHES):
        yield from group.items()


def bodies() -> Iterator[tuple[str, _Body]]:
    """Names and bodies of searches."""
    for name, several in QUERIES.items():
        for number, body in enumerate(several):
            yield f"query {name} {number}", {"query": {name: body}}
            yield (
                f"query {name} {number} sized",
                {
                    "query": {name: body},
                    "size": 0,
                    "aggs": {"t": {"terms": {"field": "u"}}},
                },
            )
            yield (
                f"query {name} {number} marked",
                {
                    "query": {name: body},
                    "size": 20,
                    "highlight": {"fields": {"*": {}}, "fragment_size": 20},
                },
            )
    for name, several in AGGREGATIONS.items():
        for number, body in enumerate(several):
            one: dict[str, object] = {name: body}
            if name not in METRICS_HAVE_NONE:
                one["aggs"] = _TOP
            yield f"aggregation {name} {number}", {"size": 0, "aggs": {"a": one}}
            outer = {"terms": {"field": "u", "size": 1000}, "aggs": {"a": one, **_TOP}}
            yield f"aggregation {name} {number} within", {"size": 0, "aggs": {"o": outer}}
            many = {f"a{n}": one for n in range(20)}
            yield f"aggregation {name} {number} often", {"size": 0, "aggs": many}
    deep: dict[str, object] = dict(_TOP)
    for _ in range(8):
        deep = {"d": {"terms": {"field": _L, "size": 10_000}, "aggs": deep}}
    yield "aggregations, deep", {"size": 0, "aggs": deep}
    yield "all hits", {"size": 1000}
    yield (
        "all hits, marked",
        {
            "size": 1000,
            "query": {"match": {"@raw": "abcab"}},
            "highlight": {"fields": {"*": {}}, "number_of_fragments": 100},
        },
    )
