"""The table of everything that can go wrong, and the one exception that carries an entry of it.

Every entry tells four things: the HTTP status, the code that the OCI distribution spec (section
"Error Codes") has for it, what is wrong, and what to do about it. The two HTTP edges and the
command line turn a `Failure` into their own form; nothing else decides on a status or a wording.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table. `message` and `hint` are templates over the failure's fields."""

    status: int
    wire: str
    message: str
    hint: str = ""


class Code(Enum):
    """The table. The name is stable: scripts may rely on it."""

    # Names and references
    NAME_INVALID = Entry(
        400,
        "NAME_INVALID",
        "invalid repository name: {reason}",
        "Names are PROJECT/IMAGE in lower case, for example my-project/web/api.",
    )
    NAME_UNKNOWN = Entry(
        404,
        "NAME_UNKNOWN",
        "repository {name} is not known here",
        "Check the spelling, or push an image to create it.",
    )
    PROJECT_UNKNOWN = Entry(
        404,
        "NAME_UNKNOWN",
        "project {project} is not known here",
        "Create the project first, or ask its administrator for access.",
    )
    PROJECT_INVALID = Entry(
        400,
        "NAME_INVALID",
        "invalid project id: {project}",
        "An id is up to 30 lower-case letters, digits and dashes and begins with a letter; it may"
        " follow a domain, as example.com:proj.",
    )
    PROJECT_EXISTS = Entry(
        409,
        "DENIED",
        "project {project} is there already",
        "Choose another id; the id of a deleted project is free after its last day.",
    )
    PROJECT_DELETED = Entry(
        404,
        "NAME_UNKNOWN",
        "project {project} is being deleted",
        "Have it back with customhouse projects undelete, or use another project.",
    )
    TAG_INVALID = Entry(
        400,
        "MANIFEST_INVALID",
        "invalid tag: {reason}",
        "A tag is 1 to 128 letters, digits, dots, dashes and underscores,"
        " and does not begin with a dot or a dash.",
    )
    REFERENCE_INVALID = Entry(
        400,
        "NAME_INVALID",
        "invalid image reference {reference}: {reason}",
        "Write HOST/PROJECT/IMAGE:TAG or HOST/PROJECT/IMAGE@sha256:DIGEST.",
    )
    DIGEST_INVALID = Entry(
        400,
        "DIGEST_INVALID",
        "invalid digest: {reason}",
        "A digest is sha256: and 64 lower-case hexadecimal digits, or sha512: and 128.",
    )
    DIGEST_MISMATCH = Entry(
        400,
        "DIGEST_INVALID",
        "the content received has digest {actual}, not {expected}",
        "The bytes changed on the way; send them again.",
    )

    # Blobs and uploads
    BLOB_UNKNOWN = Entry(
        404,
        "BLOB_UNKNOWN",
        "blob {digest} is not in this repository",
        "Push the blob, or mount it from a repository that has it.",
    )
    BLOB_LOST = Entry(
        500,
        "UNKNOWN",
        "blob {digest} is registered but its content cannot be read",
        "Push the same content again to restore it, and check the disk of the server.",
    )
    UPLOAD_UNKNOWN = Entry(
        404,
        "BLOB_UPLOAD_UNKNOWN",
        "upload {upload} is not known here",
        "It was finished, cancelled or has expired; start a new one.",
    )
    UPLOAD_BUSY = Entry(
        409,
        "BLOB_UPLOAD_INVALID",
        "another request is writing to upload {upload}",
        "Wait for it to end, then ask for the offset with GET and resume from there.",
    )
    RANGE_INVALID = Entry(
        416,
        "BLOB_UPLOAD_INVALID",
        "the chunk begins at {start} but the upload stands at {offset}",
        "Resume from the offset that the Range header of this answer gives.",
    )
    RANGE_UNSATISFIABLE = Entry(
        416,
        "SIZE_INVALID",
        "the range {range} lies outside the blob of {size} bytes",
        "Ask for a range within the size that HEAD gives.",
    )
    SIZE_INVALID = Entry(
        400,
        "SIZE_INVALID",
        "the length of the content is wrong: {reason}",
        "Send as many bytes as the headers say.",
    )
    BLOB_TOO_LARGE = Entry(
        413,
        "SIZE_INVALID",
        "the blob is larger than the {limit} bytes that this server takes",
        "Raise registry.max_blob_bytes in the settings, or split the content.",
    )
    STORAGE_FULL = Entry(
        507,
        "TOOMANYREQUESTS",
        "there is no space left to store this",
        "Free or add disk space on the server, then push again; nothing stored was lost.",
    )

    # Manifests
    MANIFEST_UNKNOWN = Entry(
        404,
        "MANIFEST_UNKNOWN",
        "manifest {reference} is not in this repository",
        "List the tags to see what is there.",
    )
    MANIFEST_INVALID = Entry(
        400,
        "MANIFEST_INVALID",
        "invalid manifest: {reason}",
        "Push an OCI image manifest or index, or a Docker schema 2 manifest or list.",
    )
    MANIFEST_SCHEMA1 = Entry(
        400,
        "MANIFEST_INVALID",
        "Docker schema 1 manifests are not taken",
        "Push again with a client that writes schema 2 or OCI manifests (Docker 1.10 and newer).",
    )
    MANIFEST_TOO_LARGE = Entry(
        413,
        "MANIFEST_INVALID",
        "the manifest is larger than {limit} bytes",
        "Move large annotations or data fields into blobs.",
    )
    MANIFEST_BLOB_UNKNOWN = Entry(
        400,
        "MANIFEST_BLOB_UNKNOWN",
        "the manifest refers to content that is not in this repository: {digests}",
        "Push the blobs and child manifests first, then the manifest.",
    )

    CONTENT_IN_USE = Entry(
        405,
        "UNSUPPORTED",
        "{digest} is part of {user}",
        "Delete that manifest first.",
    )

    # Listing
    PAGINATION_INVALID = Entry(
        400,
        "PAGINATION_NUMBER_INVALID",
        "invalid page: {reason}",
        "n is a number from 0 to {limit}; last is the last name of the page before.",
    )

    # Who may do what
    UNAUTHORIZED = Entry(
        401,
        "UNAUTHORIZED",
        "sign-in is needed for this",
        "Run docker login HOST, or send a bearer token from the realm in WWW-Authenticate.",
    )
    CREDENTIALS_INVALID = Entry(
        401,
        "UNAUTHORIZED",
        "the user name or the password is wrong",
        "Check both and sign in again.",
    )
    PASSWORD_NEEDED = Entry(
        412,
        "DENIED",
        "a person's own password is not changed without the current one",
        "Give the current password as well.",
    )
    TOKEN_INVALID = Entry(
        401,
        "UNAUTHORIZED",
        "the token is not valid: {reason}",
        "Ask for a new token at the realm in WWW-Authenticate.",
    )
    SCOPE_INSUFFICIENT = Entry(
        401,
        "UNAUTHORIZED",
        "the token does not cover this",
        "Ask for a token with the scope in WWW-Authenticate.",
    )
    DENIED = Entry(
        403,
        "DENIED",
        "permission {permission} is missing on {resource}",
        "Ask an administrator of the project for a role that has it.",
    )
    POLICY_INVALID = Entry(
        400,
        "DENIED",
        "the policy is not valid: {reason}",
        "Members are written user:ana, group:developers or serviceAccount:NAME@...; customhouse iam"
        " roles list shows the roles.",
    )
    POLICY_CHANGED = Entry(
        409,
        "DENIED",
        "the policy of {resource} has been changed since it was read",
        "Read it again and make the change in what it says now.",
    )
    LAST_OWNER = Entry(
        400,
        "DENIED",
        "{resource} would be left without anybody who holds {role}",
        "Give the role to somebody else first, without a condition.",
    )
    ROLE_INVALID = Entry(
        400,
        "DENIED",
        "the role is not valid: {reason}",
        "Name permissions of the reference page; an id is 3 to 64 letters, digits, dots and _.",
    )
    THING_UNKNOWN = Entry(
        404,
        "NAME_UNKNOWN",
        "{kind} {name} is not known here",
        "Check the spelling, or list what there is.",
    )
    THING_EXISTS = Entry(
        409,
        "DENIED",
        "{kind} {name} is there already",
        "Choose another name, or change the one that is there.",
    )
    THING_INVALID = Entry(
        400,
        "DENIED",
        "invalid {kind}: {reason}",
        "Correct the request and send it again.",
    )
    LIMIT_REACHED = Entry(
        412,
        "DENIED",
        "{owner} has {limit} {kind} already, which is the most it may have",
        "Delete some that are no longer used.",
    )
    KEY_FILE_INVALID = Entry(
        400,
        "UNSUPPORTED",
        "the key file cannot be used: {reason}",
        "Give the JSON file that was handed out when the service account's key was made.",
    )
    HOST_INVALID = Entry(
        400,
        "UNSUPPORTED",
        "{host} is not the name of a server",
        "Write HOST or HOST:PORT as it stands before the repository in an image's name.",
    )
    DOCKER_CONFIG_INVALID = Entry(
        400,
        "UNSUPPORTED",
        "{file} is not a JSON object with credHelpers that can be added to",
        "Mend the file, or move it away and run this again.",
    )
    SUBJECT_TOKEN_INVALID = Entry(
        400,
        "UNAUTHORIZED",
        "the subject token is not accepted: {reason}",
        "Compare its claims with the issuer, audiences, mapping and condition of the provider.",
    )
    ISSUER_UNREACHABLE = Entry(
        503,
        "UNAVAILABLE",
        "the keys of issuer {issuer} cannot be read: {reason}",
        "Check the issuer, or upload its keys to the identity provider.",
    )
    SIGN_IN_REFUSED = Entry(
        403,
        "DENIED",
        "the sign-in is refused: {reason}",
        "Begin again with the page to sign in; if it is refused again, tell the administrator.",
    )
    PROVIDER_UNUSABLE = Entry(
        503,
        "UNAVAILABLE",
        "the identity provider {issuer} cannot be used: {reason}",
        "Try again in a few seconds; the section oidc of the settings says which provider it is.",
    )

    # Requests as such
    PATH_UNKNOWN = Entry(
        404,
        "NAME_UNKNOWN",
        "there is nothing at this path",
        "The API begins at /v2/ (images) and /v1/ (everything else).",
    )
    METHOD_UNSUPPORTED = Entry(
        405,
        "UNSUPPORTED",
        "{method} is not possible here",
        "This path answers {allowed}.",
    )
    REQUEST_INVALID = Entry(
        400,
        "UNSUPPORTED",
        "the request is malformed: {reason}",
        "Check the request against the API reference.",
    )
    SEARCH_INVALID = Entry(
        400,
        "UNSUPPORTED",
        "the search is not understood: {reason}",
        "Ask for a package, with a version such as '<1.2.3' if need be, or for a vulnerability.",
    )
    REQUEST_TIMEOUT = Entry(
        408,
        "BLOB_UPLOAD_INVALID",
        "the request body stopped arriving",
        "What arrived is kept: ask for the offset with GET and resume from there.",
    )
    TOO_MANY_REQUESTS = Entry(
        429,
        "TOOMANYREQUESTS",
        "too many requests",
        "Wait for the seconds that Retry-After gives, then try again.",
    )
    INTERNAL = Entry(
        500,
        "UNKNOWN",
        "the server failed at this; the failure is in its log under request {request}",
        "Try again; if it stays, give the request's number to the administrator.",
    )
    UNAVAILABLE = Entry(
        503,
        "UNAVAILABLE",
        "the server cannot do this at the moment: {reason}",
        "Try again in a few seconds.",
    )

    # Analysis
    ARCHIVE_CORRUPT = Entry(
        422,
        "UNSUPPORTED",
        "the layer cannot be read: {reason}",
        "Build and push the image again.",
    )
    ARCHIVE_LIMIT = Entry(
        422,
        "UNSUPPORTED",
        "the layer exceeds a limit of the analysis: {reason}",
        "Raise the limit under analysis in the settings if the image is trusted.",
    )
    ANALYSIS_UNSUPPORTED = Entry(
        422,
        "UNSUPPORTED",
        "the image cannot be analysed: {reason}",
        "docs/accuracy.md lists the systems that are recognised.",
    )
    VERSION_INVALID = Entry(
        422,
        "UNSUPPORTED",
        "{version} is not a valid {scheme} version",
        "The package is listed but not matched with advisories.",
    )
    ADVISORY_INVALID = Entry(
        422,
        "UNSUPPORTED",
        "the advisory cannot be read: {reason}",
        "The record is left out and counted; the rest of the feed is loaded.",
    )
    FEED_SHRUNK = Entry(
        409,
        "UNSUPPORTED",
        "{gone} of {had} records of the feed {feed} are gone, more than {percent} %",
        "What was loaded before stays. If that is meant, import with --max-shrink 1, or update with"
        " --allow-shrink.",
    )
    FEED_INVALID = Entry(
        400,
        "UNSUPPORTED",
        "the feed cannot be read: {reason}",
        "Give an address, a file, a folder or a zip of advisories, or a bundle;"
        " customhouse feeds import --help lists the formats.",
    )
    FEED_UNKNOWN = Entry(
        404,
        "NAME_UNKNOWN",
        "feed {feed} is not known here",
        "List the sources: customhouse feeds list --sources.",
    )
    FEED_OFF = Entry(
        412,
        "DENIED",
        "the source of feed {feed} is switched off",
        "Take it out of feeds.off, or put it into feeds.on, in the settings of the server.",
    )
    FEEDS_OFFLINE = Entry(
        412,
        "DENIED",
        "this server fetches no feeds",
        "Import a bundle that customhouse feeds export has made elsewhere, or take feeds.offline"
        " out of the settings.",
    )
    FEED_UNREACHABLE = Entry(
        503,
        "UNAVAILABLE",
        "feed {feed} cannot be fetched: {reason}",
        "The data of before stays in use. Check the network, or name a mirror under feeds.mirrors"
        " in the settings.",
    )
    FEED_BUSY = Entry(
        409,
        "DENIED",
        "feed {feed} is being updated",
        "Wait for that to end, then try again.",
    )
    FEED_NEWER = Entry(
        409,
        "DENIED",
        "what is here of feed {feed} is newer",
        "Make a newer bundle with customhouse feeds export.",
    )
    FEEDS_NOT_KEPT = Entry(
        404,
        "NAME_UNKNOWN",
        "there are no files of feeds here",
        "Load some first: customhouse feeds update --all.",
    )
    FEED_BUNDLE_INVALID = Entry(
        400,
        "UNSUPPORTED",
        "the bundle of feeds cannot be read: {reason}",
        "Make it again with customhouse feeds export.",
    )
    VEX_INVALID = Entry(
        400,
        "UNSUPPORTED",
        "the VEX document cannot be read: {reason}",
        "Give a JSON file in OpenVEX, in CSAF's profile VEX, or an attestation of OpenVEX.",
    )
    EXCEPTION_INVALID = Entry(
        400,
        "UNSUPPORTED",
        "the exception cannot be made: {reason}",
        "docs/how-to/exceptions.md shows how exceptions are made and what they may say.",
    )
    EXCEPTION_UNKNOWN = Entry(
        404,
        "UNSUPPORTED",
        "there is no exception {exception} in project {project}",
        "List what there is: customhouse exceptions list --project PROJECT.",
    )
    EXCEPTION_REVOKED = Entry(
        404,
        "UNSUPPORTED",
        "exception {exception} in project {project} was revoked already",
        "It stays in the list. To accept the vulnerability again make another one.",
    )
    SBOM_UNKNOWN = Entry(
        404,
        "MANIFEST_UNKNOWN",
        "there is no SBOM of {image}: {reason}",
        "Switch scanning on (customhouse services enable containerscanning), push the image again,"
        " and wait until its analysis has ended.",
    )
    SBOM_INVALID = Entry(
        422,
        "UNSUPPORTED",
        "the SBOM cannot be read: {reason}",
        "SPDX 2 and CycloneDX are read, in JSON, also in statements of in-toto.",
    )
    SBOM_PLATFORM = Entry(
        400,
        "UNSUPPORTED",
        "{count} images are of the platform asked for; there are {platforms}",
        "Name one platform, as linux/amd64, or the digest of one image.",
    )
    SAVED_IMAGE_CORRUPT = Entry(
        422,
        "UNSUPPORTED",
        "the saved image cannot be read: {reason}",
        "Give what docker save, skopeo copy or podman save wrote, or the folder of a file system.",
    )
    SAVED_IMAGES = Entry(
        400,
        "UNSUPPORTED",
        "{count} images in it fit, not one; there are: {images}",
        "Name one with --image and --platform.",
    )
    OPERATION_UNKNOWN = Entry(
        404,
        "UNSUPPORTED",
        "operation {operation} is not known here",
        "It may have been removed; start it again.",
    )
    OPERATION_FAILED = Entry(
        500,
        "UNKNOWN",
        "what was asked for failed: {reason}",
        "Correct what it says, and ask again.",
    )

    # Notifications
    ENDPOINT_INVALID = Entry(
        400,
        "DENIED",
        "the endpoint cannot be used: {reason}",
        "Give an http or https URL that this server may reach, without a password in it.",
    )
    SUBSCRIPTION_PAUSED = Entry(
        412,
        "DENIED",
        "subscription {subscription} is paused: {reason}",
        "Resume it: customhouse notifications subscriptions update NAME --resume.",
    )

    # Start and settings
    SETTINGS_INVALID = Entry(
        500,
        "UNKNOWN",
        "the settings are wrong: {reason}",
        "The settings are described in docs/reference/settings.md.",
    )
    ADDRESS_UNAVAILABLE = Entry(
        500,
        "UNKNOWN",
        "{address} cannot be listened on: {reason}",
        "Stop what uses it, or choose another with --host and --port.",
    )
    DATA_IN_USE = Entry(
        500,
        "UNKNOWN",
        "another server uses the data folder {folder}",
        "Stop it first, or give this one another folder with --data.",
    )
    DATABASE_NEWER = Entry(
        500,
        "UNKNOWN",
        "the database was written by a newer version (schema {revision})",
        "Start the newer version, or restore the copy of the database made before its upgrade.",
    )

    # The command line's own
    SERVER_UNREACHABLE = Entry(
        503,
        "UNAVAILABLE",
        "{server} cannot be reached: {reason}",
        "Check the address, and that the server runs.",
    )
    NOT_SIGNED_IN = Entry(
        401,
        "UNAUTHORIZED",
        "not signed in{where}",
        "Run customhouse auth login HOST --username U --password-stdin,"
        " or set CUSTOMHOUSE_SERVER, CUSTOMHOUSE_USERNAME and CUSTOMHOUSE_PASSWORD.",
    )
    IMAGE_UNKNOWN = Entry(
        404,
        "MANIFEST_UNKNOWN",
        "there is no image {image}",
        "List what is there: customhouse images list-tags HOST/PROJECT/IMAGE.",
    )
    IMAGE_HAS_TAGS = Entry(
        409,
        "DENIED",
        "{image} has tags: {tags}",
        "Add --force-delete-tags to delete the tags with it.",
    )
    USAGE_INVALID = Entry(
        400,
        "UNSUPPORTED",
        "the request is malformed: {reason}",
        "Add --help to see what it takes.",
    )
    PROJECT_MISSING = Entry(
        400,
        "UNSUPPORTED",
        "no project was named",
        "Add --project PROJECT, or set CUSTOMHOUSE_PROJECT.",
    )
    BINDING_UNKNOWN = Entry(
        404,
        "NAME_UNKNOWN",
        "{member} does not hold {role} on {resource} in this way",
        "{todo}",
    )
    STILL_PUBLIC = Entry(
        409,
        "DENIED",
        "{resource} stays public by a binding on {where}",
        "Remove it if all below it shall be private: {todo}",
    )
    FILE_EXISTS = Entry(
        409,
        "UNSUPPORTED",
        "{file} is there already",
        "Name another file, or add --force to replace it.",
    )


class Failure(Exception):  # noqa: N818  - it is the failure of an operation, not a mistake in code
    """An operation failed for a reason of the table.

    Args:
        code: the entry.
        fields: what its templates name; further ones go to the log and to `detail` of the answer.
    """

    def __init__(self, code: Code, **fields: object) -> None:
        self.code = code
        self.fields = fields
        super().__init__(self.message)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.code.value.status

    @property
    def wait(self) -> int:
        """After how many seconds to come again, where that helps."""
        seconds = self.fields.get("wait")
        return math.ceil(seconds) if isinstance(seconds, int | float) and seconds > 0 else 2

    @property
    def message(self) -> str:
        """What is wrong, in one sentence without a full stop."""
        return self.code.value.message.format_map(_Fields(self.fields))

    @property
    def hint(self) -> str:
        """What to do, in one sentence."""
        return self.code.value.hint.format_map(_Fields(self.fields))

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling: durable workflows store the failures of their steps."""
        return _rebuild, (self.code.name, self.fields)


def _rebuild(name: str, fields: dict[str, object]) -> Failure:
    return Failure(Code[name], **fields)


class _Fields(dict[str, object]):
    """Fields for a template: one that is missing shows as `?` rather than failing the answer."""

    def __missing__(self, key: str) -> str:
        return "?"
