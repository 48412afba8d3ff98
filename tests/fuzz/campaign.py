"""One target under atheris: `python -m tests.fuzz.campaign TARGET LAUNCHER OPTIONS`.

The launcher is a program that starts this one with that target; the options are libFuzzer's. https://github.com/google/atheris
"""

from __future__ import annotations

import random
import sys
import time
from typing import TYPE_CHECKING

import atheris

with atheris.instrument_imports(include=["customhouse.analysis", "email", "tarfile", "zipfile"]):
    from tests.fuzz.targets import SECONDS, TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable

_SLOWER = 3  # what is instrumented takes so many times as long


def main(name: str, arguments: list[str]) -> None:
    """Fuzz a target; ends the process."""
    target = TARGETS[name]

    def read(content: bytes) -> None:
        begin = time.process_time()
        target.check(content)
        assert time.process_time() - begin < SECONDS * _SLOWER

    mutate = target.mutate

    def mixed(content: bytes, size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if mutate is not None and chance.random() < 0.7:
            for _ in range(chance.choice((1, 1, 2, 5))):
                content = mutate(content, chance)
            return content[:size]
        return bytes(atheris.Mutate(content, size))

    mutators: dict[str, Callable[[bytes, int, int], bytes]] = {"custom_mutator": mixed}
    atheris.Setup(arguments, read, **(mutators if mutate else {}))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
