"""The verdict for a CI server."""

from xml.etree import ElementTree

from simulator.cli.junit import encode_junit

VERDICT = {
    "as_of": "2026-03-01T08:05:00.000+08:00",
    "totals": {"unexpected": 1},
    "flow_logs": [
        {"flow_log": "l7", "missing": 2, "duplicated": 0, "altered": 0},
        {"flow_log": "archive", "missing": 0, "duplicated": 0, "altered": 0},
    ],
}


def test_every_way_to_be_wrong_is_a_case():
    text = encode_junit(
        VERDICT,
        [
            ("missing", "l7", "missing: \x00 <a>"),
            ("missing", "l7", "missing: another"),
            ("unexpected", None, "unexpected"),
        ],
    )
    root = ElementTree.fromstring(text)
    assert root.attrib["failures"] == "2"
    (suite,) = root
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("7", "2")
    cases = {(case.get("classname"), case.get("name")): case for case in suite}
    assert len(cases) == 7
    failed = {key for key, case in cases.items() if case.find("failure") is not None}
    assert failed == {("blbsim.reconcile.l7", "missing"), ("blbsim.reconcile", "unexpected")}
    failure = cases["blbsim.reconcile.l7", "missing"].find("failure")
    assert failure.get("message") == "2 records missing as of 2026-03-01T08:05:00.000+08:00"
    assert failure.text == "missing: \ufffd <a>\n\nmissing: another"
    other = cases["blbsim.reconcile", "unexpected"].find("failure")
    assert other.get("message").startswith("1 record unexpected")
