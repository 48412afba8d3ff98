"""What skopeo writes to files and folders is read, in every form that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.analysis.test_saved import EXPECTED, image, only, packages, stack
from tests.support.processes import run

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

pytestmark = pytest.mark.client("skopeo")

__all__ = ["stack"]


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci", "dir"])
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_what_skopeo_writes(stack: ExitStack, tmp_path: Path, form: str, compression: str) -> None:
    made = image()
    layout = made.write_layout(tmp_path / "layout", "1")
    target = tmp_path / "saved"
    name = f"{form}:{target}" + {"dir": "", "docker-archive": ":web:1"}.get(form, ":web")
    kept = ("--dest-compress-format", compression) if compression == "zstd" else ()
    run("skopeo", "--insecure-policy", "copy", *kept, f"oci:{layout}:1", name)
    found = only(stack, target)
    assert packages(found) == EXPECTED
    assert found.platform == "linux/amd64"
    if form == "oci-archive" and compression == "gzip":
        assert found.digest == made.digest
