"""Packages that others than the distribution made, which its advisories say nothing about.

Sources: the VENDOR tag of rpm packages as the distributions set it; the maintainers of the
repositories that publishers offer for Debian and Ubuntu.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customhouse.analysis.ecosystems import Package

# By the system's identifier, what the vendor of its own packages begins with.
_VENDORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "rhel": ("Red Hat",),
        "centos": ("CentOS", "Red Hat"),
        "almalinux": ("AlmaLinux",),
        "rocky": ("Rocky",),
        "ol": ("Oracle",),
        "amzn": ("Amazon",),
        "fedora": ("Fedora",),
        "sles": ("SUSE",),
        "sled": ("SUSE",),
        "opensuse-leap": ("openSUSE", "SUSE"),
        "opensuse-tumbleweed": ("openSUSE", "SUSE"),
    }
)

_MAINTAINERS = re.compile(
    r"""@(?:[a-z0-9-]+\.)*(?:
        docker\.com | nodesource\.com | nvidia\.com | microsoft\.com | google\.com
      | hashicorp\.com | gitlab\.com | elastic\.co | mongodb\.com | cloudflare\.com
      | github\.com | grafana\.com | influxdata\.com | nginx\.com | mysql\.com | oracle\.com
      | mariadb\.org | datadoghq\.com | newrelic\.com | redis\.com | redislabs\.com
      | rabbitmq\.com | confluent\.io | percona\.com | postgresql\.org | sury\.org
    )\b""",
    re.VERBOSE | re.IGNORECASE,
).search
# sury.org's packages of PHP, and those of the PostgreSQL project, keep Debian's maintainers.
_REBUILT = re.compile(r"\+0~20[0-9]{6}|\.pgdg[0-9]").search


def is_third_party(system: str, package: Package) -> bool:
    """Tell whether a package of a system comes from somebody else than its distribution.

    One that does not say who made it is taken for the distribution's.

    Args:
        system: the identifier of the system, as of os-release(5).
        package: the package.
    """
    if package.ecosystem:
        return False
    own = _VENDORS.get(system)
    if own:
        return bool(package.vendor) and not package.vendor.startswith(own)
    if system in {"debian", "ubuntu"}:
        return bool(_MAINTAINERS(package.maintainer) or _REBUILT(package.version))
    return False
