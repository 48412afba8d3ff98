"""`customhouse auth`: sign-ins by password and by key, and what is handed on to Docker."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from customhouse.cli import credentials
from customhouse.database import Database
from customhouse.errors import Code, Failure
from customhouse.iam import projects, service_account_keys, service_accounts
from customhouse.iam.assertions import verify_assertion
from customhouse.iam.keyfiles import make_key
from tests.cli.program import HELPER, CommandLine, claims_of
from tests.support.servers import USER

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.database import Transaction
    from customhouse.iam.keyfiles import NewKey
    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("cli")

FAILED, USAGE, DENIED = 1, 2, 3
EMAIL = "builder@acme.iam.customhouse.test"
ELSEWHERE = "https://registry.example.org"


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    """A command line that is signed in nowhere."""
    return CommandLine(tmp_path)


@pytest.fixture(scope="module")
def key() -> NewKey:
    """A key of a service account."""
    return make_key(EMAIL, "acme", 1, "https://images.example.net")


def keep(cli: CommandLine, *urls: str, current: str = "") -> None:
    """Be signed in to servers that are not there."""
    cli.kept.parent.mkdir(parents=True, exist_ok=True)
    servers = {url: {"username": "ada", "refresh_token": "x"} for url in urls}
    cli.kept.write_text(json.dumps({"current": current, "servers": servers}))


def test_list_and_logout(cli: CommandLine, server: CustomhouseServer) -> None:
    said = cli("auth", "list")
    assert said.out == ""
    assert "Not signed in." in said.err
    assert cli("auth", "list", "--format", "json").document == []
    said = cli("auth", "logout", status=DENIED)
    assert said.err.startswith("Error: not signed in.\n")

    keep(cli, ELSEWHERE, current=ELSEWHERE)
    cli.login(server)
    assert cli("auth", "list", "--format", "json").document == [
        {"server": server.url, "account": USER, "current": True},
        {"server": ELSEWHERE, "account": "ada", "current": False},
    ]
    table = cli("auth", "list")
    assert table.row("SERVER", "ACCOUNT", "CURRENT")
    assert table.row(server.url, USER, "*")
    assert table.row(ELSEWHERE, "ada")
    assert not table.row(ELSEWHERE, "*")

    said = cli("auth", "logout", "images.example.net", status=DENIED)
    assert said.err.startswith("Error: not signed in to https://images.example.net.\n")
    assert cli("auth", "logout").out == f"Signed out of {server.url}.\n"
    assert cli("auth", "list").row(ELSEWHERE, "ada")
    cli("images", "list", status=DENIED)
    assert cli("auth", "logout", "registry.example.org").out == f"Signed out of {ELSEWHERE}.\n"
    assert cli("auth", "list").out == ""


def test_sign_ins_of_older_versions_hold(cli: CommandLine, server: CustomhouseServer) -> None:
    cli.login(server)
    document = json.loads(cli.kept.read_text())
    del document["docker"]
    del document["servers"][server.url]["username"]
    cli.kept.write_text(json.dumps(document))
    assert cli("auth", "list").row(server.url, "*")
    cli("images", "list")


def test_print_access_token(cli: CommandLine, server: CustomhouseServer) -> None:
    said = cli("auth", "print-access-token", status=DENIED)
    assert said.out == ""
    cli.login(server)
    for host in ((), (server.host,), (server.url,)):
        said = cli("auth", "print-access-token", *host)
        assert said.err == ""
        headers = {"authorization": f"Bearer {said.out.removesuffix(chr(10))}"}
        assert httpx2.get(f"{server.url}/v2/", headers=headers).status_code == httpx2.codes.OK
    assert cli("auth", "print-access-token", "registry.example.org", status=DENIED).out == ""


WAYS = {
    "two": ("--username", USER, "--key-file", "key.json"),
    "two secrets": ("--password-stdin", "--key-file", "key.json"),
    "secret of nobody": ("--password-stdin",),
}


@pytest.mark.parametrize("name", WAYS)
def test_one_way_to_sign_in(cli: CommandLine, name: str) -> None:
    said = cli("auth", "login", "localhost:1", *WAYS[name], status=USAGE)
    assert said.out == ""
    assert not cli.kept.exists()


# A service account's key.


@pytest.fixture(scope="module")
def registered(server: CustomhouseServer, key: NewKey) -> None:
    """The server knows the account and its key."""
    database = Database(f"sqlite:///{server.data / 'customhouse.sqlite'}")

    def register(tx: Transaction) -> None:
        projects.create(tx, "acme", f"user:{USER}")
        service_accounts.create(tx, EMAIL, "acme")
        service_account_keys.create(tx, EMAIL, key.id, key.public_pem)

    database.write(register)
    database.close()


@pytest.mark.usefixtures("registered")
def test_a_key_file_signs_in(cli: CommandLine, server: CustomhouseServer, key: NewKey) -> None:
    file = cli.home / "key.json"
    file.write_text(json.dumps(key.file))
    said = cli("auth", "login", server.host, "--key-file", file)
    assert said.out == f"Signed in to {server.url} as {EMAIL}.\n"
    file.unlink()
    assert cli.kept.stat().st_mode & 0o777 == 0o600
    assert cli("auth", "list").row(server.url, EMAIL, "*")
    helped = cli.helper("get", stdin=server.host).document
    assert helped["Username"] == "_token"
    for token in (cli("auth", "print-access-token").out.strip(), helped["Secret"]):
        assert claims_of(token)["sub"] == f"serviceAccount:{EMAIL}"
        headers = {"authorization": f"Bearer {token}"}
        assert httpx2.get(f"{server.url}/v2/", headers=headers).status_code == httpx2.codes.OK
    cli("auth", "logout")
    assert "PRIVATE KEY" not in cli.kept.read_text()


@pytest.mark.usefixtures("registered")
def test_a_key_that_the_server_does_not_know(
    cli: CommandLine, server: CustomhouseServer, key: NewKey
) -> None:
    other = make_key(EMAIL, "acme", 1, server.url).file
    # One of another account, and one that only claims to be the known one.
    for changed in (other, other | {"private_key_id": key.id}):
        file = cli.home / "key.json"
        file.write_text(json.dumps(changed))
        said = cli("auth", "login", server.host, "--key-file", file, status=DENIED)
        assert said.err.startswith("Error: ")
        assert not cli.kept.exists()


def test_an_assertion_is_for_one_server_and_short(key: NewKey) -> None:
    server = credentials.Server(
        "https://images.example.org",
        username=EMAIL,
        key_id=key.id,
        private_key=key.file["private_key"],
    )
    assert key.file["private_key"] not in repr(server)
    assertion = credentials.grant(server)["assertion"]
    now = time.time()

    def verify(audience: str, at: float) -> Any:
        return verify_assertion(assertion, EMAIL, key.public_pem, [audience], at)

    claims = verify("https://images.example.org/token", now)
    assert claims.exp - claims.iat <= 300
    # The key file names another server: what is sent to this one must not be good for that one.
    for audience, at in (
        (key.file["token_uri"], now),
        ("https://oauth2.googleapis.com/token", now),
        ("https://images.example.org/token", now + 3600),
    ):
        with pytest.raises(Failure) as caught:
            verify(audience, at)
        assert caught.value.code is Code.TOKEN_INVALID


def without(*names: str) -> str:
    """A key file that lacks something."""
    file = {
        "type": "service_account",
        "client_email": EMAIL,
        "private_key_id": "0" * 40,
        "private_key": "no PEM",
    }
    return json.dumps({name: text for name, text in file.items() if name not in names})


KEY_FILES: dict[str, tuple[bytes | str, str]] = {
    "no file": ("", "it is not JSON"),
    "garbage": (b"\x00\xff", "it is not JSON"),
    "brackets": ("[" * 60_000, "it is not JSON"),
    "array": ("[]", 'its "type" is not "service_account"'),
    "a person's": ('{"type": "authorized_user"}', 'its "type" is not "service_account"'),
    "no account": (without("client_email"), 'it has no "client_email"'),
    "no key id": (without("private_key_id"), 'it has no "private_key_id"'),
    "no key": (without("private_key"), 'it has no "private_key"'),
    "a number": (without("private_key")[:-1] + ', "private_key": 1}', 'it has no "private_key"'),
    "no PEM": (without(), "its private key is no RSA key"),
    "too long": (b" " * 70_000, "it is longer than"),
}


@pytest.mark.parametrize("name", KEY_FILES)
def test_what_is_no_key_file(cli: CommandLine, name: str) -> None:
    content, told = KEY_FILES[name]
    file = cli.home / "key.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = cli("auth", "login", "127.0.0.1:1", "--key-file", file, status=FAILED)
    assert said.err.startswith(f"Error: the key file cannot be used: {told}")
    assert not cli.kept.exists()


def test_a_key_file_that_is_not_there(cli: CommandLine) -> None:
    said = cli("auth", "login", "127.0.0.1:1", "--key-file", "none.json", status=FAILED)
    assert "none.json" in said.err


# Docker's configuration.

HELPERS = '"credHelpers": {"h.example.org": "customhouse"}'
TABBED = '\n\t"credHelpers": {\n\t\t"h.example.org": "customhouse"\n\t}'

CONFIGS = {
    "nothing": ("", "{" + TABBED + "\n}\n"),
    "blanks": (" \n", "{" + TABBED + "\n}\n"),
    "empty object": ("{}", "{" + TABBED + "\n}"),
    "blank object": ("{ \n }\n", "{" + TABBED + "\n}\n"),
    "as Docker writes it": (
        '{\n\t"auths": {\n\t\t"z": {}\n\t},\n\t"x": {"a": "\\u003c\\/"}\n}',
        '{\n\t"auths": {\n\t\t"z": {}\n\t},\n\t"x": {"a": "\\u003c\\/"},' + TABBED + "\n}",
    ),
    "two blanks": (
        '{\n  "z": 1.0e5,\n  "a": 12345678901234567890.10\n}\n',
        (
            '{\n  "z": 1.0e5,\n  "a": 12345678901234567890.10,\n'
            '  "credHelpers": {\n    "h.example.org": "customhouse"\n  }\n}\n'
        ),
    ),
    "in one line": ('{"z":1,"a":[1, 2]}', '{"z":1,"a":[1, 2],' + HELPERS + "}"),
    "others' helpers": (
        '{"credHelpers": {"z.example.org":"gcloud","a":"pass"}, "credsStore" : "pass" }',
        (
            '{"credHelpers": {"z.example.org": "gcloud", "a": "pass",'
            ' "h.example.org": "customhouse"}, "credsStore" : "pass" }'
        ),
    ),
    "another helper": (
        '{"credHelpers": {"h.example.org": "gcloud", "a": "pass"}}',
        '{"credHelpers": {"h.example.org": "customhouse", "a": "pass"}}',
    ),
    "null": ('{"credHelpers":null, "z": null}', '{"credHelpers":' + HELPERS[15:] + ', "z": null}'),
    "twice": (
        '{"credHelpers": {"a": "pass"}, "credHelpers": {}}',
        '{"credHelpers": {"a": "pass"}, ' + HELPERS + "}",
    ),
    "words of it elsewhere": (
        '{"x": {"credHelpers": {}}, "y": "credHelpers\\": {}"}',
        '{"x": {"credHelpers": {}}, "y": "credHelpers\\": {}",' + HELPERS + "}",
    ),
    "letters": ('{"ä": "\\u00e4ö"}', '{"ä": "\\u00e4ö",' + HELPERS + "}"),
}


@pytest.fixture
def docker(cli: CommandLine) -> Path:
    """Docker's configuration file, which is not there yet."""
    folder = cli.home / ".docker"
    folder.mkdir()
    return folder / "config.json"


@pytest.mark.parametrize("name", CONFIGS)
def test_configure_docker_leaves_the_rest(cli: CommandLine, docker: Path, name: str) -> None:
    before, after = CONFIGS[name]
    docker.write_bytes(before.encode())
    docker.chmod(0o640)
    said = cli("auth", "configure-docker", "h.example.org")
    assert docker.read_bytes().decode() == after
    assert docker.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in docker.parent.iterdir()] == ["config.json"]
    instead = " instead of gcloud" if name == "another helper" else ""
    assert said.out == (
        f"Docker asks customhouse about h.example.org now{instead}.\nThis is written in {docker}.\n"
    )
    # Done once, it is not written again.
    known = docker.stat()
    said = cli("auth", "configure-docker", "h.example.org")
    assert said.out.startswith("Docker asks customhouse about h.example.org already.\n")
    assert docker.stat() == known


REFUSED = {
    "array": b"[]",
    "text": b'"x"',
    "null": b"null",
    "half": b'{"auths": {',
    "two": b"{} {}",
    "comment": b"{} // mine",
    "garbage": b"\x00\x01",
    "no UTF-8": b'{"a": "\xff"}',
    "brackets": b'{"a":' * 50_000,
    "helpers in an array": b'{"credHelpers": []}',
    "helpers in a text": b'{"credHelpers": "pass"}',
    "too long": b'{"a": "' + b"x" * 4_200_000 + b'"}',
}


@pytest.mark.parametrize("name", REFUSED)
def test_configure_docker_refuses_what_is_no_object(
    cli: CommandLine, docker: Path, name: str
) -> None:
    docker.write_bytes(REFUSED[name])
    said = cli("auth", "configure-docker", "h.example.org", status=FAILED)
    assert said.err.startswith(f"Error: {docker} is not a JSON object")
    assert docker.read_bytes() == REFUSED[name]
    assert [each.name for each in docker.parent.iterdir()] == ["config.json"]


def test_configure_docker_follows_links(cli: CommandLine, docker: Path) -> None:
    real = cli.home / "dotfiles" / "docker.json"
    real.parent.mkdir()
    real.write_text("{}")
    docker.symlink_to("../dotfiles/docker.json")
    cli("auth", "configure-docker", "h.example.org")
    assert docker.is_symlink()
    assert json.loads(real.read_text()) == {"credHelpers": {"h.example.org": "customhouse"}}


def test_configure_docker_makes_the_file(cli: CommandLine) -> None:
    folder = cli.home / "some" / "where"
    runner = CommandLine(cli.home, {"DOCKER_CONFIG": str(folder)})
    runner("auth", "configure-docker", "h.example.org")
    file = folder / "config.json"
    assert json.loads(file.read_text()) == {"credHelpers": {"h.example.org": "customhouse"}}
    assert file.stat().st_mode & 0o777 == 0o600
    assert not (cli.home / ".docker").exists()


def test_configure_docker_for_all_that_is_signed_in_to(cli: CommandLine, docker: Path) -> None:
    said = cli("auth", "configure-docker", status=DENIED)
    assert said.err.startswith("Error: not signed in.\n")
    keep(cli, ELSEWHERE, "http://localhost:5000")
    cli("auth", "configure-docker")
    assert json.loads(docker.read_text())["credHelpers"] == {
        "registry.example.org": "customhouse",
        "localhost:5000": "customhouse",
    }


def test_configure_docker_takes_hosts_as_people_write_them(cli: CommandLine, docker: Path) -> None:
    hosts = ("https://A.example.org/", "a.example.org", "[::1]:5000", "10.0.0.1")
    cli("auth", "configure-docker", *hosts)
    assert list(json.loads(docker.read_text())["credHelpers"]) == [
        "a.example.org",
        "[::1]:5000",
        "10.0.0.1",
    ]
    docker.unlink()
    for wrong in ("", "a b", "-x.example.org:y", "https://", "a..b:123456", "x\x1b[2J", '"', "ä"):
        said = cli("auth", "configure-docker", "--", wrong, status=FAILED)
        assert said.err.splitlines()[0].endswith("is not the name of a server.")
        assert not docker.exists()


def test_configure_docker_warns_where_docker_would_not_find_the_helper(
    cli: CommandLine, docker: Path
) -> None:
    missing = CommandLine(cli.home, {"PATH": "/usr/bin:/bin"})
    said = missing("auth", "configure-docker", "h.example.org").err
    assert "docker-credential-customhouse is not in PATH" in said
    found = CommandLine(cli.home, {"PATH": f"{HELPER.parent}:{os.environ['PATH']}"})
    assert found("auth", "configure-docker", "h.example.org").err == ""
