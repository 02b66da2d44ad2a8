"""Text functions of the SQL part.

A text that would grow beyond ``MAX_TEXT`` becomes NULL, so that no statement can fill the memory.
Bounds stand within an argument, since DuckDB evaluates a call of constants wherever it stands.
Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu unless a function says otherwise.
"""

from collections.abc import Mapping
from typing import Final

from simulator.logstore.calls import MAX_TEXT, Call, Function, Write, of_texts, scalar
from simulator.logstore.typed import Kind, Typed, as_text, as_whole

MAX_DISTANCE_CELLS: Final = 250_000
"""Product of the lengths that an edit distance is computed for. Source: assumed (a bound)."""


def _concat(call: Call) -> Typed:
    """NULL if any argument is NULL, as in MySQL (assumed)."""
    return Typed("(" + " || ".join(as_text(value) for value in call.values()) + ")", Kind.STRING)


def _substring(call: Call) -> Typed:
    """From 1; negative from the end; nothing from 0 (assumed)."""
    numbers = [f"TRY_CAST({as_whole(value)} AS INTEGER)" for value in call.values()[1:]]
    arguments = ", ".join((call.text(0), *numbers))
    return Typed(f"CASE WHEN {numbers[0]} = 0 THEN '' ELSE substring({arguments}) END", Kind.STRING)


def _replace(call: Call) -> Typed:
    text, old, new = (as_text(value) for value in call.values())
    literals = [argument.literal for argument in call.arguments[1:]]
    if all(isinstance(one, str) for one in literals):
        before, after = (len(str(one)) for one in literals)
        if before >= after:
            return Typed(f"replace({text}, {old}, {new})", Kind.STRING)
    bound = f"length({text}) * greatest(length({new}), 1) <= {MAX_TEXT}"
    return Typed(f"replace(CASE WHEN {bound} THEN {text} END, {old}, {new})", Kind.STRING)


def _padded(call: Call) -> Typed:
    """A text that is too long is cut, as in MySQL; NULL for an empty filling (assumed)."""
    length = f"TRY_CAST({as_whole(call.value(1))} AS INTEGER)"
    bounded = f"CASE WHEN {length} BETWEEN 0 AND 65536 THEN {length} END"
    filling = f"nullif({call.text(2)}, '')"
    return Typed(f"{call.name}({call.text(0)}, {bounded}, {filling})", Kind.STRING)


def _chr(call: Call) -> Typed:
    """NULL for what is no character."""
    code = f"TRY_CAST({as_whole(call.value(0))} AS INTEGER)"
    bound = f"{code} BETWEEN 1 AND 55295 OR {code} BETWEEN 57344 AND 1114111"
    return Typed(f"chr(CASE WHEN {bound} THEN {code} END)", Kind.STRING)


def _distance(call: Call) -> Typed:
    one, other = (as_text(value) for value in call.values())
    bound = f"length({one}) * length({other}) <= {MAX_DISTANCE_CELLS}"
    return Typed(f"levenshtein(CASE WHEN {bound} THEN {one} END, {other})", Kind.INT)


def _capitalize(call: Call) -> Typed:
    """The first letter of every word, words being divided by blanks; the rest stays."""
    words = f"string_split({call.text(0)}, ' ')"
    return Typed(
        f"array_to_string(list_transform({words}, lambda w: upper(w[1]) || w[2:]), ' ')",
        Kind.STRING,
    )


def _trimmed(call: Call) -> Typed:
    """Without blanks at its ends, or without any of some characters, as in Presto (assumed)."""
    arguments = ", ".join(as_text(value) for value in call.values())
    return Typed(f"{call.name}({arguments})", Kind.STRING)


def _found(place: int, within: int) -> Write:
    """The place of one argument in another, from 1; 0 where it is not."""

    def write(call: Call) -> Typed:
        return Typed(f"strpos({call.text(within)}, {call.text(place)})", Kind.INT)

    return write


TEXTS: Final[Mapping[str, Function]] = {
    "capitalize": scalar("capitalize(s)", 1, 1, _capitalize),
    "chr": scalar("chr(code)", 1, 1, _chr),
    "codepoint": scalar("codepoint(s)", 1, 1, of_texts("nullif(unicode({0}), -1)", Kind.INT)),
    "concat": scalar("concat(a, b, ...)", 1, None, _concat),
    "length": scalar("length(s)", 1, 1, of_texts("length({0})", Kind.INT)),
    "levenshtein_distance": scalar("levenshtein_distance(a, b)", 2, 2, _distance),
    "locate": scalar("locate(sub, s)", 2, 2, _found(0, 1)),
    "lower": scalar("lower(s)", 1, 1, of_texts("lower({0})")),
    "lpad": scalar("lpad(s, n, filling)", 3, 3, _padded),
    "ltrim": scalar("ltrim(s[, characters])", 1, 2, _trimmed),
    "normalize": scalar("normalize(s)", 1, 1, of_texts("nfc_normalize({0})")),
    "position": scalar("position(sub, s), position(sub in s)", 2, 2, _found(0, 1)),
    "regexp_extract": scalar(
        "regexp_extract(s, pattern)", 2, 2, of_texts("nullif(regexp_extract({0}, {1}), '')")
    ),
    "regexp_extract_all": scalar(
        "regexp_extract_all(s, pattern)",
        2,
        2,
        lambda call: Typed(
            f"regexp_extract_all({call.text(0)}, {call.text(1)})", Kind.ARRAY, Kind.STRING
        ),
    ),
    "regexp_like": scalar(
        "regexp_like(s, pattern)", 2, 2, of_texts("regexp_matches({0}, {1})", Kind.BOOL)
    ),
    "replace": scalar("replace(s, old, new)", 3, 3, _replace),
    "reverse": scalar("reverse(s)", 1, 1, of_texts("reverse({0})")),
    "rpad": scalar("rpad(s, n, filling)", 3, 3, _padded),
    "rtrim": scalar("rtrim(s[, characters])", 1, 2, _trimmed),
    "strpos": scalar("strpos(s, sub)", 2, 2, _found(1, 0)),
    "substr": scalar("substr(s, start[, length])", 2, 3, _substring),
    "substring": scalar(
        "substring(s, start[, length]), substring(s [from start] [for length])", 2, 3, _substring
    ),
    "to_utf8": scalar("to_utf8(s)", 1, 1, of_texts("to_base64(encode({0}))")),
    "trim": scalar(
        "trim(s[, characters]), trim([both|leading|trailing] [characters] from s)", 1, 2, _trimmed
    ),
    "upper": scalar("upper(s)", 1, 1, of_texts("upper({0})")),
}
