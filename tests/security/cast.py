"""Everybody who may knock at the server's door, and one thing of each kind in the project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from customhouse.errors import Code, Failure
from customhouse.iam import (
    accounts,
    custom_roles,
    federation,
    groups,
    keyfiles,
    policies,
    projects,
    service_account_keys,
    service_accounts,
    services,
)
from customhouse.iam.permissions import Principal, Resource, repository
from customhouse.iam.pools import Pool, Provider
from customhouse.iam.roles import OWNER
from customhouse.iam.tokens import Tokens
from customhouse.notifications import subscriptions
from customhouse.notifications.subscriptions import Subscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from customhouse.database import Database, Transaction

DOMAIN = "iam.customhouse.internal"
THINGS = {
    "user": "victim",
    "group": "team-x",
    "member": "user:victim",
    "role": "helper",
    "pool": "pool-one",
    "provider": "provider-one",
    "service": "containerscanning",
    "key": "a" * 40,
    "topic": "gcr",
    "subscription": "subscription-one",
    "delivery": "0",
    "exception": "999",
    "location": "global",
}


@dataclass(frozen=True, slots=True)
class Cast:
    """The people and things of one project of a running server."""

    database: Database
    project: str
    name: str

    @property
    def worker(self) -> str:
        """The service account that things are done to."""
        return f"worker@{self.project}.{DOMAIN}"

    def tokens(self) -> dict[str, str]:
        """A token of everybody, for every API; made once."""
        database = self.database
        for user in ("none", "gone", "push", "view", "own", "away"):
            database.write(accounts.create, f"{user}-{self.project}")
        puller = f"puller@{self.project}.{DOMAIN}"
        database.write(service_accounts.ensure, puller, self.project, "")
        key = keyfiles.make_key(puller, self.project, 1, "http://127.0.0.1")
        database.write(service_account_keys.create, puller, key.id, key.public_pem)
        other = f"{self.project}-away"
        database.write(projects.create, other, "user:admin")
        bindings = (
            (repository(self.name), "roles/storage.objectViewer", f"serviceAccount:{puller}"),
            (Resource(self.project), "roles/artifactregistry.writer", self.member("push")),
            (Resource(self.project), "roles/viewer", self.member("view")),
            (Resource(self.project), OWNER, self.member("own")),
            (Resource(other), OWNER, self.member("away")),
        )
        for place, role, member in bindings:
            database.write(policies.grant, place, role, member)
        issuer = Tokens.load(database, access_seconds=3600, refresh_seconds=3600)
        people = {
            user: issuer.issue(self.principal(user), None)
            for user in ("none", "gone", "push", "view", "own", "away")
        }
        people["pull"] = issuer.issue(Principal(f"serviceAccount:{puller}", key.id), None)
        database.write(accounts.set_disabled, f"gone-{self.project}", disabled=True)
        return people

    def member(self, user: str) -> str:
        """A user as bindings name them."""
        return f"user:{user}-{self.project}"

    def principal(self, user: str) -> Principal:
        """A user who has signed in."""
        found = self.database.read(accounts.find, self.member(user).removeprefix("user:"))
        assert found is not None
        return found[0]

    def restore(self) -> None:
        """Put back whatever a permitted call has taken away."""
        self.database.write(_restore, self.project, self.worker)


def _restore(tx: Transaction, project: str, worker: str) -> None:
    things = THINGS
    role = {"title": "", "description": "", "permissions": []}
    _try(projects.undelete, tx, project)
    service_accounts.ensure(tx, worker, project, "")
    _try(service_accounts.undelete, tx, worker)
    service_accounts.set_disabled(tx, worker, disabled=False)
    for key in service_account_keys.of(tx, worker):
        if key.id != things["key"]:
            service_account_keys.delete(tx, worker, key.id)
    _try(service_account_keys.create, tx, worker, things["key"], PUBLIC_KEY)
    service_account_keys.set_disabled(tx, worker, things["key"], disabled=False)
    _try(accounts.create, tx, things["user"])
    accounts.set_disabled(tx, things["user"], disabled=False)
    _try(groups.create, tx, things["group"])
    groups.add(tx, things["group"], things["member"])
    for owner in ("", project):
        _try(custom_roles.put, tx, owner, things["role"], create=True, **role)
        custom_roles.set_deleted(tx, owner, things["role"], deleted=False)
    _try(federation.create_pool, tx, Pool(project, things["pool"]))
    _try(federation.set_pool_deleted, tx, project, things["pool"], deleted=False)
    provider = Provider(
        project,
        things["pool"],
        things["provider"],
        issuer="https://issuer.example.com",
        attribute_mapping={"google.subject": "assertion.sub"},
    )
    _try(federation.create_provider, tx, provider)
    where = (project, things["pool"], things["provider"])
    _try(federation.set_provider_deleted, tx, *where, deleted=False)
    wanted = Subscription(project, things["subscription"], "gcr", "http://127.0.0.1:9/")
    _try(subscriptions.create, tx, wanted)
    services.enable(tx, project, services.parse(things["service"]), DOMAIN)


PUBLIC_KEY = keyfiles.make_key("worker@p", "p", 1, "http://127.0.0.1").public_pem


def _try(function: Callable[..., object], tx: Transaction, *args: object, **more: object) -> None:
    """Do what may have been done already."""
    try:
        function(tx, *args, **more)
    except Failure as failure:
        done = {Code.THING_EXISTS, Code.THING_UNKNOWN, Code.PROJECT_UNKNOWN}
        if failure.code not in done:
            raise
