"""Where feeds come from: the table of the sources that are built in, and what settings add to it.

A source has mirrors, which are tried in turn: folders, with a slash at the end, that have its
files, or addresses of the file itself. Advisories are known by name, so of two sources that have
the same advisories (Debian's tracker and OSV's export of it) one is on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from customhouse.analysis.feeds.forms import Form
from customhouse.errors import Code, Failure

if TYPE_CHECKING:
    from customhouse.settings import FeedSettings

HOUR: Final = 3600


class Layout(Enum):
    """How the files of a source are found."""

    FILES = "files"
    """They have fixed names."""
    EXPORT = "export"
    """A zip of records, beside which each record lies, and a list of them with their times."""
    REPOSITORY = "repository"
    """One is named by `repodata/repomd.xml` of an rpm repository, which a list of mirrors names."""
    ARCHIVE = "archive"
    """It is a tar that `archive_latest.txt` names."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of a feed.

    Attributes:
        name: of the feed.
        title: what it is called.
        covers: what it is about, in a word or two.
        mirrors: addresses, tried in turn.
        files: their names below a mirror that is a folder, and here.
        optional: those of them that may be missing there.
        layout: how they are found.
        form: what they are written in, as `loading.Plan` has it.
        ecosystem: what they are about, for updateinfo.
        is_whole: whether an advisory that is no longer in it is gone.
        interval: how often to ask, in seconds.
        max_age: when the data is too old, in seconds.
        is_on: whether it is used.
    """

    name: str
    title: str
    covers: str
    mirrors: tuple[str, ...]
    files: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    layout: Layout = Layout.FILES
    form: str = ""
    ecosystem: str = ""
    is_whole: bool = True
    interval: float = 6 * HOUR
    max_age: float = 72 * HOUR
    is_on: bool = True


def _osv(ecosystem: str, *, is_on: bool = True) -> Source:
    """An export of OSV (https://google.github.io/osv.dev/data/): a zip with a file a record."""
    path = f"osv-vulnerabilities{{}}/{quote(ecosystem)}/"
    return Source(
        f"osv-{ecosystem.lower().replace(' ', '-')}",
        f"OSV: {ecosystem}",
        ecosystem,
        (
            f"https://storage.googleapis.com/{path.format('')}",
            f"https://{path.format('.storage.googleapis.com')}",
        ),
        ("all.zip",),
        layout=Layout.EXPORT,
        form=Form.DOCUMENTS.value,
        is_on=is_on,
    )


def _amazon(release: str, mirrors: str) -> Source:
    """The advisories of an rpm repository, as dnf finds them.

    The repository of one architecture has them for the packages of all.
    """
    return Source(
        f"amazon-linux-{release}",
        f"Amazon Linux {release}: updateinfo",
        f"Amazon Linux:{release}",
        (mirrors,),
        ("updateinfo.xml.gz",),
        layout=Layout.REPOSITORY,
        form=Form.UPDATEINFO.value,
        ecosystem=f"Amazon Linux:{release}",
    )


# https://secdb.alpinelinux.org/ has a folder for each branch. The last two came, or will come,
# after this was written.
_ALPINE: Final = tuple(
    f"{branch}/{repository}.json"
    for branch in (*(f"v3.{number}" for number in range(10, 26)), "edge")
    for repository in ("main", "community")
)
_ALPINE_LATER: Final = frozenset(
    f"v3.{number}/{repository}.json"
    for number in (23, 24, 25)
    for repository in ("main", "community")
)
_KEV: Final = "known_exploited_vulnerabilities.json"

BUILT_IN: Final[tuple[Source, ...]] = (
    _osv("Debian"),
    _osv("Ubuntu"),
    _osv("Alpine"),
    _osv("Wolfi"),
    _osv("Chainguard"),
    _osv("MinimOS"),
    _osv("AlmaLinux"),
    _osv("Rocky Linux"),
    _osv("SUSE"),
    _osv("openSUSE"),
    # It has only what is fixed; the VEX documents have the rest.
    _osv("Red Hat", is_on=False),
    _osv("PyPI"),
    _osv("npm"),
    _osv("Go"),
    _osv("Maven"),
    _osv("RubyGems"),
    _osv("crates.io"),
    _osv("NuGet"),
    _osv("Packagist"),
    Source(
        "red-hat-vex",
        "Red Hat: VEX",
        "Red Hat, CentOS",
        ("https://security.access.redhat.com/data/csaf/v2/vex/",),
        ("vex.zip",),
        layout=Layout.ARCHIVE,
        form=Form.DOCUMENTS.value,
        interval=24 * HOUR,
    ),
    _amazon("2", "https://cdn.amazonlinux.com/2/core/latest/x86_64/mirror.list"),
    _amazon("2023", "https://cdn.amazonlinux.com/al2023/core/mirrors/latest/x86_64/mirror.list"),
    Source(
        "alpine-secdb",
        "Alpine: secdb",
        "Alpine",
        ("https://secdb.alpinelinux.org/",),
        _ALPINE,
        _ALPINE_LATER,
        form=Form.SECDB.value,
        is_on=False,
    ),
    Source(
        "debian-tracker",
        "Debian: security tracker",
        "Debian",
        ("https://security-tracker.debian.org/tracker/data/json",),
        ("tracker.json",),
        form=Form.TRACKER.value,
        is_on=False,
    ),
    Source(
        "epss",
        "FIRST: EPSS",
        "scores of CVEs",
        (
            "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz",
            "https://epss.cyentia.com/epss_scores-current.csv.gz",
        ),
        ("epss.csv.gz",),
        form=Form.EPSS.value,
        interval=24 * HOUR,
    ),
    Source(
        "kev",
        "CISA: known exploited vulnerabilities",
        "exploited CVEs",
        (
            f"https://www.cisa.gov/sites/default/files/feeds/{_KEV}",
            f"https://raw.githubusercontent.com/cisagov/kev-data/main/{_KEV}",
        ),
        ("kev.json",),
        form=Form.KEV.value,
    ),
)


def configured(settings: FeedSettings) -> dict[str, Source]:
    """The sources by name, as the settings have them; those that are off as well.

    Raises:
        Failure: SETTINGS_INVALID, for settings about a source that is not there.
    """
    found = {source.name: source for source in BUILT_IN}
    for name, own in settings.sources.items():
        found[name] = Source(
            name,
            own.title or name,
            own.ecosystem,
            own.urls,
            (file_name(own.urls[0]),),
            form=own.form,
            ecosystem=own.ecosystem,
            is_whole=own.whole,
        )
    for named in (settings.on, settings.off, settings.mirrors):
        if unknown := sorted(set(named) - set(found)):
            reason = f"feeds: there is no source {', '.join(unknown)}"
            raise Failure(Code.SETTINGS_INVALID, reason=reason)
    return {name: _adjusted(source, settings) for name, source in found.items()}


def _adjusted(source: Source, settings: FeedSettings) -> Source:
    is_on = (source.is_on or source.name in settings.on) and source.name not in settings.off
    return replace(
        source,
        mirrors=settings.mirrors.get(source.name, source.mirrors),
        interval=settings.interval_hours * HOUR or source.interval,
        max_age=settings.max_age_hours * HOUR or source.max_age,
        is_on=is_on,
    )


def file_name(url: str) -> str:
    """A name for a file, from its address or path."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", urlsplit(url).path.rpartition("/")[2])
    return name[-100:].strip(".-") or "feed"
