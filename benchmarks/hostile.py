"""Statements and searches that mean harm: of every function, clause and aggregation there is.

They come from the tables of the log service, so that a function that is added there is in here.
What an argument may be is told by its name in the table's forms; one of another name is an error,
so that nothing is left out in silence. Data only: ``benchmarks.hostile_process`` runs it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from simulator.logstore.functions import BARE_FUNCTIONS, COMPARING, GROUPS, Function

LONG: Final = "l"
"""A field with a long text in the records of the data set ``wide``."""
_TEXTS: Final = (
    "s",
    LONG,
    "`@raw`",
    "lpad(s, 65536, 'ab')",
    f"replace({LONG}, 'a', 'bbbbbbbbbbbbbbbb')",
    f"concat({LONG}, s, {LONG}, `@raw`)",
    "chr(0)",
)
_NUMBERS: Final = (
    "n",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "n * 1000003",
    "-1",
    LONG,
)
_COUNTS: Final = ("3", "65536", "2147483648", "-5", "n", "n * 1000")
_TIMES: Final = (
    "cast(`@timestamp` as timestamp)",
    "s",
    "'9999-12-31T23:59:59Z'",
    "`@timestamp` * n",
    LONG,
)
_UNITS: Final = ("'second'", "'year'")
_ARRAYS: Final = (
    "array[n, n + 1, 3]",
    "array[s, u, 'b']",
    f"array[{LONG}, {LONG}, concat({LONG}, 'x')]",
    "array[" + ", ".join(f"n + {number}" for number in range(150)) + "]",
    "regexp_extract_all(s, '.')",
    f"regexp_extract_all({LONG}, '[a-z]')",
)
_MAPS: Final = (
    "map(array[n, n + 1], array[s, u])",
    f"map(array[n, n + 1], array[{LONG}, s])",
    f"map(regexp_extract_all({LONG}, '..'), regexp_extract_all({LONG}, '..'))",
)
_PATTERNS: Final = (
    "'a.*b'",
    "'(a+)+$'",
    "'(.*a){12}b'",
    "'((a{1,30}){1,30})'",
    "'(x+x+)+y'",
    "'[a-z]{1,200}@[a-z]{1,200}'",
    "'(?i)(?:a|aa|aaa|b|c)*d'",
    "'" + "(" * 300 + "a" + ")" * 300 + "'",
    "concat('(a', s, ')')",
)
_DOCUMENTS: Final = (
    "j",
    f"concat('[', replace(json_format(j), '1', '\"{'x' * 20}\"'), ']')",
    "`@raw`",
    LONG,
    "lpad(']', 60000, '[')",
)
_PATHS: Final = (
    "'$.a'",
    "'$[-1]'",
    "'$" + "[0]" * 200 + "'",
    "'$" + ".a" * 200 + "'",
)
_ADDRESSES: Final = ("ip", "s", LONG, "'255.255.255.255'")
_SUBNETS: Final = ("concat(ip, '/8')", "'0.0.0.0/0'", "concat(ip, '/', n)", LONG)
_FORMATS: Final = ("'%Y-%m-%d %H:%i:%s'", "'" + "%M%W%Y%j%T" * 300 + "'")

_VALUES: Final[Mapping[str, Sequence[str]]] = {
    **dict.fromkeys(("s", "sub", "old", "new", "characters", "filling"), _TEXTS),
    **dict.fromkeys(("x", "y", "v", "a", "b", "k"), (*_TEXTS[:5], *_NUMBERS[:5])),
    **dict.fromkeys(("n", "start", "length", "bits", "code", "digits"), _COUNTS),
    **dict.fromkeys(("weight", "seconds"), ("n", *_NUMBERS)),
    **dict.fromkeys(("keys", "values"), _ARRAYS),
    "p": ("0.5", "0", "1"),
    "condition": ("n > 3", f"{LONG} = concat({LONG}, s)", f"{LONG} like '%a%_b%_c%d%'"),
    "t": _TIMES,
    "unit": _UNITS,
    "format": _FORMATS,
    "interval": ("interval 1 minute", "interval 999999999 year", "interval 1 second"),
    "m": _MAPS,
    "lambda": ("(k, v) -> v is not null", "(k, v) -> concat(k, v, k, v) like '%a%b%'"),
    "path": _PATHS,
    "pattern": _PATTERNS,
    "ip": _ADDRESSES,
    "subnet": _SUBNETS,
    "inner": _SUBNETS,
    "shares": ("array[0.5]", "array[" + ", ".join(["0.1"] * 200) + "]"),
    "*": ("*",),
}
_OF_FUNCTION: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "array_distinct": {"a": _ARRAYS},
    "cardinality": {"x": (*_ARRAYS, *_MAPS, f"approx_set({LONG})", f"histogram({LONG})")},
    "date_diff": {"a": _TIMES, "b": _TIMES},
    "round": {"digits": ("2", "-300", "300")},
    "from_unixtime": {"seconds": _NUMBERS},
    "pow": {"p": _NUMBERS},
    **{name: {"s": _DOCUMENTS} for name in GROUPS["JSON"]},
}
_INNER: Final = f"select {LONG}, s, n, u, j, ip, `@timestamp`, `@raw` order by {LONG}, u"
_LAST_VARIED: Final = 3
"""Of many arguments, the last to be made as bad as can be, beside the last of all."""
_MORE: Final = 19
"""Times that the last argument is repeated, where it may be."""


def calls(name: str, function: Function) -> Iterator[str]:
    """Calls of a function: one that should be answered, then each argument as bad as can be.

    Raises:
        LookupError: it is not known what an argument may be.
    """
    for form in _forms(name, function.form):
        values = [_values_of(name, argument) for argument in form]
        plain = [one[0] for one in values]
        yield _written(name, plain)
        for place, several in enumerate(values):
            if _LAST_VARIED < place < len(values) - 1:
                continue
            for value in several[1:]:
                yield _written(name, [*plain[:place], value, *plain[place + 1 :]])
        if len(values) > 1:
            yield _written(name, [one[-1] for one in values])
            yield _written(name, [one[min(3, len(one) - 1)] for one in values])


def selects(name: str, function: Function) -> Iterator[str]:
    """Statements with a function in every place that it may stand in."""
    every = list(dict.fromkeys(calls(name, function)))
    if name in COMPARING:
        for seconds in ("60", "60, " * 8 + "60", "315619200", "-1", "0"):
            yield f"select {name}(c, {seconds}) from (select count(*) as c)"
            yield f"select u, {name}(c, {seconds}) from (select u, max({LONG}) as c group by u)"
        return
    if name == "approx_set":
        every = [f"cardinality({call})" for call in every]
    worst = every[-1]
    if function.aggregate:
        yield from (f"select {call} as v" for call in every)
        yield from (f"select u, {call} as v group by u" for call in every[:3])
        yield f"select n % 7, {worst} as v group by 1 having {worst} is not null order by 2"
        yield _many(worst)
        return
    yield from (f"select count(v) from (select {call} as v)" for call in every)
    yield f"select {every[0]} as v"
    for call in dict.fromkeys((every[len(every) // 2], worst)):
        yield f"select {call} as v"
        yield f"select {call} as v, count(*) group by 1"
        yield f"select {call} as v, n order by 1 desc limit 100000"
        yield f"select distinct {call} as v order by 1"
        yield f"select max({call}), min({call}), count(distinct {call}) where {call} is not null"
        yield f"select {call} as v from ({_INNER}) group by 1 order by 1 limit 100000"
    yield _many(worst)
    yield _nested(name, function)


def every_function() -> Iterator[tuple[str, str, Function]]:
    """Every function with its group, those of one name apart."""
    for group, functions in GROUPS.items():
        for name, function in functions.items():
            yield group, name, function


def _many(call: str) -> str:
    """A call sixty times, each a little different."""
    items = (
        re.sub(rf"\b{LONG}\b", f"concat({LONG}, '{number}')", call, count=1)
        if re.search(rf"\b{LONG}\b", call)
        else re.sub(r"\bn\b", f"(n + {number})", call, count=1)
        for number in range(60)
    )
    return "select " + ", ".join(f"{item} as c{number}" for number, item in enumerate(items))


def _nested(name: str, function: Function) -> str:
    """A call within its own first argument, as often as it may be."""
    form = next(_forms(name, function.form))
    values = [_values_of(name, argument)[0] for argument in form]
    call = _written(name, values)
    for _ in range(20 if values else 0):
        call = _written(name, [call, *values[1:]])
    return f"select count(v) from (select {call} as v)"


def _written(name: str, values: Sequence[str]) -> str:
    if name in BARE_FUNCTIONS and not values:
        return name
    return f"{name}({', '.join(values)})"


def _values_of(name: str, argument: str) -> Sequence[str]:
    distinct = argument.startswith("distinct ")
    argument = argument.removeprefix("distinct ")
    found = _OF_FUNCTION.get(name, {}).get(argument) or _VALUES.get(argument)
    if found is None:
        raise LookupError(
            f"{name}: it is not known what harm the argument {argument!r} can do; say it in"
            " benchmarks/hostile.py, in _VALUES"
        )
    return [f"distinct {one}" for one in found] if distinct else found


def _forms(name: str, text: str) -> Iterator[list[str]]:
    """The arguments of each way to call a function, by their names in the table."""
    text = text.replace("array[p, ...]", "shares").replace("interval n unit", "interval")
    text = re.sub(r"\(k, v\) -> condition", "lambda", text)
    found = re.findall(rf"\b{name}\(([^()]*)\)", text)
    if not found:
        yield []
    for inside in found:
        if re.search(r"\b(from|for|in)\b", inside):
            continue  # another spelling of the same
        shortest = inside
        while "[" in shortest:
            shortest = re.sub(r"\[[^\[\]]*\]", "", shortest)
        for spelled in dict.fromkeys((shortest, re.sub(r"[\[\]]", "", inside))):
            arguments = [one.strip() for one in spelled.split(",") if one.strip()]
            if "..." in arguments:
                yield arguments[:-1]
                arguments = arguments[:-1] + [arguments[-2].removeprefix("distinct ")] * (
                    _MORE - len(arguments)
                )
            yield arguments
