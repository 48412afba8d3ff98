"""Fuzz readers: `make fuzz ARGS="--seconds 60 TARGET..."`, all of them if none is named."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import MAX_INPUT, TARGETS

CORPUS = Path(__file__).parent / "corpus"
"""A folder for each target, with a file for each input."""

_MAX_KEPT = 16 * 1024
_MAX_TOTAL = 128 * 1024


def fuzz(name: str, seconds: int, crashes: Path) -> bool:
    """Fuzz a target and add what is new to its corpus, made as small as can be.

    Args:
        name: the target's.
        seconds: for how long.
        crashes: the folder for inputs that the reader does not bear.

    Returns:
        Whether all went well.
    """
    kept = CORPUS / name
    kept.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work, made, least = (Path(folder) / each for each in ("work", "seeds", "least"))
        for each in (work, made, least):
            each.mkdir()
        campaign: list[str | Path] = [_launcher(Path(folder), name), "-verbosity=0"]
        for number, seed in enumerate(seeds(name)):
            (made / str(number)).write_bytes(seed)
        limits = [f"-max_total_time={seconds}", f"-max_len={MAX_INPUT}", "-timeout=20"]
        limits += ["-rss_limit_mb=1500", f"-artifact_prefix={crashes}/{name}-"]
        print(f"{name} ...", flush=True)
        done = subprocess.run([*campaign, *limits, work, made, kept], check=False)
        # Seeds come first and small inputs before large ones, so these are what is kept.
        small = [f"-max_len={_MAX_KEPT}", "-merge=1"]
        merged = subprocess.run([*campaign, *small, least, made, kept, work], check=False)
        if not merged.returncode:
            _keep(least, kept)
    return not done.returncode


def _keep(found: Path, kept: Path) -> None:
    """Put the smallest of what was found in the place of what was kept."""
    for path in kept.iterdir():
        path.unlink()
    left = _MAX_TOTAL
    for path in sorted(found.iterdir(), key=lambda path: path.stat().st_size):
        size = path.stat().st_size
        left -= size
        if size <= _MAX_KEPT and left >= 0:
            path.rename(kept / path.name)


def _launcher(folder: Path, name: str) -> Path:
    """Write the program that libFuzzer starts once more to merge inputs."""
    path = folder / "campaign"
    run = shlex.join((sys.executable, "-m", "tests.fuzz.campaign", name))
    path.write_text(f'#!/bin/sh\nexec {run} "$0" "$@"\n')
    path.chmod(0o700)
    return path


def main() -> int:
    """Fuzz the targets that are named on the command line."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--crashes", type=Path, default=Path("build/fuzz"), help="where they go")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no such targets: {', '.join(sorted(unknown))}")
    bad = [name for name in names if not fuzz(name, options.seconds, options.crashes)]
    print(f"inputs that are not borne: {', '.join(bad)}" if bad else "all inputs were borne")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
