"""The order of Debian's versions."""

from __future__ import annotations

import random
import shutil
import subprocess
from itertools import pairwise, product

import pytest
from hypothesis import assume, given, settings

from customhouse.analysis.ecosystems.dpkg import key
from customhouse.errors import Code, Failure
from tests.analysis.ecosystems import reference


def valid(version: str) -> bool:
    """Tell whether a version has a key."""
    return isinstance(reference.outcome(key, version), bytes)


@given(pair=reference.pairs_of(reference.dpkg_versions, "0019azA~+.-:"))
@settings(max_examples=400, deadline=None)
def test_keys_order_as_dpkg_does(pair: tuple[str, str]) -> None:
    a, b = pair
    assume(valid(a) and valid(b))
    assert reference.sign(key(a), key(b)) == reference.dpkg(a, b)


@pytest.mark.skipif(not shutil.which("dpkg"), reason="there is no dpkg on this machine")
def test_keys_order_as_the_real_dpkg_does() -> None:
    chosen = random.Random(20)
    ends = ["", "~", "~rc1", "+b1", "+deb11u1", "-0", "-00", "-1", "-1~", "-1ubuntu0.18.04.1", ".0"]
    lines: list[str] = []
    keys: list[int] = []
    while len(lines) < 300:
        stem = "".join(chosen.choices("0019ab.+~_", k=chosen.randint(1, 5)))
        a, b = (chosen.choice(["", "", "0:", "1:"]) + stem + chosen.choice(ends) for _ in range(2))
        if valid(a) and valid(b):
            lines.append(f"{a} {b}")
            keys.append(reference.sign(key(a), key(b)))
    script = (
        "while read -r a b; do if dpkg --compare-versions $a lt $b; then echo -1;"
        " elif dpkg --compare-versions $a eq $b; then echo 0; else echo 1; fi; done"
    )
    answer = subprocess.run(
        ["sh", "-c", script],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert list(map(int, answer.stdout.split())) == keys
    assert set(keys) == {-1, 0, 1}


ASCENDING = [
    "1.0~~",
    "1.0~~a",
    "1.0~",
    "1.0~rc1-1",
    "1.0~rc1-1+b1",
    "1.0",
    "1.0-0.1",
    "1.0-1~deb12u1",
    "1.0-1",
    "1.0-1ubuntu0.18.04.1",
    "1.0-1ubuntu1",
    "1.0-1+b1",
    "1.0-1+b10",
    "1.0-1+deb11u1",
    "1.0-1+deb11u2",
    "1.0-2",
    "1.0-10",
    "1.0a",
    "1.0b",
    "1.0+dfsg-1",
    "1.0-1-1",
    "1.0.1",
    "1.2",
    "1.10",
    "20240101",
    "a1",
    "1:0~",
    "1:0",
    "2:0",
    "10:0",
]


def test_a_table_of_versions_in_ascending_order() -> None:
    for a, b in pairwise(ASCENDING):
        assert key(a) < key(b), (a, b)
        assert reference.dpkg(a, b) < 0, (a, b)


@pytest.mark.parametrize(
    "equal",
    [
        ["1.0", "1.0-0", "1.0-00", "0:1.0", "00:1.0", "1.00", "01.0", "1.", " 1.0\t"],
        ["0", "00", "0-0", "0:0"],
        ["1a", "1a0", "1a-0"],
        ["2147483647:1", "002147483647:1"],
        ["1.0-1-2", "1.0-01-2", "1.0-1-02"],
    ],
)
def test_tables_of_equal_versions(equal: list[str]) -> None:
    assert {key(version) for version in equal} == {key(equal[0])}


@pytest.mark.parametrize(
    "version",
    [
        *["", " ", ":1", "1:", "a:1", "-1:1", "1.0:1", "2147483648:1", "9" * 40 + ":1"],
        *["-1", "1:-1", "1.0-", "1.0-1-", "1 0", "1\n", "1\x00", "1é", "\uff11", "1~\x7f"],
    ],
)
def test_what_dpkg_refuses_is_refused(version: str) -> None:
    with pytest.raises(Failure) as caught:
        key(version)
    assert caught.value.code is Code.VERSION_INVALID


def test_characters_sort_tilde_end_letters_others() -> None:
    letters = "ABCXYZabcxyz"
    others = "+.:_!"
    for letter, other in product(letters, others):
        assert key("0:1~") < key("0:1") < key(f"0:1{letter}") < key(f"0:1{other}")
