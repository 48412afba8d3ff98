"""One call of the distribution API: the request, who makes it, and what is there to answer it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from urllib.parse import urlsplit

from customhouse.iam.conditions import Circumstances
from customhouse.iam.permissions import repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from customhouse.blobstore import BlobStore
    from customhouse.database import LoopDatabase
    from customhouse.http import Header, Request
    from customhouse.iam.access import Access
    from customhouse.iam.permissions import Permission
    from customhouse.iam.provisioning import Provisioner
    from customhouse.iam.tokens import Identity
    from customhouse.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Services:
    """What the registry works with."""

    settings: Settings
    database: LoopDatabase
    store: BlobStore
    threads: Executor
    access: Access
    provisioner: Provisioner


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        services: what the registry works with.
        request: the request.
        identity: who makes it; permitted already.
        repository: the name in the path, checked; empty where there is none.
        argument: the tag, digest or upload in the path, not checked.
    """

    services: Services
    request: Request
    identity: Identity
    repository: str
    argument: str

    @property
    def circumstances(self) -> Circumstances:
        """What conditions may look at, where no tag is at stake."""
        return Circumstances(self.request.client)

    @property
    def host(self) -> str:
        """What stands before the repository in an image's name: as the settings or the caller say.

        Raises:
            Failure: REQUEST_INVALID.
        """
        public_url = self.services.settings.server.public_url
        return urlsplit(public_url).netloc if public_url else self.request.host

    async def allows(self, permission: Permission, name: str, tag: str = "") -> bool:
        """Whether the caller has a permission on a repository; its token may not name it."""
        return await self.services.database.read(
            self.services.access.allows,
            self.identity.principal,
            permission,
            repository(name),
            Circumstances(self.request.client, tag),
        )

    async def in_thread(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function that waits for the disk."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.services.threads, lambda: function(*args, **kwargs))


def location(path: str) -> Header:
    """A Location header.

    It is relative, which every client follows, by whatever name or proxy it reaches the server.
    """
    return (b"location", path.encode("ascii"))
