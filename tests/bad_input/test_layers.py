"""Images of hostile layers: each analysis ends, well or with its reason, and harms nobody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bad_input.layers import FAILED, IMAGES, SUCCESS
from tests.faults.processes import background_worker

if TYPE_CHECKING:
    from tests.faults.registry import Registry
    from tests.support.servers import CustomhouseServer

pytestmark = pytest.mark.xdist_group("bad-input")

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def pushed(registry: Registry) -> dict[str, str]:
    """All the images, pushed one after the other before any of them is waited for."""
    return {
        name: registry.push("bad/layers", image, f"v{n}")
        for n, (name, (image, _, _)) in enumerate(IMAGES.items())
    }


@pytest.mark.parametrize("name", IMAGES)
def test_analysis(registry: Registry, pushed: dict[str, str], name: str) -> None:
    image, status, reason = IMAGES[name]
    found = registry.discovery("bad/layers", pushed[name], seconds=60)
    assert found["analysisStatus"] == status, found
    message = found.get("analysisStatusError", {}).get("message", "")
    assert reason in message
    assert len(message) < 500
    if status == FAILED:
        assert image.layers
        assert "sha256:" in message  # of the layer
    if status == SUCCESS:
        assert not message
        assert found["operatingSystem"] == "Debian GNU/Linux 12 (bookworm)"
    # Whatever it is, it comes back as it was pushed.
    registry.assert_pulls("bad/layers", pushed[name], image)


def test_the_worker_is_as_small_as_before(
    server: CustomhouseServer, registry: Registry, pushed: dict[str, str]
) -> None:
    for digest in pushed.values():
        registry.discovery("bad/layers", digest, seconds=60)
    assert background_worker_memory(server) < 256 * MIB


def background_worker_memory(server: CustomhouseServer) -> int:
    """The bytes that the background worker keeps in memory."""
    text = Path(f"/proc/{background_worker(server)}/status").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
