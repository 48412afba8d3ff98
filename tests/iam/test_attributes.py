"""Mappings of claims: what they make, and which are refused when they are set."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customhouse.errors import Code, Failure
from customhouse.iam.attributes import check_mapping, map_claims
from tests.iam.issuer import github, gitlab
from tests.support.failures import code_of, failed

GITHUB = {
    "google.subject": "assertion.sub",
    "attribute.repository": "assertion.repository",
    "attribute.owner": "assertion.repository_owner",
    "attribute.ref": "assertion.ref",
}
SUBJECT = {"google.subject": "assertion.sub"}


def mapped(expression: str, **claims: Any) -> str:
    """What an expression makes of claims."""
    mapping = SUBJECT | {"attribute.x": expression}
    check_mapping(mapping, "")
    return map_claims(mapping, "", {"sub": "s"} | claims).custom["x"]


def mistake(expression: str) -> str:
    with pytest.raises(Failure) as caught:
        check_mapping(SUBJECT | {"attribute.x": expression}, "")
    assert caught.value.code is Code.THING_INVALID
    return str(caught.value.fields["reason"])


class TestMapping:
    def test_of_github(self) -> None:
        condition = (
            "assertion.repository_owner == 'acme' && attribute.ref.startsWith('refs/heads/')"
        )
        check_mapping(GITHUB, condition)
        made = map_claims(GITHUB, condition, github())
        assert made.subject == "repo:acme/app:ref:refs/heads/main"
        assert made.groups == ()
        assert made.custom == {
            "repository": "acme/app",
            "owner": "acme",
            "ref": "refs/heads/main",
        }

    def test_of_gitlab(self) -> None:
        mapping = {
            "google.subject": "'gitlab::' + assertion.project_id",
            "google.groups": "assertion.groups_direct",
            "attribute.path": "assertion.project_path",
        }
        condition = "'acme/developers' in google.groups && google.subject.startsWith('gitlab::')"
        check_mapping(mapping, condition)
        made = map_claims(mapping, condition, gitlab())
        assert made.subject == "gitlab::20"
        assert made.groups == ("acme/developers", "acme/release managers")

    @pytest.mark.parametrize(
        ("expression", "claims", "expected"),
        [
            ("assertion.a.extract('repo:{name}/')", {"a": "repo:acme/app"}, "acme"),
            ("assertion.a.extract('/{rest}')", {"a": "repo:acme/app"}, "app"),
            ("assertion.a.extract('{all}')", {"a": "repo:acme"}, "repo:acme"),
            ("assertion.a.extract('none:{x}')", {"a": "repo:acme"}, ""),
            ("assertion.a.extract('repo:{x}#')", {"a": "repo:acme"}, ""),
            ("assertion.a.split('/')[1]", {"a": "x/y"}, "y"),
            ("assertion.a.lowerAscii()", {"a": "ÄBc"}, "Äbc"),
            ("assertion.a.upperAscii()", {"a": "äbc"}, "äBC"),
            ("string(assertion.a)", {"a": 5}, "5"),
            ("has(assertion.a) ? assertion.a : ''", {}, ""),
            ("assertion['https://example.com/team']", {"https://example.com/team": "t"}, "t"),
            ("assertion.a.b[0].c", {"a": {"b": [{"c": "deep"}]}}, "deep"),
            ("assertion.a.matches('^v[0-9]+$') ? 'tag' : 'none'", {"a": "v1"}, "tag"),
        ],
    )
    def test_expressions(self, expression: str, claims: dict[str, Any], expected: str) -> None:
        assert mapped(expression, **claims) == expected

    @pytest.mark.parametrize(
        ("expression", "claims"),
        [
            ("assertion.missing", {}),
            ("assertion.a", {"a": 5}),
            ("assertion.a", {"a": None}),
            ("assertion.a", {"a": ["b"]}),
            ("assertion.a.b", {"a": "text"}),
            ("assertion.a[3]", {"a": []}),
            ("assertion.a + 'x'", {"a": 1}),
            ("string(1 / assertion.a)", {"a": 0}),
            ("assertion.a.extract('x')", {"a": 1}),
            ("assertion.a.split('')[0]", {"a": "x"}),
            ("assertion.a.matches(assertion.a) ? 'a' : 'b'", {"a": "("}),
            ("assertion.a", {"a": "\ud800"}),
        ],
    )
    def test_cannot_be_applied(self, expression: str, claims: dict[str, Any]) -> None:
        with failed(Code.SUBJECT_TOKEN_INVALID):
            mapped(expression, **claims)

    @pytest.mark.parametrize("subject", ["", "a" * 256, "ä" * 128, 5, None, True, ["a"]])
    def test_subject(self, subject: object) -> None:
        with failed(Code.SUBJECT_TOKEN_INVALID):
            map_claims(SUBJECT, "", {"sub": subject})

    @pytest.mark.parametrize("groups", ["a", [1], [None], {"a": "b"}, 5])
    def test_groups(self, groups: object) -> None:
        mapping = SUBJECT | {"google.groups": "assertion.groups"}
        with failed(Code.SUBJECT_TOKEN_INVALID):
            map_claims(mapping, "", {"sub": "s", "groups": groups})


class TestCondition:
    @pytest.mark.parametrize(
        "condition",
        [
            "assertion.repository == 'acme/other'",
            "attribute.owner != 'acme'",
            "google.subject == 'x'",
            "'admins' in google.groups",
            # Neither true nor false, or no value at all.
            "assertion.repository",
            "assertion.missing == 'x'",
            "attribute.missing == 'x'",
            "1",
        ],
    )
    def test_is_not_met(self, condition: str) -> None:
        check_mapping(GITHUB, condition)
        with failed(Code.SUBJECT_TOKEN_INVALID):
            map_claims(GITHUB, condition, github())

    def test_message_tells_no_claim(self) -> None:
        with pytest.raises(Failure) as caught:
            map_claims(GITHUB, "assertion.ref == 'secret'", github())
        assert caught.value.fields["reason"] == "the provider's attribute condition is not met"


class TestCheck:
    @pytest.mark.parametrize(
        "mapping",
        [
            {},
            {"attribute.a": "assertion.a"},
            SUBJECT | {"google.email": "assertion.email"},
            SUBJECT | {"attribute.": "assertion.a"},
            SUBJECT | {"attribute.A": "assertion.a"},
            SUBJECT | {"attribute.a/b": "assertion.a"},
            SUBJECT | {"attribute.a\n": "assertion.a"},
            SUBJECT | {f"attribute.a{number}": "assertion.a" for number in range(50)},
            SUBJECT | {f"attribute.a{n}": "string(assertion.a.matches('b'))" for n in range(11)},
        ],
    )
    def test_names(self, mapping: dict[str, str]) -> None:
        with failed(Code.THING_INVALID):
            check_mapping(mapping, "")

    @pytest.mark.parametrize(
        "expression",
        [
            "",
            "a" * 2049,
            "assertion.",
            "(((",
            "(" * 2048,
            "[" * 1000 + "]" * 1000,
            "assertion.sub ==",
            "claims.sub",
            "google.subject",
            "attribute.a",
            "nope(assertion.sub)",
            "assertion.sub.replace('a', 'b')",
            "99999999999999999999",
            "\x00",
            "[1, 2].map(x, x)",
            "[1].all(x, true)",
            "[1].exists(x, true)",
            "[1].exists_one(x, true)",
            "[1].existsOne(x, true)",
            "[1].filter(x, true)",
            "[1] . map (assertion, 1)",
            "[1].map\n(assertion, 1)",
            "[1].//\nmap(assertion, 1)",
            "[1].map//\n(assertion, 1)",
            "'//'\n",
        ],
    )
    def test_expressions(self, expression: str) -> None:
        assert mistake(expression)

    def test_condition_sees_what_was_mapped(self) -> None:
        check_mapping(GITHUB, "google.subject == attribute.ref")
        with failed(Code.THING_INVALID):
            check_mapping(GITHUB, "claims.sub == 'x'")

    def test_names_what_is_unknown(self) -> None:
        assert mistake("claims.sub") == "there is no 'claims' to look at"
        assert mistake("nope(assertion.sub)") == "there is no function 'nope'"

    def test_long_ones_are_quick(self) -> None:
        began = time.monotonic()
        for expression in (
            "assertion" + ".a" * 1000,
            "1" + "+1" * 1000,
            "!" * 2000 + "true",
            "true" + "&&true" * 300,
            "assertion.a.matches('" + "(a*)*" * 300 + "')",
        ):
            check_mapping(SUBJECT, expression)
            with failed(Code.SUBJECT_TOKEN_INVALID):
                map_claims(SUBJECT, expression + " && false", {"sub": "s", "a": "a" * 10_000})
        assert time.monotonic() - began < 5


@given(st.text("assertion.sub()[]{}'\"/?:=!&|+-0123 \n", max_size=60))
def test_any_expression(expression: str) -> None:
    if code_of(check_mapping, SUBJECT, expression) is None:
        code = code_of(map_claims, SUBJECT, expression, github())
        assert code in {None, Code.SUBJECT_TOKEN_INVALID}
