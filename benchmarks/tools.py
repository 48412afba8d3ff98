"""The programs that the benchmark needs beside customhouse."""

import os
import shutil
import subprocess

from rich.console import Console

from benchmarks.failure import BenchmarkError

_DEBIAN_PACKAGES = ("docker-registry", "wrk")  # each has a program of its name


def provide(console: Console) -> None:
    """Install what is missing from Debian's packages, when the user may.

    `wrk` can be done without.

    Raises:
        BenchmarkError: docker-registry is missing and cannot be installed.
    """
    missing = [name for name in _DEBIAN_PACKAGES if shutil.which(name) is None]
    if not missing:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        console.print(f"installing {' and '.join(missing)} from Debian's packages")
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update"], install):
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
    if shutil.which("docker-registry") is None:
        raise BenchmarkError(f"docker-registry is missing; as root: {' '.join(install)}")
