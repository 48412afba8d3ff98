"""`customhouse iam pools`: what CI needs to sign in without a key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.cli.program import CommandLine, signed_in
from tests.iam.issuer import github, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import CustomhouseServer


@pytest.fixture
def cli(server: CustomhouseServer, tmp_path: Path) -> CommandLine:
    """The command line, signed in as the administrator."""
    return signed_in(server, tmp_path)


def test_from_a_pool_to_a_token(server: CustomhouseServer, cli: CommandLine) -> None:
    of = ("--project", "keyless")
    cli("projects", "create", "keyless")
    cli("iam", "pools", "create", "ci-pool", "--description", "Builds", *of)
    assert "ci-pool" in cli("iam", "pools", "list", *of).out
    with running() as issuer:
        trust = ("--pool", "ci-pool", "--issuer", issuer.url, *of)
        mapping = ("--map", "google.subject=assertion.sub")
        condition = ("--condition", "assertion.repository_owner == 'acme'")
        made = cli("iam", "pools", "providers", "create", "github", *trust, *mapping, *condition)
        audience = next(word for word in made.out.split() if word.startswith("//iam"))
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": audience,
            "subject_token": issuer.token(github(), audience),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        }
        answer = httpx2.post(f"{server.url}/v1/token", data=form)
        assert answer.status_code == 200, answer.text
        listed = cli("iam", "pools", "providers", "list", "--pool", "ci-pool", *of)
        assert issuer.url in listed.out
        cli("iam", "pools", "providers", "delete", "github", "--pool", "ci-pool", *of)
        assert httpx2.post(f"{server.url}/v1/token", data=form).status_code == 400
    cli("iam", "pools", "delete", "ci-pool", *of)
    assert json.loads(cli("iam", "pools", "list", "--format", "json", *of).out) == []


def test_mistakes(cli: CommandLine) -> None:
    cli("projects", "create", "mistaken")
    of = ("--project", "mistaken")
    cli("iam", "pools", "create", "ci-pool", *of)
    trust = ("--pool", "ci-pool", "--issuer", "https://issuer.example.com", *of)
    said = cli("iam", "pools", "providers", "create", "github", *trust, "--map", "x", status=1)
    assert "NAME=EXPRESSION" in said.err
    condition = ("--condition", "assertion.sub ==")
    said = cli("iam", "pools", "providers", "create", "github", *trust, *condition, status=1)
    assert "attribute condition" in said.err
    assert "ci-pool is there already" in cli("iam", "pools", "create", "ci-pool", *of, status=1).err
