"""Random statements and searches, most of which make sense."""

from hypothesis import strategies as st

from simulator.logstore.functions import FUNCTIONS

FIELDS = ("host", "status", "cost", "ok", "n.d", "`@raw`", "@timestamp", "`@stream`", "nothing")
LITERALS = (
    "0", "1", "-1", "2.5", "1e300", "9223372036854775807", "(-9223372036854775807 - 1)",
    "'9999-12-31T23:00:00Z'", "'0001-01-01'", "'$..a'", "'$.*[-1]'",
    "'a'", "''", "'2026-03-01T00:00:00Z'",
    "'{\"a\":[1]}'", "'%Y-%m-%d'", "'$.a'", "'day'", "'10.0.0.1'", "'10.0.0.0/8'", "'('", "'中'",
    "null", "true", "array[1,2]", "array['a']", "map()", "map(array[1],array['x'])",
)  # fmt: skip
OPERATORS = (
    "+", "-", "*", "/", "%", "=", "!=", "<", ">=", "and", "or", "like", "||", "regexp", "mod",
)  # fmt: skip
WORDS = ("error", "a*", "b?c", "*", "host", "x'", '"', "5", "and", "中文", "\\", "a.b", "(", "-")


def expressions() -> st.SearchStrategy[str]:
    """Expressions of the SQL part."""
    return st.recursive(
        st.sampled_from(FIELDS) | st.sampled_from(LITERALS),
        lambda inner: st.one_of(
            st.builds(
                _call,
                st.sampled_from(sorted(FUNCTIONS)),
                st.lists(inner, min_size=4, max_size=4),
                st.integers(0, 3),
            ),
            st.builds("({} {} {})".format, inner, st.sampled_from(OPERATORS), inner),
            st.builds("(not {})".format, inner),
            st.builds("(- {})".format, inner),
            st.builds("({} is null)".format, inner),
            st.builds("({} in ({}, {}))".format, inner, inner, inner),
            st.builds("({} between {} and {})".format, inner, inner, inner),
            st.builds("case when {} then {} else {} end".format, inner, inner, inner),
            st.builds("if({}, {}, {})".format, inner, inner, inner),
            st.builds(
                "cast({} as {})".format,
                inner,
                st.sampled_from(("bigint", "decimal", "varchar", "timestamp")),
            ),
            st.builds("{}[{}]".format, inner, inner),
            st.builds("({})->'$.a'".format, inner),
            st.builds("histogram({}, interval 5 minute)".format, inner),
            st.builds("({} + interval '3' days)".format, inner),
            st.builds("({} not like 'a!%%' escape '!')".format, inner),
            st.builds("trim(leading {} from {})".format, inner, inner),
            st.builds("substring({} from {} for {})".format, inner, inner, inner),
            st.builds("extract(hour from {})".format, inner),
            st.builds("position({} in {})".format, inner, inner),
            st.builds("count(distinct {}, {})".format, inner, inner),
            st.builds("map_filter({}, (k, v) -> {})".format, inner, inner),
        ),
        max_leaves=12,
    )


def statements() -> st.SearchStrategy[str]:
    """Statements of the SQL part, with subqueries."""
    simple = st.builds(_select, expressions(), expressions(), st.sampled_from(_TAILS))
    return st.one_of(
        simple,
        st.builds("select * from ({})".format, simple),
        st.builds("select {} as z from ({}) t where {} > 0".format, _OUTER, simple, _OUTER),
        st.builds("match host:a* | {}".format, simple),
        st.builds("select compare(x, 60) from ({})".format, simple),
    )


def searches() -> st.SearchStrategy[str]:
    """Searches, after the word ``match``."""
    words = st.sampled_from(WORDS)
    term = st.one_of(
        words,
        st.builds("{}:{}".format, st.sampled_from(FIELDS), words),
        st.builds('"{} {}"'.format, words, words),
        st.builds("'{} {}'".format, words, words),
        st.builds(
            "{} {} {}".format, st.sampled_from(FIELDS), st.sampled_from("= < >= > <="), words
        ),
        st.builds("{} in [{} 9)".format, st.sampled_from(FIELDS), words),
    )
    return st.recursive(
        term,
        lambda inner: st.one_of(
            st.builds("({} and {})".format, inner, inner),
            st.builds("{} or {}".format, inner, inner),
            st.builds("not {}".format, inner),
            st.builds("{} {}".format, inner, inner),
        ),
        max_leaves=8,
    )


_TAILS = (
    "", " limit 5", " where status > 0", " group by x", " group by 1", " order by y desc",
    " group by x having count(*) > 0 order by 1 nulls last limit 1, 2",
    " where @timestamp > 0 limit 3",
)  # fmt: skip
_OUTER = st.sampled_from(("x", "y", "count(*)", "t.x", "max(x)", "first(y)", "x[1]"))


def _call(name: str, arguments: list[str], more: int) -> str:
    function = FUNCTIONS[name]
    count = min(function.least + more, 4 if function.most is None else function.most)
    return f"{name}({', '.join(arguments[:count])})"


def _select(one: str, other: str, tail: str) -> str:
    return f"select {one} as x, {other} as y{tail}"
