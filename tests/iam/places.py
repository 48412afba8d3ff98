"""A server with two projects and some accounts, for tests of who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from customhouse.database import METADATA
from customhouse.errors import Code, Failure
from customhouse.iam import accounts, custom_roles, policies
from customhouse.iam.access import Access
from customhouse.iam.permissions import ROOT, Permission, Principal, Resource
from customhouse.iam.policies import Binding, Policy
from customhouse.iam.provisioning import Provisioner
from customhouse.iam.roles import ADMINISTRATOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from customhouse.database import Database, Transaction
    from customhouse.iam.conditions import Circumstances

READER = "roles/artifactregistry.reader"
WRITER = "roles/artifactregistry.writer"
DOWNLOAD = Permission.DOWNLOAD
PROJECTS = ("p", "example.com/proj")
NAMES = ("root", "ana", "ben", "eve")


class Place:
    """A database with accounts and projects, and one process that decides about them."""

    def __init__(self, database: Database) -> None:
        METADATA.create_all(database.writers)
        self.database = database
        self.access = Access()
        self.provisioner = Provisioner(self.access, "iam.test", on_push=True)
        database.write(self._furnish)

    def _furnish(self, tx: Transaction) -> None:
        for name in NAMES:
            accounts.create(tx, name)
        policies.grant(tx, ROOT, ADMINISTRATOR, "user:root")
        for project in PROJECTS:
            self.provisioner.create(tx, project, Principal("user:root"))

    def principal(self, name: str) -> Principal:
        """Somebody who has just signed in."""
        found = self.database.read(accounts.find, name)
        assert found is not None
        return found[0]

    def bind(self, resource: str, *bindings: Binding, etag: str = "") -> Policy:
        """Replace a policy."""
        about = policies.parse_resource(resource)

        def put(tx: Transaction) -> Policy:
            permissions = custom_roles.permissions(tx, about.project)
            return policies.put(tx, about, bindings, etag, permissions)

        return self.database.write(put)

    def give(self, resource: str, role: str, *members: str, condition: str = "") -> Policy:
        """Add a binding to a policy."""
        about = policies.parse_resource(resource)
        policy = self.database.read(policies.get, about)
        return self.bind(resource, *policy.bindings, Binding(role, members, condition))

    def allows(
        self,
        who: Principal | str,
        resource: str | Resource,
        permission: Permission = DOWNLOAD,
        circumstances: Circumstances | None = None,
        access: Access | None = None,
    ) -> bool:
        """Whether somebody may do something."""
        principal = self.principal(who) if isinstance(who, str) else who
        about = policies.parse_resource(resource) if isinstance(resource, str) else resource
        extra = () if circumstances is None else (circumstances,)
        return self.database.read(
            (access or self.access).allows, principal, permission, about, *extra
        )


def check_refused(code: Code, call: Callable[..., object], *args: Any, **kwargs: Any) -> Failure:
    """Check that a call fails in one way."""
    with pytest.raises(Failure) as caught:
        call(*args, **kwargs)
    assert caught.value.code is code
    return caught.value
