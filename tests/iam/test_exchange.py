"""Tokens of real issuers on loopback, exchanged for identities of this server."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from customhouse.errors import Code, Failure
from customhouse.iam import federation, policies, projects
from customhouse.iam.attributes import Attributes
from customhouse.iam.exchange import TOKEN_TYPES, find, principal
from customhouse.iam.issuers import IssuerKeys
from tests.iam.issuer import (
    DISCOVERY,
    answer,
    github,
    gitlab,
    make_key,
    public,
    running,
    sign,
)
from tests.iam.setting import Setting, issuer, setting
from tests.support.failures import code_of, failed

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from customhouse.database import Database
    from tests.iam.issuer import Issuer

__all__ = ["issuer", "setting"]


class TestExchange:
    def test_of_github(self, setting: Setting) -> None:
        made = setting.exchange(setting.token())
        assert made.name == (f"principal:{setting.root}/subject/repo:acme/app:ref:refs/heads/main")
        assert made.credential == ""
        assert made.sets == {
            f"principalSet:{setting.root}/*",
            f"principalSet:{setting.root}/attribute.repository/acme/app",
            f"principalSet:{setting.root}/attribute.ref/refs/heads/main",
        }
        assert setting.database.read(federation.is_active, made.name)
        assert all(policies._MEMBER.fullmatch(member) for member in (made.name, *made.sets))

    def test_of_gitlab(self, setting: Setting) -> None:
        setting.change(
            audiences=("https://registry.example.com",),
            attribute_mapping={
                "google.subject": "assertion.sub",
                "google.groups": "assertion.groups_direct",
                "attribute.environment": "has(assertion.environment) ? assertion.environment : ''",
            },
            attribute_condition="assertion.namespace_path == 'acme' && assertion.ref == 'main'",
        )
        token = setting.issuer.token(gitlab(), "https://registry.example.com")
        made = setting.exchange(token, token_type="urn:ietf:params:oauth:token-type:id_token")
        assert made.name.endswith("/subject/project_path:acme/app:ref_type:branch:ref:main")
        assert made.sets == {
            f"principalSet:{setting.root}/*",
            f"principalSet:{setting.root}/group/acme/developers",
            f"principalSet:{setting.root}/group/acme/release%20managers",
        }
        assert all(policies._MEMBER.fullmatch(member) for member in (made.name, *made.sets))

    @pytest.mark.parametrize("prefix", ["", "https:"])
    def test_names_of_the_provider(self, setting: Setting, prefix: str) -> None:
        rest = "locations/global/workloadIdentityPools"
        token = setting.token()
        for name in (
            f"projects/{setting.number}/{rest}/ci-pool/providers/github",
            f"projects/acme/{rest}/ci-pool/providers/github",
            f"{rest}/acme/ci-pool/providers/github",
            f"{rest}/{setting.number}/ci-pool/providers/github",
        ):
            full = f"{prefix}//iam.googleapis.com/{name}"
            assert setting.exchange(token, full).name.startswith("principal://")
        named = setting.issuer.token(
            github(), f"{prefix}//iam.googleapis.com/{rest}/acme/ci-pool/providers/github"
        )
        assert setting.exchange(named)

    def test_project_of_a_domain(self, database: Database, issuer: Issuer) -> None:
        setting = Setting(database, issuer, "example.com/proj")
        name = (
            "//iam.googleapis.com/projects/example.com:proj/locations/global"
            "/workloadIdentityPools/ci-pool/providers/github"
        )
        made = setting.exchange(issuer.token(github(), name), name)
        assert made.name.startswith(f"principal:{setting.root}/subject/")
        setting.loop_database.close()

    def test_rotation(self, setting: Setting) -> None:
        setting.exchange(setting.token())
        setting.issuer.keys[:] = [make_key("second", "RS256")]
        setting.keys._issuers[setting.issuer.url].tried -= 61
        assert setting.exchange(setting.token())

    def test_uploaded_keys(self, setting: Setting) -> None:
        key = make_key("uploaded", "RS256")
        setting.change(issuer="https://gitlab.unreachable.example", jwks=json.dumps(public(key)))
        claims = {"iss": "https://gitlab.unreachable.example", "aud": setting.audience} | github()
        assert setting.exchange(sign(claims, key))
        assert setting.issuer.asked == []


class TestRefused:
    @pytest.mark.parametrize(
        ("claims", "reason"),
        [
            ({"repository_owner": "mallory"}, "the provider's attribute condition is not met"),
            ({"aud": "https://other.example.com"}, "it is for audience"),
            ({"iss": "https://gitlab.example.com"}, "it is of issuer"),
            ({"exp": int(time.time()) - 3600, "iat": 1}, "it has expired"),
            ({"repository": 5}, "attribute.repository is no text"),
            ({"sub": ""}, "google.subject is no text"),
            ({"ref": "a" * 7000}, "map fewer"),
        ],
    )
    def test_claims(self, setting: Setting, claims: dict[str, Any], reason: str) -> None:
        with pytest.raises(Failure) as caught:
            setting.exchange(setting.token(**claims))
        assert caught.value.code is Code.SUBJECT_TOKEN_INVALID
        assert reason in caught.value.message

    def test_missing_claim(self, setting: Setting) -> None:
        claims = github()
        del claims["repository"]
        with pytest.raises(Failure) as caught:
            setting.exchange(setting.issuer.token(claims, setting.audience))
        assert "attribute.repository cannot be made of its claims" in caught.value.message

    def test_own_name_is_no_audience_where_others_are_set(self, setting: Setting) -> None:
        setting.change(audiences=("https://registry.example.com",))
        with failed(Code.SUBJECT_TOKEN_INVALID):
            setting.exchange(setting.token())

    def test_token_of_another_issuer(self, setting: Setting) -> None:
        with running() as other:
            claims = {"iss": setting.issuer.url, "aud": setting.audience} | github()
            with failed(Code.SUBJECT_TOKEN_INVALID):
                setting.exchange(sign(claims, other.keys[0]))
            assert other.asked == []

    @pytest.mark.parametrize("token_type", ["", "urn:ietf:params:oauth:token-type:saml2", "jwt"])
    def test_type(self, setting: Setting, token_type: str) -> None:
        assert token_type not in TOKEN_TYPES
        with failed(Code.SUBJECT_TOKEN_INVALID):
            setting.exchange(setting.token(), token_type=token_type or "none")

    def test_issuer_is_not_asked_for_nonsense(self, setting: Setting) -> None:
        for token in ("nonsense", "a.b.c", "e30.e30.e30"):
            with failed(Code.SUBJECT_TOKEN_INVALID):
                setting.exchange(token)
        assert setting.issuer.asked == []

    def test_issuer_answers_nothing(self, setting: Setting) -> None:
        setting.issuer.answers[DISCOVERY] = lambda _handler: time.sleep(3)
        with failed(Code.ISSUER_UNREACHABLE):
            setting.exchange(setting.token())

    def test_database_is_free_meanwhile(self, setting: Setting) -> None:
        token = setting.token()
        wait = threading.Event()

        def answer_late(handler: BaseHTTPRequestHandler) -> None:
            wait.wait(5)
            answer(handler, 503, b"")

        setting.issuer.answers[DISCOVERY] = answer_late
        setting.keys = IssuerKeys(seconds=5)
        caught: list[Code | None] = []

        def run() -> None:
            caught.append(code_of(setting.exchange, token))

        thread = threading.Thread(target=run)
        thread.start()
        while not setting.issuer.asked:
            time.sleep(0.01)
        began = time.monotonic()
        setting.change(description="changed while the issuer is asked")
        assert time.monotonic() - began < 3
        wait.set()
        thread.join()
        assert caught == [Code.ISSUER_UNREACHABLE]


class TestFind:
    @pytest.mark.parametrize(
        "audience",
        [
            "",
            "https://registry.example.com",
            "{host}/projects/{number}/{pools}/ci-pool",
            "{host}/projects/{number}/{pools}/nope/providers/github",
            "{host}/projects/{number}/{pools}/ci-pool/providers/nope",
            "{host}/projects/{number}/{pools}/ci-pool/providers/github\n",
            "http:{host}/projects/{number}/{pools}/ci-pool/providers/github",
            "{host}/projects/{number}/locations/eu/workloadIdentityPools/ci-pool/providers/github",
            "{host}/projects/1/{pools}/ci-pool/providers/github",
            "{host}/projects/.:-/{pools}/ci-pool/providers/github",
            "{host}/projects/" + "9" * 120 + "/{pools}/ci-pool/providers/github",
            "{host}/{pools}/ci-pool/providers/github",
            "{host}/locations/global/workforcePools/ci-pool/providers/github",
        ],
    )
    def test_unknown(self, setting: Setting, audience: str) -> None:
        with failed(Code.THING_UNKNOWN):
            setting.database.read(
                find,
                audience.format(
                    host="//iam.googleapis.com",
                    number=setting.number,
                    pools="locations/global/workloadIdentityPools",
                ),
            )

    def test_what_is_shut_is_unknown(self, setting: Setting) -> None:
        write, read = setting.database.write, setting.database.read
        pool, provider = ("acme", "ci-pool"), ("acme", "ci-pool", "github")
        shut, opened = {"is_disabled": True}, {"is_disabled": False}

        def is_unknown() -> bool:
            return code_of(read, find, setting.audience) is Code.THING_UNKNOWN

        assert not is_unknown()
        write(federation.patch_provider, *provider, shut)
        assert is_unknown()
        write(federation.patch_provider, *provider, opened)
        write(federation.patch_pool, *pool, shut)
        assert is_unknown()
        write(federation.patch_pool, *pool, opened)
        write(federation.set_provider_deleted, *provider, deleted=True)
        assert is_unknown()
        write(federation.set_provider_deleted, *provider, deleted=False)
        write(federation.set_pool_deleted, *pool, deleted=True)
        assert is_unknown()
        write(federation.set_pool_deleted, *pool, deleted=False)
        assert not is_unknown()
        write(projects.delete, "acme")
        assert is_unknown()


class TestPrincipal:
    @pytest.mark.parametrize(
        ("value", "written"),
        [
            ("a b", "a%20b"),
            ("a%20b", "a%2520b"),
            ("a\nb\0", "a%0Ab%00"),
            ("a\u00a0b", "a%C2%A0b"),
            ("é/ü:*", "é/ü:*"),
        ],
    )
    def test_every_value_has_one_name(self, value: str, written: str) -> None:
        made = principal(5, "ci-pool", Attributes(value, (value,), {"x": value}))
        root = "//iam.googleapis.com/projects/5/locations/global/workloadIdentityPools/ci-pool"
        assert made.name == f"principal:{root}/subject/{written}"
        assert made.sets == {
            f"principalSet:{root}/group/{written}",
            f"principalSet:{root}/attribute.x/{written}",
            f"principalSet:{root}/*",
        }
        assert policies._MEMBER.fullmatch(made.name)
