"""Packages that others than the distribution made, which its advisories say nothing about.

Sources: the VENDOR tag of rpm packages as the distributions set it; the `Maintainer` fields and
versions of the repositories that publishers offer for Debian and Ubuntu. There is nothing of the
kind for apk: its database does not tell where a package comes from.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customhouse.analysis.ecosystems import Package

# By the system's identifier, what the vendor of its own packages begins with. That of Extra
# Packages for Enterprise Linux (EPEL) is "Fedora Project".
_VENDORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "rhel": ("Red Hat",),
        "centos": ("CentOS", "Red Hat"),
        "almalinux": ("AlmaLinux",),
        "rocky": ("Rocky",),
        "ol": ("Oracle",),
        "amzn": ("Amazon",),
        "fedora": ("Fedora",),
    }
)
# SUSE's systems have many identifiers (sles, sle-micro, sl-micro, opensuse-leap). openSUSE takes
# packages from SUSE as they are; SUSE offers those of openSUSE only as Package Hub.
_SUSE = (
    ("opensuse", ("openSUSE", "SUSE")),
    ("sle", ("SUSE",)),
    ("sl-", ("SUSE",)),
    ("suse-", ("SUSE",)),
)

# Below the domain of a forge are addresses of its users, whom Debian has among its maintainers.
_MAINTAINERS = re.compile(
    r"""@(?:
        (?:nodesource | docker | nvidia | microsoft | google | hashicorp | gitlab | mongodb
          | cloudflare | github | grafana | influxdata | influxdb | nginx | f5 | oss\.oracle
          | datadoghq | newrelic | redis | redislabs | rabbitmq | broadcom | percona | puppet
          | puppetlabs | zabbix | azul | amazon)\.com
      | elastic\.co | confluent\.io | kubernetes\.io | mariadb\.org | chromium\.org | eclipse\.org
      | adoptopenjdk\.net | dotnetfoundation\.org | sury\.org | lists\.postgresql\.org
    )>?\s*$
    | ^(?:GitHub|HashiCorp|Docker|Elastic|Cloudflare)$""",
    re.VERBOSE | re.IGNORECASE,
).search
# Rebuilds that keep the distribution's maintainers: of sury.org (PHP), the PostgreSQL project
# (apt.postgresql.org), NodeSource, MariaDB, CRAN (R), and of Launchpad's personal archives.
_REBUILT = re.compile(
    r"""\+0~20[0-9]{6} | \bsury\b | \.pgdg[0-9+~] | nodesource | \+maria~ | [a-z]cran[0-9]?\b
      | [0-9]ppa[0-9] | \+(?:trusty|xenial|bionic|focal|jammy|noble|resolute)[0-9]+$""",
    re.VERBOSE,
).search


def is_third_party(system_id: str, package: Package) -> bool:
    """Tell whether a package of a system comes from somebody else than its distribution.

    An rpm package tells its vendor; a dpkg package has a maintainer, and a version by which some
    repositories are known. One that does not say who made it is taken for the distribution's.

    Args:
        system_id: the identifier of the system, as of os-release(5).
        package: the package; one of a language is never meant.
    """
    if package.ecosystem:
        return False
    if system_id in {"debian", "ubuntu"}:
        return bool(_MAINTAINERS(package.maintainer) or _REBUILT(package.version))
    own = _own(system_id)
    return bool(own and package.vendor) and not package.vendor.startswith(own)


def _own(system_id: str) -> tuple[str, ...]:
    """Give what the vendors of a system's own packages begin with; nothing if it is not known."""
    known = _VENDORS.get(system_id)
    return known or next((own for start, own in _SUSE if system_id.startswith(start)), ())
