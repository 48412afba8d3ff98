"""Services that are switched on and off for a project, as Google's Service Usage has them.

A service that acts in a project by itself has an account of its own there, its agent, with the
role that it needs and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Table, select

from customhouse.database import METADATA, Name, insert, now
from customhouse.errors import Code, Failure
from customhouse.iam import policies, projects, service_accounts
from customhouse.iam.permissions import Resource

if TYPE_CHECKING:
    from sqlalchemy import Select

    from customhouse.database import Transaction

PROJECT_SERVICE = Table(
    "project_service",
    METADATA,
    Column("project", Name, primary_key=True),
    Column("service", Name, primary_key=True),
    Column("enabled_at", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Service:
    """A service.

    Attributes:
        name: as Google calls it.
        title: for people.
        agent: the part of its agent's address that names it; empty if it has none.
        role: its agent's role.
        default: whether new projects have it.
    """

    name: str
    title: str
    agent: str = ""
    role: str = ""
    default: bool = True


SCANNING = "containerscanning.googleapis.com"
SBOMS = "containersbom.googleapis.com"

SERVICES = {
    service.name: service
    for service in (
        Service("artifactregistry.googleapis.com", "Artifact Registry"),
        Service(
            "cloudbuild.googleapis.com",
            "Cloud Build",
            "gcp-sa-cloudbuild",
            "roles/cloudbuild.builds.builder",
            default=False,
        ),
        Service("clouddeploy.googleapis.com", "Cloud Deploy", default=False),
        Service("containeranalysis.googleapis.com", "Container Analysis"),
        Service("containerregistry.googleapis.com", "Container Registry"),
        Service(
            SCANNING,
            "Container Scanning",
            "gcp-sa-containerscanning",
            "roles/containerscanning.ServiceAgent",
        ),
        Service(SBOMS, "SBOMs as referrers of images", default=False),
        Service("iam.googleapis.com", "Identity and Access Management"),
    )
}


def parse(name: str) -> Service:
    """The service of a name such as `containerscanning` or `containerscanning.googleapis.com`.

    Raises:
        Failure: THING_UNKNOWN.
    """
    service = SERVICES.get(name) or SERVICES.get(f"{name}.googleapis.com")
    if service is None:
        raise Failure(Code.THING_UNKNOWN, kind="service", name=name[:100])
    return service


def enabled(tx: Transaction, project: str) -> frozenset[str]:
    """The names of the services that are on."""
    rows = tx.scalars(select(PROJECT_SERVICE.c.service).where(PROJECT_SERVICE.c.project == project))
    return frozenset(rows)


def is_enabled(tx: Transaction, project: str, service: str) -> bool:
    """Whether a service is on."""
    return service in enabled(tx, project)


def projects_with(service: str) -> Select[tuple[str]]:
    """A query for the projects that have a service, to be a part of others."""
    return select(PROJECT_SERVICE.c.project).where(PROJECT_SERVICE.c.service == service)


def agent(tx: Transaction, project: str, service: Service, domain: str) -> str:
    """The address of a service's account in a project.

    Raises:
        Failure: PROJECT_UNKNOWN.
    """
    return f"service-{projects.get(tx, project).number}@{service.agent}.{domain}"


def enabled_at(tx: Transaction, project: str, service: str) -> int:
    """When a service was switched on last, in microseconds; 0 if it is off."""
    moment = tx.scalar(
        select(PROJECT_SERVICE.c.enabled_at).where(
            PROJECT_SERVICE.c.project == project, PROJECT_SERVICE.c.service == service
        )
    )
    return int(moment or 0)


def enable(tx: Transaction, project: str, service: Service, domain: str) -> None:
    """Switch a service on, and let its agent do what it has to.

    Args:
        tx: the transaction.
        project: the project.
        service: the service.
        domain: what service accounts' addresses end with.

    Raises:
        Failure: PROJECT_UNKNOWN.
    """
    email = agent(tx, project, service, domain)
    values = {"project": project, "service": service.name, "enabled_at": now()}
    tx.execute(insert(tx, PROJECT_SERVICE).on_conflict_do_nothing(), values)
    if service.agent:
        service_accounts.ensure(tx, email, project, f"{service.title} Service Agent")
        policies.grant(tx, Resource(project), service.role, f"serviceAccount:{email}")


def disable(tx: Transaction, project: str, service: Service) -> None:
    """Switch a service off. Its agent stays, so that what it has written keeps its author."""
    tx.execute(
        PROJECT_SERVICE.delete().where(
            PROJECT_SERVICE.c.project == project, PROJECT_SERVICE.c.service == service.name
        )
    )
