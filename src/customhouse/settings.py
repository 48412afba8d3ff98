"""The settings: one frozen model, read from a TOML file and the environment.

`customhouse serve --config FILE` reads the file; every setting can also be given as
`CUSTOMHOUSE_SECTION__NAME` (`CUSTOMHOUSE_REGISTRY__MAX_BLOB_BYTES=...`), which wins over the file;
the options of `serve` win over both.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from customhouse.errors import Code, Failure

MIB = 1024 * 1024
GIB = 1024 * MIB


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ServerSettings(_Section):
    """Where and how the server answers."""

    host: str = "127.0.0.1"
    """The address to listen on; `0.0.0.0` for every one."""
    port: int = Field(5000, ge=0, le=65535)
    """The port to listen on."""
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=256)
    """How many processes answer requests; as many as there are cores by default."""
    tls_cert: Path | None = None
    """A PEM file with the certificate chain; with it the server speaks HTTPS only."""
    tls_key: Path | None = None
    """The PEM file with its private key."""
    public_url: str = ""
    """The URL that clients use, such as `https://registry.example.com`. Empty: taken from each
    request's Host header."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks of proxies whose X-Forwarded-For, -Proto and -Host headers are believed."""
    body_timeout: float = Field(60.0, gt=0)
    """Seconds that a request body may pause before the request is given up."""
    drain_seconds: int = Field(30, ge=1)
    """Seconds that running requests are given to end when the server is told to stop."""


class RegistrySettings(_Section):
    """What may be pushed."""

    create_projects: bool = True
    """Whether the first push of someone who may create projects creates the project."""
    max_blob_bytes: int = Field(64 * GIB, gt=0)
    """The largest blob that is taken."""
    sparse_indexes: bool = False
    """Whether an index may name manifests that are not in the repository."""
    upload_hours: int = Field(24 * 7, ge=1)
    """After how many hours without a byte an unfinished upload is dropped."""


class TokenSettings(_Section):
    """How long a sign-in lasts."""

    access_seconds: int = Field(300, ge=60)
    """How long a registry token lasts."""
    api_seconds: int = Field(3600, ge=60)
    """How long a token for the APIs lasts, such as service accounts get."""
    refresh_days: int = Field(30, ge=1)
    """How long a client stays signed in without the password."""
    session_hours: int = Field(12, ge=1, le=24 * 30)
    """How long a browser stays signed in."""


class IamSettings(_Section):
    """Accounts and who may do what."""

    domain: str = Field("iam.customhouse.internal", pattern=r"^[a-z0-9.-]+\.[a-z]+$")
    """What the addresses of service accounts end with: NAME@PROJECT.DOMAIN."""
    failed_sign_ins: int = Field(5, ge=1)
    """How many wrong passwords for an account may come from an address before the next has to
    wait; ten times as many for any accounts from one address, twenty times as many for one account
    from any."""
    signing_key_days: int = Field(90, ge=1)
    """How long a key signs tokens before a new one does."""


class AuditSettings(_Section):
    """The log of who did what."""

    reads: bool = False
    """Whether what was only read is noted too, pulls included: a row for each."""
    days: int = Field(400, ge=1)
    """How long an entry is kept."""


class LimitSettings(_Section):
    """How many requests are answered, in each process; 0 for any number."""

    per_address: float = Field(0.0, ge=0)
    """Requests a second from one address; an IPv6 address stands for its /64."""
    per_principal: float = Field(0.0, ge=0)
    """Requests a second of one user or service account."""
    burst: int = Field(200, ge=1)
    """How many may come at once."""


class OidcSettings(_Section):
    """Signing in with a browser through an identity provider that speaks OpenID Connect.

    The provider needs to know `PUBLIC_URL/auth/callback` as redirect URI.
    """

    issuer: str = Field(
        "", pattern=r"^(https://\S+|http://(localhost|127\.0\.0\.1)(:\d+)?(/\S*)?)?$"
    )
    """The provider's issuer URL, such as `https://accounts.google.com`. Empty: there is none."""
    client_id: str = ""
    """What the provider calls this server."""
    client_secret: SecretStr | None = None
    """The secret that the provider gave with it; none for a public client."""
    name: str = Field("single sign-on", min_length=1, max_length=60)
    """What the button to sign in says after `Sign in with`."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    """What the provider is asked for."""
    username_claim: str = "email"
    """The claim that says what a person is called here. People are known by `iss` and `sub` after
    their first sign-in, and keep their name when the claim changes. An address counts only if
    the provider says that it is verified."""
    groups_claim: str = ""
    """The claim with a person's groups; empty for none. At each sign-in the person is put into
    the groups that it lists, and taken out of those it no longer lists."""
    groups_prefix: str = Field("oidc-", pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._@+-]{0,30}$")
    """What the names of the provider's groups begin with here: its `developers` are
    `group:oidc-developers`. Who is in a group with such a name is the provider's to say."""
    allowed_domains: tuple[str, ...] = ()
    """Domains of verified e-mail addresses that may sign in; empty for all."""
    auto_create: bool = False
    """Whether the first sign-in of somebody without an account makes one. Otherwise it is to be
    made before, without a password (`customhouse users create NAME`)."""


class AnalysisSettings(_Section):
    """Limits of what the analysis reads."""

    max_layer_bytes: int = Field(20 * GIB, gt=0)
    """The largest layer, uncompressed."""
    max_layer_entries: int = Field(1_000_000, gt=0)
    """The most files in one layer."""
    max_layer_seconds: float = Field(300.0, gt=0)
    """The longest time that the reading of one layer may take."""
    max_feed_age_hours: int = Field(7 * 24, ge=0)
    """From which age on a feed is said to be old with each image; 0 for never."""


class LogSettings(_Section):
    """What is logged, to standard error, one JSON object a line."""

    level: str = Field("info", pattern="^(debug|info|warning|error)$")
    """The least important level that is logged."""
    access: bool = True
    """Whether each request is logged."""


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="CUSTOMHOUSE_",
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
    )

    data: Path = Path("data")
    """The folder that holds everything: the database, the blobs, unfinished uploads."""
    database_url: str = ""
    """The database; empty for SQLite in the data folder."""
    server: ServerSettings = ServerSettings()
    registry: RegistrySettings = RegistrySettings()
    tokens: TokenSettings = TokenSettings()
    iam: IamSettings = IamSettings()
    audit: AuditSettings = AuditSettings()
    limits: LimitSettings = LimitSettings()
    oidc: OidcSettings = OidcSettings()
    analysis: AnalysisSettings = AnalysisSettings()
    log: LogSettings = LogSettings()

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data.absolute() / 'customhouse.sqlite'}"

    @property
    def workflow_database(self) -> str:
        """The URL of the database that durable work is kept in."""
        return self.database_url or f"sqlite:///{self.data.absolute() / 'workflows.sqlite'}"


def load(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings.

    Args:
        config: a TOML file, or None.
        overrides: what wins over the file and the environment, nested as the model is; a value
            of None is left out.

    Raises:
        Failure: SETTINGS_INVALID, naming each setting that is wrong.
    """

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            if isinstance(env_settings, EnvSettingsSource):
                # Not this program's section `server`: the command line's server.
                env_settings.env_vars = {
                    name: value
                    for name, value in env_settings.env_vars.items()
                    if name.lower() != "customhouse_server"
                }
            if config is None:
                return init_settings, env_settings
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config)

    try:
        if config is not None and not config.is_file():
            raise Failure(Code.SETTINGS_INVALID, reason=f"there is no file {config}")
        return Loaded(**_without_none(overrides))
    except pydantic.ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()
        )
        raise Failure(Code.SETTINGS_INVALID, reason=reasons) from error
    except ValueError as error:
        raise Failure(Code.SETTINGS_INVALID, reason=f"{config}: {error}") from error


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    pairs = {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in values.items()
    }
    return {key: value for key, value in pairs.items() if value is not None and value != {}}
