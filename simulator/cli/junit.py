"""A verdict as JUnit XML: a test case for each way to be wrong and flow log."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree

WRONG: Final = ("missing", "duplicated", "altered")
"""What each flow log has a case for; ``unexpected`` belongs to none and has one of its own."""

_SUITE: Final = "blbsim.reconcile"
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def encode_junit(
    verdict: Mapping[str, Any], examples: Sequence[tuple[str, str | None, str]]
) -> bytes:
    """The document.

    Args:
        verdict: the answer of the simulator.
        examples: finding, flow log and text of each.
    """
    cases = [
        (f"{_SUITE}.{log['flow_log']}", finding, int(log[finding]), log["flow_log"])
        for log in verdict["flow_logs"]
        for finding in WRONG
    ]
    cases.append((_SUITE, "unexpected", int(verdict["totals"]["unexpected"]), None))
    failures = sum(1 for _, _, count, _ in cases if count)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0", "time": "0"}
    root = ElementTree.Element("testsuites", {"name": _SUITE, **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": _SUITE, "skipped": "0", **counts})
    for place, finding, count, flow_log in cases:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": place, "name": finding, "time": "0"}
        )
        if not count:
            continue
        texts = [text for kind, of, text in examples if (kind, of) == (finding, flow_log)]
        failure = ElementTree.SubElement(
            case,
            "failure",
            {
                "type": finding,
                "message": f"{count} record{'s' if count != 1 else ''} {finding} "
                f"as of {verdict['as_of']}",
            },
        )
        failure.text = _NOT_XML.sub("\ufffd", "\n\n".join(texts))
    ElementTree.indent(root)
    encoded: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return encoded + b"\n"
