"""Manifests: distribution spec, sections on pulling, pushing, deleting and listing referrers."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from customhouse.errors import Code, Failure
from customhouse.events import ManifestPushed
from customhouse.http import Response, json_response
from customhouse.iam.conditions import Circumstances
from customhouse.iam.permissions import Permission
from customhouse.iam.permissions import repository as repository_of
from customhouse.names import check_tag
from customhouse.notifications import gcr
from customhouse.oci import (
    MAX_MANIFEST_BYTES,
    OCI_INDEX,
    Manifest,
    digest_of,
    parse_digest,
    parse_manifest,
)
from customhouse.registry import manifests, repositories, tags
from customhouse.registry.api.blobs import is_fresh
from customhouse.registry.api.call import location
from customhouse.registry.manifests import ImageFacts
from customhouse.workflows import outbox

if TYPE_CHECKING:
    from customhouse.blobstore import BlobStore
    from customhouse.database import Transaction
    from customhouse.iam.permissions import Principal
    from customhouse.iam.provisioning import Provisioner
    from customhouse.registry.api.call import Call

_MAX_CONFIG_BYTES = 4 * 1024 * 1024
_MAX_TAGS = 100
# Each may have annotations of megabytes.
_REFERRERS_PAGE = 100


async def get(call: Call) -> Response:
    """`GET` and `HEAD /v2/<name>/manifests/<reference>`.

    What was pushed is what is answered, whatever Accept says: there is nothing to choose from.
    """
    reference = call.argument
    database = call.services.database
    if ":" in reference:
        found = await database.read(manifests.get, call.repository, parse_digest(reference))
    else:
        found = await database.read(tags.get, call.repository, reference)
    if found is None:
        raise Failure(Code.MANIFEST_UNKNOWN, reference=reference[:150])
    digest, media_type, body = found
    raw = digest.encode()
    etag = b'"%b"' % raw
    headers = [
        (b"content-type", media_type.encode()),
        (b"docker-content-digest", raw),
        (b"etag", etag),
    ]
    if is_fresh(call.request.headers.get(b"if-none-match"), etag):
        return Response(304, headers)
    return Response(200, headers, body)


async def put(call: Call) -> Response:
    """`PUT /v2/<name>/manifests/<reference>`, by tag or by digest, with `?tag=` for more tags."""
    request = call.request
    digest, names = _reference(call.argument, request.query.get("tag", []))
    for name in names:
        # The one in the path was asked about already; a condition may look at each.
        if name != call.argument and not await call.allows(
            Permission.UPLOAD, call.repository, tag=name
        ):
            permission = Permission.UPLOAD.value
            raise Failure(Code.DENIED, permission=permission, resource=f"tag {name}")
    content = await request.body(
        MAX_MANIFEST_BYTES,
        Failure(Code.MANIFEST_TOO_LARGE, limit=MAX_MANIFEST_BYTES),
        call.services.settings.server.body_timeout,
    )
    actual = digest_of(content, digest.partition(":")[0] if digest else "sha256")
    if digest and digest != actual:
        raise Failure(Code.DIGEST_MISMATCH, expected=digest, actual=actual)
    manifest = parse_manifest(content, request.header(b"content-type"), actual)
    facts = await call.in_thread(read_facts, call.services.store, manifest)
    push = _Push(
        call.repository, manifest, content, facts, names, call.identity.principal, call.host
    )
    await call.services.database.write(
        _push,
        push,
        call.services.provisioner,
        sparse_indexes=call.services.settings.registry.sparse_indexes,
    )
    headers = [
        location(f"/v2/{call.repository}/manifests/{actual}"),
        (b"docker-content-digest", actual.encode()),
    ]
    if manifest.subject:
        headers.append((b"oci-subject", manifest.subject.digest.encode()))
    if ":" in call.argument:
        headers += [(b"oci-tag", name.encode()) for name in names]
    return Response(201, headers)


def _reference(reference: str, more: list[str]) -> tuple[str | None, list[str]]:
    """The digest and the tags that a push names."""
    if len(more) > _MAX_TAGS:
        raise Failure(Code.TAG_INVALID, reason=f"more than {_MAX_TAGS} tags at once")
    names = [check_tag(tag) for tag in dict.fromkeys(more)]
    if ":" in reference:
        return parse_digest(reference), names
    return None, [check_tag(reference), *(name for name in names if name != reference)]


@dataclass(frozen=True, slots=True)
class _Push:
    repository: str
    manifest: Manifest
    content: bytes
    facts: ImageFacts
    tags: list[str]
    principal: Principal
    host: str


def _push(tx: Transaction, push: _Push, provisioner: Provisioner, *, sparse_indexes: bool) -> None:
    number = repositories.ensure(tx, push.repository, push.principal, provisioner)
    repositories.hold(tx, number)
    manifests.check_parts(tx, number, push.manifest, sparse_indexes=sparse_indexes)
    by = push.principal.name
    manifest_id, is_new = manifests.put(tx, number, push.manifest, push.content, push.facts, by)
    for tag in push.tags:
        tags.put(tx, number, tag, manifest_id, by)
    event = ManifestPushed(push.repository, push.manifest.digest, push.tags, by, is_new)
    outbox.append(tx, event)
    gcr.pushed(tx, push.host, push.repository, push.manifest.digest, push.tags)


class _Config(msgspec.Struct):
    created: str = ""
    os: str = ""
    architecture: str = ""
    variant: str = ""


def read_facts(store: BlobStore, manifest: Manifest) -> ImageFacts:
    """What the config of an image says; a config that says nothing sensible is no failure."""
    if not manifest.is_runnable or manifest.config is None:
        return ImageFacts()
    try:
        with store.open(manifest.config.digest) as file:
            config = msgspec.json.decode(file.read(_MAX_CONFIG_BYTES), type=_Config)
    except (Failure, OSError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return ImageFacts()
    platform = "/".join(part[:64] for part in (config.os, config.architecture, config.variant))
    return ImageFacts(_milliseconds(config.created), platform.strip("/").replace("\0", ""))


def _milliseconds(text: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(int(moment.timestamp() * 1000), 0)


async def delete(call: Call) -> Response:
    """`DELETE /v2/<name>/manifests/<reference>`: a tag alone, or a manifest with its tags."""
    by = call.identity.principal.name
    database = call.services.database
    if ":" in call.argument:
        digest = parse_digest(call.argument)
        await database.write(_delete_manifest, call, digest, by)
    else:
        await database.write(_delete_tag, call, check_tag(call.argument), by)
    return Response(202)


def _delete_manifest(tx: Transaction, call: Call, digest: str, by: str) -> None:
    repository, principal, access = call.repository, call.identity.principal, call.services.access
    number = repositories.find(tx, repository)
    if number is None:
        raise Failure(Code.MANIFEST_UNKNOWN, reference=digest)
    repositories.hold(tx, number)
    held = manifests.held(tx, number, digest)
    if held is None:
        raise Failure(Code.MANIFEST_UNKNOWN, reference=digest)
    user = manifests.user(tx, number, digest)
    if user is not None:
        raise Failure(Code.CONTENT_IN_USE, digest=digest, user=user)
    names = tags.remove_all_of(tx, number, held, by)
    # Its tags go with it: a condition may look at each.
    for name in names:
        about = Circumstances(call.request.client, name)
        access.require(tx, principal, Permission.DELETE, repository_of(repository), about)
    manifests.remove(tx, number, repository, digest, names, by)
    gcr.deleted(tx, call.host, repository, digest, names)


def _delete_tag(tx: Transaction, call: Call, tag: str, by: str) -> None:
    repository = call.repository
    number = repositories.find(tx, repository)
    if number is None:
        raise Failure(Code.MANIFEST_UNKNOWN, reference=tag)
    repositories.hold(tx, number)
    tags.remove(tx, number, repository, tag, by)
    gcr.untagged(tx, call.host, repository, tag)


async def referrers(call: Call) -> Response:
    """`GET /v2/<name>/referrers/<digest>`, with the filter `artifactType`."""
    subject = parse_digest(call.argument)
    request = call.request
    artifact_type = request.parameter("artifactType") or ""
    found = await call.services.database.query(
        manifests.referrers,
        call.repository,
        subject,
        artifact_type,
        request.parameter("last") or "",
        _REFERRERS_PAGE + 1,
    )
    page = found[:_REFERRERS_PAGE]
    headers = [(b"content-type", OCI_INDEX.encode())]
    if artifact_type:
        headers.append((b"oci-filters-applied", b"artifactType"))
    if len(found) > len(page):
        query = {"last": page[-1]["digest"]}
        if artifact_type:
            query["artifactType"] = artifact_type
        path = f"/v2/{call.repository}/referrers/{subject}?{urlencode(query)}"
        headers.append((b"link", f'<{path}>; rel="next"'.encode()))
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": page}
    response = json_response(200, document)
    response.headers[:] = headers
    return response
