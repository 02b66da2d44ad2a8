"""Makes records, indexes and searches at random, and writes searches out in varied spellings.

All from one `random.Random`, so that hypothesis can make small ones of those that fail, and a long
run can go through seeds.
"""

import json
from collections.abc import Sequence
from random import Random
from typing import Final

from demo_store import NOW_MS
from oracle_search import (
    SEPARATORS,
    Both,
    Compare,
    Either,
    Everything,
    Exists,
    Not,
    Phrase,
    Record,
    Search,
    Within,
    Words,
)

from simulator.logstore import IndexField, IndexSettings, IndexType

WORDS: Final = (
    "get", "Error", "ERR", "err", "a", "b", "a.b", "cart-7", "x_1", "7", "07", "7.0", "200", "-5",
    "1e3", "É", "é", "Я", "я", "k", "登", "登录", "录登", "登录ok", "ok登", "用户", "nan",
    "inf", "true", "False", "null", "and", "Or", "not", "in", "0x1f", "1_000", "+7", "match", "$",
    "^", "\u3000", "0", "🙂",
)  # fmt: skip
GLUE: Final = (
    " ", " ", " ", "", "", "/", ".", "-", "_", ",", "=", ":", "'", '"', "\\", "\n", "\t", "|", "(",
    ")", "[", "]", "?", "*", "  ", "\r\n", ">", "{", "}", "!", "`", "%",
)  # fmt: skip
PATTERNS: Final = (
    "e*", "g?t", "err*r", "E*R", "a?b", "登*", "登?", "a*", "7*", "t??e", "*a", "x*1", "get*?",
    "e**", "é*", "20?", "ok*", "a.*", "cart?7", "get?err", "登ok*",
)  # fmt: skip
NUMBERS: Final = (
    0, 1, 7, -5, 200, 7.0, 0.5, -0.25, 1000, 7.25, 1e300, -1e300, 2**53, 2**62, -(2**63), 2**64,
    10**25, 0.001, 404,
)  # fmt: skip
NAMES: Final = (
    "m",
    "n",
    "k",
    "o.d",
    "o.e.f",
    "ok",
    "x y",
    "and",
    "中",
    "q\"'\\",
    "u/v~w",
    "M",
    "p.q",
)
SETS: Final = (SEPARATORS, SEPARATORS, ".-_", " ", "/ ", "]^-\\", "*? ", "登 ", "a", "\n|")


def make_records(random: Random) -> list[Record]:
    few = random.random() < 0.5
    names = random.sample(NAMES, 3) if few else NAMES
    return [_record(random, names, at) for at in range(random.randrange(1, 9))]


def _record(random: Random, names: tuple[str, ...] | list[str], at: int) -> Record:
    stream = random.choice(("", "s/1", "web-Error"))
    tags = random.choice(({}, {}, {"k": "red"}, {"env": "7", "n": "7"}))
    if random.random() < 0.2:
        raw = make_text(random) or "x"
        return Record(raw, None, NOW_MS + at, stream, tags)
    fields: dict[str, object] = {}
    for name in names:
        if random.random() < 0.6:
            _put(fields, name, _value(random), flat=random.random() < 0.3)
    separators = random.choice(((",", ":"), (", ", ": ")))
    raw = json.dumps(fields, ensure_ascii=random.random() < 0.2, separators=separators)
    return Record(raw, fields, NOW_MS + at, stream, tags)


def _put(fields: dict[str, object], name: str, value: object, *, flat: bool) -> None:
    first, _, rest = name.partition(".")
    if flat or not rest:
        fields[name] = value
        return
    inner = fields.setdefault(first, {})
    if isinstance(inner, dict):
        _put(inner, rest, value, flat=flat)


def _value(random: Random, depth: int = 0) -> object:
    kind = random.randrange(12 if depth < 2 else 9)
    if kind < 4:
        return make_text(random)
    if kind < 7:
        return random.choice(NUMBERS)
    if kind == 7:
        return random.choice((True, False))
    if kind == 8:
        return random.choice((None, "", "7", "200", " 7 ", "true"))
    if kind == 9:
        return [_value(random, depth + 1) for _ in range(random.randrange(3))]
    if kind == 10:
        return {random.choice("dxe"): _value(random, depth + 1) for _ in range(random.randrange(3))}
    return make_text(random)


def make_text(random: Random) -> str:
    pieces: list[str] = []
    for _ in range(random.randrange(5)):
        pieces += [random.choice(WORDS), random.choice((*GLUE, "\0"))]
    return "".join(pieces if random.random() < 0.2 else pieces[:-1])


def make_index(random: Random) -> IndexSettings | None:
    if random.random() < 0.35:
        return None
    fulltext = random.random() < 0.6
    fields = tuple(
        _index_field(random, name)
        for name in NAMES
        if "." not in name and random.random() < (0.4 if fulltext else 0.7)
    )
    if random.random() < 0.4:
        inner = tuple(_index_field(random, name) for name in "de" if random.random() < 0.6)
        nesting = random.choice((IndexType.JSON, IndexType.OBJECT))
        fields += (IndexField(name="o", type=nesting, fields=inner),)
    if not fulltext and not fields:
        return None
    return IndexSettings(fulltext=fulltext, fields=fields, **_splitting(random))


def _index_field(random: Random, name: str) -> IndexField:
    types = (IndexType.TEXT, IndexType.TEXT, IndexType.FLOAT, IndexType.BOOL)
    return IndexField(name=name, type=random.choice(types), **_splitting(random))


def _splitting(random: Random) -> dict[str, object]:
    return {
        "case_sensitive": random.random() < 0.4,
        "include_chinese": random.random() < 0.4,
        "separators": random.choice(SETS),
    }


def make_search(random: Random, records: Sequence[Record], depth: int = 0) -> Search:
    """A search, much of which stands in the records."""
    kind = random.randrange(12) if depth < 4 else 0
    if kind < 7:
        return _term(random, records)
    one = make_search(random, records, depth + 1)
    if kind == 7:
        return Not(one)
    of = Both if kind < 10 else Either
    return of(one, make_search(random, records, depth + 1))


def _term(random: Random, records: Sequence[Record]) -> Search:
    kind = random.randrange(16)
    record = random.choice(records)
    name = random.choice((*NAMES, *NAMES, *(record.fields or ()), "o", "@stream", "env", "nowhere"))
    field = random.choice((None, name))
    value = record.raw if field is None else (record.fields or {}).get(name)
    if kind < 9:
        text = _part(random, value) if random.random() < 0.5 else _asked(random)
        return (Words if kind < 6 else Phrase)(field, text)
    if kind == 9:
        return random.choice((Everything(), Exists(name)))
    number = random.choice(NUMBERS)
    if isinstance(value, int | float) and random.random() < 0.4:
        number = value + random.choice((0, 0, 1, -1) if abs(value) < 1e15 else (0,))
    if kind < 13:
        if random.random() < 0.2:
            return Words(name, write_number(number))
        return Compare(name, random.choice(("=", ">", ">=", "<", "<=")), number)
    if kind == 13:
        return Compare("@timestamp", random.choice((">=", "<")), NOW_MS + random.randrange(9))
    return Within(name, number, random.choice(NUMBERS), random.choice(("[]", "()", "[)", "(]")))


def _part(random: Random, value: object) -> str:
    """Some of a text, from here to there; with a wildcard at times."""
    text = json.dumps(value) if isinstance(value, int | float | list) else str(value)
    text = text.replace("\0", "")
    start, end = sorted(random.randrange(len(text) + 1) for _ in range(2))
    if random.random() < 0.7:  # whole words
        edges = [at for at in range(len(text) + 1) if at in {0, len(text)} or text[at] in ' /:,"']
        start, end = sorted((random.choice(edges), random.choice(edges)))
        end = min(end, start + 20)
    part = list(text[start:end].strip(' /:,"')) or ["a"]
    if random.random() < 0.2:
        part[random.randrange(len(part))] = random.choice("*?")
    return "".join(part)


def _asked(random: Random) -> str:
    pieces: list[str] = []
    for _ in range(random.choice((1, 1, 1, 2, 2, 3))):
        words = PATTERNS if random.random() < 0.2 else WORDS
        pieces += [random.choice(words), random.choice(GLUE)]
    return "".join(pieces[:-1])


def write_search(random: Random, search: Search) -> str:
    """A spelling of the search."""
    return _spaced(random, _write(random, search, 0))


def _write(random: Random, search: Search, level: int) -> list[str]:
    """Pieces between which blanks may stand.

    Args:
        random: of the case.
        search: what to write.
        level: 0 where ``or`` may stand, 1 where ``and`` may, 2 where neither may.
    """
    binds, pieces = 2, list[str]()
    match search:
        case Either(one, other):
            binds = 0
            pieces = [*_write(random, one, 0), _cased(random, "or"), *_write(random, other, 1)]
        case Both(one, Not(other)) if random.random() < 0.5:
            binds = 1
            word = _cased(random, "not")
            pieces = [*_write(random, one, 1), word, *_write(random, other, 2)]
        case Both(one, other):
            binds = 1
            word = random.choice(((), (_cased(random, "and"),)))
            pieces = [*_write(random, one, 1), *word, *_write(random, other, 1)]
        case Not(one):
            pieces = [_cased(random, "not"), *_write(random, one, 2)]
        case _:
            pieces = _write_term(random, search)
    if binds < level or random.random() < 0.1:
        return ["(", *pieces, ")"]
    return pieces


def _write_term(random: Random, search: Search) -> list[str]:
    match search:
        case Everything():
            return ["*"]
        case Exists(name):
            return [f"{write_name(random, name)}:*"]
        case Compare(name, operator, number):
            blanks = random.choice(("", " ")), random.choice(("", " ", "  "))
            return [
                f"{write_name(random, name)}{blanks[0]}{operator}{blanks[1]}{write_number(number)}"
            ]
        case Within(name, low, high, ends):
            inner = f"{ends[0]}{write_number(low)} {write_number(high)}{ends[1]}"
            return [write_name(random, name), _cased(random, "in"), inner]
        case Phrase(name, text):
            quoted = _quoted(text, "'", random)
        case Words(name, text):
            bare = _is_bare(text, fielded=name is not None) and random.random() < 0.7
            quoted = text if bare else _quoted(text, '"', random)
        case _:
            raise AssertionError(search)
    if name is None:
        return [quoted]
    is_number = isinstance(search, Words) and text == quoted and text.lstrip("-").isalpha()
    return [f"{write_name(random, name)}{random.choice(':=') if is_number else ':'}{quoted}"]


def write_name(random: Random, name: str) -> str:
    plain = name.replace(".", "").replace("@", "").isalnum() and name.lower() != "and"
    return name if plain and random.random() < 0.7 else f"`{name}`"


def write_number(number: float) -> str:
    return str(number)


def _is_bare(text: str, *, fielded: bool) -> bool:
    if text.lower() in {"and", "or", "not", "in", "match", "*"}:
        return False
    ends = any(one.isspace() or one in "()\"'`|" for one in text)
    return not ends and text[0] not in "<>=[" and (fielded or not set(text) & set(":=<>!"))


def _quoted(text: str, quote: str, random: Random) -> str:
    inner = "".join(
        f"\\{one}" if one in {quote, "\\"} or random.random() < 0.03 else one for one in text
    )
    return f"{quote}{inner}{quote}"


def _cased(random: Random, word: str) -> str:
    return random.choice((word, word, word.upper(), word.title()))


def _spaced(random: Random, pieces: list[str]) -> str:
    text = ""
    for at, piece in enumerate(pieces):
        may_touch = at == 0 or piece in {"(", ")"} or pieces[at - 1] in {"(", ")"}
        blank = random.choice((" ", " ", " ", "  ", "\n", "\t"))
        text += ("" if may_touch and random.random() < 0.7 else blank) + piece
    return text
