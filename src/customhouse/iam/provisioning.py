"""What a project is given when it is created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete

from customhouse.errors import Code, Failure
from customhouse.iam import federation, policies, projects, service_accounts, services, state
from customhouse.iam.custom_roles import CUSTOM_ROLE
from customhouse.iam.permissions import ANONYMOUS, ROOT, Permission, Principal, Resource
from customhouse.iam.roles import OWNER
from customhouse.iam.service_accounts import SERVICE_ACCOUNT
from customhouse.iam.services import PROJECT_SERVICE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customhouse.database import Transaction
    from customhouse.iam.access import Access

_COMPUTE_ROLE = "roles/storage.objectViewer"


@dataclass(frozen=True, slots=True)
class Provisioner:
    """Creates projects, each with its default account, which may pull, and its services' agents.

    Attributes:
        access: who may what.
        domain: what service accounts' addresses end with.
        on_push: whether a push may create a project, for those who may create projects.
    """

    access: Access
    domain: str
    on_push: bool

    def create(
        self,
        tx: Transaction,
        project: str,
        principal: Principal,
        *,
        name: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Create a project, which its creator owns.

        Raises:
            Failure: PROJECT_INVALID, PROJECT_EXISTS, THING_INVALID.
        """
        if not projects.create(tx, project, principal.name, name=name, labels=labels):
            raise Failure(Code.PROJECT_EXISTS, project=project)
        if principal != ANONYMOUS:
            policies.grant(tx, Resource(project), OWNER, principal.name)
        number = projects.get(tx, project).number
        email = f"{number}-compute@developer.{self.domain}"
        service_accounts.ensure(tx, email, project, "Compute Engine default service account")
        policies.grant(tx, Resource(project), _COMPUTE_ROLE, f"serviceAccount:{email}")
        for service in services.SERVICES.values():
            if service.default:
                services.enable(tx, project, service, self.domain)

    def admit_first_push(self, tx: Transaction, project: str, principal: Principal) -> None:
        """Let a push begin a project's first repository, and create the project if need be.

        Raises:
            Failure: PROJECT_UNKNOWN, PROJECT_INVALID, DENIED.
        """
        if projects.exists(tx, project):
            self.access.require(tx, principal, Permission.REPOSITORIES_CREATE, Resource(project))
            return
        if not self.on_push or not self.access.allows(
            tx, principal, Permission.PROJECTS_CREATE, ROOT
        ):
            raise Failure(Code.PROJECT_UNKNOWN, project=project)
        self.create(tx, project, principal)


def forget(tx: Transaction, project: str) -> None:
    """Delete a project for good, with its accounts, roles, pools and policies."""
    policies.delete_within(tx, project)
    federation.delete_within(tx, project)
    for table in (SERVICE_ACCOUNT, CUSTOM_ROLE, PROJECT_SERVICE):
        tx.execute(delete(table).where(table.c.project == project))
    tx.execute(delete(projects.PROJECT).where(projects.PROJECT.c.id == project))
    state.bump(tx)
