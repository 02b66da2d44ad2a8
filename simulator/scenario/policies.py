"""Policies of a listener, and how it keeps sessions."""

import re
from typing import Final

from simulator.model import KeepSession, KeepSessionType, Protocol, Rule, RuleKey
from simulator.scenario.document import Entry, Value
from simulator.scenario.groups import Groups
from simulator.scenario.scenario import PolicyPlan
from simulator.verdict import format_duration, parse_duration

LOWEST_PRIORITY: Final = 32768
_MAX_POLICIES: Final = 10
"""Source: doc https://cloud.baidu.com/doc/BLB/s/Hjwvxnouu; that it counts each listener by itself
is assumed."""
_MAX_RULES: Final = 5  # doc https://cloud.baidu.com/doc/BLB/s/Hjwvxnouu
_LONGEST_SESSION_S: Final = 15_552_000  # doc https://cloud.baidu.com/doc/BLB/s/ljwvxnqbb
_HOST: Final = re.compile(r"(?=.{1,100}$)(?:\*[A-Za-z0-9._-]*|[A-Za-z0-9._-]+)")
_URI: Final = re.compile(r"(?=.{1,100}$)(?:/[!-)+->@-~]*\*?|\*)[!-)+->@-~]*")
_COOKIE: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
ALL: Final = Rule(key=RuleKey.ALL, value="*")


def read_policies(value: Value, groups: Groups, protocol: Protocol) -> tuple[PolicyPlan, ...]:
    """``policies: [{priority, host, uri, to}]`` in the order of the file.

    Args:
        value: the list.
        groups: that policies may name.
        protocol: of the listener.
    """
    policies: list[PolicyPlan] = []
    lines: dict[int, int] = {}
    values = value.items()
    for item in values:
        entry = item.mapping(("priority", "host", "uri", "to"), required=("priority", "to"))
        policy = _read_policy(entry, groups, protocol)
        policies.append(policy)
        priority = entry.get("priority")
        if priority is not None and policy.priority:
            if policy.priority in lines:
                priority.problem(
                    f"duplicate priority {policy.priority}; the policy in line "
                    f"{lines[policy.priority]} of this listener has it already"
                )
            lines.setdefault(policy.priority, priority.line)
    if len(values) > _MAX_POLICIES:
        values[_MAX_POLICIES].problem(
            f"{len(values)} policies are too many; expected at most {_MAX_POLICIES}"
        )
    return tuple(policies)


def read_keep_session(value: Value | None) -> KeepSession | None:
    """``keep_session: {type, lifetime, cookie}``."""
    if value is None:
        return None
    entry = value.mapping(("type", "lifetime", "cookie"))
    kind = entry.choice("type", KeepSessionType, KeepSessionType.INSERT)
    lifetime = entry.get("lifetime")
    default = KeepSession()
    if kind is KeepSessionType.REWRITE:
        if lifetime is not None:
            lifetime.problem(
                "a rewritten cookie lives as long as the backend server says; "
                "expected a lifetime with type: insert only"
            )
        if "cookie" not in entry:
            value.problem(
                "a rewritten cookie is the backend server's own; expected 'cookie' with its name"
            )
    return KeepSession(
        type=kind,
        lifetime_s=entry.parsed("lifetime", _parse_lifetime, default.lifetime_s),
        cookie_name=entry.parsed("cookie", _parse_cookie, default.cookie_name),
    )


def _read_policy(entry: Entry, groups: Groups, protocol: Protocol) -> PolicyPlan:
    rules: list[Rule] = []
    for key, parse in (("host", _parse_host), ("uri", _parse_uri)):
        value = entry.get(key)
        for item in [] if value is None else value.items() if value.is_list else [value]:
            pattern = item.parsed(parse, "*")
            rules.append(Rule(key=RuleKey(key), value=pattern))
    if len(rules) > _MAX_RULES:
        entry.value.problem(f"{len(rules)} conditions are too many; expected at most {_MAX_RULES}")
    to = entry.get("to")
    return PolicyPlan(
        priority=entry.integer("priority", 1, LOWEST_PRIORITY, 0),
        rules=tuple(rules) or (ALL,),
        to="" if to is None else groups.refer(to, protocol),
    )


def _parse_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a host; expected at most 100 letters, digits and the characters "
            "- _ . with one * at most, at the start"
        )
    return text


def _parse_uri(text: str) -> str:
    if not _URI.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a path; expected at most 100 characters without a query that begin "
            "with / or *, with one * at most"
        )
    return text


def _parse_lifetime(text: str) -> int:
    seconds = parse_duration(text)
    if seconds != int(seconds) or not 1 <= seconds <= _LONGEST_SESSION_S:
        raise ValueError(
            f"{text} is not a lifetime; expected whole seconds, at most "
            f"{format_duration(_LONGEST_SESSION_S)}"
        )
    return int(seconds)


def _parse_cookie(text: str) -> str:
    if not _COOKIE.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a cookie name; expected letters, digits and the characters "
            "! # $ % & ' * + - . ^ _ ` | ~"
        )
    return text
