"""What other dialects of SQL have and this one has not, with what serves in its place."""

from collections.abc import Mapping
from typing import Final

from sqlglot import exp

_NO_BITS: Final = "there are no operators on bits"
_NO_TYPE: Final = "a cast goes to BIGINT, DECIMAL, VARCHAR or TIMESTAMP, not to {}"
_FROM_ONLY: Final = "a subquery can stand after `from` only"

INSTEAD_OF_FUNCTION: Final[Mapping[str, str]] = {
    "any_value": "arbitrary",
    "approx_distinct": "cardinality(approx_set(x))",
    "array_agg": "group_array",
    "ceiling": "ceil",
    "char": "chr",
    "char_length": "length",
    "character_length": "length",
    "concat_ws": "concat",
    "contains": "json_array_contains or regexp_like",
    "convert": "cast(x as type)",
    "convert_tz": "from_unixtime(seconds), which is at +08:00",
    "countif": "count_if",
    "curdate": "current_date",
    "curtime": "localtime",
    "date_format": "from_unixtime(unix_timestamp(t), format)",
    "date_parse": "str_to_date",
    "date_sub": "date_add(unit, -n, t) or t - interval n unit",
    "datediff": "date_diff('day', b, a)",
    "dayname": "from_unixtime(unix_timestamp(t), '%W')",
    "element_at": "m['key']",
    "format_datetime": "from_unixtime(unix_timestamp(t), format)",
    "group_concat": "group_array",
    "ifnull": "coalesce",
    "instr": "strpos(s, sub)",
    "isnull": "x is null",
    "json_contains": "json_array_contains",
    "json_length": "json_size",
    "json_unquote": "json_extract_scalar",
    "json_value": "json_extract_scalar",
    "lcase": "lower",
    "left": "substr(s, 1, n)",
    "log2": "log",
    "median": "approx_percentile(x, 0.5)",
    "mid": "substr",
    "mod": "the operator %",
    "monthname": "from_unixtime(unix_timestamp(t), '%M')",
    "ntile": "percentile_rank",
    "nvl": "coalesce",
    "overlay": "concat and substr",
    "parse_datetime": "str_to_date",
    "power": "pow",
    "quantile": "approx_percentile",
    "random": "rand",
    "regexp": "regexp_like",
    "regexp_count": "cardinality(regexp_extract_all(s, pattern))",
    "regexp_replace": "replace, or regexp_extract",
    "regexp_substr": "regexp_extract",
    "right": "substr(s, -n)",
    "size": "cardinality",
    "split": "regexp_extract_all(s, pattern)",
    "split_part": "regexp_extract(s, pattern)",
    "string_agg": "group_array",
    "sysdate": "now",
    "time_bucket": "histogram",
    "timestampadd": "date_add(unit, n, t)",
    "timestampdiff": "date_diff(unit, a, b)",
    "to_date": "date or str_to_date",
    "to_timestamp": "cast(x as timestamp)",
    "to_unixtime": "unix_timestamp",
    "truncate": "round(x, digits) or floor",
    "try_cast": "cast, which gives NULL for what cannot be converted",
    "ucase": "upper",
    "utc_timestamp": "now",
    "week": "date_trunc('week', t)",
}
"""What serves in place of a function that is missing, where its name does not show it."""

INSTEAD_OF_WORD: Final[Mapping[str, str]] = {
    "current_time": "localtime",
    "localtimestamp": "current_timestamp",
}
"""The same for those that are called without brackets."""

_INSTEAD_OF_NODE: Final[Mapping[type[exp.Expr], str]] = {
    exp.Alias: "a name after `as` stands for a whole item of the select only",
    exp.AtTimeZone: "times have no zone: from_unixtime(unix_timestamp(t)) shows one at +08:00",
    exp.BitwiseAnd: _NO_BITS,
    exp.BitwiseLeftShift: _NO_BITS,
    exp.BitwiseNot: _NO_BITS,
    exp.BitwiseOr: _NO_BITS,
    exp.BitwiseRightShift: _NO_BITS,
    exp.BitwiseXor: f"{_NO_BITS}; for powers use pow(x, p)",
    exp.BitString: "numbers are decimal",
    exp.Collate: "there is no `collate`: lower(s) makes texts alike",
    exp.HexString: "numbers are decimal",
    exp.Distinct: "distinct stands after select, or first in count, sum and avg",
    exp.Exists: _FROM_ONLY,
    exp.Filter: "there is no `filter`: use count_if(condition) or sum(if(condition, x, 0))",
    exp.ILike: "there is no `ilike`: use lower(s) like pattern",
    exp.IntDiv: "there is no `div`: use floor(a / b)",
    exp.Interval: "an interval stands beside + or -, or in histogram(t, interval n unit)",
    exp.NullSafeEQ: "use a = b or (a is null and b is null)",
    exp.NullSafeNEQ: "use a != b, with `is null` for what is missing",
    exp.Order: "there is no `order by` within a call: group_array, first and last go by time",
    exp.Select: _FROM_ONLY,
    exp.SimilarTo: "use regexp_like(s, pattern)",
    exp.Subquery: _FROM_ONLY,
    exp.Union: _FROM_ONLY,
    exp.Window: "there are no window functions: group in a subquery",
    exp.WithinGroup: "use approx_percentile(x, p)",
    exp.Xor: "there is no `xor`: use (a or b) and not (a and b)",
}

_INSTEAD_OF_TYPE: Final[Mapping[exp.DType, str]] = {
    exp.DType.BOOLEAN: "compare with a value",
    exp.DType.DATE: "date(t) gives the date as text, timestamp '2020-01-31' an instant",
    exp.DType.DATETIME: "use TIMESTAMP",
    exp.DType.JSON: "json_parse(s) gives what is JSON",
    exp.DType.TIME: "from_unixtime(unix_timestamp(t), '%T') gives the time of day as text",
    **dict.fromkeys(
        (
            exp.DType.MEDIUMINT,
            exp.DType.SMALLINT,
            exp.DType.TINYINT,
            exp.DType.UBIGINT,
            exp.DType.UINT,
        ),
        "use BIGINT",
    ),
}


def describe_node(node: exp.Expr) -> str:
    """That ``node`` cannot stand where it stands, and what there is instead."""
    instead = _INSTEAD_OF_NODE.get(type(node))
    return instead or f"`{type(node).__name__.lower()}` is not supported here"


def describe_type(type_: exp.DataType) -> str:
    """That nothing is cast to ``type_``, and what there is instead."""
    name = type_.this.value if isinstance(type_.this, exp.DType) else "what is given"
    instead = _INSTEAD_OF_TYPE.get(type_.this)
    return _NO_TYPE.format(name) + (f"; {instead}" if instead else "")
