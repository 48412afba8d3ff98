"""What can be permitted, on what, and who asks.

The names are Google's (Artifact Registry, Container Analysis, Resource Manager, IAM). Every route
of every API carries one of them as data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from customhouse.names import project_id, split_project


class Permission(Enum):
    """Every permission there is."""

    # Projects and their policies.
    PROJECTS_CREATE = "resourcemanager.projects.create"
    PROJECTS_DELETE = "resourcemanager.projects.delete"
    PROJECTS_GET = "resourcemanager.projects.get"
    PROJECTS_GET_POLICY = "resourcemanager.projects.getIamPolicy"
    PROJECTS_SET_POLICY = "resourcemanager.projects.setIamPolicy"
    PROJECTS_UNDELETE = "resourcemanager.projects.undelete"
    PROJECTS_UPDATE = "resourcemanager.projects.update"

    # Accounts, keys, roles, federation.
    ACCOUNTS_CREATE = "iam.serviceAccounts.create"
    ACCOUNTS_DELETE = "iam.serviceAccounts.delete"
    ACCOUNTS_DISABLE = "iam.serviceAccounts.disable"
    ACCOUNTS_ENABLE = "iam.serviceAccounts.enable"
    ACCOUNTS_GET = "iam.serviceAccounts.get"
    ACCOUNTS_GET_POLICY = "iam.serviceAccounts.getIamPolicy"
    ACCOUNTS_IMPERSONATE = "iam.serviceAccounts.getAccessToken"
    ACCOUNTS_LIST = "iam.serviceAccounts.list"
    ACCOUNTS_ACT_AS = "iam.serviceAccounts.actAs"
    ACCOUNTS_SET_POLICY = "iam.serviceAccounts.setIamPolicy"
    ACCOUNTS_UNDELETE = "iam.serviceAccounts.undelete"
    ACCOUNTS_UPDATE = "iam.serviceAccounts.update"
    KEYS_CREATE = "iam.serviceAccountKeys.create"
    KEYS_DELETE = "iam.serviceAccountKeys.delete"
    KEYS_DISABLE = "iam.serviceAccountKeys.disable"
    KEYS_ENABLE = "iam.serviceAccountKeys.enable"
    KEYS_GET = "iam.serviceAccountKeys.get"
    KEYS_LIST = "iam.serviceAccountKeys.list"
    ROLES_CREATE = "iam.roles.create"
    ROLES_DELETE = "iam.roles.delete"
    ROLES_GET = "iam.roles.get"
    ROLES_LIST = "iam.roles.list"
    ROLES_UNDELETE = "iam.roles.undelete"
    ROLES_UPDATE = "iam.roles.update"
    POOLS_CREATE = "iam.workloadIdentityPools.create"
    POOLS_DELETE = "iam.workloadIdentityPools.delete"
    POOLS_GET = "iam.workloadIdentityPools.get"
    POOLS_LIST = "iam.workloadIdentityPools.list"
    POOLS_UPDATE = "iam.workloadIdentityPools.update"
    USERS_LIST = "customhouse.users.list"
    USERS_MANAGE = "customhouse.users.manage"
    GROUPS_LIST = "customhouse.groups.list"
    GROUPS_MANAGE = "customhouse.groups.manage"

    # Services, and the log of who did what.
    SERVICES_LIST = "serviceusage.services.list"
    SERVICES_GET = "serviceusage.services.get"
    SERVICES_ENABLE = "serviceusage.services.enable"
    SERVICES_DISABLE = "serviceusage.services.disable"
    AUDIT_LIST = "logging.logEntries.list"

    # Images.
    REPOSITORIES_LIST = "artifactregistry.repositories.list"
    REPOSITORIES_GET = "artifactregistry.repositories.get"
    REPOSITORIES_CREATE = "artifactregistry.repositories.createOnPush"
    REPOSITORIES_DELETE = "artifactregistry.repositories.delete"
    REPOSITORIES_GET_POLICY = "artifactregistry.repositories.getIamPolicy"
    REPOSITORIES_SET_POLICY = "artifactregistry.repositories.setIamPolicy"
    DOWNLOAD = "artifactregistry.repositories.downloadArtifacts"
    UPLOAD = "artifactregistry.repositories.uploadArtifacts"
    DELETE = "artifactregistry.repositories.deleteArtifacts"
    TAGS_LIST = "artifactregistry.tags.list"

    # What is known of them.
    NOTES_ATTACH = "containeranalysis.notes.attachOccurrence"
    NOTES_CREATE = "containeranalysis.notes.create"
    NOTES_DELETE = "containeranalysis.notes.delete"
    NOTES_GET = "containeranalysis.notes.get"
    NOTES_LIST = "containeranalysis.notes.list"
    NOTES_LIST_OCCURRENCES = "containeranalysis.notes.listOccurrences"
    NOTES_UPDATE = "containeranalysis.notes.update"
    NOTES_GET_POLICY = "containeranalysis.notes.getIamPolicy"
    NOTES_SET_POLICY = "containeranalysis.notes.setIamPolicy"
    OCCURRENCES_CREATE = "containeranalysis.occurrences.create"
    OCCURRENCES_DELETE = "containeranalysis.occurrences.delete"
    OCCURRENCES_GET = "containeranalysis.occurrences.get"
    OCCURRENCES_LIST = "containeranalysis.occurrences.list"
    OCCURRENCES_UPDATE = "containeranalysis.occurrences.update"
    OCCURRENCES_GET_POLICY = "containeranalysis.occurrences.getIamPolicy"
    OCCURRENCES_SET_POLICY = "containeranalysis.occurrences.setIamPolicy"
    EXCEPTIONS_CREATE = "customhouse.exceptions.create"
    EXCEPTIONS_DELETE = "customhouse.exceptions.delete"
    EXCEPTIONS_GET = "customhouse.exceptions.get"
    EXCEPTIONS_LIST = "customhouse.exceptions.list"
    EXCEPTIONS_UPDATE = "customhouse.exceptions.update"

    # Notifications.
    TOPICS_ATTACH = "pubsub.topics.attachSubscription"
    TOPICS_GET = "pubsub.topics.get"
    TOPICS_LIST = "pubsub.topics.list"
    SUBSCRIPTIONS_CONSUME = "pubsub.subscriptions.consume"
    SUBSCRIPTIONS_CREATE = "pubsub.subscriptions.create"
    SUBSCRIPTIONS_DELETE = "pubsub.subscriptions.delete"
    SUBSCRIPTIONS_GET = "pubsub.subscriptions.get"
    SUBSCRIPTIONS_LIST = "pubsub.subscriptions.list"
    SUBSCRIPTIONS_UPDATE = "pubsub.subscriptions.update"

    SCANS_SCAN = "ondemandscanning.scans.scan"
    SCANS_ANALYZE = "ondemandscanning.scans.analyzePackages"
    SCANS_OPERATIONS_GET = "ondemandscanning.operations.get"

    # Builds, deploys, usage.
    BUILDS_CREATE = "cloudbuild.builds.create"
    BUILDS_GET = "cloudbuild.builds.get"
    BUILDS_LIST = "cloudbuild.builds.list"
    BUILDS_UPDATE = "cloudbuild.builds.update"
    DEPLOYS_CREATE = "clouddeploy.releases.create"
    DEPLOYS_GET = "clouddeploy.releases.get"
    DEPLOYS_LIST = "clouddeploy.releases.list"
    DEPLOYS_APPROVE = "clouddeploy.rollouts.approve"
    TARGETS_MANAGE = "clouddeploy.targets.update"
    USAGE_GET = "customhouse.usage.get"
    USAGE_MANAGE = "customhouse.usage.manage"

    # The server as a whole.
    FEEDS_LIST = "customhouse.feeds.list"
    FEEDS_IMPORT = "customhouse.feeds.import"
    FEEDS_UPDATE = "customhouse.feeds.update"
    FEEDS_EXPORT = "customhouse.feeds.export"
    OPERATIONS_GET = "customhouse.operations.get"
    ROOT_GET_POLICY = "resourcemanager.organizations.getIamPolicy"
    ROOT_SET_POLICY = "resourcemanager.organizations.setIamPolicy"


# What a Docker token scope calls each permission on a repository.
DOCKER_ACTIONS = {
    Permission.DOWNLOAD: "pull",
    Permission.TAGS_LIST: "pull",
    Permission.UPLOAD: "push",
    Permission.DELETE: "delete",
}

ALL_USERS = "allUsers"
ALL_AUTHENTICATED = "allAuthenticatedUsers"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        name: the member, as `user:ana` or `serviceAccount:ci@acme.iam...`; `allUsers` for nobody
            in particular.
        credential: what it signed in with: the generation of its password, the id of its key;
            empty where another account or issuer vouched for it.
        sets: the `principalSet://` members that a federated identity is in.
    """

    name: str
    credential: str = ""
    sets: frozenset[str] = frozenset()


ANONYMOUS = Principal(ALL_USERS)


@dataclass(frozen=True, slots=True)
class Resource:
    """What a permission is asked on: the server, a project, or something in a project.

    Attributes:
        project: the project as it stands in image names; empty for the server.
        kind: `repositories` or `serviceAccounts`; empty for the project itself.
        name: which one, within the project.
    """

    project: str = ""
    kind: str = ""
    name: str = ""

    def __str__(self) -> str:
        if not self.project:
            return ROOT_NAME
        text = f"projects/{project_id(self.project)}"
        return f"{text}/{self.kind}/{self.name}" if self.kind else text


ROOT_NAME = "organizations/customhouse"
ROOT = Resource()


def repository(name: str) -> Resource:
    """The resource of `PROJECT/IMAGE`, or of a project alone."""
    project, rest = split_project(name)
    return Resource(project, "repositories", rest) if rest else Resource(project)
