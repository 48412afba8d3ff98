"""From the Authorization header to an identity."""

from __future__ import annotations

import asyncio
import base64
import binascii
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from customhouse.errors import Code, Failure
from customhouse.iam import accounts
from customhouse.iam.permissions import ANONYMOUS, Principal
from customhouse.iam.tokens import Identity

if TYPE_CHECKING:
    from customhouse.database import LoopDatabase
    from customhouse.iam.tokens import Tokens

_NOBODY = Identity(ANONYMOUS)

_PASSWORD_THREADS = 2
# How many passwords wait in one process until the next is told to come again: two seconds' worth.
_PASSWORDS_WAITING = 64


class Authenticator:
    """Tells who sent a request."""

    def __init__(self, database: LoopDatabase, tokens: Tokens) -> None:
        self.tokens = tokens
        self._database = database
        self._passwords = accounts.Passwords()
        # Passwords are slow on purpose; threads of their own keep them from holding up the rest.
        self._threads = ThreadPoolExecutor(_PASSWORD_THREADS, thread_name_prefix="passwords")
        self._waiting = 0

    async def identify(self, authorization: bytes | None) -> Identity:
        """The identity behind an Authorization header: Bearer, Basic or none.

        Raises:
            Failure: TOKEN_INVALID, CREDENTIALS_INVALID.
        """
        if authorization is None:
            return _NOBODY
        scheme, _, value = authorization.decode("latin-1").partition(" ")
        match scheme.lower():
            case "bearer":
                return self.tokens.verify(value.strip())
            case "basic":
                principal, _ = await self.sign_in(*parse_basic(value.strip()))
                return Identity(principal)
        raise Failure(Code.TOKEN_INVALID, reason="Authorization is neither Basic nor Bearer")

    async def sign_in(self, name: str, password: str) -> tuple[Principal, int]:
        """Check a user's password; returns the principal and the generation of the password.

        Raises:
            Failure: CREDENTIALS_INVALID, or TOO_MANY_REQUESTS when too many passwords wait.
        """
        account = await self._database.read(accounts.find, name)
        password_hash = account[1] if account else None
        right = await self._is_right(password_hash, password)
        if account is None or not right:
            raise Failure(Code.CREDENTIALS_INVALID)
        return account[0], account[2]

    async def _is_right(self, password_hash: str | None, password: str) -> bool:
        if self._passwords.is_remembered(password_hash, password):
            return True
        if self._waiting >= _PASSWORDS_WAITING:
            raise Failure(Code.TOO_MANY_REQUESTS)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._passwords.is_right, password_hash, password
            )
        finally:
            self._waiting -= 1

    async def refresh(self, token: str) -> tuple[str, Principal, int]:
        """The account of a refresh token, its principal and the generation of its password.

        Raises:
            Failure: TOKEN_INVALID, also when the password was changed since.
        """
        claims = self.tokens.verify_refresh(token)
        account = await self._database.read(accounts.find, claims.account)
        if account is None or account[2] != claims.generation:
            raise Failure(Code.TOKEN_INVALID, reason="sign-in has been revoked")
        return claims.account, account[0], account[2]


def parse_basic(value: str) -> tuple[str, str]:
    """The user name and password of Basic authentication (RFC 7617).

    Raises:
        Failure: CREDENTIALS_INVALID.
    """
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Failure(Code.CREDENTIALS_INVALID) from error
    name, colon, password = text.partition(":")
    if not colon or not name or len(name) > 255 or "\0" in name:
        raise Failure(Code.CREDENTIALS_INVALID)
    return name, password
