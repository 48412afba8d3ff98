"""Tables as they look on a terminal of 80 columns."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import CommandLine, signed_in
from tests.cli.terminal import on_terminal
from tests.faults.pushers import OS_RELEASE, dpkg_status
from tests.faults.registry import Registry
from tests.support.images import make_image
from tests.support.servers import customhouse_server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.xdist_group("cli")

EMAIL = "ci-push@acme.iam.customhouse.internal"
SUBSCRIPTIONS = ("notifications", "subscriptions")
PYTHON = make_image(
    {
        "etc/os-release": OS_RELEASE,
        "var/lib/dpkg/status": dpkg_status("libgcc-s1=12.2.0-14+deb12u1", "sed=4.9-1"),
        "usr/local/lib/python3.12/site-packages/typing_extensions-4.12.2.dist-info/METADATA": (
            b"Name: typing_extensions\nVersion: 4.12.2\nLicense-Expression: PSF-2.0\n"
        ),
    }
)
PULL = "artifactregistry.repositories.downloadArtifacts"


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """The command line, signed in to a server with one of each."""
    folder = tmp_path_factory.mktemp("server")
    with customhouse_server(folder) as running:
        cli = signed_in(running, folder)
        cli("projects", "create", "acme", "--labels", "team=web,env=prod")
        cli("groups", "create", "developers", "--description", "Who writes code " * 8)
        cli("iam", "service-accounts", "create", "ci-push", "--project", "acme")
        key = ("iam", "service-accounts", "keys", "create", folder / "key.json")
        cli(*key, "--iam-account", EMAIL)
        with Registry(running) as registry:
            registry.discovery("acme/web", registry.push("acme/web", PYTHON, "1"))
        image = f"{running.host}/acme/web:1"
        reason = ("--reason", "what it does is done nowhere in what we run; see ticket 17")
        about = ("--image", f"{running.host}/acme/web@{PYTHON.digest}", "--package", "libgcc-s1")
        cli("exceptions", "create", "GHSA-abcd-2345-wxyz", *about, *reason, "--expires", "90d")
        to = ("--topic", "gcr", "--push-endpoint", "http://127.0.0.1:9/", "--project", "acme")
        cli(*SUBSCRIPTIONS, "create", "web-hook", *to)
        cli(*SUBSCRIPTIONS, "test", "web-hook", "--project", "acme", status=1)
        yield dataclasses.replace(cli, env={**cli.env, "IMAGE": image})


# What stands there whole: it is copied from there.
TABLES = {
    ("projects", "list"): "acme",
    ("iam", "roles", "list"): "roles/containeranalysis.notes.occurrences.viewer",
    ("iam", "service-accounts", "list", "--project", "acme"): EMAIL,
    ("iam", "service-accounts", "keys", "list", "--iam-account", EMAIL): r"[0-9a-f]{40}",
    ("iam", "test-permissions", "acme", PULL): PULL,
    ("services", "list", "--project", "acme"): "containerscanning.googleapis.com",
    ("users", "list"): "admin",
    ("groups", "list"): "developers",
    ("images", "packages", "IMAGE"): "typing.extensions +4.12.2 +PYPI +PSF-2.0 +0",
    ("exceptions", "list", "--project", "acme"): " *1 +GHSA-abcd-2345-wxyz +ACTIVE",
    ("notifications", "deliveries", "list", "web-hook", "--project", "acme"): (
        r"msg_[0-9a-f]{32} +20[0-9-]{8} +DEAD +no"
    ),
}


@pytest.mark.parametrize("command", TABLES, ids=" ".join)
def test_table_on_a_terminal(cli: CommandLine, command: tuple[str, ...]) -> None:
    lines = on_terminal(cli, *(cli.env.get(each, each) for each in command))
    assert max(map(len, lines)) <= 80
    # The last column is not so narrow that its name is broken.
    assert set(lines[1]) == {"\N{BOX DRAWINGS LIGHT HORIZONTAL}"}
    assert any(re.match(rf"{TABLES[command]}\s", line) for line in lines), lines
