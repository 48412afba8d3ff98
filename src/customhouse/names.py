"""Names of projects, repositories, tags and images: parse and check, no I/O.

The grammar is that of the OCI distribution spec 1.1, section "Pull", with Google Container
Registry's reading of it: the first component names the project that owns the repository. A
domain-scoped project `example.com:proj` is written `example.com/proj` in an image name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from customhouse.errors import Code, Failure
from customhouse.oci import parse_digest

MAX_NAME_LENGTH = 255

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")


def check_name(name: str) -> str:
    """Return `name` if it is a path of one or more components (a project or a repository).

    Raises:
        Failure: NAME_INVALID.
    """
    if len(name) > MAX_NAME_LENGTH:
        reason = f"{len(name)} characters are more than {MAX_NAME_LENGTH}"
        raise Failure(Code.NAME_INVALID, reason=reason)
    if not _NAME.fullmatch(name):
        raise Failure(Code.NAME_INVALID, reason=f"{name!r} is not made of lower-case components")
    return name


def split_project(name: str) -> tuple[str, str]:
    """Split a checked name into its project and the rest, which is empty for a project alone.

    >>> split_project("acme/web/api"), split_project("example.com/proj/app")
    (('acme', 'web/api'), ('example.com/proj', 'app'))
    """
    first, _, rest = name.partition("/")
    if "." in first and rest:
        second, _, rest = rest.partition("/")
        return f"{first}/{second}", rest
    return first, rest


def check_repository(name: str) -> str:
    """Return `name` if it is `PROJECT/IMAGE...`.

    Raises:
        Failure: NAME_INVALID.
    """
    check_name(name)
    if not split_project(name)[1]:
        raise Failure(Code.NAME_INVALID, reason=f"{name!r} names a project but no image in it")
    return name


def check_tag(tag: str) -> str:
    """Return `tag` if it is one.

    Raises:
        Failure: TAG_INVALID.
    """
    if not _TAG.fullmatch(tag):
        shown = tag if len(tag) <= 128 else f"{tag[:128]}..."
        raise Failure(Code.TAG_INVALID, reason=f"{shown!r} is not a tag")
    return tag


@dataclass(frozen=True, slots=True)
class ImageReference:
    """`HOST/REPOSITORY[:TAG][@DIGEST]`, as a person writes it. `host` may be empty."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def reference(self) -> str:
        """What to ask the registry for: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        text = f"{self.host}/{self.repository}" if self.host else self.repository
        text += f":{self.tag}" if self.tag else ""
        return text + (f"@{self.digest}" if self.digest else "")


def parse_image(text: str, *, has_host: bool = False) -> ImageReference:
    """Parse an image reference.

    The first component is a host if it has a dot or a colon or is `localhost`, which is the rule
    of Docker's clients.

    Args:
        text: the reference.
        has_host: the first component is a host whatever it looks like, as in a URL.

    Raises:
        Failure: REFERENCE_INVALID, with the part that is wrong.
    """
    rest, at, digest = text.partition("@")
    first, slash, path = rest.partition("/")
    host = ""
    has_host = has_host or ":" in first or "." in first or first == "localhost"
    if slash and has_host and _HOST.fullmatch(first):
        host, rest = first, path
    head, _, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    name = f"{head}/{last}" if head else last
    try:
        check_name(name)
        if colon:
            check_tag(tag)
        if at:
            parse_digest(digest)
    except Failure as failure:
        shown = text if len(text) <= 300 else f"{text[:300]}..."
        raise Failure(Code.REFERENCE_INVALID, reference=shown, reason=failure.message) from failure
    return ImageReference(host, name, tag, digest)


# Google's grammar of project ids, with shorter ones taken as well.
_PROJECT_ID = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.[a-z]{2,}:)?[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?"
)


def project_id(project: str) -> str:
    """The id of a project as Google's APIs write it.

    >>> project_id("example.com/proj")
    'example.com:proj'
    """
    return project.replace("/", ":")


def project_name(project: str) -> str:
    """The id of a project as it stands in image names.

    >>> project_name("example.com:proj")
    'example.com/proj'
    """
    return project.replace(":", "/")


def parse_project(text: str) -> str:
    """A project id, as it stands in image names.

    >>> parse_project("example.com:proj"), parse_project("acme")
    ('example.com/proj', 'acme')

    Raises:
        Failure: PROJECT_INVALID.
    """
    if len(text) > 120 or not _PROJECT_ID.fullmatch(project_id(text)):
        raise Failure(Code.PROJECT_INVALID, project=text[:120])
    return project_name(text)
