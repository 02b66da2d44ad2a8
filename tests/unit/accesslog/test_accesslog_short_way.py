"""The short way of the encoder, for one answered try, gives what the long way gives."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.accesslog import (
    AccessRecord,
    AccessRecordShape,
    Attempt,
    RecordEncoder,
    ServedBy,
    encoder,
)

PERCENT = ServedBy(
    load_balancer_id="lb-%s",
    vip="fe80::1%eth0",
    vport=80,
    node_address="100.64.3.9%d",
)
TEXTS = st.one_of(st.none(), st.binary(max_size=12), st.sampled_from([b"%s", b'"\\', b"", b"-"]))
SECONDS = st.floats(min_value=0, max_value=100)


@st.composite
def records(draw):
    made = AccessRecord()
    made.logged_at = draw(st.floats(min_value=0, max_value=2e9))
    made.response_status = draw(st.sampled_from([200, 9, 502]))
    made.server_group_id = draw(st.sampled_from([None, "sg-1"]))
    made.remote_addr, made.client_ip, made.client_port = "203.0.113.7", "fe80::1%1", 4711
    made.host, made.http_referer = draw(TEXTS), draw(TEXTS)
    made.http_user_agent, made.http_x_forwarded_for = draw(TEXTS), draw(TEXTS)
    made.request = draw(st.binary(max_size=20))
    made.request_length, made.body_bytes_sent = draw(st.tuples(st.integers(0), st.integers(0)))
    made.request_time_s = draw(SECONDS)
    if draw(st.booleans()):  # both or neither: they are of the connection
        made.ssl_handshake_time_s = draw(SECONDS)
        made.ssl_session_reused = draw(st.booleans())
    made.limited = draw(st.sampled_from([None, None, (1, 2)]))
    for _ in range(draw(st.sampled_from([1, 1, 1, 0, 2]))):
        attempt = Attempt("10.0.2.11:8080")
        attempt.status = draw(st.sampled_from([200, 502, None]))
        attempt.connect_s = draw(st.one_of(st.none(), SECONDS))
        attempt.response_s = draw(SECONDS)
        made.attempts.append(attempt)
    return made


@given(st.lists(records(), min_size=1, max_size=4), st.sampled_from(AccessRecordShape))
def test_the_short_way_gives_what_the_long_way_gives(made, shape):
    under_test = RecordEncoder(PERCENT, shape=shape)
    long = RecordEncoder(PERCENT, shape=shape)
    long._single_try = None
    for record in made:
        assert under_test.encode(record) == long.encode(record)


def test_what_headers_leave_in_memory_is_bounded():
    under_test = RecordEncoder(PERCENT)
    record = AccessRecord()
    long = b"a" * 100_000
    for number in range(3 * encoder._MEMO_ENTRIES):
        record.http_referer = long if number % 100 == 0 else b"-"
        record.http_user_agent = b"agent %d" % number
        line = under_test.encode(record)
    assert b'"agent %d"' % number in line
    assert len(under_test._texts) <= encoder._MEMO_ENTRIES
    assert all(raw is None or len(raw) <= encoder._MEMO_BYTES for raw in under_test._texts)
