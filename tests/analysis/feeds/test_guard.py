"""Downloads: what a server must not be made to call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from customhouse.analysis.feeds import guard
from customhouse.analysis.imports import Importer, request
from customhouse.analysis.loading import Plan
from customhouse.workflows import operations

if TYPE_CHECKING:
    from pathlib import Path

    from customhouse.database import Database


def at_once(_name: str, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """A step that is taken and not kept."""
    return function(*args, **kwargs)


class Peer:
    """What is known of the other end of a connection."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get_extra_info(self, _name: str) -> tuple[str, int]:
        return self.address, 80


def test_nothing_is_read_from_an_address_that_a_name_has_got_since() -> None:
    (check,) = guard.hooks()["response"]
    check(httpx2.Response(200, extensions={"network_stream": Peer("127.0.0.1")}))
    check(httpx2.Response(200))
    with pytest.raises(guard.AddressError, match="link-local"):
        check(httpx2.Response(200, extensions={"network_stream": Peer("169.254.169.254")}))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "no-such-name.invalid"])
def test_mirrors_may_be_near(host: str) -> None:
    (check,) = guard.hooks()["request"]
    check(httpx2.Request("GET", f"http://{host}/"))


def test_an_import_is_not_fetched_from_a_clouds_credentials(
    database: Database, tmp_path: Path
) -> None:
    uri = "http://user:secret@169.254.169.254/latest/meta-data/"
    database.write(request, "one", Plan("feed"), uri, uri, "user:admin")

    Importer(database, tmp_path / "feeds").run(at_once, "one")

    error = database.read(operations.get, "one")["error"]
    assert error["message"] == (
        "the feed cannot be read: http://169.254.169.254/latest/meta-data/ cannot be fetched:"
        " its address is link-local or serves a cloud's metadata"
    )
    assert not list((tmp_path / "feeds").iterdir())
