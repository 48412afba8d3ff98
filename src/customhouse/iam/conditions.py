"""Conditions of bindings: expressions of the Common Expression Language, as in Google's IAM.

An expression sees `request.time` (a timestamp), `origin.ip` (text), `resource.name`,
`resource.type` and `resource.tag` (text; empty where no tag is at stake) and the function
`inIpRange(origin.ip, "10.0.0.0/8")`.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from customhouse.errors import Code, Failure
from customhouse.iam import expressions
from customhouse.iam.permissions import Resource

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_EXPRESSION = 1024
_TYPES = {
    "": "cloudresourcemanager.googleapis.com/Project",
    "repositories": "artifactregistry.googleapis.com/Repository",
    "serviceAccounts": "iam.googleapis.com/ServiceAccount",
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a condition may look at besides the resource.

    Attributes:
        address: where the request comes from, or empty.
        tag: the tag that is read, set or removed, or empty.
    """

    address: str = ""
    tag: str = ""


NONE = Circumstances()
# What expressions are tried out with: an address of RFC 5737.
_SOME = Circumstances("192.0.2.1")


def check(expression: str) -> None:
    """Check that an expression can be evaluated.

    Raises:
        Failure: POLICY_INVALID, with what is wrong.
    """
    try:
        expressions.check(
            "condition",
            expression,
            _MAX_EXPRESSION,
            variables={"request", "origin", "resource"},
            functions={"inIpRange"},
        )
    except Failure as failure:
        raise Failure(Code.POLICY_INVALID, reason=failure.message) from failure
    try:
        result = _compiled(expression)(_variables(Resource("p", "repositories", "a"), _SOME))
    except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError) as error:
        reason = f"condition {expression!r}: {str(error)[:200]}"
        raise Failure(Code.POLICY_INVALID, reason=reason) from error
    if not isinstance(result, bool):
        reason = f"condition {expression!r} is neither true nor false"
        raise Failure(Code.POLICY_INVALID, reason=reason)


def holds(expression: str, resource: Resource, circumstances: Circumstances) -> bool:
    """Whether a condition is true; one that cannot be evaluated is not."""
    try:
        return _compiled(expression)(_variables(resource, circumstances)) is True
    except (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError):
        return False


def _variables(resource: Resource, circumstances: Circumstances) -> dict[str, Any]:
    return {
        "request": {"time": datetime.datetime.now(datetime.UTC)},
        "origin": {"ip": circumstances.address},
        "resource": {
            "name": str(resource),
            "type": _TYPES[resource.kind],
            "tag": circumstances.tag,
        },
    }


@lru_cache(10_000)
def _compiled(expression: str) -> Callable[[dict[str, Any]], Any]:
    # Imported when a policy has a condition: most installations have none.
    import cel  # noqa: PLC0415

    program = cel.compile(expression)

    def evaluate(variables: dict[str, Any]) -> Any:
        context = cel.Context(variables=variables, functions={"inIpRange": _in_range})
        return program.execute(context)

    return evaluate


def _in_range(address: str, network: str) -> bool:
    ip = ipaddress.ip_address(address)
    # Where a socket takes both versions, IPv4 comes as `::ffff:10.0.0.1`.
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip in ipaddress.ip_network(network, strict=False)
