"""When two records are the same, however they are spelled."""

import json

import pytest
from fake_ledger import line, record
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.verdict.canonical import Canonical
from simulator.verdict.mapping import RecordMapping, Types


def equal(delivered: bytes, kept: bytes, **mapping) -> bool:
    canonical = Canonical(RecordMapping(**mapping))
    same = canonical.delivered(delivered) == canonical.kept(kept)
    assert same == (canonical.delivered_fields(delivered) == canonical.kept_fields(kept))
    assert same == (canonical.differences(delivered, kept) == ())
    return same


def dumped(content: object, **options) -> bytes:
    return json.dumps(content, **options).encode()


@pytest.mark.parametrize(
    "kept",
    [
        line(7),
        dumped(record(7), sort_keys=True, indent=None),
        dumped({name: str(value) for name, value in record(7).items()}),
        dumped({name: None if value == "-" else value for name, value in record(7).items()}),
        dumped({name: value for name, value in record(7).items() if value != "-"}),
        dumped(record(7, upstream_connect_time="0.000", upstream_status=200)),
        line(7).replace(b'"upstream_response_time":0.5', b'"upstream_response_time":0.500'),
        line(7).replace(b'"vport":80', b'"vport":80.0'),
        dumped(line(7).decode()),
        dumped(record(7, new_field="-")),
        dumped(record(7, new_field=None)),
    ],
)
def test_spelling_does_not_count(kept: bytes):
    assert equal(line(7), kept)


@pytest.mark.parametrize(
    "changes",
    [
        {"http_referer": ""},
        {"vport": 81},
        {"upstream_status": "200, 200"},
        {"request": "GET /item/7 HTTP/1.1 "},
        {"new_field": 0},
        {"new_field": ""},
        {"host": None},
        {"request_time": 0.0110001},
        {"vport": [80]},
        {"upstream_connect_time": ""},
        {"vport": {"number": 80}},
    ],
)
def test_everything_else_does(changes: dict[str, object]):
    assert not equal(line(0), dumped(record(0, **changes)))


def test_a_number_and_its_text_differ_when_types_are_strict():
    as_text = dumped(record(7, vport="80"))
    assert equal(line(7), as_text)
    assert not equal(line(7), as_text, types=Types.STRICT)
    assert not equal(line(7), dumped(record(7, upstream_status=200)), types=Types.STRICT)
    assert equal(line(7), line(7).replace(b":80,", b":80.0,"), types=Types.STRICT)


def test_what_means_absent_can_be_told():
    empty = dumped(record(7, http_referer=""))
    assert not equal(line(7), empty)
    assert equal(line(7), empty, absent=frozenset(("-", "")))
    assert equal(dumped(record(7, host="")), dumped(record(7, host=None)), absent=frozenset(("",)))


@pytest.mark.parametrize("kept", [b"a\xef\xbf\xbdb", b"a\xef\xbf\xbd\xef\xbf\xbdb", b"a\xffb"])
def test_bytes_that_are_no_utf_8_count_as_one_replacement(kept: bytes):
    delivered = line(7).replace(b"okhttp", b"a\xff\xfeb")
    assert equal(delivered, line(7).replace(b"okhttp", kept))
    assert not equal(delivered, line(7).replace(b"okhttp", b"ab"))
    assert equal(b"no json a\xff\xfeb", b"no json " + kept)


def test_what_is_no_object_is_text():
    broken = line(7)[:-20]
    assert equal(broken, broken)
    assert not equal(broken, line(7))
    assert equal(broken, dumped(broken.decode()))
    assert equal(b"two\nlines", dumped("two\nlines"))
    assert not equal(b"[1]", b"[2]")
    deep = b"[" * 100_000  # no decoder follows it to its end
    assert equal(deep, deep)
    assert not equal(deep, deep[1:])


def test_a_difference_of_texts_begins_where_they_part():
    left, right = b"x" * 300 + b"one", b"x" * 300 + b"two"
    (found,) = Canonical().differences(left, right)
    assert (found.field, found.delivered, found.kept) == (
        "(text)",
        "x" * 20 + "one",
        "x" * 20 + "two",
    )


def test_whole_records_are_told_from_broken_ones():
    canonical = Canonical()
    assert canonical.is_whole(line(1))
    assert not canonical.is_whole(line(1)[:-1])
    assert not canonical.is_whole(b"[1]")
    assert not canonical.is_whole(line(1).replace(b"okhttp", b"\xff"))


FIELDS = sorted(record())
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.text(max_size=8),
    st.sampled_from(["-", "", "0.5", "0.50", "1e3", "\ufffd\ufffd"]),
)


@settings(max_examples=300)
@given(
    changes=st.dictionaries(st.sampled_from([*FIELDS, "new_field"]), VALUES, max_size=5),
    dropped=st.sets(st.sampled_from(FIELDS), max_size=3),
)
def test_the_short_way_and_the_long_way_agree(changes: dict[str, object], dropped: set[str]):
    content = {k: v for k, v in (record(3) | changes).items() if k not in dropped}
    text = dumped(content)
    canonical = Canonical()
    shuffled = dumped(dict(sorted(content.items(), key=lambda item: item[0][::-1])))
    assert canonical.delivered(text) == canonical._hash_any(json.loads(text))
    assert canonical.delivered(text) == canonical.kept(shuffled)
    untouched = canonical.delivered_fields(text) == canonical.delivered_fields(line(3))
    assert (canonical.delivered(text) == canonical.delivered(line(3))) == untouched


@pytest.mark.parametrize(
    "hostile",
    [
        b"[" * 100_000,
        b'{"a":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'{"a":1' + b"0" * 400 + b"}",
        b'{"a":1e400}',
        b'{"a":"1e400"}',
        b'{"a":"' + b"9" * 5000 + b'"}',
        b'"\\ud800"',
        b'{"a":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b"null",
        b'""',
        b"",
    ],
)
def test_nothing_that_was_kept_is_too_strange_to_compare(hostile: bytes):
    canonical = Canonical()
    assert canonical.kept(hostile) != canonical.delivered(line(1))
    assert canonical.differences(line(1), hostile)
    assert canonical.kept(hostile) == canonical.kept(hostile)
    assert canonical.kept_fields(hostile) == canonical.kept_fields(hostile)
    canonical.is_whole(hostile)


def test_large_integers_are_exact():
    assert equal(b'{"a":9007199254740993}', b'{"a":"9007199254740993"}')
    assert not equal(b'{"a":9007199254740993}', b'{"a":"9007199254740992"}')
