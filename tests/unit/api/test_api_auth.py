"""bce-auth-v1 against the worked examples and its corner cases."""

import pytest

from simulator.api.auth import Authenticator, canonical_query, canonical_request, sign
from simulator.errors import ControlError
from simulator.model import AuthMode

AK, SK = "AKEXAMPLE0000000000000000000000", "SKEXAMPLE0000000000000000000000"
AT = 1_746_684_000.0
PREFIX = f"bce-auth-v1/{AK}/2025-05-08T06:00:00Z/1800"
GO_TARGET = (
    "/v1/logstore/demo/logrecord?project=default&logStreamName"
    "&query=match%20level%3Aerror%20and%20status%20%3E%3D%20500"
    "&startDateTime=2025-05-08T05%3A00%3A00Z&endDateTime=2025-05-08T06%3A00%3A00Z&limit=100"
)
GO_SIGNATURE = "a3d1921ef0488009e128c0f98200fe06ac5c7f06c958844d3575c651c407d532"
PY_SIGNATURE = "59706407c57f82c4dd2c9346d9783978dc60d5717ece7e8347b0051c232587c8"
DATE = ("x-bce-date", "2025-05-08T06:00:00Z")
HOST = ("Host", "bls-log.bj.baidubce.com")
PY_HEADERS = [
    HOST,
    DATE,
    ("content-type", "application/json;charset=UTF-8"),
    ("Content-Length", "108"),
    ("x-bce-request-id", "11111111-2222-3333-4444-555555555555"),
    ("user-agent", "not signed"),
]


def authenticator(now: float = AT, mode: AuthMode = AuthMode.ENFORCE) -> Authenticator:
    return Authenticator({"other": "secret", AK: SK}, now=lambda: now, mode=mode)


@pytest.mark.parametrize("names", ["x-bce-date;host", "host;x-bce-date"])
def test_example_a_explicit_headers_in_any_order(names: str) -> None:
    headers = [HOST, DATE, ("Authorization", f"{PREFIX}/{names}/{GO_SIGNATURE}")]
    assert authenticator().verify("GET", GO_TARGET, headers) == AK


def test_example_b_python_leaves_the_list_empty() -> None:
    headers = [*PY_HEADERS, ("Authorization", f"{PREFIX}//{PY_SIGNATURE}")]
    target = "/v1/logstore/demo/logrecord?project=default"
    assert authenticator().verify("POST", target, headers) == AK


def test_example_c_request_captured_from_go() -> None:
    request = canonical_request(
        "post",
        "/v1/logstore",
        [
            ("Host", "127.0.0.1:45529"),
            ("Content-Length", "184"),
            ("Content-Md5", "Hf22XvQfJt+lX6H3+x7lJQ=="),
            ("Content-Type", "application/json;charset=utf-8"),
            ("X-Bce-Date", "2026-11-22T06:52:24Z"),
        ],
        ["content-length", "content-md5", "content-type", "host", "x-bce-date"],
    )
    assert request == (
        "POST\n/v1/logstore\n\ncontent-length:184\n"
        "content-md5:Hf22XvQfJt%2BlX6H3%2Bx7lJQ%3D%3D\n"
        "content-type:application%2Fjson%3Bcharset%3Dutf-8\n"
        "host:127.0.0.1%3A45529\nx-bce-date:2026-11-22T06%3A52%3A24Z"
    )


def test_python_with_an_explicit_list_signs_every_bce_header_all_the_same() -> None:
    names = ["host", "x-bce-date"]
    request = canonical_request("GET", "/v1/x", PY_HEADERS, [*names, "x-bce-request-id"])
    signature = sign(SK, PREFIX, request)
    headers = [*PY_HEADERS, ("Authorization", f"{PREFIX}/{';'.join(names)}/{signature}")]
    assert authenticator().verify("GET", "/v1/x", headers) == AK


JS_GET = "338162da53194517f2d66ca10e6f36e0836743105bbded43cdd1d79702efea91"
JS_POST = "47bcd25524cf32b5d78f2aa30db0fd32cf23913aee20472c26819c2399c82142"
"""What ``generateAuthorization`` of the SDK for JavaScript (npm @baiducloud/sdk 1.0.7) made of the
two requests below, at the same instant with the same keys."""


def test_javascript_leaves_marks_of_a_query_as_they_are_and_signs_them_encoded() -> None:
    target = (
        "/v1/logstore/demo/logrecord?project=default&logStreamName=&limit=100&marker="
        "&query=match%20level%3Aerror%20and%20msg%3A'it*s%20(ok)!'%20~%E4%B8%AD%2F%E6%96%87"
        "&startDateTime=2025-05-08T05%3A00%3A00Z&Authorization=left%20out"
    )
    headers = [HOST, DATE, ("Authorization", f"{PREFIX}/host;x-bce-date/{JS_GET}")]
    assert authenticator().verify("GET", target, headers) == AK


def test_javascript_lists_what_it_signs_a_session_token_too() -> None:
    names = "content-length;content-type;host;x-bce-date;x-bce-request-id;x-bce-security-token"
    prefix = PREFIX.replace("1800", "3600")
    headers = [
        HOST,
        DATE,
        ("Content-Type", "application/json; charset=UTF-8"),
        ("Content-Length", "108"),
        ("x-bce-request-id", "11111111-2222-3333-4444-555555555555"),
        ("x-bce-security-token", "tok/en+="),
        ("User-Agent", "js"),
        ("x-bce-empty", ""),
        ("Authorization", f"{prefix}/{names}/{JS_POST}"),
    ]
    target = "/v1/logstore/demo/logrecord?project=default"
    assert authenticator().verify("POST", target, headers) == AK
    headers[5] = ("x-bce-security-token", "another")
    with pytest.raises(ControlError):
        authenticator().verify("POST", target, headers)


def test_canonical_query_of_bare_keys_blanks_and_plus() -> None:
    assert canonical_query("b&a=1/2&c=x%20y&d=1+2&AuthoriZation=z&&e=&f=1%2B2") == (
        "a=1%2F2&b=&c=x%20y&d=1%202&e=&f=1%2B2"
    )


def test_path_is_decoded_once_and_encoded_anew() -> None:
    names = ["host"]
    assert canonical_request("GET", "/a%2fb/c d/%E4%B8%AD~", [HOST], names).split("\n")[1] == (
        "/a/b/c%20d/%E4%B8%AD~"
    )


@pytest.mark.parametrize(
    ("header", "now"),
    [
        (None, AT),
        ("Basic abc", AT),
        (f"{PREFIX}/host", AT),
        (PREFIX.replace("v1", "v2") + f"/host;x-bce-date/{GO_SIGNATURE}", AT),
        (PREFIX.replace(AK, "nobody") + f"/host;x-bce-date/{GO_SIGNATURE}", AT),
        (f"{PREFIX}/host;x-bce-date/{GO_SIGNATURE[:-1]}0", AT),
        (f"{PREFIX}/x-bce-date/{GO_SIGNATURE}", AT),
        (f"{PREFIX}/host;x-bce-date/é", AT),
        (f"{PREFIX}/host;x-bce-date/\udcff", AT),
        (f"{PREFIX}/host;x-bce-date/{GO_SIGNATURE}", AT + 1801),
        (f"{PREFIX}/host;x-bce-date/{GO_SIGNATURE}", AT - 901),
        (PREFIX.replace("1800", "x") + f"/host;x-bce-date/{GO_SIGNATURE}", AT),
        (PREFIX.replace("T06", "X06") + f"/host;x-bce-date/{GO_SIGNATURE}", AT),
    ],
)
def test_what_does_not_hold_is_unauthorized(header: str | None, now: float) -> None:
    headers = [HOST, DATE] + ([] if header is None else [("Authorization", header)])
    with pytest.raises(ControlError) as caught:
        authenticator(now).check("GET", GO_TARGET, headers)
    assert (caught.value.code, caught.value.status) == ("Unauthorized", 401)


def test_an_error_says_what_to_look_at() -> None:
    known = f"{PREFIX}/host;x-bce-date/{GO_SIGNATURE[::-1]}"
    for header, hint in (
        (known, "it was made with another secret key, or the request was changed on its way)"),
        (
            known.replace(AK, "AK"),
            "the access key is unknown; `blbsim env` prints one that is known)",
        ),
    ):
        with pytest.raises(ControlError) as caught:
            authenticator().verify("GET", GO_TARGET, [HOST, DATE, ("Authorization", header)])
        assert caught.value.message.endswith(hint)


def test_signature_holds_until_the_last_second_of_its_validity() -> None:
    headers = [HOST, DATE, ("Authorization", f"{PREFIX}/host;x-bce-date/{GO_SIGNATURE}")]
    assert authenticator(AT + 1800).verify("GET", GO_TARGET, headers) == AK
    assert authenticator(AT - 900).verify("GET", GO_TARGET, headers) == AK


def test_unparsable_date_header_is_a_bad_request() -> None:
    headers = [
        HOST,
        ("x-bce-date", "yesterday"),
        ("Authorization", f"{PREFIX}/host/{GO_SIGNATURE}"),
    ]
    with pytest.raises(ControlError) as caught:
        authenticator().verify("GET", GO_TARGET, headers)
    assert caught.value.status == 400


def test_warn_and_off_let_everything_pass(caplog: pytest.LogCaptureFixture) -> None:
    authenticator(mode=AuthMode.OFF).check("GET", "/", [])
    assert not caplog.records
    authenticator(mode=AuthMode.WARN).check("GET", "/", [])
    assert len(caplog.records) == 1
