"""Users and groups over REST. Google keeps these elsewhere; the forms here are like its others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from customhouse.errors import Code, Failure
from customhouse.iam import accounts, groups
from customhouse.iam.api.documents import Text
from customhouse.iam.api.guard import allows, permitted, require, signed_in
from customhouse.iam.api.pages import MAX_TOKEN, count_of, key_of, listing
from customhouse.iam.permissions import ROOT, Permission
from customhouse.times import rfc3339

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase
    from customhouse.iam.accounts import Account
    from customhouse.iam.authentication import Authenticator
    from customhouse.iam.groups import Group

Size = Annotated[int, Query(alias="pageSize", ge=0)]
Token = Annotated[str, Query(alias="pageToken", max_length=MAX_TOKEN)]

_USERS_LIST = [Depends(permitted(Permission.USERS_LIST))]
_USERS_MANAGE = [Depends(permitted(Permission.USERS_MANAGE))]
_GROUPS_LIST = [Depends(permitted(Permission.GROUPS_LIST))]
_GROUPS_MANAGE = [Depends(permitted(Permission.GROUPS_MANAGE))]


class NewUser(BaseModel):
    """A user to be created; without a password one who signs in through an identity provider."""

    name: str = Field(max_length=255)
    password: str = Field("", max_length=4096, repr=False)


class NewPassword(BaseModel):
    """A password to be set, and, for one's own, the current one."""

    model_config = ConfigDict(validate_by_alias=True, validate_by_name=True)

    password: str = Field(max_length=4096, repr=False)
    current_password: str = Field("", alias="currentPassword", max_length=4096, repr=False)


class NewGroup(BaseModel):
    """A group to be created."""

    name: str = Field(max_length=255)
    description: Text = Field("", max_length=256)


class NewMember(BaseModel):
    """A member to be put into a group: `user:`, `serviceAccount:` or `group:`."""

    member: Text = Field(max_length=255)


def router(database: LoopDatabase) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    _add_users(routes, database)
    _add_groups(routes, database)
    return routes


def _add_users(routes: APIRouter, database: LoopDatabase) -> None:
    @routes.get("/v1/users", dependencies=_USERS_LIST, tags=["users"])
    async def list_users(page_size: Size = 0, page_token: Token = "") -> dict[str, Any]:
        """The users, in order of their names."""
        count = count_of(page_size)
        found = await database.read(accounts.page, key_of(page_token), count + 1)
        return listing("users", found, count, _user, _name)

    @routes.post("/v1/users", dependencies=_USERS_MANAGE, tags=["users"])
    async def create_user(user: NewUser) -> dict[str, Any]:
        """Create a user."""
        hashed = (
            await asyncio.to_thread(accounts.hash_password, user.password) if user.password else ""
        )
        await database.write(accounts.create, user.name, hashed)
        return {"name": user.name}

    @routes.post("/v1/users/{user}:setPassword", tags=["users"])
    async def set_password(request: Request, user: str, new: NewPassword) -> dict[str, Any]:
        """Set a password: one's own, or anybody's with the permission to manage users.

        Whoever may not manage users gives the current one: a token that was stolen is not enough.
        """
        principal = await signed_in(request)
        if principal.name != f"user:{user}":
            await require(request, Permission.USERS_MANAGE, ROOT)
        elif not await allows(request, principal, Permission.USERS_MANAGE, ROOT):
            if not new.current_password:
                raise Failure(Code.PASSWORD_NEEDED)
            authenticator: Authenticator = request.app.state.authenticator
            address = request.client.host if request.client else ""
            await authenticator.sign_in(user, new.current_password, address)
        hashed = await asyncio.to_thread(accounts.hash_password, new.password)
        await database.write(accounts.set_password, user, hashed)
        return {}

    @routes.post("/v1/users/{user}:disable", dependencies=_USERS_MANAGE, tags=["users"])
    async def disable_user(user: str) -> dict[str, Any]:
        """Shut an account, with every token of it."""
        await database.write(accounts.set_disabled, user, disabled=True)
        return {}

    @routes.post("/v1/users/{user}:enable", dependencies=_USERS_MANAGE, tags=["users"])
    async def enable_user(user: str) -> dict[str, Any]:
        """Open an account again."""
        await database.write(accounts.set_disabled, user, disabled=False)
        return {}

    @routes.delete("/v1/users/{user}", dependencies=_USERS_MANAGE, tags=["users"])
    async def delete_user(user: str) -> dict[str, Any]:
        """Delete an account."""
        await database.write(accounts.delete, user)
        return {}


def _add_groups(routes: APIRouter, database: LoopDatabase) -> None:
    @routes.get("/v1/groups", dependencies=_GROUPS_LIST, tags=["groups"])
    async def list_groups(page_size: Size = 0, page_token: Token = "") -> dict[str, Any]:
        """The groups, in order of their names."""
        count = count_of(page_size)
        found = await database.read(groups.page, key_of(page_token), count + 1)
        return listing("groups", found, count, _group, _name)

    @routes.post("/v1/groups", dependencies=_GROUPS_MANAGE, tags=["groups"])
    async def create_group(group: NewGroup) -> dict[str, Any]:
        """Create a group."""
        await database.write(groups.create, group.name, group.description)
        return {"name": group.name}

    @routes.delete("/v1/groups/{group}", dependencies=_GROUPS_MANAGE, tags=["groups"])
    async def delete_group(group: str) -> dict[str, Any]:
        """Delete a group; bindings to it give nothing then."""
        await database.write(groups.delete, group)
        return {}

    @routes.get("/v1/groups/{group}/members", dependencies=_GROUPS_LIST, tags=["groups"])
    async def list_members(
        group: str, page_size: Size = 0, page_token: Token = ""
    ) -> dict[str, Any]:
        """The members of a group, in order."""
        count = count_of(page_size)
        found = await database.read(groups.members, group, key_of(page_token), count + 1)
        return listing("members", found, count, str, str)

    @routes.post("/v1/groups/{group}/members", dependencies=_GROUPS_MANAGE, tags=["groups"])
    async def add_member(group: str, new: NewMember) -> dict[str, Any]:
        """Put a member into a group."""
        await database.write(groups.add, group, new.member)
        return {"member": new.member}

    @routes.delete(
        "/v1/groups/{group}/members/{member}", dependencies=_GROUPS_MANAGE, tags=["groups"]
    )
    async def remove_member(group: str, member: str) -> dict[str, Any]:
        """Take a member out of a group."""
        await database.write(groups.remove, group, member)
        return {}


def _user(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "disabled": account.is_disabled,
        "hasPassword": account.has_password,
        "createTime": rfc3339(account.created_at),
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "description": group.description,
        "createTime": rfc3339(group.created_at),
    }


def _name(thing: Account | Group) -> str:
    return thing.name
