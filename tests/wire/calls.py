"""The protocol as tables: rows of calls, and what makes them and looks at the answers.

A row reads as the specification writes it: `Call("GET /v2/<name>/blobs/<hello>", 200)`. Words in
angle brackets stand for

- `name` and `other`, two repositories of one project that no other test has, and `project`;
- `location`, what the last answer with that header said, and `upload`, its last part;
- the digest of one of `contents.CONTENTS`; `<hello|sha512>` in another algorithm, `<hello|size>`
  its length.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.wire.contents import BLOBS, CONTENTS, MANIFESTS, digest_of

if TYPE_CHECKING:
    from tests.support.servers import CustomhouseServer

Headers = Mapping[str, str] | tuple[tuple[str, str], ...]
Answer = Mapping[str, str | re.Pattern[str] | None]
TOKEN = "Bearer <token>"
BASIC = "Basic <password>"


@dataclass(frozen=True, slots=True)
class Call:
    """One request and its answer.

    Attributes:
        request: Method and target.
        status: The status of the answer.
        code: The code of the error in the specification's form; empty where it is none.
        headers: Headers of the request.
        send: The body: a name of `CONTENTS`, bytes, or a tuple of bytes that are streamed without
            saying how many will come.
        auth: The Authorization header; empty for none.
        answer: Headers of the answer: a text, a pattern, or None for one that must not be there.
        json: The answer's body as a document.
        has: Some fields of that document.
        body: The answer's body: bytes, or a name of `CONTENTS`.
    """

    request: str
    status: int
    code: str = ""
    _: KW_ONLY
    headers: Headers = ()
    send: str | bytes | tuple[bytes, ...] = b""
    auth: str = TOKEN
    answer: Answer = field(default_factory=dict)
    json: object = None
    has: Mapping[str, object] = field(default_factory=dict)
    body: str | bytes | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Calls that are made one after the other.

    Attributes:
        calls: The rows.
        given: What `<name>` holds before: names of contents, `tag=name` for a manifest with a tag.
    """

    calls: tuple[Call, ...]
    given: tuple[str, ...] = ()


def case(title: str, *calls: Call, given: tuple[str, ...] = ()) -> Any:
    """A parameter for `pytest.mark.parametrize`."""
    return pytest.param(Case(calls, given), id=title.replace(" ", "-"))


@dataclass(frozen=True, slots=True)
class Registry:
    """A running server and a client that keeps its connections to it."""

    server: CustomhouseServer
    database_url: str
    http: httpx2.Client

    def token(self, *scopes: str, **parameters: str) -> dict[str, Any]:
        """What the token endpoint answers the administrator."""
        query = [("service", "customhouse"), *(("scope", scope) for scope in scopes)]
        response = self.http.get(
            "/token", params=[*query, *parameters.items()], auth=self.server.auth
        )
        assert response.status_code == httpx2.codes.OK, response.text
        document: dict[str, Any] = response.json()
        return document

    def conversation(self) -> Conversation:
        """Begin to speak of two repositories that nobody has spoken of."""
        project = f"p{secrets.token_hex(5)}"
        words = {"project": project, "name": f"{project}/app", "other": f"{project}/other/app"}
        scopes = [f"repository:{words[word]}:*" for word in ("name", "other", "project")]
        words["token"] = self.token(*scopes, "registry:catalog:*")["token"]
        words["server"] = self.server.url
        words["password"] = base64.b64encode(":".join(self.server.auth).encode()).decode()
        return Conversation(self, words)

    def run(self, table_case: Case) -> None:
        """Make the calls of a case."""
        conversation = self.conversation()
        conversation.given(*table_case.given)
        for call in table_case.calls:
            conversation.make(call)


@dataclass(slots=True)
class Conversation:
    """Calls that know what was answered before."""

    registry: Registry
    words: dict[str, str]

    def given(self, *things: str, repository: str = "<name>") -> None:
        """Push contents: `hello`, or `v1=image` with a tag."""
        for thing in things:
            tag, _, name = thing.rpartition("=")
            if name in BLOBS:
                uploads = f"/v2/{repository}/blobs/uploads/"
                self.make(Call(f"POST {uploads}?digest=<{name}>", 201, send=name))
            else:
                self.put(name, tag or f"<{name}>", repository)

    def put(self, name: str, reference: str, repository: str = "<name>") -> None:
        """Push a manifest."""
        request = f"PUT /v2/{repository}/manifests/{reference}"
        headers = {"Content-Type": MANIFESTS[name][0]}
        self.make(Call(request, 201, headers=headers, send=name))

    def make(self, call: Call) -> httpx2.Response:
        """Make a call and check its answer."""
        method, _, target = call.request.partition(" ")
        pairs = call.headers.items() if isinstance(call.headers, Mapping) else call.headers
        headers = [(name, self._fill(value)) for name, value in pairs]
        if call.auth:
            headers.append(("Authorization", self._fill(call.auth)))
        content: bytes | Iterator[bytes] = (
            iter(call.send) if isinstance(call.send, tuple) else _bytes(call.send)
        )
        response = self.registry.http.request(
            method, self._fill(target), headers=headers, content=content or None
        )
        said = f"{call.request} -> {response.status_code} {response.headers} {response.text[:600]}"
        assert response.status_code == call.status, said
        for name, expected in call.answer.items():
            actual = response.headers.get(name)
            if isinstance(expected, re.Pattern):
                assert actual is not None, said
                assert expected.fullmatch(actual), said
            else:
                assert actual == (None if expected is None else self._fill(expected)), said
        if call.json is not None:
            assert response.json() == self._fill_all(call.json), said
        for name, value in call.has.items():
            assert response.json()[name] == self._fill_all(value), said
        if call.body is not None:
            assert response.content == _bytes(call.body), said[:300]
        if response.is_error:
            check_error(response, call.code)
        else:
            assert not call.code, "a code was expected of an answer that is no error"
        if location := response.headers.get("location"):
            self.words |= {"location": location, "upload": location.rpartition("/")[2]}
        return response

    def _fill(self, text: str) -> str:
        return re.sub(r"<([^<>]+)>", self._word, text)

    def _word(self, match: re.Match[str]) -> str:
        word, _, form = match[1].partition("|")
        if word in self.words:
            return self.words[word]
        content = CONTENTS[word]
        return str(len(content)) if form == "size" else digest_of(content, form or "sha256")

    def _fill_all(self, value: object) -> object:
        if isinstance(value, str):
            return self._fill(value)
        if isinstance(value, list):
            return [self._fill_all(item) for item in value]
        if isinstance(value, dict):
            return {self._fill(key): self._fill_all(item) for key, item in value.items()}
        return value


def _bytes(content: str | bytes) -> bytes:
    return CONTENTS[content] if isinstance(content, str) else content


def check_error(response: httpx2.Response, code: str = "") -> None:
    """Check that an answer has the form of the specification's section "Error Codes".

    Args:
        response: The answer.
        code: The code that its first error has; any if empty.
    """
    said = f"{response.status_code} {response.headers} {response.text[:600]}"
    if response.status_code == httpx2.codes.UNAUTHORIZED:
        assert response.headers.get("www-authenticate"), said
    if response.request.method == "HEAD":
        assert response.content == b"", said
        return
    assert response.headers["content-type"] == "application/json", said
    errors = response.json()["errors"]
    assert errors, said
    for error in errors:
        assert re.fullmatch(r"[A-Z][A-Z_]+", error["code"]), said
        assert error["message"], said
        assert error["detail"]["hint"], said
    if code:
        assert errors[0]["code"] == code, said
