"""From the Authorization header to an identity."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from customhouse.database import now
from customhouse.errors import Code, Failure
from customhouse.iam import accounts, assertions, failures, keyfiles, service_account_keys
from customhouse.iam.issuers import IssuerKeys
from customhouse.iam.permissions import ANONYMOUS, Principal
from customhouse.iam.tokens import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from customhouse.database import LoopDatabase
    from customhouse.iam.access import Access
    from customhouse.iam.limits import Limiter
    from customhouse.iam.tokens import Tokens

NOBODY = Identity(ANONYMOUS)

# The user names that Google's clients send with an access token for a password.
_TOKEN_NAME = re.compile(r"oauth2accesstoken|_token|_dcgcloud_token|_dcgcr_[A-Za-z0-9_.-]*_token")

_KEY_NAMES = frozenset({"_json_key", "_json_key_base64"})

_PASSWORD_THREADS = 2
# How many passwords wait in one process until the next is told to come again: two seconds' worth.
_PASSWORDS_WAITING = 64


class Authenticator:
    """Tells who sent a request.

    Args:
        database: where accounts are.
        tokens: verifies those that were issued here.
        access: knows whether an account stands.
        limiter: of how much one principal may ask.
        failed_sign_ins: how many passwords may be wrong before the next has to wait.
    """

    def __init__(
        self,
        database: LoopDatabase,
        tokens: Tokens,
        access: Access,
        limiter: Limiter,
        failed_sign_ins: int,
    ) -> None:
        self.tokens = tokens
        self.issuers = IssuerKeys()
        self._limiter = limiter
        self._failed_sign_ins = failed_sign_ins
        self.access = access
        self.database = database
        self._passwords = accounts.Passwords()
        # Passwords are slow on purpose; threads of their own keep them from holding up the rest.
        self._threads = ThreadPoolExecutor(_PASSWORD_THREADS, thread_name_prefix="passwords")
        self._waiting = 0

    async def identify(
        self, authorization: bytes | None, base_url: Callable[[], str], address: str
    ) -> Identity:
        """The identity behind an Authorization header: Bearer, Basic or none.

        Whether the account still stands is looked at when a permission is decided on.

        Args:
            authorization: the header.
            base_url: tells where the client reached this server.
            address: where the client is.

        Raises:
            Failure: TOKEN_INVALID, CREDENTIALS_INVALID.
        """
        if authorization is None:
            return NOBODY
        # Nearly every request has a token that was seen before.
        known = None
        if authorization[:7].lower() == b"bearer ":
            known = self.tokens.known(authorization[7:].decode("latin-1"))
        identity = known or await self._identify(authorization, base_url, address)
        if identity.principal != ANONYMOUS:
            wait = self._limiter.take(identity.principal.name)
            if wait:
                raise Failure(Code.TOO_MANY_REQUESTS, wait=wait)
        return identity

    async def _identify(
        self, authorization: bytes, base_url: Callable[[], str], address: str
    ) -> Identity:
        scheme, _, value = authorization.decode("latin-1").partition(" ")
        match scheme.lower():
            case "bearer":
                return await self._bearer(value.strip(), base_url)
            case "basic":
                return await self.sign_in(*parse_basic(value.strip()), address)
        raise Failure(Code.TOKEN_INVALID, reason="Authorization is neither Basic nor Bearer")

    async def sign_in(self, name: str, password: str, address: str) -> Identity:
        """Check a user name and password, or what stands in their place.

        Args:
            name: the user name, or one that says what the password is.
            password: the password, a token, or the file of a key.
            address: where the client is: who fails again and again has to wait.

        Raises:
            Failure: CREDENTIALS_INVALID, TOKEN_INVALID, or TOO_MANY_REQUESTS, also when too many
                passwords wait.
        """
        if _TOKEN_NAME.fullmatch(name):
            identity = self.tokens.verify(password.strip())
            await self.check(identity.principal)
            return identity
        standing = await self.database.read(failures.standing, name, address, now())
        if standing.delay:
            raise Failure(Code.TOO_MANY_REQUESTS, wait=standing.delay)
        try:
            identity = await self._sign_in(name, password)
        except Failure as failure:
            if failure.code is Code.CREDENTIALS_INVALID:
                await self.database.write(
                    failures.note_failure, name, address, now(), self._failed_sign_ins
                )
            raise
        if not standing.is_settled:
            await self.database.write(failures.note_success, name, address, now())
        return identity

    async def _sign_in(self, name: str, password: str) -> Identity:
        if name in _KEY_NAMES:
            return await self._key_file(password)
        account = await self.database.read(accounts.find, name)
        password_hash = account[1] if account and account[1] else None
        right = await self._is_right(password_hash, password)
        if account is None or not right:
            raise Failure(Code.CREDENTIALS_INVALID)
        return Identity(account[0])

    async def check(self, principal: Principal) -> None:
        """Check that an account still stands.

        Raises:
            Failure: TOKEN_INVALID.
        """
        await self.database.read(self.access.members, principal)

    async def refresh(self, token: str) -> Principal:
        """Whom a refresh token is for.

        Raises:
            Failure: TOKEN_INVALID, also when the password or key was changed since.
        """
        principal = self.tokens.verify_refresh(token)
        if not principal.credential:
            raise Failure(Code.TOKEN_INVALID, reason="it does not say what it was issued for")
        await self.check(principal)
        return principal

    async def exchange(self, assertion: str, audiences: Collection[str]) -> tuple[Principal, str]:
        """Who signed an assertion for the token endpoint (RFC 7523).

        Returns:
            The principal, and for whom it wants an ID token instead of an access token.

        Raises:
            Failure: TOKEN_INVALID.
        """
        key_id, email, pem = await self._key_of(assertion)
        claims = assertions.verify_assertion(assertion, email, pem, audiences, time.time())
        return Principal(f"serviceAccount:{email}", key_id), claims.target_audience

    async def _bearer(self, token: str, base_url: Callable[[], str]) -> Identity:
        if not assertions.is_self_signed(token):
            try:
                return self.tokens.verify(token)
            except Failure:
                if not self.tokens.is_of_unknown_key(token):
                    raise
            # Another process has made a key since.
            await self.database.read(self.tokens.reload)
            return self.tokens.verify(token)
        key_id, email, pem = await self._key_of(token)
        claims = assertions.verify_self_signed(token, email, pem, [base_url()], time.time())
        return Identity(Principal(f"serviceAccount:{email}", key_id), expires=claims.exp)

    async def _key_of(self, assertion: str) -> tuple[str, str, str]:
        """The id of the key that signed something, its account, and its public half."""
        key_id = assertions.read_key_id(assertion)
        found = await self.database.read(service_account_keys.verification_key, key_id)
        if found is None:
            raise Failure(Code.TOKEN_INVALID, reason="its key is unknown, disabled or expired")
        return key_id, *found

    async def _key_file(self, text: str) -> Identity:
        loop = asyncio.get_running_loop()
        database = self.database.database
        email, key_id = await loop.run_in_executor(
            self._threads,
            keyfiles.check_key_file,
            text,
            lambda key: database.read(service_account_keys.verification_key, key),
        )
        return Identity(Principal(f"serviceAccount:{email}", key_id))

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
