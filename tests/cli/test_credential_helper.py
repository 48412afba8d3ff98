"""`docker-credential-customhouse` as Docker, skopeo and podman run it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.cli.program import CommandLine, Stranger, claims_of, serving
from tests.support.images import noise
from tests.support.processes import run
from tests.support.servers import PASSWORD, USER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engines import DockerEngine
    from tests.support.images import Image
    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("cli")

NOT_FOUND = "credentials not found in native keychain\n"
NO_SERVER = "no credentials server URL\n"
NO_USERNAME = "no credentials username\n"

ELSEWHERE = "registry.example.org"
KEY = '{"type": "service_account", "private_key": "-----BEGIN"}'


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    """A command line that is signed in nowhere."""
    return CommandLine(tmp_path)


def credentials(address: str, username: str, secret: str) -> str:
    """What Docker writes to `store`."""
    return json.dumps({"ServerURL": address, "Username": username, "Secret": secret})


FORMS = ("{host}", "{host}/acme/web", "http://{host}", "https://{host}/v2/", " {host}\n", "{host}/")


@pytest.mark.parametrize("form", FORMS)
def test_get_gives_a_token_that_ends_soon(
    cli: CommandLine, server: CustomhouseServer, form: str
) -> None:
    cli.login(server)
    address = form.format(host=server.host)
    said = cli.helper("get", stdin=address).document
    assert set(said) == {"ServerURL", "Username", "Secret"}
    assert said["ServerURL"] == address.strip()
    assert said["Username"] == "_token"
    claims = claims_of(said["Secret"])
    assert claims["sub"] == f"user:{USER}"
    assert claims["exp"] - claims["iat"] <= 3600
    assert said["Secret"] not in cli.kept.read_text()
    headers = {"authorization": f"Bearer {said['Secret']}"}
    assert httpx2.get(f"{server.url}/v2/", headers=headers).status_code == httpx2.codes.OK


def test_get_asks_for_a_new_token_each_time(cli: CommandLine, server: CustomhouseServer) -> None:
    cli.login(server)
    first, second = (cli.helper("get", stdin=server.host).document["Secret"] for _ in range(2))
    assert first != second


def test_get_where_the_environment_signs_in(cli: CommandLine, server: CustomhouseServer) -> None:
    env = {
        "CUSTOMHOUSE_SERVER": server.host,
        "CUSTOMHOUSE_USERNAME": USER,
        "CUSTOMHOUSE_PASSWORD": PASSWORD,
    }
    runner = CommandLine(cli.home, env)
    assert runner.helper("get", stdin=server.host).document["Username"] == "_token"
    assert runner.helper("get", stdin=ELSEWHERE, status=1).out == NOT_FOUND
    assert not cli.kept.exists()


@pytest.mark.parametrize(
    "address", [ELSEWHERE, "127.0.0.1:1", "https://index.docker.io/v1/", "[::"]
)
def test_what_is_not_signed_in_to(
    cli: CommandLine, server: CustomhouseServer, address: str
) -> None:
    cli.login(server)
    before = cli.kept.read_text()
    for action in ("get", "erase"):
        said = cli.helper(action, stdin=address, status=1)
        assert (said.out, said.err) == (NOT_FOUND, "")
    assert cli.kept.read_text() == before


def test_a_sign_in_that_was_revoked_is_told(cli: CommandLine, server: CustomhouseServer) -> None:
    cli.login(server)
    document = json.loads(cli.kept.read_text())
    document["servers"][server.url]["refresh_token"] += "x"
    cli.kept.write_text(json.dumps(document))
    said = cli.helper("get", stdin=server.host, status=1).out
    assert said.startswith(f"not signed in to {server.url}: the token is not valid")
    assert "customhouse auth login HOST" in said


def test_a_password_becomes_a_refresh_token(cli: CommandLine, server: CustomhouseServer) -> None:
    cli.helper("store", stdin=credentials(server.host, USER, PASSWORD))
    assert PASSWORD not in cli.kept.read_text()
    assert cli.kept.stat().st_mode & 0o777 == 0o600
    assert cli.kept.parent.stat().st_mode & 0o777 == 0o700
    assert cli.helper("get", stdin=server.host).document["Username"] == "_token"
    assert cli.helper("list").document == {server.host: "_token"}
    # Docker's sign-in is also that of the command line.
    cli("images", "list")
    assert cli("auth", "list").row(server.url, USER, "*")

    cli.helper("erase", stdin=f"https://{server.host}")
    assert cli.helper("get", stdin=server.host, status=1).out == NOT_FOUND
    assert cli.helper("erase", stdin=server.host, status=1).out == NOT_FOUND
    assert cli.helper("list").document == {}


def test_a_wrong_password_is_not_kept(cli: CommandLine, server: CustomhouseServer) -> None:
    said = cli.helper("store", stdin=credentials(server.host, USER, "wrong:pass"), status=1)
    assert "the user name or the password is wrong" in said.out
    assert not cli.kept.exists()


def test_an_identity_token_is_a_refresh_token(cli: CommandLine, server: CustomhouseServer) -> None:
    form = {
        "grant_type": "password",
        "username": USER,
        "password": PASSWORD,
        "access_type": "offline",
        "service": "customhouse",
    }
    token = httpx2.post(f"{server.url}/token", data=form).json()["refresh_token"]
    cli.helper("store", stdin=credentials(server.host, "<token>", token))
    said = cli.helper("get", stdin=server.host).document
    assert said["Username"] == "_token"
    assert said["Secret"] != token
    assert cli("auth", "list").row(server.url, USER, "*")


@pytest.mark.parametrize(
    ("username", "secret"),
    [
        ("_json_key", KEY),
        ("_json_key_base64", base64.b64encode(KEY.encode()).decode()),
        ("oauth2accesstoken", "ya29.x"),
        ("_token", "eyJ"),
        ("_dcgcloud_token", "eyJ"),
    ],
)
def test_keys_and_tokens_are_given_back_as_they_are(
    cli: CommandLine, server: CustomhouseServer, username: str, secret: str
) -> None:
    cli.login(server)
    for address in (server.host, ELSEWHERE):
        cli.helper("store", stdin=credentials(address, username, secret))
        for form in (address, f"{address}/acme/app"):
            said = cli.helper("get", stdin=form).document
            assert said == {"ServerURL": form, "Username": username, "Secret": secret}
    assert cli.kept.stat().st_mode & 0o777 == 0o600
    assert cli.helper("list").document == {server.host: username, ELSEWHERE: username}
    # The last sign-in counts.
    cli.login(server)
    assert cli.helper("get", stdin=server.host).document["Secret"] != secret
    cli.helper("erase", stdin=ELSEWHERE)
    assert cli.helper("get", stdin=ELSEWHERE, status=1).out == NOT_FOUND


@pytest.mark.parametrize("status", [200, 302, 307, 401, 404, 500])
def test_another_registry_keeps_its_password(cli: CommandLine, status: int) -> None:
    seen: list[str] = []
    with serving(Stranger, status=status, seen=seen) as host:
        for username in (USER, "<token>"):
            cli.helper("store", stdin=credentials(f"http://{host}/v1/", username, PASSWORD))
            said = cli.helper("get", stdin=f"http://{host}/v1/").document
            assert (said["Username"], said["Secret"]) == (username, PASSWORD)
            assert cli.helper("list").document == {f"http://{host}/v1/": username}
    assert [line.split()[1] for line in seen] == ["/v2/", "/v2/"]
    assert PASSWORD not in "".join(seen)
    assert cli.kept.stat().st_mode & 0o777 == 0o600


def test_a_refresh_token_is_not_carried_to_where_a_redirection_points(cli: CommandLine) -> None:
    for status in (302, 307, 308):
        seen: list[str] = []
        with serving(Stranger, status=status, seen=seen) as host:
            cli.kept.parent.mkdir(parents=True, exist_ok=True)
            document = {"current": "", "servers": {f"http://{host}": {"refresh_token": "long"}}}
            cli.kept.write_text(json.dumps(document))
            said = cli.helper("get", stdin=host, status=1).out
            assert said.startswith(f"http://{host} cannot be reached: it answered {status}")
        assert [line.split()[1] for line in seen] == ["/token"]


def test_a_server_that_is_away(cli: CommandLine, server: CustomhouseServer) -> None:
    said = cli.helper("store", stdin=credentials("127.0.0.1:1", USER, PASSWORD), status=1)
    assert said.out.startswith("http://127.0.0.1:1/v2/ cannot be reached: ")
    assert not cli.kept.exists()
    for url in ("ftp://127.0.0.1:1", "file:///etc/passwd", "http://127.0.0.1:x", "http://[::1"):
        cli.kept.parent.mkdir(parents=True, exist_ok=True)
        cli.kept.write_text(json.dumps({"servers": {url: {"refresh_token": "long"}}}))
        host = url.partition("://")[2].partition("/")[0]
        said = cli.helper("get", stdin=host, status=1)
        assert "cannot be reached" in said.out or (not host and said.out == NO_SERVER)


WRONG: dict[str, tuple[tuple[str, ...], str | bytes, str]] = {
    "no argument": ((), "", "Usage: "),
    "two arguments": (("get", "list"), "", "Usage: "),
    "another action": (("delete",), "", "unknown action 'delete'"),
    "control characters": (("\x1b[2J",), "", "unknown action"),
    "get nothing": (("get",), "", NO_SERVER),
    "get a scheme": (("get",), "https://", NO_SERVER),
    "erase nothing": (("erase",), "\n", NO_SERVER),
    "get bytes": (("get",), b"\xff\xfe\x00", NOT_FOUND),
    "get too much": (("get",), b"x" * 1_100_000, "the request is malformed: more than"),
    "store nothing": (("store",), "", "the request is malformed: "),
    "store an array": (("store",), "[]", "the request is malformed: "),
    "store brackets": (("store",), "[" * 100_000, "the request is malformed: "),
    "store numbers": (
        ("store",),
        '{"ServerURL": 1, "Username": 2, "Secret": 3}',
        "the request is malformed: ",
    ),
    "store for nowhere": (("store",), credentials("", USER, "x"), NO_SERVER),
    "store for nobody": (("store",), credentials(ELSEWHERE, "", "x"), NO_USERNAME),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input(cli: CommandLine, name: str) -> None:
    arguments, stdin, told = WRONG[name]
    said = cli.helper(*arguments, stdin=stdin, status=1)
    assert said.out.startswith(told)
    assert said.out.count("\n") == 1
    assert said.out.rstrip("\n").isprintable()
    assert said.err == ""
    assert not cli.kept.exists()


BROKEN = {
    "garbage": b"\x00\xff",
    "array": b"[]",
    "numbers": b'{"current": 1, "servers": {"http://h": 2}, "docker": {"h": 3}}',
    "other shapes": b'{"servers": ["h"], "docker": "h"}',
    "numbers inside": b'{"servers": {"http://h": {"refresh_token": 1}}, "docker": {"h": {}}}',
    "brackets": b"[" * 100_000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_no_sign_in(cli: CommandLine, name: str) -> None:
    cli.kept.parent.mkdir(parents=True)
    cli.kept.write_bytes(BROKEN[name])
    assert cli.helper("get", stdin="h", status=1).out == NOT_FOUND
    assert cli.helper("list").document == {}
    cli.helper("store", stdin=credentials("h", "_json_key", KEY))
    assert cli.helper("list").document == {"h": "_json_key"}


def test_many_at_once_lose_nothing(cli: CommandLine) -> None:
    hosts = [f"r{number}.example.org" for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(
            pool.map(
                lambda host: cli.helper("store", stdin=credentials(host, "_json_key", KEY)), hosts
            )
        )
    assert cli.helper("list").document == dict.fromkeys(hosts, "_json_key")
    assert [each.name for each in cli.kept.parent.iterdir()] == [cli.kept.name]


def test_version(cli: CommandLine) -> None:
    said = cli.helper("version").out
    assert said.startswith("docker-credential-customhouse (customhouse) ")
    assert cli("--version").out.strip() in said


def test_it_imports_little() -> None:
    heavy = ("httpx2", "joserfc", "cryptography", "pydantic", "fastapi", "sqlalchemy")
    program = (
        "import sys, customhouse.cli.credential_helper;"
        f"print(*[name for name in {heavy} if name in sys.modules])"
    )
    assert run(sys.executable, "-c", program).strip() == ""


def test_tls(cli: CommandLine, tls_server: CustomhouseServer) -> None:
    stored = credentials(tls_server.host, USER, PASSWORD)
    # Nobody vouches for this certificate, and loopback is spoken to without TLS by itself.
    address = f"https://{tls_server.host}"
    assert tls_server.certificate is not None
    trusting = CommandLine(cli.home, {"SSL_CERT_FILE": str(tls_server.certificate.chain)})
    trusting.login(tls_server)
    assert trusting.helper("get", stdin=tls_server.host).document["Username"] == "_token"
    trusting.helper("store", stdin=stored)
    assert PASSWORD not in cli.kept.read_text()
    said = cli.helper("get", stdin=tls_server.host, status=1).out
    assert said.startswith(f"{address}/token cannot be reached: ")
    assert "certificate" in said.lower()


# Real clients. Each finds the helper in PATH and is told by `credHelpers` to ask it.


@pytest.mark.client("docker")
def test_docker_login(
    cli: CommandLine, server: CustomhouseServer, docker_engine: DockerEngine
) -> None:
    env = docker_engine.env | cli.client(server.host)
    said = run(
        *("docker", "login", server.host, "-u", USER, "--password-stdin"), stdin=PASSWORD, env=env
    )
    assert "Login Succeeded" in said
    config = (cli.home / "docker" / "config.json").read_text()
    assert json.loads(config)["credHelpers"] == {server.host: "customhouse"}
    assert '"auth"' not in config
    assert "identitytoken" not in config
    assert PASSWORD not in config + cli.kept.read_text()
    cli("images", "list")
    said = run("docker", "logout", server.host, env=env)
    assert "could not" not in said
    assert cli.helper("get", stdin=server.host, status=1).out == NOT_FOUND


@pytest.mark.client("docker")
def test_docker_pushes_and_pulls(
    cli: CommandLine, server: CustomhouseServer, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    env = docker_engine.env | cli.client(server.host)
    cli.login(server)
    (tmp_path / "content").write_bytes(noise(50_000, f"{tmp_path}"))
    subprocess.run(["tar", "-cf", "image.tar", "content"], cwd=tmp_path, check=True)
    name = f"{server.host}/helped/docker:1"
    run("docker", "import", tmp_path / "image.tar", name, env=env)
    run("docker", "push", name, env=env)
    run("docker", "image", "rm", name, env=env)
    run("docker", "pull", name, env=env)
    cli.helper("erase", stdin=server.host)
    run("docker", "push", name, env=env, fails=True)


@pytest.mark.client("skopeo")
def test_skopeo_login(cli: CommandLine, server: CustomhouseServer) -> None:
    env = cli.client(server.host)
    run(
        *("skopeo", "login", "--tls-verify=false", "-u", USER, "--password-stdin", server.host),
        stdin=PASSWORD,
        env=env,
    )
    config = (cli.home / "docker" / "config.json").read_text()
    assert PASSWORD not in config + cli.kept.read_text()
    assert '"auth"' not in config
    assert cli.helper("list").document == {server.host: "_token"}
    run("skopeo", "logout", server.host, env=env)
    assert cli.helper("list").document == {}


@pytest.mark.client("skopeo")
def test_skopeo_copies(
    cli: CommandLine, server: CustomhouseServer, small_image: Image, tmp_path: Path
) -> None:
    env = cli.client(server.host)
    cli.login(server)
    small_image.write_layout(tmp_path / "layout", "1")
    remote = f"docker://{server.host}/helped/skopeo:1"
    copy = ("skopeo", "--insecure-policy", "copy")
    run(*copy, "--dest-tls-verify=false", f"oci:{tmp_path}/layout:1", remote, env=env)
    run(*copy, "--src-tls-verify=false", remote, f"dir:{tmp_path}/pulled", env=env)
    run(
        *(*copy, "--src-tls-verify=false", remote, f"dir:{tmp_path}/again"),
        env=env | {"REGISTRY_AUTH_FILE": str(tmp_path / "none.json"), "DOCKER_CONFIG": "/none"},
        fails=True,
    )


@pytest.mark.client("podman")
def test_podman_login(cli: CommandLine, server: CustomhouseServer) -> None:
    env = cli.client(server.host)
    run(
        *("podman", "login", "--tls-verify=false", "-u", USER, "--password-stdin", server.host),
        stdin=PASSWORD,
        env=env,
    )
    assert PASSWORD not in cli.kept.read_text()
    assert cli.helper("list").document == {server.host: "_token"}
    assert run("podman", "login", "--get-login", server.host, env=env).strip() == "_token"
    run("podman", "logout", server.host, env=env)
    assert cli.helper("list").document == {}
