"""`customhouse`: one command, a group for each noun."""

from __future__ import annotations

import os
import sys
from enum import Enum
from pathlib import Path

from cyclopts import App, CycloptsError, Parameter

from customhouse import __version__
from customhouse.errors import Code, Failure


def _shown_default(value: object) -> str | None:
    """A default as help shows it; none where leaving the option out means nothing of the kind."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or None
    return str(value) if value else None


app = App(
    name="customhouse",
    version=__version__,
    help="A private container registry.",
    default_parameter=Parameter(negative=(), show_default=_shown_default),
)
# By name: a group is imported when one of its commands is called.
app.command("customhouse.cli.auth:app", name="auth", help="Sign in to a server.")
app.command(
    "customhouse.cli.images:app", name="images", help="Images: list, look into, scan, delete."
)
app.command(
    "customhouse.cli.feeds:app", name="feeds", help="Advisories that images are matched with."
)
app.command(
    "customhouse.cli.exceptions:app",
    name="exceptions",
    help="Vulnerabilities that are accepted, or do no harm.",
)
app.command(
    "customhouse.cli.analysis:app",
    name="analysis",
    help="Find images by what is in them; compare versions.",
)
app.command(
    "customhouse.cli.projects:app", name="projects", help="Projects, and who may do what in them."
)
app.command(
    "customhouse.cli.repositories:app",
    name="repositories",
    help="Who may do what with images; public and private.",
)
app.command(
    "customhouse.cli.iam:app",
    name="iam",
    help="Roles, service accounts, and who may do what and why.",
)
app.command("customhouse.cli.services:app", name="services", help="What is on in a project.")
app.command(
    "customhouse.cli.notifications:app",
    name="notifications",
    help="Who is told of what happens to images.",
)
app.command("customhouse.cli.audit:app", name="audit", help="The log of who did what.")
app.command("customhouse.cli.users:app", name="users", help="People who sign in.")
app.command("customhouse.cli.groups:app", name="groups", help="Names for sets of members.")


@app.command
def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    data: Path | None = None,
    workers: int | None = None,
    config: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
) -> None:
    """Run the server: the registry, its API and the background worker.

    Args:
        host: Address to listen on; 127.0.0.1 if nothing says otherwise.
        port: Port to listen on; 5000 if nothing says otherwise.
        data: Folder that holds everything; ./data if nothing says otherwise.
        workers: Processes that answer requests.
        config: TOML file with settings.
        tls_cert: PEM file with the certificate chain.
        tls_key: PEM file with the private key.
    """
    from customhouse.server import serve as run
    from customhouse.settings import load

    settings = load(
        config,
        data=data,
        server={
            "host": host,
            "port": port,
            "workers": workers,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
        },
    )
    run(settings, lambda text: print(text, flush=True))


# What scripts can rely on.
EXIT_FAILED, EXIT_USAGE, EXIT_DENIED, EXIT_NOT_FOUND = 1, 2, 3, 4
_EXITS = {401: EXIT_DENIED, 403: EXIT_DENIED, 404: EXIT_NOT_FOUND}
_MISUSED = frozenset({Code.USAGE_INVALID, Code.PROJECT_MISSING})


def main() -> None:
    """Run the command line and exit.

    0 when it was done, 1 when it failed, 2 when the command was not understood, 3 when one is not
    signed in or not permitted, 4 when there is no such thing.
    """
    try:
        app(exit_on_error=False)
    except CycloptsError:
        sys.exit(EXIT_USAGE)
    except Failure as failure:
        _complain(failure.message, failure.hint)
        sys.exit(_exit_of(failure))
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing more is written, not even at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except EOFError:
        _complain("the input ended before it was answered", "")
        sys.exit(EXIT_FAILED)
    except OSError as error:
        _complain(str(error) or type(error).__name__, "")
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)


def _exit_of(failure: Failure) -> int:
    if failure.code in _MISUSED:
        return EXIT_USAGE
    return _EXITS.get(failure.status, EXIT_FAILED)


def _complain(message: str, hint: str) -> None:
    from customhouse.cli.output import safe

    print(f"Error: {safe(message)}.", file=sys.stderr)
    if hint:
        print(safe(hint), file=sys.stderr)
