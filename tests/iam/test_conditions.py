"""Conditions: what they see, and that none of them can do harm."""

from __future__ import annotations

import time

import pytest

from customhouse.errors import Code
from customhouse.iam import conditions
from customhouse.iam.conditions import Circumstances
from customhouse.iam.permissions import ROOT, Resource
from tests.iam.places import check_refused

HERE = Resource("example.com/proj", "repositories", "team-a/x")
OFFICE = 'inIpRange(origin.ip, "10.0.0.0/8")'
DEVELOPMENT = 'resource.tag.startsWith("dev-")'


@pytest.mark.parametrize(
    ("expression", "circumstances", "expected"),
    [
        ('request.time < timestamp("2999-01-01T00:00:00Z")', Circumstances(), True),
        ('request.time < timestamp("2001-01-01T00:00:00Z")', Circumstances(), False),
        ('request.time > timestamp("2001-01-01T00:00:00Z")', Circumstances(), True),
        (OFFICE, Circumstances("10.1.2.3"), True),
        (OFFICE, Circumstances("::ffff:10.1.2.3"), True),
        (OFFICE, Circumstances("192.0.2.1"), False),
        (OFFICE, Circumstances("2001:db8::1"), False),
        (f"!{OFFICE}", Circumstances("::ffff:10.1.2.3"), False),
        ('inIpRange(origin.ip, "2001:db8::/32")', Circumstances("2001:db8::1"), True),
        # Where the address is not known, nothing that asks for it is true.
        *((text, Circumstances(""), False) for text in (OFFICE, f"!{OFFICE}")),
        (f"!{OFFICE}", Circumstances("not an address"), False),
        (DEVELOPMENT, Circumstances(tag="dev-1"), True),
        (DEVELOPMENT, Circumstances(tag="v1-dev-"), False),
        (DEVELOPMENT, Circumstances(), False),
        (f'resource.tag == "" || {DEVELOPMENT}', Circumstances(), True),
        ('resource.tag.matches("^v[0-9]+$")', Circumstances(tag="v12"), True),
        (
            'resource.name == "projects/example.com:proj/repositories/team-a/x"',
            Circumstances(),
            True,
        ),
        ('resource.type == "artifactregistry.googleapis.com/Repository"', Circumstances(), True),
        # What cannot be evaluated is not true.
        *((text, Circumstances(), False) for text in ("1 / 0 == 1", "[true][5]", "nope", "((")),
        *((text, Circumstances(), False) for text in ("resource.nope == 1", '{"a": 1}["b"] == 1')),
        *((text, Circumstances(), False) for text in ("1", '"true"', "inIpRange()", "null")),
    ],
)
def test_what_holds(expression: str, circumstances: Circumstances, expected: bool) -> None:
    assert conditions.holds(expression, HERE, circumstances) is expected


def test_types_of_resources() -> None:
    for resource, kind in (
        (ROOT, "cloudresourcemanager.googleapis.com/Project"),
        (Resource("p", "serviceAccounts", "a@b"), "iam.googleapis.com/ServiceAccount"),
    ):
        assert conditions.holds(f'resource.type == "{kind}"', resource, Circumstances())


@pytest.mark.parametrize(
    "expression",
    [
        *(
            "",
            " ",
            "1",
            '"x"',
            "true)",
            "((",
            "request.nope == 1",
            "nope",
            "x" * 2000,
            "\0",
            "\ud800",
        ),
        *("[1].all(x, true)", "[1].exists(x, true)", "[1].map(x, x) == [1]", "[1].filter(x, true)"),
        *("[1].exists_one(x, true)", "[1] . all (x, true)", "[1].//\nall(x, true)", "[true][9]"),
        *("1 / 0 == 1", "9223372036854775807 + 1 > 0", 'inIpRange(origin.ip, "x")', "inIpRange()"),
        *('resource.tag.matches("(")', 'resource.tag.matches("(a{1000}){1000}")', "open('/')"),
        *('timestamp("x") < request.time', '"a"["b"] == 1', "resource.tag.nope()", "Foo{a: 1}"),
        *("(" * 500 + "true" + ")" * 500, "[" * 500 + "]" * 500 + " == []", "f(" * 200),
        *("[9223372036854775807][9223372036854775807] == 1", "resource.__class__ == 1"),
    ],
)
def test_what_is_refused(expression: str) -> None:
    check_refused(Code.POLICY_INVALID, conditions.check, expression)


@pytest.mark.parametrize(
    "expression",
    [
        "!" * 1000 + "true",
        "-" * 1000 + "1 == 1",
        "1" + "+1" * 500 + " > 0",
        " && ".join(["true"] * 110),
        'resource.name.matches("(a|aa|aaa)+$")',
        'resource.name.matches("(a+)+(b+)+$")',
    ],
)
def test_what_is_long_is_quick(expression: str) -> None:
    conditions.check(expression)
    long = Resource("p", "repositories", "a" * 250)
    began = time.perf_counter()
    for _ in range(10):
        conditions.holds(expression, long, Circumstances())
    assert time.perf_counter() - began < 1
