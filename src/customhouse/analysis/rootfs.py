"""A root file system in a folder, read as if it were the one layer of an image."""

from __future__ import annotations

import contextlib
import os
import tarfile
import threading
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path


def archive(root: Path) -> BinaryIO:
    """Give a tar archive of what is in a folder, written while it is read.

    What lies on other file systems (such as proc), cannot be read or is no file, folder or link is
    left out. Links are not followed.
    """
    read, write = os.pipe()
    threading.Thread(target=_write, args=(root, write), daemon=True).start()
    return os.fdopen(read, "rb")


def _write(root: Path, target: int) -> None:
    device = root.stat().st_dev
    # The reader may have seen enough; it notices itself if the archive ends early.
    with (
        contextlib.suppress(OSError),
        os.fdopen(target, "wb") as out,
        tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for folder, folders, files in os.walk(root):
            folders.sort()
            for name in sorted([*folders, *files]):
                path = os.path.join(folder, name)  # noqa: PTH118  - names may be no text
                _add(tar, path, os.path.relpath(path, root), device)
            folders[:] = [
                name
                for name in folders
                if _is_on(os.path.join(folder, name), device)  # noqa: PTH118  - may be no text
            ]
            tar.members.clear()  # type: ignore[attr-defined]  # else it keeps them


def _is_on(path: str, device: int) -> bool:
    try:
        return os.lstat(path).st_dev == device
    except OSError:
        return False


def _add(tar: tarfile.TarFile, path: str, name: str, device: int) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        if not _is_on(path, device):
            return
        info = tar.gettarinfo(path, name)
        if info is None or not (info.isreg() or info.isdir() or info.issym() or info.islnk()):
            return
        if not info.isreg():
            tar.addfile(info)
            return
        with open(path, "rb") as file:  # noqa: PTH123  - its path may be no text
            tar.addfile(info, file)
