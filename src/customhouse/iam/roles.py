"""The table of roles: names for sets of permissions, as Google Cloud has them.

`docs/reference/roles.md` is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from customhouse.iam.permissions import Permission

P = Permission  # two letters less, two hundred times


@dataclass(frozen=True, slots=True)
class Role:
    """A role."""

    name: str
    title: str
    description: str
    permissions: frozenset[P]


_PROJECT_READ = {P.PROJECTS_GET}
_PULL = {P.DOWNLOAD, P.TAGS_LIST, P.REPOSITORIES_GET, P.REPOSITORIES_LIST}
_PUSH = _PULL | {P.UPLOAD}
_DELETE = {P.DELETE}
_REPOSITORY_ADMIN = (
    _PUSH
    | _DELETE
    | {
        P.REPOSITORIES_CREATE,
        P.REPOSITORIES_DELETE,
        P.REPOSITORIES_GET_POLICY,
        P.REPOSITORIES_SET_POLICY,
    }
)
_NOTES_VIEW = {P.NOTES_GET, P.NOTES_LIST}
_NOTES_EDIT = _NOTES_VIEW | {P.NOTES_CREATE, P.NOTES_DELETE, P.NOTES_UPDATE}
# Who reads what is found reads what is held of it.
_EXCEPTIONS_VIEW = {P.EXCEPTIONS_GET, P.EXCEPTIONS_LIST}
_EXCEPTIONS_ADMIN = _EXCEPTIONS_VIEW | {
    P.EXCEPTIONS_CREATE,
    P.EXCEPTIONS_DELETE,
    P.EXCEPTIONS_UPDATE,
}
_OCCURRENCES_VIEW = {P.OCCURRENCES_GET, P.OCCURRENCES_LIST} | _EXCEPTIONS_VIEW
_OCCURRENCES_EDIT = _OCCURRENCES_VIEW | {
    P.OCCURRENCES_CREATE,
    P.OCCURRENCES_DELETE,
    P.OCCURRENCES_UPDATE,
}
_ANALYSIS_ADMIN = (
    _NOTES_EDIT
    | _OCCURRENCES_EDIT
    | _EXCEPTIONS_ADMIN
    | {
        P.NOTES_ATTACH,
        P.NOTES_LIST_OCCURRENCES,
        P.NOTES_GET_POLICY,
        P.NOTES_SET_POLICY,
        P.OCCURRENCES_GET_POLICY,
        P.OCCURRENCES_SET_POLICY,
    }
)
_PUBSUB_VIEW = {P.TOPICS_GET, P.TOPICS_LIST, P.SUBSCRIPTIONS_GET, P.SUBSCRIPTIONS_LIST}
_PUBSUB_SUBSCRIBE = {P.TOPICS_ATTACH, P.SUBSCRIPTIONS_CONSUME}
_PUBSUB_EDIT = (
    _PUBSUB_VIEW
    | _PUBSUB_SUBSCRIBE
    | {P.SUBSCRIPTIONS_CREATE, P.SUBSCRIPTIONS_DELETE, P.SUBSCRIPTIONS_UPDATE}
)
_SCANS_ADMIN = {P.SCANS_ANALYZE, P.SCANS_OPERATIONS_GET, P.SCANS_SCAN}
_BUILDS_VIEW = {P.BUILDS_GET, P.BUILDS_LIST}
_DEPLOYS_VIEW = {P.DEPLOYS_GET, P.DEPLOYS_LIST}
_ACCOUNTS_VIEW = {P.ACCOUNTS_GET, P.ACCOUNTS_LIST}
_ACCOUNTS_ADMIN = _ACCOUNTS_VIEW | {
    P.ACCOUNTS_CREATE,
    P.ACCOUNTS_DELETE,
    P.ACCOUNTS_DISABLE,
    P.ACCOUNTS_ENABLE,
    P.ACCOUNTS_GET_POLICY,
    P.ACCOUNTS_SET_POLICY,
    P.ACCOUNTS_UNDELETE,
    P.ACCOUNTS_UPDATE,
}
_KEYS_ADMIN = {
    P.KEYS_CREATE,
    P.KEYS_DELETE,
    P.KEYS_DISABLE,
    P.KEYS_ENABLE,
    P.KEYS_GET,
    P.KEYS_LIST,
}
_POOLS_VIEW = {P.POOLS_GET, P.POOLS_LIST}
_POOLS_ADMIN = _POOLS_VIEW | {P.POOLS_CREATE, P.POOLS_DELETE, P.POOLS_UPDATE}
_ROLES_VIEW = {P.ROLES_GET, P.ROLES_LIST}
_ROLES_ADMIN = _ROLES_VIEW | {
    P.ROLES_CREATE,
    P.ROLES_DELETE,
    P.ROLES_UNDELETE,
    P.ROLES_UPDATE,
}
_SERVICES_VIEW = {P.SERVICES_GET, P.SERVICES_LIST}
_SERVICES_ADMIN = _SERVICES_VIEW | {P.SERVICES_ENABLE, P.SERVICES_DISABLE}
_POLICIES = {P.PROJECTS_GET_POLICY, P.PROJECTS_SET_POLICY}
_SERVER = {
    P.FEEDS_EXPORT,
    P.FEEDS_IMPORT,
    P.FEEDS_LIST,
    P.FEEDS_UPDATE,
    P.GROUPS_LIST,
    P.GROUPS_MANAGE,
    P.OPERATIONS_GET,
    P.PROJECTS_CREATE,
    P.ROOT_GET_POLICY,
    P.ROOT_SET_POLICY,
    P.USERS_LIST,
    P.USERS_MANAGE,
}
_VIEWER = (
    _PROJECT_READ
    | _PULL
    | _NOTES_VIEW
    | _OCCURRENCES_VIEW
    | _PUBSUB_VIEW
    | _BUILDS_VIEW
    | _DEPLOYS_VIEW
    | _ACCOUNTS_VIEW
    | _POOLS_VIEW
    | _ROLES_VIEW
    | _SERVICES_VIEW
    | {
        P.KEYS_GET,
        P.KEYS_LIST,
        P.PROJECTS_GET_POLICY,
        P.REPOSITORIES_GET_POLICY,
        P.SCANS_OPERATIONS_GET,
        P.USAGE_GET,
    }
)
_EDITOR = (
    _VIEWER
    | _PUSH
    | _DELETE
    | _NOTES_EDIT
    | _OCCURRENCES_EDIT
    | _PUBSUB_EDIT
    | _SCANS_ADMIN
    | _SERVICES_ADMIN
    | {
        P.ACCOUNTS_ACT_AS,
        P.ACCOUNTS_CREATE,
        P.ACCOUNTS_DISABLE,
        P.ACCOUNTS_ENABLE,
        P.ACCOUNTS_UPDATE,
        P.BUILDS_CREATE,
        P.BUILDS_UPDATE,
        P.DEPLOYS_CREATE,
        P.NOTES_ATTACH,
        P.NOTES_LIST_OCCURRENCES,
        P.PROJECTS_UPDATE,
        P.REPOSITORIES_CREATE,
    }
)
# As at Google, an owner does not by itself speak for the service accounts.
_OWNER = frozenset(P) - _SERVER - {P.ACCOUNTS_IMPERSONATE}


def _role(name: str, title: str, description: str, permissions: set[P] | frozenset[P]) -> Role:
    return Role(f"roles/{name}", title, description, frozenset(permissions))


_TABLE = (
    # Container Registry's, on buckets there, here on projects and repositories.
    _role("storage.objectViewer", "Pull", "Pull and list images.", _PULL),
    _role("storage.legacyBucketReader", "Pull", "Pull and list images.", _PULL),
    _role(
        "storage.legacyBucketWriter",
        "Push and pull",
        "Push and pull in a project that has images already.",
        _PUSH,
    ),
    _role(
        "storage.admin",
        "All in a project's registry",
        "Everything with images, the first push to a project included.",
        _REPOSITORY_ADMIN,
    ),
    # Artifact Registry's.
    _role("artifactregistry.reader", "Reader", "Pull and list images.", _PULL),
    _role("artifactregistry.writer", "Writer", "Push, pull and list images.", _PUSH),
    _role(
        "artifactregistry.repoAdmin",
        "Repository administrator",
        "Writer, and delete images.",
        _PUSH | _DELETE,
    ),
    _role(
        "artifactregistry.createOnPushWriter",
        "Writer who may push first",
        "Writer, and the first push to a project.",
        _PUSH | {P.REPOSITORIES_CREATE},
    ),
    _role(
        "artifactregistry.createOnPushRepoAdmin",
        "Repository administrator who may push first",
        "Repository administrator, and the first push to a project.",
        _PUSH | _DELETE | {P.REPOSITORIES_CREATE},
    ),
    _role(
        "artifactregistry.admin",
        "Administrator of images",
        "Everything with images and with who may use them.",
        _REPOSITORY_ADMIN,
    ),
    # Container Analysis'.
    _role(
        "containeranalysis.admin",
        "Administrator of analysis",
        "Everything with notes, occurrences and exceptions.",
        _ANALYSIS_ADMIN,
    ),
    _role("containeranalysis.notes.viewer", "Viewer of notes", "Read notes.", _NOTES_VIEW),
    _role(
        "containeranalysis.notes.editor", "Editor of notes", "Read and change notes.", _NOTES_EDIT
    ),
    _role(
        "containeranalysis.notes.attacher",
        "Attacher",
        "Attach occurrences to notes.",
        {P.NOTES_ATTACH, P.NOTES_GET},
    ),
    _role(
        "containeranalysis.notes.occurrences.viewer",
        "Viewer of a note's occurrences",
        "List the occurrences of notes.",
        {P.NOTES_GET, P.NOTES_LIST_OCCURRENCES},
    ),
    _role(
        "containeranalysis.occurrences.viewer",
        "Viewer of occurrences",
        "Read what is known of images.",
        _OCCURRENCES_VIEW,
    ),
    _role(
        "containeranalysis.occurrences.editor",
        "Editor of occurrences",
        "Read and change what is known of images.",
        _OCCURRENCES_EDIT,
    ),
    _role(
        "containeranalysis.ServiceAgent",
        "Agent of Container Analysis",
        "What the service may do: read images, write what it finds.",
        _PULL | _NOTES_EDIT | _OCCURRENCES_EDIT | {P.NOTES_ATTACH},
    ),
    _role(
        "containerscanning.ServiceAgent",
        "Agent of Container Scanning",
        "What the service may do: read images, write what it finds.",
        _PULL | _NOTES_EDIT | _OCCURRENCES_EDIT | {P.NOTES_ATTACH},
    ),
    # Pub/Sub's.
    _role(
        "pubsub.viewer", "Viewer of notifications", "See topics and subscriptions.", _PUBSUB_VIEW
    ),
    _role(
        "pubsub.subscriber",
        "Subscriber",
        "Replay and read what a subscription delivers.",
        _PUBSUB_SUBSCRIBE,
    ),
    _role(
        "pubsub.editor",
        "Editor of notifications",
        "Create, change and delete subscriptions.",
        _PUBSUB_EDIT,
    ),
    _role(
        "pubsub.admin",
        "Administrator of notifications",
        "Everything with topics and subscriptions.",
        _PUBSUB_EDIT,
    ),
    _role(
        "ondemandscanning.admin",
        "Administrator of scans",
        "Have images scanned, stored ones and others.",
        _SCANS_ADMIN,
    ),
    # Builds, deploys, usage.
    _role(
        "cloudbuild.builds.viewer", "Viewer of builds", "Read builds and their logs.", _BUILDS_VIEW
    ),
    _role(
        "cloudbuild.builds.editor",
        "Editor of builds",
        "Start and cancel builds.",
        _BUILDS_VIEW | {P.BUILDS_CREATE, P.BUILDS_UPDATE},
    ),
    _role(
        "cloudbuild.builds.builder",
        "Build",
        "What a build may do: push images, say how.",
        _BUILDS_VIEW
        | {P.BUILDS_CREATE, P.BUILDS_UPDATE, P.REPOSITORIES_CREATE}
        | _PUSH
        | _OCCURRENCES_EDIT,
    ),
    _role("clouddeploy.viewer", "Viewer of deploys", "Read releases and rollouts.", _DEPLOYS_VIEW),
    _role(
        "clouddeploy.releaser", "Releaser", "Create releases.", _DEPLOYS_VIEW | {P.DEPLOYS_CREATE}
    ),
    _role(
        "clouddeploy.approver", "Approver", "Approve rollouts.", _DEPLOYS_VIEW | {P.DEPLOYS_APPROVE}
    ),
    _role(
        "clouddeploy.admin",
        "Administrator of deploys",
        "Everything with deploys.",
        _DEPLOYS_VIEW | {P.DEPLOYS_CREATE, P.DEPLOYS_APPROVE, P.TARGETS_MANAGE},
    ),
    _role(
        "customhouse.exceptionAdmin",
        "Administrator of exceptions",
        "Accept vulnerabilities, say why they do no harm, and read what is found.",
        _EXCEPTIONS_ADMIN | _OCCURRENCES_VIEW | _NOTES_VIEW,
    ),
    _role("customhouse.usageViewer", "Viewer of usage", "Read usage and cost.", {P.USAGE_GET}),
    _role(
        "customhouse.usageAdmin",
        "Administrator of usage",
        "Prices, budgets and quotas.",
        {P.USAGE_GET, P.USAGE_MANAGE},
    ),
    # Projects and accounts.
    _role(
        "resourcemanager.projectCreator",
        "Creator of projects",
        "Create projects; to be given on the server.",
        {P.PROJECTS_CREATE},
    ),
    _role(
        "resourcemanager.projectDeleter",
        "Deleter of projects",
        "Delete projects.",
        {P.PROJECTS_DELETE, P.PROJECTS_GET},
    ),
    _role(
        "resourcemanager.projectIamAdmin",
        "Administrator of access",
        "Read and change a project's policy.",
        _POLICIES | _PROJECT_READ,
    ),
    _role("browser", "Browser", "See that a project is there.", _PROJECT_READ),
    _role(
        "iam.securityReviewer",
        "Reviewer of access",
        "Read every policy.",
        {
            P.PROJECTS_GET_POLICY,
            P.REPOSITORIES_GET_POLICY,
            P.ACCOUNTS_GET_POLICY,
            P.ACCOUNTS_LIST,
            P.KEYS_LIST,
            P.ROLES_LIST,
            P.POOLS_LIST,
            P.REPOSITORIES_LIST,
        },
    ),
    _role(
        "iam.serviceAccountAdmin",
        "Administrator of service accounts",
        "Create, change and delete service accounts.",
        _ACCOUNTS_ADMIN,
    ),
    _role(
        "iam.serviceAccountCreator",
        "Creator of service accounts",
        "Create service accounts.",
        _ACCOUNTS_VIEW | {P.ACCOUNTS_CREATE},
    ),
    _role(
        "iam.serviceAccountKeyAdmin",
        "Administrator of keys",
        "Create and delete service accounts' keys.",
        _KEYS_ADMIN | _ACCOUNTS_VIEW,
    ),
    _role(
        "iam.serviceAccountUser",
        "User of service accounts",
        "Let builds and deploys run as a service account.",
        _ACCOUNTS_VIEW | {P.ACCOUNTS_ACT_AS},
    ),
    _role(
        "iam.serviceAccountTokenCreator",
        "Creator of tokens",
        "Get tokens of service accounts.",
        _ACCOUNTS_VIEW | {P.ACCOUNTS_IMPERSONATE},
    ),
    _role(
        "iam.workloadIdentityUser",
        "User of workload identity",
        "Get tokens of service accounts from outside.",
        {P.ACCOUNTS_GET, P.ACCOUNTS_IMPERSONATE},
    ),
    _role(
        "iam.workloadIdentityPoolAdmin",
        "Administrator of federation",
        "Workload identity pools and providers.",
        _POOLS_ADMIN,
    ),
    _role(
        "iam.workloadIdentityPoolViewer",
        "Viewer of federation",
        "Read workload identity pools and providers.",
        _POOLS_VIEW,
    ),
    _role("iam.roleAdmin", "Administrator of roles", "A project's own roles.", _ROLES_ADMIN),
    _role("iam.roleViewer", "Viewer of roles", "Read a project's own roles.", _ROLES_VIEW),
    _role(
        "serviceusage.serviceUsageAdmin",
        "Administrator of services",
        "Switch services on and off.",
        _SERVICES_ADMIN,
    ),
    _role(
        "serviceusage.serviceUsageViewer",
        "Viewer of services",
        "See which services are on.",
        _SERVICES_VIEW,
    ),
    _role("logging.viewer", "Viewer of the audit log", "Read who did what.", {P.AUDIT_LIST}),
    # The basic ones.
    _role("viewer", "Viewer", "Read everything in a project.", _VIEWER),
    _role("editor", "Editor", "Viewer, and push, delete, build and deploy.", _EDITOR),
    _role("owner", "Owner", "Everything in a project, and who may do it.", _OWNER),
    # The server's.
    _role(
        "customhouse.feedAdmin",
        "Administrator of feeds",
        "Update, import and export advisories.",
        {P.FEEDS_EXPORT, P.FEEDS_IMPORT, P.FEEDS_LIST, P.FEEDS_UPDATE, P.OPERATIONS_GET},
    ),
    _role(
        "customhouse.admin",
        "Administrator",
        "Everything on the server; to be given on the server.",
        frozenset(P),
    ),
)

ROLES = {role.name: role for role in _TABLE}
OWNER = "roles/owner"
ADMINISTRATOR = "roles/customhouse.admin"
