"""Policies made ready for requests: wildcards compiled once.

Source: doc https://cloud.baidu.com/doc/BLB/s/Ammvwpgol: ascending priority, all conditions of a
policy must hold, the first policy that matches wins; a host has one ``*`` at its start, a path
one anywhere. That ``*`` stands for any run of characters, that a path is compared as received
and without its query, and a host without case and port, is assumed.
"""

import re
from collections.abc import Callable
from typing import Final, assert_never

from simulator.model import Policy, RuleKey

_PORT: Final = re.compile(r":\d*$")
_Test = Callable[[bytes], object]


class PolicyMatcher:
    """Whether a request meets one policy."""

    __slots__ = ("_host_tests", "_path_tests", "matches_all", "policy")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        hosts: list[_Test] = []
        paths: list[_Test] = []
        for rule in policy.rules:
            match rule.key:
                case RuleKey.HOST:
                    hosts.append(_compile(_PORT.sub("", rule.value).lower()))
                case RuleKey.URI:
                    paths.append(_compile(rule.value))
                case RuleKey.ALL:
                    pass
                case _:
                    assert_never(rule.key)
        self._host_tests = tuple(hosts)
        self._path_tests = tuple(paths)
        self.matches_all = not hosts and not paths

    def matches(self, host: bytes, path: bytes) -> bool:
        """Whether all of the policy's rules hold.

        Args:
            host: lower case, without port; empty if the request named none.
            path: as received, without the query.
        """
        return all(test(host) for test in self._host_tests) and all(
            test(path) for test in self._path_tests
        )


def _compile(pattern: str) -> _Test:
    parts = (re.escape(part.encode()) for part in pattern.split("*"))
    return re.compile(b".*".join(parts), re.DOTALL).fullmatch
