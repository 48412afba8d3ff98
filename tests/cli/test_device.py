"""The terminal's side of the device flow, against servers that answer this and that."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from customhouse.cli.device import sign_in
from customhouse.errors import Code, Failure
from tests.cli.program import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

ASKED = {
    "device_code": "long",
    "user_code": "BCDF-GHJK",
    "verification_uri": "http://x/auth/device",
    "verification_uri_complete": "http://x/auth/device?user_code=BCDF-GHJK",
    "expires_in": 600,
    "interval": 5,
}
# Payload {"sub":"user:ana"}
TOKENS = {"access_token": "e30.eyJzdWIiOiJ1c2VyOmFuYSJ9.x", "refresh_token": "r"}

Answer = tuple[int, object]


class Run:
    """One sign-in at a server that gives these answers, with a clock that only sleeping moves.

    Attributes:
        shown: what the person was told.
        slept: the pauses.
        forms: what the server was sent.
    """

    def __init__(self, *answers: Answer) -> None:
        self.answers: Sequence[Answer] = answers
        self.shown: list[tuple[str, str]] = []
        self.slept: list[float] = []
        self.forms: list[dict[str, list[str]]] = []

    def __call__(self) -> tuple[str, str]:
        answers = iter(self.answers)
        forms = self.forms

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                forms.append(parse_qs(self.rfile.read(length).decode()))
                status, document = next(answers)
                content = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments: object) -> None:
                pass

        with serving(Handler) as host:
            return sign_in(
                f"http://{host}",
                lambda page, code: self.shown.append((page, code)),
                clock=lambda: sum(self.slept),
                sleep=self.slept.append,
            )


def error(name: str, status: int = 400) -> Answer:
    return status, {"error": name}


def test_it_waits_as_it_is_told() -> None:
    run = Run(
        (200, ASKED),
        error("authorization_pending"),
        error("slow_down"),
        (503, b"later"),
        error("authorization_pending"),
        (200, TOKENS),
    )
    assert run() == ("ana", "r")
    assert run.shown == [(ASKED["verification_uri_complete"], "BCDF-GHJK")]
    assert run.slept == [5, 5, 10, 20, 20]
    assert run.forms[0] == {"client_id": ["customhouse"]}
    assert run.forms[1] == {
        "grant_type": ["urn:ietf:params:oauth:grant-type:device_code"],
        "device_code": ["long"],
        "client_id": ["customhouse"],
    }


@pytest.mark.parametrize(
    ("changed", "paused"),
    [
        ({"interval": 1}, 1),
        ({"interval": 0}, 5),
        ({"interval": -1}, 5),
        ({"interval": "x"}, 5),
        ({"interval": 1e300}, 5),
        ({"interval": float("nan")}, 5),
        ({"interval": None}, 5),
        ({"expires_in": "x"}, 5),
    ],
)
def test_odd_numbers(changed: dict[str, Any], paused: float) -> None:
    run = Run((200, ASKED | changed), (200, TOKENS))
    assert run() == ("ana", "r")
    assert run.slept == [paused]


def test_only_one_page_is_given() -> None:
    run = Run((200, ASKED | {"verification_uri_complete": 1}), (200, TOKENS))
    run()
    assert run.shown == [(ASKED["verification_uri"], "BCDF-GHJK")]


REFUSED: dict[str, tuple[tuple[Answer, ...], str]] = {
    "denied": (((200, ASKED), error("access_denied")), "it was denied in the browser"),
    "expired": (((200, ASKED), error("expired_token")), "nobody allowed it in time"),
    "never allowed": (
        ((200, ASKED | {"expires_in": 9}), *[error("authorization_pending")] * 2),
        "nobody allowed it in time",
    ),
    "used": (((200, ASKED), error("invalid_grant")), "the server answers 400"),
    "no such page": (((404, {"errors": []}),), "the server answers 404"),
    "too many": (
        ((429, {"error": "slow_down", "error_description": "too many requests. Wait."}),),
        "too many requests. Wait",
    ),
    "no JSON": (((200, b"<html>"),), "the server answers 200"),
    "deep": (((200, b"[" * 100_000),), "the server answers 200"),
    "a list": (((200, []),), "the server answers 200"),
    "no code": (((200, ASKED | {"user_code": None}),), "the server answers 200"),
    "a long code": (((200, ASKED | {"user_code": "B" * 9999}),), "the server answers 200"),
    "no token": (((200, ASKED), (200, {"access_token": "x"})), "the server answers 200"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    answers, said = REFUSED[name]
    with pytest.raises(Failure) as caught:
        Run(*answers)()
    assert caught.value.code is Code.SIGN_IN_REFUSED
    assert said in caught.value.message


@pytest.mark.parametrize("token", ["", "x", "x.y.z", "x.W10.z", "x.bnVsbA.z", "x.eyJzdWIiOjF9.z"])
def test_a_token_that_does_not_say_whose_it_is(token: str) -> None:
    assert Run((200, ASKED), (200, TOKENS | {"access_token": token}))() == ("", "r")


def test_nobody_there() -> None:
    with pytest.raises(Failure) as caught:
        sign_in("http://127.0.0.1:1", lambda *_: None)
    assert caught.value.code is Code.SERVER_UNREACHABLE
