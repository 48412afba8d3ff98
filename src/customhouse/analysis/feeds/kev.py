"""CISA's catalogue of vulnerabilities that are known to be exploited.

Source: https://www.cisa.gov/known-exploited-vulnerabilities-catalog and its JSON schema
(`known_exploited_vulnerabilities_schema.json` beside it).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

import msgspec

from customhouse.analysis.feeds.decoding import BYTE_ORDER_MARK, DAMAGE
from customhouse.analysis.feeds.document import MAX_DOCUMENT, TOO_LARGE, Rejected, shown
from customhouse.analysis.feeds.texts import is_cve, plain
from customhouse.errors import Code, Failure

MAX_ITEMS: Final = 1_000_000
"""The most items of arrays and objects."""

MAX_TEXT: Final = 4096
"""Bytes that are kept of a text."""

_SAMPLE: Final = 4096
_KEY: Final = re.compile(rb'"(?:catalogVersion|cveID)"\s*:\s*"').search  # in the schema an object


@dataclass(frozen=True, slots=True)
class Exploited:
    """An entry of the catalogue.

    Attributes:
        cve: the vulnerability.
        added: the day on which it came into the catalogue.
        due: the day until which United States agencies must have done the action.
        ransomware: whether campaigns of ransomware are known to use it.
        action: what has to be done.
        name: what the vulnerability is called.
    """

    cve: str
    added: date
    due: date
    ransomware: bool
    action: str
    name: str


class _Vulnerability(msgspec.Struct, gc=False, rename="camel"):
    cve: str = msgspec.field(name="cveID")
    date_added: date
    due_date: date
    required_action: str
    vulnerability_name: str
    known_ransomware_campaign_use: str = "Unknown"


class _Catalogue(msgspec.Struct, gc=False):
    vulnerabilities: list[msgspec.Raw]


_CATALOGUE: Final = msgspec.json.Decoder(_Catalogue)
_VULNERABILITY: Final = msgspec.json.Decoder(_Vulnerability)


def recognises(content: bytes) -> bool:
    """Tell cheaply, by what stands at its beginning, whether a JSON document is the catalogue."""
    beginning = content.removeprefix(BYTE_ORDER_MARK)[:_SAMPLE].lstrip()
    return beginning.startswith(b"{") and bool(_KEY(beginning))


def entries(content: bytes) -> list[Exploited | Rejected]:
    """Read the catalogue.

    Returns:
        Each entry, or what is wrong with it, in the order of the catalogue (newest first).

    Raises:
        Failure: FEED_INVALID if it is too large, is no JSON, or has not this form.
    """
    if len(content) > MAX_DOCUMENT:
        raise Failure(Code.FEED_INVALID, reason=TOO_LARGE)
    if content.count(b",") > MAX_ITEMS:
        raise Failure(Code.FEED_INVALID, reason=f"it has more than {MAX_ITEMS} items")
    try:
        catalogue = _CATALOGUE.decode(content.removeprefix(BYTE_ORDER_MARK))
    except DAMAGE as error:
        raise Failure(Code.FEED_INVALID, reason=shown(str(error))) from None
    return [_entry(index, raw) for index, raw in enumerate(catalogue.vulnerabilities)]


def _entry(index: int, raw: msgspec.Raw) -> Exploited | Rejected:
    where = f"vulnerabilities[{index}]"
    try:
        found = _VULNERABILITY.decode(raw)
    except DAMAGE as error:
        return Rejected(where, shown(str(error)))
    cve = found.cve.strip()
    if not is_cve(cve):
        return Rejected(where, f"'{shown(cve[:64])}' is not a CVE identifier")
    return Exploited(
        cve=cve,
        added=found.date_added,
        due=found.due_date,
        ransomware=found.known_ransomware_campaign_use.strip().lower() == "known",
        action=plain(found.required_action, MAX_TEXT),
        name=plain(found.vulnerability_name, MAX_TEXT),
    )
