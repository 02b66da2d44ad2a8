"""Which policy a request meets: the documented forms of hosts and paths."""

import pytest

from simulator.model import Policy, PolicyId, Rule, RuleKey
from simulator.routing.policy import PolicyMatcher


def matcher(*rules: tuple[str, str]) -> PolicyMatcher:
    return PolicyMatcher(
        Policy(
            policy_id=PolicyId("policy-1"),
            priority=1,
            rules=tuple(Rule(key=RuleKey(key), value=value) for key, value in rules),
        )
    )


@pytest.mark.parametrize(
    ("pattern", "host", "met"),
    [
        ("shop.example.com", b"shop.example.com", True),
        ("Shop.Example.COM", b"shop.example.com", True),
        ("shop.example.com:8080", b"shop.example.com", True),
        ("shop.example.com", b"a.shop.example.com", False),
        ("shop.example.com", b"shop-example.com", False),
        ("*.example.com", b"a.example.com", True),
        ("*.example.com", b"a.b.example.com", True),
        ("*.example.com", b".example.com", True),
        ("*.example.com", b"example.com", False),
        ("*example.com", b"example.com", True),
        ("*.example.com", b"a.example.com.evil", False),
        ("*", b"anything", True),
        ("*", b"", True),
        ("shop.example.com", b"", False),
    ],
)
def test_hosts(pattern, host, met):
    assert matcher(("host", pattern)).matches(host, b"/") is met


@pytest.mark.parametrize(
    ("pattern", "path", "met"),
    [
        ("/cart", b"/cart", True),
        ("/cart", b"/cart/", False),
        ("/cart", b"/Cart", False),
        ("/cart*", b"/cart", True),
        ("/cart*", b"/cart/1", True),
        ("/cart*", b"/carts", True),
        ("/cart/*", b"/cart", False),
        ("/static/*.jpg", b"/static/a/b.c.jpg", True),
        ("/static/*.jpg", b"/static/.jpg", True),
        ("/static/*.jpg", b"/static/a.jpeg", False),
        ("*.jpg", b"/a.jpg", True),
        ("*.jpg", b"/a.jpg/b", False),
        ("/a.b", b"/axb", False),
        ("/a*a", b"/a", False),
        ("*", b"/", True),
        ("/line*", b"/line\xff", True),
    ],
)
def test_paths(pattern, path, met):
    assert matcher(("uri", pattern)).matches(b"a", path) is met


def test_all_rules_of_a_policy_must_hold():
    both = matcher(("host", "*.example.com"), ("uri", "/api/*"), ("uri", "*.json"))
    assert both.matches(b"a.example.com", b"/api/x.json")
    assert not both.matches(b"a.example.com", b"/api/x.xml")
    assert not both.matches(b"a.example.com", b"/x.json")
    assert not both.matches(b"example.org", b"/api/x.json")


@pytest.mark.parametrize(
    ("rules", "matches_all"),
    [
        ([("*", "*")], True),
        ([], True),
        ([("*", "*"), ("host", "a")], False),
        ([("uri", "/*")], False),
    ],
)
def test_a_policy_for_everything_is_known(rules, matches_all):
    made = matcher(*rules)
    assert made.matches_all is matches_all
    assert made.matches(b"a", b"/")
