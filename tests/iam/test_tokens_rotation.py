"""Signing keys: rotation with overlap, and tokens that are good for one purpose alone."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING

import pytest

from customhouse.database import METADATA, LoopDatabase
from customhouse.errors import Code
from customhouse.iam import docker, tokens
from customhouse.iam.access import Access
from customhouse.iam.authentication import Authenticator
from customhouse.iam.limits import Limiter
from customhouse.iam.permissions import Principal
from customhouse.iam.tokens import CATALOG, SIGNING_KEY, Identity, Tokens
from tests.iam.places import READER, Place, check_refused

if TYPE_CHECKING:
    from customhouse.database import Database

ANA = Principal("user:ana", "1")


def load(database: Database) -> Tokens:
    """What one process knows."""
    return Tokens.load(database, access_seconds=60, refresh_seconds=3600)


@pytest.fixture(autouse=True)
def schema(database: Database) -> None:
    """Every table, and the first key."""
    METADATA.create_all(database.writers)
    tokens.create_key(database)


def encode(text: str) -> str:
    """Base64 as in a JWT."""
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def test_a_new_key_and_the_old(database: Database) -> None:
    old = load(database)
    before = old.issue(ANA, None)
    database.write(tokens.rotate, 3600)
    new = load(database)
    after = new.issue(ANA, None)
    # What was issued with the old key still counts, and its public half is still to be had.
    assert new.verify(before).principal == ANA
    assert len(new.public_keys()["keys"]) == 2
    assert all("d" not in key for key in new.public_keys()["keys"])
    # A process that has not heard of the new key does so when somebody brings a token of it.
    check_refused(Code.TOKEN_INVALID, old.verify, after)
    assert old.is_of_unknown_key(after)
    assert not old.is_of_unknown_key(after)  # asked at once again: once a second is enough
    database.read(old.reload)
    assert old.verify(after).principal == ANA


def test_a_key_goes_when_nothing_is_left_that_it_signed(database: Database) -> None:
    first = load(database)
    token = first.issue(ANA, None)
    for seconds, known in ((3600, 2), (3600, 3), (0, 2)):
        time.sleep(0.01)
        database.write(tokens.rotate, seconds)
        assert len(load(database).keys.keys) == known
    check_refused(Code.TOKEN_INVALID, load(database).verify, token)
    newest = database.read(tokens.newest_key_at)
    assert abs(newest / 1_000_000 - time.time()) < 60


def test_a_key_that_served_for_long_is_kept_until_its_last_token_ends(database: Database) -> None:
    """How old a key is does not matter, but when its successor came."""
    year = 365 * 24 * 3600 * 1_000_000
    database.write(lambda tx: tx.execute(SIGNING_KEY.update().values(created_at=year)) and None)
    token = load(database).issue(ANA, None)
    for _ in range(2):
        database.write(tokens.rotate, 3600)
        assert load(database).verify(token).principal == ANA


def test_keys_are_made_once(database: Database) -> None:
    known = load(database).public_keys()
    tokens.create_key(database)
    assert load(database).public_keys() == known


def test_each_for_its_purpose(database: Database) -> None:
    issuer = load(database)
    access, refresh = issuer.issue(ANA, None), issuer.issue_refresh(ANA)
    identities = [
        issuer.issue_id(where, "1", "a@b", audience)
        for where in ("https://images.example.net", "http://customhouse", "customhouse.example")
        for audience in ("customhouse", "customhouse/refresh", "x")
    ]
    assert issuer.verify(access).principal == issuer.verify_refresh(refresh) == ANA
    for token in (refresh, *identities):
        check_refused(Code.TOKEN_INVALID, issuer.verify, token)
    for token in (access, *identities):
        check_refused(Code.TOKEN_INVALID, issuer.verify_refresh, token)


def test_what_a_token_carries(database: Database) -> None:
    issuer = load(database)
    sets = frozenset({"principalSet://x", "principalSet://y"})
    limits = {"p/a": frozenset({"pull"}), CATALOG: frozenset({"*"}), "p/b": frozenset[str]()}
    for principal in (ANA, Principal("serviceAccount:a@b"), Principal("principal://x", "", sets)):
        for limit in (None, {}, limits):
            found = load(database).verify(issuer.issue(principal, limit, 100))
            assert (found.principal, found.limits) == (principal, limit)
            assert abs(found.expires - time.time() - 100) < 3
    limited = Identity(ANA, limits)
    assert limited.covers("p/a", "pull")
    assert limited.covers(CATALOG, "anything")
    for name, action in (("p/a", "push"), ("p/b", "pull"), ("p/c", "pull"), ("p", "pull")):
        assert not limited.covers(name, action)


@pytest.mark.parametrize(
    "header",
    [
        *('{"alg":"none"}', '{"alg":"HS256"}', '{"alg":"ES256"}', "null", "[]", "1", '"x"', "{"),
        *('{"alg":"ES256","kid":["a"]}', '{"alg":"ES256","crit":[1]}', '{"alg":"ES256","crit":1}'),
        *('{"alg":["ES256"]}', '{"alg":"ES256","kid":null}', '{"alg":"ES256","kid":{}}'),
        *('{"alg":"ES256","b64":false,"crit":["b64"]}', '{"alg":"RS256"}', "[" * 9000, "NaN"),
    ],
)
def test_forged_headers(database: Database, header: str) -> None:
    issuer = load(database)
    kid = issuer.keys.keys[0].kid
    _, body, signature = issuer.issue(ANA, None).split(".")
    for head in (header, header.replace('"ES256"', f'"ES256","kid":"{kid}"')):
        for tail in (signature, "", "AA"):
            token = f"{encode(head)}.{body}.{tail}"
            check_refused(Code.TOKEN_INVALID, issuer.verify, token)
            check_refused(Code.TOKEN_INVALID, issuer.verify_refresh, token)
            issuer.is_of_unknown_key(token)
            issuer._asked = 0


def test_tampered_claims(database: Database) -> None:
    issuer = load(database)
    head, body, signature = issuer.issue(ANA, None).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    for change in ({"sub": "user:root"}, {"exp": 2**40}, {"aud": "customhouse/refresh"}):
        token = f"{head}.{encode(json.dumps(claims | change))}.{signature}"
        check_refused(Code.TOKEN_INVALID, issuer.verify, token)
        check_refused(Code.TOKEN_INVALID, issuer.verify_refresh, token)


def test_a_token_does_not_prolong_itself(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the leeway after its end it still counts, and gets nothing that ends later."""
    place = Place(database)
    place.give("projects/p", READER, "user:ana")
    loop_database = LoopDatabase(database)
    issuer = load(database)
    authenticator = Authenticator(loop_database, issuer, Access(), Limiter(0, 1), 10)
    token = issuer.issue(place.principal("ana"), None, 20)
    identity = issuer.verify(token)
    scopes = ["repository:p/a:pull"]

    async def answer() -> float:
        response = await docker._answer(authenticator, identity, scopes, offline=True)
        assert isinstance(response.body, bytes)
        document = json.loads(response.body)
        assert "refresh_token" not in document
        return issuer.verify(document["token"]).expires

    assert asyncio.run(answer()) <= identity.expires
    began = time.time()
    monkeypatch.setattr(time, "time", lambda: began + 40)
    assert load(database).verify(token) == identity
    check_refused(Code.TOKEN_INVALID, asyncio.run, answer())
    loop_database.close()
