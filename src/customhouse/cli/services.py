"""`customhouse services`: what is switched on in a project."""

from __future__ import annotations

from urllib.parse import quote

from cyclopts import App

from customhouse.cli import credentials
from customhouse.cli.client import Client
from customhouse.cli.options import FormatOption, ProjectOption, chosen
from customhouse.cli.output import Format, print_json, print_table
from customhouse.cli.resources import everything

app = App(name="services", help="What is switched on in a project.")


@app.command(name="list")
def list_(*, project: ProjectOption = "", format_: FormatOption = Format.TABLE) -> None:
    """List the services, on or off.

    Args:
        project: The project.
        format_: How to print.
    """
    path = f"/v1/projects/{quote(chosen(project), safe='')}/services"
    with Client(credentials.current()) as client:
        found = everything(client, path, "services")
    if format_ is Format.JSON:
        print_json(found)
    else:
        print_table(
            ["NAME", "TITLE", "STATE"],
            [[each["config"]["name"], each["config"]["title"], each["state"]] for each in found],
        )


@app.command
def enable(service: str, /, *, project: ProjectOption = "") -> None:
    """Switch a service on. Its agent, an account of its own, gets the role that it needs.

    Args:
        service: As containerscanning or containersbom.googleapis.com; see services list.
        project: The project.
    """
    _switch(service, project, "enable")


@app.command
def disable(service: str, /, *, project: ProjectOption = "") -> None:
    """Switch a service off.

    Args:
        service: As containerscanning or containersbom.googleapis.com; see services list.
        project: The project.
    """
    _switch(service, project, "disable")


def _switch(service: str, project: str, verb: str) -> None:
    name = chosen(project)
    path = f"/v1/projects/{quote(name, safe='')}/services/{quote(service, safe='')}:{verb}"
    with Client(credentials.current()) as client:
        done = client.request("POST", path).json()["response"]["service"]
    print(f"{verb.capitalize()}d service [{done['config']['name']}] in project [{name}].")
