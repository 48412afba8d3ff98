"""The settings: one frozen model, read from a TOML file and the environment.

`customhouse serve --config FILE` reads the file; every setting can also be given as
`CUSTOMHOUSE_SECTION__NAME` (`CUSTOMHOUSE_REGISTRY__MAX_BLOB_BYTES=...`), which wins over the file;
the options of `serve` win over both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any

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


_FeedName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]
_FeedUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+/\S*$", max_length=2000)]


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
    exception_days: int = Field(0, ge=0, le=36500)
    """The most days that an exception of a vulnerability may last; 0 for any number, and none at
    all: with a limit every exception has an end."""
    max_feed_age_hours: int = Field(7 * 24, ge=0)
    """From which age on a feed is said to be old with each image; 0 for never."""


class FeedSourceSettings(_Section):
    """A source of advisories of one's own."""

    urls: tuple[_FeedUrl, ...] = Field(min_length=1, max_length=10)
    """Addresses of one file; they are tried in turn."""
    form: str = Field("", pattern="^(documents|secdb|debian-tracker|updateinfo|epss|kev)?$")
    """What it is written in; recognised if it is empty."""
    ecosystem: str = Field("", max_length=100)
    """What it is about, for `updateinfo` only, as `Amazon Linux:2023`."""
    title: str = Field("", max_length=200)
    """What it is called in lists."""
    whole: bool = True
    """Whether an advisory that is no longer in it is removed here as well."""


class FeedSettings(_Section):
    """Where advisories come from, and how often they are asked for.

    Nothing is fetched before an administrator has run `customhouse feeds update`, or has set
    `automatic`. A source of one's own is a table `[feeds.sources.NAME]` with `urls` (one or
    several addresses of one file) and, where they are needed, `form` (documents for OSV and VEX,
    secdb, debian-tracker, updateinfo, epss or kev; recognised if it is left out), `ecosystem` (for
    updateinfo, as `Amazon Linux:2023`), `title`, and `whole` (false: advisories that are no longer
    in it stay).
    """

    automatic: bool = False
    """Whether every source that is on is fetched without being asked for first."""
    offline: bool = False
    """Whether nothing is ever fetched, not even when it is asked for; feeds come as bundles or
    files then."""
    on: tuple[_FeedName, ...] = ()
    """Built-in sources to switch on that are off by default."""
    off: tuple[_FeedName, ...] = ()
    """Sources to switch off."""
    mirrors: Mapping[_FeedName, tuple[_FeedUrl, ...]] = {}
    """Other addresses for sources, by name, tried in turn: the folder, with a slash at the end, or
    the file where a source is one file."""
    sources: Mapping[_FeedName, FeedSourceSettings] = {}
    """Sources of one's own, by name."""
    interval_hours: float = Field(0.0, ge=0, le=24 * 365)
    """How often a source is asked; 0 for what fits each."""
    max_age_hours: float = Field(0.0, ge=0, le=24 * 365)
    """When the data of a source is too old, which raises an alarm; 0 for what fits each."""
    max_shrink: float = Field(0.2, ge=0, le=1)
    """The share of its advisories that a feed may lose at once. One that loses more is not loaded
    and raises an alarm."""
    max_bytes: int = Field(8 * GIB, gt=0)
    """The largest download, in bytes, all files of a source together."""
    max_seconds: float = Field(3600.0, gt=0)
    """The longest time that fetching a source may take, with all tries."""
    pause_seconds: float = Field(30.0, gt=0)
    """How long a mirror may send nothing."""
    attempts: int = Field(4, ge=1, le=20)
    """How often each mirror is tried."""
    back_off_seconds: float = Field(2.0, ge=0, le=600)
    """How long to wait before the second try of a mirror; before each further one twice as long."""


class NotificationSettings(_Section):
    """How what happens is told to endpoints: see [notifications](../how-to/notifications.md)."""

    allow_private: bool = True
    """Whether endpoints may be in private networks or on this machine. Link-local addresses and
    those where clouds serve credentials are never called. Switch it off where people who do not
    trust each other own projects and everything private is not theirs to call."""
    timeout_seconds: float = Field(15.0, ge=0.5, le=120)
    """How long an endpoint may take to answer."""
    days: int = Field(7, ge=1, le=365)
    """How long a message is kept, delivered or not, and can be replayed."""


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
    feeds: FeedSettings = FeedSettings()
    notifications: NotificationSettings = NotificationSettings()
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
