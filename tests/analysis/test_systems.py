"""Recognition of the operating system of an image."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customhouse.analysis.ecosystems import scheme_of
from customhouse.analysis.systems import FILES, System, recognise

OS_RELEASE = "etc/os-release"
PRO = "var/lib/ubuntu-advantage/status.json"


def release(text: str, **others: str) -> System | None:
    """Recognise an image that has this os-release, and others of the files by their last name."""
    files = {OS_RELEASE: text.encode()}
    for name, content in others.items():
        (path,) = [path for path in FILES if path.endswith("/" + name)]
        files[path] = content.encode()
    return recognise(files)


DEBIAN = """\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
"""
BOOKWORM = System("debian", "12", "Debian GNU/Linux 12 (bookworm)", "Debian:12")


def test_debian() -> None:
    assert release(DEBIAN, debian_version="12.5\n") == BOOKWORM


@pytest.mark.parametrize(
    ("text", "debian_version", "version", "ecosystem"),
    [
        ("ID=debian\nVERSION_ID=10", "", "10", "Debian:10"),
        ("ID=debian\nVERSION_ID=12.5", "", "12.5", "Debian:12"),
        # distroless without a version
        ("ID=debian", "10.8", "10.8", "Debian:10"),
        ("ID=debian", "6.0.10", "6.0.10", "Debian:6.0"),
        ("ID=debian", "5.0", "5.0", "Debian:5.0"),
        # testing and unstable are told by the codename of the next release
        ("ID=debian\nVERSION_CODENAME=trixie", "trixie/sid", "trixie/sid", "Debian:13"),
        ("ID=debian\nVERSION_CODENAME=forky", "", "forky", "Debian:14"),
        ('ID=debian\nPRETTY_NAME="Debian GNU/Linux buster/sid"', "", "", "Debian:10"),
        ("ID=debian\nVERSION_CODENAME=sid", "", "sid", "Debian:sid"),
        ("ID=debian", "someday/sid", "someday/sid", "Debian:sid"),
        ("ID=debian", "", "", None),
        ("ID=debian\nVERSION_ID=newest", "", "newest", None),
    ],
)
def test_releases_of_debian(
    text: str, debian_version: str, version: str, ecosystem: str | None
) -> None:
    system = release(text, debian_version=debian_version)
    assert system
    assert (system.id, system.version, system.ecosystem) == ("debian", version, ecosystem)


@pytest.mark.parametrize(
    ("version", "ecosystem"),
    [
        ("22.04", "Ubuntu:22.04:LTS"),
        ("8.04", "Ubuntu:8.04:LTS"),
        ("6.06", "Ubuntu:6.06:LTS"),
        ("26.04", "Ubuntu:26.04:LTS"),
        ("18.04.6", "Ubuntu:18.04:LTS"),
        ("23.10", "Ubuntu:23.10"),
        ("23.04", "Ubuntu:23.04"),
        ("22.10", "Ubuntu:22.10"),
        ("6.10", "Ubuntu:6.10"),
        ("", None),
        ("rolling", None),
    ],
)
def test_releases_of_ubuntu(version: str, ecosystem: str | None) -> None:
    system = release(f'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="{version}"', debian_version="12.0")
    assert system
    assert system.ecosystem == ecosystem


MIRROR = "https://dl-cdn.alpinelinux.org/alpine"


@pytest.mark.parametrize(
    ("version", "repositories", "ecosystem"),
    [
        ("3.19.1", "", "Alpine:v3.19"),
        ("3.19", "", "Alpine:v3.19"),
        ("3.22.0_alpha20250108", "", "Alpine:edge"),
        ("3.19_alpha20230901", "", "Alpine:edge"),
        ("edge", "", "Alpine:edge"),
        ("3.19.1", f"{MIRROR}/v3.19/main\n{MIRROR}/v3.19/community\n", "Alpine:v3.19"),
        # switched to another branch
        ("3.18.4", f"{MIRROR}/v3.20/main\r\n{MIRROR}/v3.20/community\r\n", "Alpine:v3.20"),
        ("3.18.4", f"{MIRROR}/v3.9/main/\n{MIRROR}/v3.10/main\n", "Alpine:v3.10"),
        ("3.18.4", f"{MIRROR}/edge/main\n{MIRROR}/edge/testing\n", "Alpine:edge"),
        # only single packages come from elsewhere
        ("3.18.4", f"{MIRROR}/v3.18/main\n{MIRROR}/edge/main\n", "Alpine:v3.18"),
        ("3.18.4", f"{MIRROR}/edge/testing\n", "Alpine:v3.18"),
        ("3.18.4", f"@edge {MIRROR}/edge/main\n", "Alpine:v3.18"),
        ("3.18.4", f"#{MIRROR}/edge/main\n", "Alpine:v3.18"),
        ("3.18.4", "/media/cdrom/apks\n", "Alpine:v3.18"),
        ("", f"{MIRROR}/v3.20/main\n", "Alpine:v3.20"),
        ("", "", None),
        ("unknown", "garbage", None),
    ],
)
def test_branches_of_alpine(version: str, repositories: str, ecosystem: str | None) -> None:
    system = release(f"ID=alpine\nVERSION_ID={version}", repositories=repositories)
    assert system
    assert (system.id, system.ecosystem) == ("alpine", ecosystem)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'ID=wolfi\nPRETTY_NAME="Wolfi"\nVERSION_ID="20220914"',
            System("wolfi", "20220914", "Wolfi", "Wolfi"),
        ),
        (
            "ID=chainguard\nNAME=Chainguard\nVERSION_ID=20230214",
            System("chainguard", "20230214", "Chainguard 20230214", "Chainguard"),
        ),
        (
            'ID="rhel"\nVERSION_ID="9.4"\nPRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"',
            System("rhel", "9.4", "Red Hat Enterprise Linux 9.4 (Plow)", "Red Hat:9"),
        ),
        (
            "ID=arch\nNAME='Arch Linux'",
            System("arch", "", "Arch Linux", None),
        ),
        (
            'NAME="Debian GNU/Linux"\nVERSION_ID="8"\nID_LIKE=debian',
            System("linux", "8", "Debian GNU/Linux 8", None),
        ),
        ("ID=raspbian\nID_LIKE=debian\nVERSION_ID=9", System("raspbian", "9", "raspbian 9", None)),
        ("", None),
        ("VERSION_ID=3", None),
    ],
)
def test_other_systems(text: str, expected: System | None) -> None:
    assert release(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        DEBIAN.replace("\n", "\r\n"),
        "\ufeff" + DEBIAN,
        "# ID=ubuntu\n\n  \n" + DEBIAN,
        "ID=ubuntu\nVERSION_ID=22.04\n" + DEBIAN,
        "ID=" + "x" * 1_000_000 + "\n" + DEBIAN,
        DEBIAN + "Z" * 1_000_000,
        "\x00\x01\x02\n= =\n=\n'\n\"\n\\\n" + DEBIAN,
        DEBIAN.replace('"', "'"),
        DEBIAN.replace("ID=debian", '  ID = "Debian"  # a comment'),
        DEBIAN.replace("ID=debian", "ID=debian # a comment"),
        DEBIAN.replace('(bookworm)"\nNAME', "(bookworm)\nNAME"),
        DEBIAN.replace("GNU/Linux 12", "GNU\\/Linux\x1b 12").replace("\\/", "/"),
    ],
    ids=range(12),
)
def test_forms_of_os_release(text: str) -> None:
    assert release(text) == BOOKWORM


def test_escapes_in_quotes() -> None:
    system = release('ID=x\nPRETTY_NAME="a \\"b\\" \\$c \\`d\\` \\\\ \\n"')
    assert system
    assert system.name == 'a "b" $c `d` \\ \\n'


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"usr/lib/os-release": DEBIAN}, BOOKWORM),
        ({OS_RELEASE: DEBIAN, "usr/lib/os-release": "ID=alpine"}, BOOKWORM),
        ({OS_RELEASE: "", "usr/lib/os-release": DEBIAN}, BOOKWORM),
        ({"etc/debian_version": "buster/sid\n"}, ("debian", "buster/sid", "Debian:10")),
        ({"etc/debian_version": "9.8\n"}, ("debian", "9.8", "Debian:9")),
        ({"etc/debian_version": "\x00garbage"}, None),
        ({"etc/alpine-release": "3.19.1\n"}, ("alpine", "3.19.1", "Alpine:v3.19")),
        ({"etc/alpine-release": "garbage"}, None),
        (
            {
                "etc/lsb-release": "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\n",
                "etc/debian_version": "squeeze/sid\n",
            },
            ("ubuntu", "10.04", "Ubuntu:10.04:LTS"),
        ),
        ({"etc/redhat-release": "CentOS release 6.10 (Final)\n"}, ("centos", "6.10", "Red Hat:6")),
        (
            {"etc/redhat-release": "Red Hat Enterprise Linux Server release 6.8 (Santiago)"},
            ("rhel", "6.8", "Red Hat:6"),
        ),
        (
            {
                "etc/oracle-release": "Oracle Linux Server release 6.10",
                "etc/redhat-release": "Red Hat Enterprise Linux Server release 6.10 (Santiago)",
            },
            ("ol", "6.10", "Oracle Linux:6"),
        ),
        (
            {"etc/centos-release": "CentOS Linux release 7.6.1810 (Core)"},
            ("centos", "7.6.1810", "Red Hat:7"),
        ),
        ({"etc/redhat-release": "Some Linux release 7"}, ("linux", "7", None)),
        ({"etc/redhat-release": "Red Hat Linux release 6.2 (Zoot)"}, ("linux", "6.2", None)),
        ({"etc/redhat-release": "Scientific Linux release 7.9"}, ("scientific", "7.9", None)),
        (
            {"etc/rocky-release": "Rocky Linux release 8.4 (Green Obsidian)"},
            ("rocky", "8.4", "Rocky Linux:8"),
        ),
        (
            {"etc/system-release": "Amazon Linux AMI release 2017.09"},
            ("amzn", "2017.09", "Amazon Linux:1"),
        ),
        (
            {"etc/system-release-cpe": "cpe:/o:redhat:enterprise_linux:6server:ga:server\n"},
            ("rhel", "6", "Red Hat:6"),
        ),
        (
            {"etc/system-release-cpe": "cpe:2.3:o:amazon:amazon_linux:2023"},
            ("amzn", "2023", "Amazon Linux:2023"),
        ),
        ({"etc/system-release-cpe": "cpe:/o:anybody:linux:6"}, None),
        (
            {
                "etc/SuSE-release": "SUSE Linux Enterprise Server 11 (x86_64)\n"
                "VERSION = 11\nPATCHLEVEL = 4\n"
            },
            ("sles", "11.4", "SUSE:Linux Enterprise Server 11 SP4"),
        ),
        (
            {"etc/SuSE-release": "SUSE Linux Enterprise Server 12 (s390x)\nPATCHLEVEL = 0\n"},
            ("sles", "12", "SUSE:Linux Enterprise Server 12"),
        ),
        ({"etc/SuSE-release": "openSUSE 13.2 (x86_64)\n"}, ("opensuse", "13.2", None)),
        ({"etc/redhat-release": "anything"}, None),
        ({"NAME": DEBIAN}, None),
    ],
)
def test_which_file_decides(
    files: dict[str, str], expected: System | tuple[str, str, str | None] | None
) -> None:
    system = recognise({path: content.encode() for path, content in files.items()})
    if isinstance(expected, tuple):
        assert system
        assert (system.id, system.version, system.ecosystem) == expected
    else:
        assert system == expected


def check_bounds(system: System | None) -> None:
    """Whatever the files say, what comes out is short, printable and known."""
    if system:
        assert re.fullmatch(r"[a-z0-9._-]{1,256}", system.id)
        assert len(system.version) <= 256
        assert len(system.name) <= 600
        assert (system.version + system.name).isprintable()
        assert system.ecosystem is None or scheme_of(system.ecosystem)


lines = st.builds(
    lambda name, value: f"{name}={value}".encode("utf-8", "surrogatepass"),
    st.sampled_from(["ID", "VERSION_ID", "NAME", "PRETTY_NAME", "VERSION_CODENAME", "DISTRIB_ID"]),
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(
            ["debian", "ubuntu", "alpine", "wolfi", '"', "'", "12", "9" * 99, "3.19_alpha"]
        ),
    ),
)


@given(
    files=st.dictionaries(
        st.sampled_from(FILES),
        st.one_of(st.binary(max_size=200), st.lists(lines, max_size=8).map(b"\n".join)),
    )
)
@settings(max_examples=200, deadline=None)
def test_any_content_is_survived(files: dict[str, bytes]) -> None:
    check_bounds(recognise(files))


@pytest.mark.parametrize(
    "repeated", ["/", "a/", "v3.1/main", '"\\', "ID=", "= ", "A release 1.", "\n"]
)
def test_huge_files_take_no_time(repeated: str) -> None:
    content = repeated.encode() * (3_000_000 // len(repeated))
    check_bounds(recognise(dict.fromkeys(FILES, content)))


JAMMY = b"ID=ubuntu\nVERSION_ID=22.04\n"


ENABLED = b'{"services": [{"name": "esm-apps", "status": "enabled", "blocked_by": [{}]}]}'


@pytest.mark.parametrize(
    ("release", "status", "also"),
    [
        (JAMMY, ENABLED, ("Ubuntu:Pro:22.04:LTS",)),
        # one long line, as the tool writes it
        (JAMMY, ENABLED[:-1] + b', "x": "' + b"x" * 9000 + b'"}', ("Ubuntu:Pro:22.04:LTS",)),
        (b"ID=ubuntu\nVERSION_ID=23.10\n", ENABLED, ()),
        (DEBIAN.encode(), ENABLED, ()),
        (JAMMY, ENABLED.replace(b'"enabled"', b"1"), ()),
        (JAMMY, b'{"services": {"name": "esm-apps", "status": "enabled"}}', ()),
        (JAMMY, b'{"a":' * 100_000, ()),
        (JAMMY, b'{"a":"\xff"}', ()),
        (JAMMY, b"[]", ()),
        (JAMMY, b"", ()),
    ],
)
def test_ubuntu_pro(release: bytes, status: bytes, also: tuple[str, ...]) -> None:
    system = recognise({OS_RELEASE: release, PRO: status})
    assert system
    assert system.also == also


def test_the_modules_of_suse() -> None:
    system = release('ID=sles\nPRETTY_NAME="SUSE Linux Enterprise Server 15 SP5"\nVERSION_ID=15.5')
    assert system
    assert system.ecosystem == "SUSE:Linux Enterprise Server 15 SP5"
    assert "SUSE:Linux Enterprise Module for Basesystem 15 SP5" in system.also
    assert {scheme_of(ecosystem) for ecosystem in system.also} == {"rpm"}
    older = release('ID=sles\nPRETTY_NAME="SUSE Linux Enterprise Server 12 SP5"')
    assert older
    assert older.also == ()


@pytest.mark.parametrize(
    "text",
    [
        "ID=opensuse-leap\nNAME='openSUSE Leap'",
        "ID=opensuse-leap\nNAME='openSUSE Leap'\nVERSION_ID=newest",
        "ID=sles\nPRETTY_NAME=SLES",
        "ID=sles\nPRETTY_NAME='SUSE Linux :x'",
        "ID=rhel\nVERSION_ID=9beta",
        "ID=rocky",
        "ID=mine\nID_LIKE='rhel centos'\nVERSION_ID=9",
    ],
)
def test_what_is_not_known_has_no_ecosystem(text: str) -> None:
    system = release(text)
    assert system
    assert system.ecosystem is None
