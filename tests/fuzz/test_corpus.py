"""Every input that fuzzing has found worth keeping is still borne, within bounds."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from tests.fuzz.__main__ import CORPUS
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import MEMORY, SECONDS, TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read(name: str) -> None:
    for seed in seeds(name):
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    paths = sorted((CORPUS / name).iterdir())
    assert paths
    for path in paths:
        content = path.read_bytes()
        begin = time.process_time()
        tracemalloc.start()
        try:
            TARGETS[name].check(content)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert time.process_time() - begin < 2 * SECONDS, path.name
        assert peak < MEMORY, path.name


def test_the_corpus_is_small() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2 * 1024**2
    assert {path.parent.name for path in files} == set(TARGETS)
