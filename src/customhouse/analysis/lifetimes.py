"""When the releases of operating systems came, or will come, to their end of life.

The date is the last day of the security support that the vendor gives to everybody:

- Debian: of the security team (`eol`), not of the volunteers' and sellers' long-term support
  (LTS, ELTS). Source: `debian.csv` of distro-info-data.
- Ubuntu: of the standard support of servers; for `Ubuntu:Pro` that of Expanded Security
  Maintenance (`eol-esm`) without the Legacy add-on. Source: `ubuntu.csv` of distro-info-data.
- Alpine: alpinelinux.org/releases.
- Red Hat: end of the maintenance phase, without extended life-cycle support. Source: Red Hat
  Enterprise Linux Life Cycle. CentOS Linux and CentOS Stream: centos.org/centos-linux-eol and
  centos.org/cl-vs-cs; both end on days of their own although their advisories are Red Hat's.
- AlmaLinux: wiki.almalinux.org/release-notes. Rocky: wiki.rockylinux.org/rocky/version. Oracle:
  end of Premier Support in Lifetime Support Policy. Amazon: the FAQs of Amazon Linux.
- SUSE: end of general support, suse.com/lifecycle, without LTSS. openSUSE:
  en.opensuse.org/Lifetime. Fedora: docs.fedoraproject.org/en-US/releases/eol.

Tests hold the dates of Debian and Ubuntu equal to distro-info-data; the others are compared with
nothing. A release that is not in the table is rolling, still in development, or newer than the
table (November 2026).
"""

from __future__ import annotations

import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customhouse.analysis.systems import System

# By what an ecosystem begins with, the rest of its name and the date.
_TABLE: Mapping[str, str] = MappingProxyType(
    {
        "Debian:": """
        1.1=1997-06-05, 1.2=1998-06-05, 1.3=1999-03-09, 2.0=2000-03-09, 2.1=2000-10-30,
        2.2=2003-06-30, 3.0=2006-06-30, 3.1=2008-03-31, 4.0=2010-02-15, 5.0=2012-02-06,
        6.0=2014-05-31, 7=2016-04-25, 8=2018-06-17, 9=2020-07-18, 10=2022-09-10,
        11=2024-08-14, 12=2026-07-11, 13=2028-08-09
    """,
        "Ubuntu:": """
        4.10=2006-04-30, 5.04=2006-10-31, 5.10=2007-04-13, 6.06:LTS=2011-06-01,
        6.10=2008-04-25, 7.04=2008-10-19, 7.10=2009-04-18, 8.04:LTS=2013-05-09,
        8.10=2010-04-30, 9.04=2010-10-23, 9.10=2011-04-30, 10.04:LTS=2015-04-30,
        10.10=2012-04-10, 11.04=2012-10-28, 11.10=2013-05-09, 12.04:LTS=2017-04-28,
        12.10=2014-05-16, 13.04=2014-01-27, 13.10=2014-07-17, 14.04:LTS=2019-04-25,
        14.10=2015-07-23, 15.04=2016-02-04, 15.10=2016-07-28, 16.04:LTS=2021-04-30,
        16.10=2017-07-20, 17.04=2018-01-13, 17.10=2018-07-19, 18.04:LTS=2023-05-31,
        18.10=2019-07-18, 19.04=2020-01-23, 19.10=2020-07-17, 20.04:LTS=2025-05-29,
        20.10=2021-07-22, 21.04=2022-01-20, 21.10=2022-07-14, 22.04:LTS=2027-06-01,
        22.10=2023-07-20, 23.04=2024-01-25, 23.10=2024-07-11, 24.04:LTS=2029-05-31,
        24.10=2025-07-10, 25.04=2026-01-15, 25.10=2026-07-09, 26.04:LTS=2031-05-29
    """,
        "Ubuntu:Pro:": """
        14.04:LTS=2024-04-25, 16.04:LTS=2026-04-23, 18.04:LTS=2028-04-26,
        20.04:LTS=2030-04-23, 22.04:LTS=2032-04-21, 24.04:LTS=2034-04-25,
        26.04:LTS=2036-04-23
    """,
        "Alpine:": """
        v2.1=2012-11-01, v2.2=2013-05-01, v2.3=2013-11-01, v2.4=2014-05-01, v2.5=2014-11-01,
        v2.6=2015-05-01, v2.7=2015-11-01, v3.0=2016-05-01, v3.1=2016-11-01, v3.2=2017-05-01,
        v3.3=2017-11-01, v3.4=2018-05-01, v3.5=2018-11-01, v3.6=2019-05-01, v3.7=2019-11-01,
        v3.8=2020-05-01, v3.9=2020-11-01, v3.10=2021-05-01, v3.11=2021-11-01,
        v3.12=2022-05-01, v3.13=2022-11-01, v3.14=2023-05-01, v3.15=2023-11-01,
        v3.16=2024-05-23, v3.17=2024-11-22, v3.18=2025-05-09, v3.19=2025-11-01,
        v3.20=2026-04-01, v3.21=2026-11-01, v3.22=2027-05-01, v3.23=2027-11-01
    """,
        "Red Hat:": """
        2=2009-05-31, 3=2010-10-31, 4=2012-02-29, 5=2017-03-31, 6=2020-11-30, 7=2024-06-30,
        8=2029-05-31, 9=2032-05-31, 10=2035-05-31
    """,
        "AlmaLinux:": """
        8=2029-03-01, 9=2032-05-31, 10=2035-05-31
    """,
        "Rocky Linux:": """
        8=2029-05-31, 9=2032-05-31, 10=2035-05-31
    """,
        "Oracle Linux:": """
        4=2013-02-28, 5=2017-06-30, 6=2021-03-31, 7=2024-12-31, 8=2029-07-31, 9=2032-06-30,
        10=2035-06-30
    """,
        "Amazon Linux:": """
        1=2023-12-31, 2=2026-06-30, 2023=2029-06-30
    """,
        "SUSE:Linux Enterprise Server ": """
        10=2007-12-31, 10 SP1=2008-11-30, 10 SP2=2010-04-11, 10 SP3=2011-10-11,
        10 SP4=2013-07-31, 11=2010-12-31, 11 SP1=2012-08-31, 11 SP2=2014-01-31,
        11 SP3=2016-01-31, 11 SP4=2019-03-31, 12=2016-06-30, 12 SP1=2017-05-31,
        12 SP2=2018-03-31, 12 SP3=2019-06-30, 12 SP4=2020-06-30, 12 SP5=2024-10-31,
        15=2019-12-31, 15 SP1=2021-01-31, 15 SP2=2021-12-31, 15 SP3=2022-12-31,
        15 SP4=2023-12-31, 15 SP5=2024-12-31, 15 SP6=2025-12-31, 15 SP7=2031-07-31,
        16.0=2027-11-30
    """,
        "openSUSE:Leap ": """
        42.1=2017-05-17, 42.2=2018-01-26, 42.3=2019-07-01, 15.0=2019-12-03, 15.1=2021-02-02,
        15.2=2022-01-04, 15.3=2022-12-31, 15.4=2023-12-07, 15.5=2024-12-31, 15.6=2026-04-30,
        16.0=2027-10-31
    """,
    }
)

# Of systems without an ecosystem of their own, by what they are called here and major version.
_OTHERS: Mapping[str, str] = MappingProxyType(
    {
        "CentOS Linux ": """
        3=2010-10-31, 4=2012-02-29, 5=2017-03-31, 6=2020-11-30, 7=2024-06-30, 8=2021-12-31
    """,
        "CentOS Stream ": """
        8=2024-05-31, 9=2027-05-31, 10=2030-01-01
    """,
        "Fedora ": """
        18=2014-01-14, 19=2015-01-06, 20=2015-06-23, 21=2015-12-01, 22=2016-07-19,
        23=2016-12-20, 24=2017-08-08, 25=2017-12-12, 26=2018-05-29, 27=2018-11-30,
        28=2019-05-28, 29=2019-11-26, 30=2020-05-26, 31=2020-11-24, 32=2021-05-25,
        33=2021-11-30, 34=2022-06-07, 35=2022-12-13, 36=2023-05-16, 37=2023-12-05,
        38=2024-05-21, 39=2024-11-26, 40=2025-05-13, 41=2025-12-15, 42=2026-05-27,
        43=2026-12-09
    """,
    }
)


def _dates(table: Mapping[str, str]) -> Mapping[str, datetime.date]:
    rows = (
        (prefix + release, date)
        for prefix, text in table.items()
        for release, _, date in (row.strip().partition("=") for row in text.split(","))
    )
    return MappingProxyType({name: datetime.date.fromisoformat(date) for name, date in rows})


_DATES = _dates(_TABLE)
_DATES_OF_OTHERS = _dates(_OTHERS)
_FOR_SAP = " for SAP Applications"


def end_of_life(ecosystem: str) -> datetime.date | None:
    """Tell the last day of a release's security support; see the module for which support.

    Args:
        ecosystem: as `systems.recognise` names it, such as `Debian:12` or `Ubuntu:22.04:LTS`. For
            `Red Hat:8` it is Red Hat's own; see `of_system` for CentOS.

    Returns:
        The day, which may lie ahead; None if there is none or it is not known.
    """
    return _DATES.get(ecosystem.replace(_FOR_SAP, "", 1))


def of_system(system: System) -> datetime.date | None:
    """Tell the last day of a system's security support.

    It is that of the longest of its ecosystems: Ubuntu Pro has more of it. CentOS and Fedora,
    which have no ecosystem of their own, go by name and version.

    Returns:
        The day, which may lie ahead; None if there is none or it is not known.
    """
    major = system.version.partition(".")[0]
    if system.id == "centos":
        kind = "Stream" if system.name.startswith("CentOS Stream") else "Linux"
        return _DATES_OF_OTHERS.get(f"CentOS {kind} {major}")
    if system.id == "fedora":
        return _DATES_OF_OTHERS.get(f"Fedora {major}")
    days = (end_of_life(it) for it in (system.ecosystem, *system.also) if it)
    return max(filter(None, days), default=None)
