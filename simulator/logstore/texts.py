"""Text functions of the SQL part.

A text that would grow too long ends the statement, which names the function and its bound. How
long it can be at all is said of each function that makes it longer; see ``footprint``.
Bounds stand within an argument, since DuckDB evaluates a call of constants wherever it stands.
Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu unless a function says otherwise.
"""

from collections.abc import Mapping
from typing import Final

from simulator.logstore.calls import (
    MAX_GROWN_BYTES,
    Call,
    Function,
    Write,
    of_texts,
    scalar,
)
from simulator.logstore.footprint import ELEMENT_BYTES, text_width, too_large
from simulator.logstore.patterns import checked_pattern
from simulator.logstore.typed import Kind, Typed, as_text, as_whole
from simulator.logstore.widths import of

MAX_DISTANCE_CELLS: Final = 250_000
"""Product of the lengths that an edit distance is computed for. Source: assumed (a bound)."""
MAX_PADDED: Final = 65_536
"""Characters that a text is padded to. Source: assumed (a bound against abuse)."""
_BYTES: Final = 4
"""Of a character, at most."""
_CASED: Final = 1.5
"""A letter in the other case has so many bytes for one, at most."""
_COMPOSED: Final = 3
"""What is normalized has so many bytes for one, at most."""
_ENCODED: Final = 1.4
"""What is in base64 has so many bytes for one."""
_SPLIT: Final = 20
"""A text in its parts, of a character each, takes so many bytes for one."""


def _as_wide(template: str, factor: float = 1) -> Write:
    """A function of one text, whose result has so many bytes for one of it."""

    def write(call: Call) -> Typed:
        width = text_width(call.value(0)) * factor
        texts = (as_text(value) for value in call.values())
        return Typed(template.format(*texts), Kind.STRING, width=width)

    return write


def _concat(call: Call) -> Typed:
    """NULL if any argument is NULL, as in MySQL (assumed)."""
    return Typed("(" + " || ".join(as_text(value) for value in call.values()) + ")", Kind.STRING)


def _substring(call: Call) -> Typed:
    """From 1; negative from the end.

    Nothing from 0, from before the text, and of less than one character, as in MySQL (assumed).
    """
    text = call.text(0)
    start, *lengths = [f"TRY_CAST({as_whole(value)} AS INTEGER)" for value in call.values()[1:]]
    length = "".join(f", CASE WHEN {one} < 0 THEN 0 ELSE {one} END" for one in lengths)
    nothing = f"substring({text}, 1, 0{''.join(f' * {one}' for one in lengths)})"
    literal = call.arguments[1].literal
    part = f"substring({text}, {start}{length})"
    if not (isinstance(literal, int) and literal > 0):
        outside = f"{start} = 0 OR {start} < -length({text})"
        part = f"CASE WHEN {outside} THEN {nothing} ELSE {part} END"
    return Typed(part, Kind.STRING, width=text_width(call.value(0)))


def _replace(call: Call) -> Typed:
    text, old, new = (as_text(value) for value in call.values())
    wide = text_width(call.value(0))
    before, after = (call.arguments[index].literal for index in (1, 2))
    factor = float(MAX_GROWN_BYTES)
    if isinstance(before, str) and isinstance(after, str):
        lengths = len(before.encode()), len(after.encode())
        if lengths[0] >= lengths[1]:
            return Typed(f"replace({text}, {old}, {new})", Kind.STRING, width=wide)
        factor = lengths[1] / max(1, lengths[0])
    elif isinstance(after, str):
        factor = max(1.0, len(after.encode()))
    times = f"(strlen({text}) - strlen(replace({text}, {old}, ''))) // nullif(strlen({old}), 0)"
    growth = f"{times} * (strlen({new}) - strlen({old}))"
    refused = too_large(call.name, f"a text that becomes {MAX_GROWN_BYTES} bytes longer")
    bounded = f"CASE WHEN {growth} > {MAX_GROWN_BYTES} THEN {refused} ELSE {text} END"
    width = (wide * (factor - 1)).at_most(MAX_GROWN_BYTES) + wide
    return Typed(f"replace({bounded}, {old}, {new})", Kind.STRING, width=width)


def _padded(call: Call) -> Typed:
    """A text that is too long is cut, as in MySQL; NULL for an empty filling (assumed)."""
    filling, wanted = call.arguments[2].literal, call.arguments[1].literal
    per_character = _BYTES
    if isinstance(filling, str):
        per_character = max((len(one.encode()) for one in filling), default=1)
    length = f"TRY_CAST({as_whole(call.value(1))} AS INTEGER)"
    most = MAX_GROWN_BYTES // per_character
    if isinstance(wanted, int | float):
        if wanted > MAX_PADDED:
            raise call.refuse(f"expected at most {MAX_PADDED} characters")
        most = max(0, int(wanted) + 1)
    refused = too_large(call.name, f"a text of more than {most} characters")
    bounded = f"CASE WHEN {length} > {most} THEN {refused} WHEN {length} >= 0 THEN {length} END"
    width = text_width(call.value(0)) + of(most * per_character)
    padded = f"{call.name}({call.text(0)}, {bounded}, nullif({call.text(2)}, ''))"
    return Typed(padded, Kind.STRING, width=width)


def _chr(call: Call) -> Typed:
    """NULL for what is no character."""
    code = f"TRY_CAST({as_whole(call.value(0))} AS INTEGER)"
    bound = f"{code} BETWEEN 1 AND 55295 OR {code} BETWEEN 57344 AND 1114111"
    return Typed(f"chr(CASE WHEN {bound} THEN {code} END)", Kind.STRING, width=of(_BYTES))


def _distance(call: Call) -> Typed:
    one, other = (as_text(value) for value in call.values())
    cells = f"length({one}) * length({other})"
    refused = too_large(
        call.name, f"texts whose lengths multiply to more than {MAX_DISTANCE_CELLS}"
    )
    bounded = f"CASE WHEN {cells} > {MAX_DISTANCE_CELLS} THEN {refused} ELSE {one} END"
    return Typed(f"levenshtein({bounded}, {other})", Kind.INT)


def _capitalize(call: Call) -> Typed:
    """The first letter of every word, words being divided by blanks; the rest stays."""
    words = f"string_split({call.text(0)}, ' ')"
    return Typed(
        f"array_to_string(list_transform({words}, lambda w: upper(w[1]) || w[2:]), ' ')",
        Kind.STRING,
        # The words stand apart on the way, twice.
        width=text_width(call.value(0)) * (2 * _SPLIT),
    )


def _trimmed(call: Call) -> Typed:
    """Without blanks at its ends, or without any of some characters, as in Presto (assumed)."""
    arguments = ", ".join(as_text(value) for value in call.values())
    return Typed(f"{call.name}({arguments})", Kind.STRING, width=text_width(call.value(0)))


def _matches(call: Call) -> Typed:
    text, pattern = call.text(0), checked_pattern(call, 1)
    return Typed(f"regexp_matches({text}, {pattern})", Kind.BOOL)


def _extracted(call: Call) -> Typed:
    """NULL where nothing is found."""
    text, pattern = call.text(0), checked_pattern(call, 1)
    found = f"nullif(regexp_extract({text}, {pattern}), '')"
    return Typed(found, Kind.STRING, width=text_width(call.value(0)))


def _all_extracted(call: Call) -> Typed:
    text, pattern = call.text(0), checked_pattern(call, 1)
    width = text_width(call.value(0)) * _SPLIT + of(ELEMENT_BYTES)
    found = f"regexp_extract_all({text}, {pattern})"
    return Typed(found, Kind.ARRAY, Kind.STRING, width=width)


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
    "lower": scalar("lower(s)", 1, 1, _as_wide("lower({0})", _CASED)),
    "lpad": scalar("lpad(s, n, filling)", 3, 3, _padded),
    "ltrim": scalar("ltrim(s[, characters])", 1, 2, _trimmed),
    "normalize": scalar("normalize(s)", 1, 1, _as_wide("nfc_normalize({0})", _COMPOSED)),
    "position": scalar("position(sub, s), position(sub in s)", 2, 2, _found(0, 1)),
    "regexp_extract": scalar("regexp_extract(s, pattern)", 2, 2, _extracted),
    "regexp_extract_all": scalar("regexp_extract_all(s, pattern)", 2, 2, _all_extracted),
    "regexp_like": scalar("regexp_like(s, pattern)", 2, 2, _matches),
    "replace": scalar("replace(s, old, new)", 3, 3, _replace),
    "reverse": scalar("reverse(s)", 1, 1, _as_wide("reverse({0})")),
    "rpad": scalar("rpad(s, n, filling)", 3, 3, _padded),
    "rtrim": scalar("rtrim(s[, characters])", 1, 2, _trimmed),
    "strpos": scalar("strpos(s, sub)", 2, 2, _found(1, 0)),
    "substr": scalar("substr(s, start[, length])", 2, 3, _substring),
    "substring": scalar(
        "substring(s, start[, length]), substring(s [from start] [for length])", 2, 3, _substring
    ),
    "to_utf8": scalar("to_utf8(s)", 1, 1, _as_wide("to_base64(encode({0}))", _ENCODED)),
    "trim": scalar(
        "trim(s[, characters]), trim([both|leading|trailing] [characters] from s)", 1, 2, _trimmed
    ),
    "upper": scalar("upper(s)", 1, 1, _as_wide("upper({0})", _CASED)),
}
